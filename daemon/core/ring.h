/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The latest readings, each under its number, in storage of the caller's.
 *
 * Pure. io/spool.c keeps what is not yet on disk here, and what a sick disk would not take.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/reading.h"

struct ring_slot {
    struct reading reading;
    uint64_t accepted_us; /* CLOCK_BOOTTIME */
    uint32_t prefix;      /* of its id */
    bool is_acknowledged;
};

/* Holds the numbers first..last; none when last is first - 1. */
struct ring {
    struct ring_slot *slots; /* borrowed: capacity of them */
    size_t capacity;
    uint64_t first;
    uint64_t last;
};

/* Empty, and the next number is after last. */
void ring_init(struct ring *ring, struct ring_slot *slots, size_t capacity, uint64_t last);

bool ring_is_full(const struct ring *ring);

/* Gives a reading the next number: with the prefix, its id. The ring must not be full. */
void ring_push(struct ring *ring, uint32_t prefix, uint64_t accepted_us,
               const struct reading *reading);

/* Lets the oldest go. The ring must not be empty. */
void ring_pop(struct ring *ring);

/* The slot of a number, or NULL when it is not, or no longer, here. */
struct ring_slot *ring_at(const struct ring *ring, uint64_t number);
