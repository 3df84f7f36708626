/* SPDX-License-Identifier: MIT */
#include "core/backoff.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <limits.h>

#include "seed.h"

enum { DRAWS = 20000 };

static struct backoff backoff_with(uint64_t base_ms, uint64_t cap_ms, uint64_t seed) {
    return (struct backoff){ .base_ms = base_ms, .cap_ms = cap_ms, .random = seed };
}

/* The highest of many delays after this many failures. */
static uint64_t highest_ms(struct backoff *backoff, unsigned failures) {
    uint64_t highest = 0;

    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t delay_ms;

        backoff->failures = failures;
        delay_ms = backoff_next_ms(backoff);
        highest = delay_ms > highest ? delay_ms : highest;
    }
    return highest;
}

struct bound_row {
    char name[32];
    unsigned failures;
    uint64_t ceiling_ms;
};

ParameterizedTestParameters(backoff, doubles_its_ceiling_up_to_the_cap) {
    static struct bound_row rows[] = {
        { "the first failure", 0, 1000 },
        { "the second", 1, 2000 },
        { "the third", 2, 4000 },
        { "the sixth", 5, 32000 },
        { "the seventh is capped", 6, 60000 },
        { "as is the eighth", 7, 60000 },
        { "the 64th", 63, 60000 },
        { "the 65th", 64, 60000 },
        { "the 66th", 65, 60000 },
        { "the last that is counted", UINT_MAX, 60000 },
    };

    return cr_make_param_array(struct bound_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct bound_row *row, backoff, doubles_its_ceiling_up_to_the_cap) {
    struct dice dice = dice_from_seed("backoff ceiling");
    struct backoff backoff = backoff_with(1000, 60000, dice_next(&dice));
    uint64_t highest = highest_ms(&backoff, row->failures);

    cr_expect_leq(highest, row->ceiling_ms, "%s", row->name);
    cr_expect_gt(highest, row->ceiling_ms * 99 / 100, "%s: reached %llu only", row->name,
                 (unsigned long long)highest);
}

Test(backoff, never_waits_less_than_the_floor) {
    struct dice dice = dice_from_seed("backoff floor");
    struct backoff backoff = backoff_with(1000, 60000, dice_next(&dice));
    unsigned at_the_floor = 0;

    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t delay_ms;

        backoff_reset(&backoff);
        delay_ms = backoff_next_ms(&backoff);
        cr_assert_geq(delay_ms, BACKOFF_FLOOR_MS);
        at_the_floor += delay_ms == BACKOFF_FLOOR_MS;
    }
    cr_expect_gt(at_the_floor, 0, "one in ten is drawn below the floor");
}

Test(backoff, a_cap_below_the_floor_gives_the_floor) {
    struct backoff backoff = backoff_with(1, 10, 7);

    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(backoff_next_ms(&backoff), BACKOFF_FLOOR_MS);
}

Test(backoff, a_base_above_the_cap_is_capped) {
    struct backoff backoff = backoff_with(300000, 60000, 7);

    cr_expect_leq(highest_ms(&backoff, 0), 60000);
}

Test(backoff, the_same_seed_gives_the_same_delays) {
    struct dice dice = dice_from_seed("backoff replay");
    uint64_t seed = dice_next(&dice);
    struct backoff one = backoff_with(1000, 60000, seed);
    struct backoff other = backoff_with(1000, 60000, seed);

    for (unsigned i = 0; i < 1000; i++)
        cr_assert_eq(backoff_next_ms(&one), backoff_next_ms(&other), "draw %u", i);
}

Test(backoff, these_delays_follow_from_this_seed) {
    struct backoff backoff = backoff_with(1000, 60000, 0);
    /* SplitMix64 from 0 begins with e220a8397b1dcdaf, 6e789e6aa1b965f4, 06c45d188009454f */
    uint64_t first = 0xe220a8397b1dcdafU % 1001;
    uint64_t second = 0x6e789e6aa1b965f4U % 2001;
    uint64_t third = 0x06c45d188009454fU % 4001;

    cr_expect_eq(backoff_next_ms(&backoff), first < 100 ? 100 : first);
    cr_expect_eq(backoff_next_ms(&backoff), second < 100 ? 100 : second);
    cr_expect_eq(backoff_next_ms(&backoff), third < 100 ? 100 : third);
}

Test(backoff, gateways_that_failed_together_do_not_come_back_together) {
    enum { GATEWAYS = 100, SLOTS = 10 };
    unsigned in_slot[SLOTS] = { 0 };

    for (unsigned i = 0; i < GATEWAYS; i++) {
        struct backoff backoff = backoff_with(60000, 60000, i); /* seeds as close as can be */

        in_slot[backoff_next_ms(&backoff) * SLOTS / 60001]++;
    }
    for (unsigned i = 0; i < SLOTS; i++)
        cr_expect(in_slot[i] >= 1 && in_slot[i] <= 25, "%u of %d in slot %u", in_slot[i], GATEWAYS,
                  i);
}

Test(backoff, jitter_is_spread_over_the_whole_range) {
    enum { SLOTS = 10 };
    struct dice dice = dice_from_seed("backoff jitter");
    struct backoff backoff = backoff_with(60000, 60000, dice_next(&dice));
    unsigned in_slot[SLOTS] = { 0 };
    double sum_ms = 0;

    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t delay_ms = backoff_next_ms(&backoff);

        sum_ms += (double)delay_ms;
        in_slot[delay_ms * SLOTS / 60001]++;
    }
    /* Ten standard deviations: the mean's is 60000 / sqrt(12 * DRAWS) = 122 ms, a slot's is 42. */
    cr_expect_float_eq(sum_ms / DRAWS, 30000.0, 1220.0, "mean %f", sum_ms / DRAWS);
    for (unsigned i = 0; i < SLOTS; i++)
        cr_expect(in_slot[i] > DRAWS / SLOTS - 420 && in_slot[i] < DRAWS / SLOTS + 420,
                  "%u in slot %u", in_slot[i], i);
}

Test(backoff, every_failure_is_counted_and_a_reset_forgets_them) {
    struct backoff backoff = backoff_with(1000, 60000, 1);

    for (unsigned i = 1; i <= 20; i++) {
        (void)backoff_next_ms(&backoff);
        cr_assert_eq(backoff.failures, i);
    }
    backoff_reset(&backoff);
    cr_expect_eq(backoff.failures, 0);
    cr_expect_leq(backoff_next_ms(&backoff), 1000);
}

Test(backoff, a_reset_does_not_replay_the_delays) {
    struct backoff backoff = backoff_with(60000, 60000, 1);
    uint64_t first = backoff_next_ms(&backoff);

    backoff_reset(&backoff);
    cr_expect_neq(backoff_next_ms(&backoff), first);
}

Test(backoff, stays_at_the_cap_after_four_thousand_million_failures) {
    struct backoff backoff = backoff_with(1000, 60000, 1);

    backoff.failures = UINT_MAX - 2;
    for (unsigned i = 0; i < 10; i++)
        cr_assert_leq(backoff_next_ms(&backoff), 60000);
    cr_expect_eq(backoff.failures, UINT_MAX, "the count stops, it does not wrap to the base");
}
