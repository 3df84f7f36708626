/* SPDX-License-Identifier: MIT */
#include "core/ring.h"

#include <assert.h>

void ring_init(struct ring *ring, struct ring_slot *slots, size_t capacity, uint64_t last) {
    *ring = (struct ring){
        .slots = slots,
        .capacity = capacity,
        .first = last + 1,
        .last = last,
    };
}

bool ring_is_full(const struct ring *ring) {
    return ring->last + 1 - ring->first == ring->capacity;
}

void ring_push(struct ring *ring, uint32_t prefix, uint64_t accepted_us,
               const struct reading *reading) {
    assert(!ring_is_full(ring));
    ring->last++;
    ring->slots[ring->last % ring->capacity] = (struct ring_slot){
        .reading = *reading,
        .accepted_us = accepted_us,
        .prefix = prefix,
    };
}

void ring_pop(struct ring *ring) {
    assert(ring->first <= ring->last);
    ring->first++;
}

struct ring_slot *ring_at(const struct ring *ring, uint64_t number) {
    if (number < ring->first || number > ring->last)
        return NULL;
    return &ring->slots[number % ring->capacity];
}
