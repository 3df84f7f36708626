/* SPDX-License-Identifier: MIT */
#include "core/in_flight.h"

#include <assert.h>
#include <string.h>

void in_flight_add(struct in_flight *in_flight, int message, uint64_t number) {
    assert(in_flight->count < IN_FLIGHT_MAX);
    in_flight->entries[in_flight->count++] = (struct in_flight_entry){ message, number };
}

bool in_flight_has(const struct in_flight *in_flight, uint64_t number) {
    for (size_t i = 0; i < in_flight->count; i++)
        if (in_flight->entries[i].number == number)
            return true;
    return false;
}

bool in_flight_take(struct in_flight *in_flight, int message, uint64_t *ret_number) {
    struct in_flight_entry *entry = in_flight->entries;
    struct in_flight_entry *end = entry + in_flight->count;

    while (entry < end && entry->message != message)
        entry++;
    if (entry == end)
        return false;
    *ret_number = entry->number;
    memmove(entry, entry + 1, (size_t)(end - entry - 1) * sizeof(*entry));
    in_flight->count--;
    return true;
}
