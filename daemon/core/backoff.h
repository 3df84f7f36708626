/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How long to wait before the next attempt: full jitter, so that a hundred gateways that lost one
 * broker do not come back in step.
 *
 *   delay = random(0 .. min(cap, base * 2^failures)), never under BACKOFF_FLOOR_MS
 *
 * Pure: the random state is the caller's, so every sequence can be replayed.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */

#include <stdint.h>

enum { BACKOFF_FLOOR_MS = 100 };

struct backoff {
    uint64_t base_ms;
    uint64_t cap_ms;
    uint64_t random; /* state; any seed */
    unsigned failures;
};

/* Counts one more failure and returns the delay after it. */
uint64_t backoff_next_ms(struct backoff *backoff);

/* The link has proved stable: start from the base again. */
void backoff_reset(struct backoff *backoff);
