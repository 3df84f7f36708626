/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A reading as it is published: one flat JSON object, UTF-8, no spaces.
 *
 *   {"id":"5f3a9c12-12345","time":"2026-11-22T18:07:32.123Z","gateway":"kitchen-pi","sensor":"kitchen",
 *    "temperature":21.5,"humidity":45.0}
 *
 * Pure. Nothing needs escaping: every string in it is an identifier that was checked where it came
 * in. docs/delivery.md says what id, time, late and clock promise.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/reading.h"

enum {
    ID_PREFIX_LENGTH = 8,
    PAYLOAD_SIZE = 640, /* enough for every reading */
    PAYLOAD_TIME_SIZE = 32,
};

/* What surrounds a reading. */
struct envelope {
    const char *gateway;
    const char *prefix; /* of the id: eight hex digits */
    uint64_t number;    /* of the id */
    int64_t wall_us;    /* when it was taken, since 1970 in UTC */
    bool synchronised;  /* was the clock known to be right? */
    bool late;
};

/* Writes "2026-11-22T18:07:32.123Z"; years outside 0000..9999 are cut to them. Returns the length
 * or -ENOSPC. */
int payload_render_time(int64_t wall_us, char *text, size_t size);

/* Returns the length, or -ENOSPC. */
int payload_render(const struct envelope *envelope, const struct reading *reading, char *text,
                   size_t size);
