/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Readings sent and not yet acknowledged, in the order in which they went: libmosquitto's number of
 * each message and the spool's of its reading. MQTT acknowledges in any order.
 *
 * Pure.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IN_FLIGHT_MAX = 1000 };

struct in_flight {
    struct in_flight_entry {
        int message;
        uint64_t number;
    } entries[IN_FLIGHT_MAX];
    size_t count;
};

/* There must be room. */
void in_flight_add(struct in_flight *in_flight, int message, uint64_t number);

bool in_flight_has(const struct in_flight *in_flight, uint64_t number);

/* It is acknowledged: takes it out. Returns false if there is no such message. */
bool in_flight_take(struct in_flight *in_flight, int message, uint64_t *ret_number);
