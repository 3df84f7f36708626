/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Random numbers for tests that can be run again: each test prints its seed, and takes it back from
 * SENSORGW_TEST_SEED.
 */

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

struct dice {
    uint64_t state;
};

static inline struct dice dice_from_seed(const char *test) {
    const char *given = getenv("SENSORGW_TEST_SEED");
    struct dice dice = { 0 };

    if (given)
        dice.state = strtoull(given, NULL, 10);
    else if (getrandom(&dice.state, sizeof(dice.state), 0) != (ssize_t)sizeof(dice.state))
        abort();
    (void)fprintf(stderr, "%s: SENSORGW_TEST_SEED=%" PRIu64 "\n", test, dice.state);
    return dice;
}

/* xorshift64*; a state of zero is moved on. */
static inline uint64_t dice_next(struct dice *dice) {
    uint64_t x = dice->state ? dice->state : 0x9e3779b97f4a7c15;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    dice->state = x;
    return x * 0x2545f4914f6cdd1d;
}

/* 0 .. sides - 1 */
static inline size_t dice_roll(struct dice *dice, size_t sides) {
    return (size_t)(dice_next(dice) >> 16) % sides;
}
