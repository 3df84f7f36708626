/* SPDX-License-Identifier: MIT */
#include "core/conditioning.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "seed.h"

#define SECOND UINT64_C(1000000)

static struct conditioning with(const struct conditioning_rules *rules) {
    struct conditioning conditioning;

    memset(&conditioning, 0xff, sizeof(conditioning));
    conditioning_init(&conditioning);
    conditioning.rules = rules;
    return conditioning;
}

static struct reading reading_at(uint64_t taken_us, const char *text) {
    struct reading reading = { .taken_us = taken_us };

    cr_assert_eq(reading_parse(text, &reading), 0, "%s", text);
    return reading;
}

static const char *text_of(const struct reading *reading) {
    static char text[READING_TEXT_SIZE];

    cr_assert_geq(reading_render(reading, text, sizeof(text)), 0);
    return text;
}

/* ---- offset ---- */

struct offset_row {
    char before[24];
    int64_t offset;
    char after[24];
};

ParameterizedTestParameters(conditioning, offset_keeps_the_digits) {
    static struct offset_row rows[] = {
        { "t=21.5", -1200, "t=20.3" },  { "t=21.5", 50, "t=21.6" },
        { "t=21.5", 49, "t=21.5" },     { "t=-0.5", 500, "t=0.0" },
        { "t=0.0", -50, "t=-0.1" },     { "t=0.0", -49, "t=0.0" },
        { "t=21", 499, "t=21" },        { "t=21", 500, "t=22" },
        { "t=21.505", -1, "t=21.504" }, { "t=0.3", -600, "t=-0.3" },
        { "rh=45.0", 5000, "rh=45.0" },
    };

    return cr_make_param_array(struct offset_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct offset_row *row, conditioning, offset_keeps_the_digits) {
    const struct quantity_amount offsets[] = { { "temperature", row->offset } };
    const struct conditioning_rules rules = { .offsets = offsets, .offset_count = 1 };
    struct conditioning conditioning = with(&rules);
    struct reading reading = reading_at(0, row->before);

    cr_expect_eq(conditioning_apply(&conditioning, &reading), CONDITIONING_SOUND);
    cr_expect_str_eq(text_of(&reading), row->after, "%s", row->before);
}

/* The spool holds text, and must be able to read it. */
Test(conditioning, whatever_an_offset_makes_can_be_read_back) {
    struct dice dice = dice_from_seed("conditioning/offset");

    for (unsigned i = 0; i < 100000; i++) {
        int64_t range = INT64_C(2) * 9999999 * CONDITIONING_SCALE;
        const struct quantity_amount offsets[] = {
            { "x", (int64_t)(dice_next(&dice) % (uint64_t)range) - range / 2 }
        };
        const struct conditioning_rules rules = { .offsets = offsets, .offset_count = 1 };
        struct conditioning conditioning = with(&rules);
        struct reading reading = { .count = 1 };
        struct reading again = { 0 };
        struct quantity *quantity = &reading.quantities[0];

        (void)strcpy(quantity->key, "x");
        quantity->decimals = (uint8_t)dice_roll(&dice, QUANTITY_DECIMALS + 1);
        quantity->scaled = (int32_t)(dice_next(&dice) >> (32 + dice_roll(&dice, 24)));
        if (conditioning_apply(&conditioning, &reading) == CONDITIONING_OUTSIDE)
            continue;
        cr_assert_eq(reading_parse(text_of(&reading), &again), 0, "%s", text_of(&reading));
        cr_assert_eq(again.quantities[0].scaled, quantity->scaled);
    }
}

/* ---- limits ---- */

struct limit_row {
    char model[16];
    char reading[32];
    bool is_outside;
};

ParameterizedTestParameters(conditioning, models_have_limits) {
    static struct limit_row rows[] = {
        { "dht11", "t=60.0,rh=100.0", false },  { "dht11", "t=60.1,rh=50.0", true },
        { "dht11", "t=-20.0,rh=0.0", false },   { "dht11", "t=-20.1,rh=50.0", true },
        { "dht11", "t=20.0,rh=100.1", true },   { "dht11", "t=20,rh=101", true },
        { "dht22", "t=80.0,rh=0.1", false },    { "dht22", "t=80.1,rh=50.0", true },
        { "dht22", "t=-40.0,rh=50.0", false },  { "dht22", "t=-40.1,rh=50.0", true },
        { "bme280", "t=85.0,rh=100.1", false }, { "dht11", "p=1013.2", false },
    };

    return cr_make_param_array(struct limit_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct limit_row *row, conditioning, models_have_limits) {
    struct conditioning conditioning = with(NULL);
    struct reading reading = reading_at(0, row->reading);

    conditioning_know(&conditioning, row->model);
    cr_expect_eq(conditioning_apply(&conditioning, &reading) == CONDITIONING_OUTSIDE,
                 row->is_outside, "%s %s", row->model, row->reading);
}

Test(conditioning, configured_limits_come_before_the_model_s) {
    static const struct quantity_limits limits[] = { { "temperature", -5000, 5500 } };
    static const struct conditioning_rules rules = { .limits = limits, .limit_count = 1 };
    struct conditioning conditioning = with(&rules);
    struct reading cold = reading_at(0, "t=5.5,rh=50.0");
    struct reading warm = reading_at(0, "t=5.6,rh=50.0");
    struct reading damp = reading_at(0, "t=5.5,rh=100.1");

    conditioning_know(&conditioning, "dht11");
    cr_expect_eq(conditioning_apply(&conditioning, &cold), CONDITIONING_SOUND);
    cr_expect_eq(conditioning_apply(&conditioning, &warm), CONDITIONING_OUTSIDE);
    cr_expect_str_eq(conditioning.stray.key, "t");
    cr_expect_eq(conditioning.stray.scaled, 56);
    cr_expect_eq(conditioning.stray_limits.max, 5500);
    cr_expect_eq(conditioning_apply(&conditioning, &damp), CONDITIONING_OUTSIDE);
    cr_expect_str_eq(conditioning.stray.key, "rh");
}

Test(conditioning, limits_hold_for_the_value_after_its_offset) {
    static const struct quantity_limits limits[] = { { "temperature", 0, 30000 } };
    static const struct quantity_amount offsets[] = { { "temperature", 2000 } };
    static const struct conditioning_rules rules = {
        .limits = limits, .limit_count = 1, .offsets = offsets, .offset_count = 1
    };
    struct conditioning conditioning = with(&rules);
    struct reading below = reading_at(0, "t=-2.0");
    struct reading above = reading_at(0, "t=28.1");

    cr_expect_eq(conditioning_apply(&conditioning, &below), CONDITIONING_SOUND);
    cr_expect_eq(conditioning_apply(&conditioning, &above), CONDITIONING_OUTSIDE);
}

/* ---- frozen ---- */

Test(conditioning, one_value_that_does_not_move_is_enough_to_be_frozen) {
    static const struct conditioning_rules rules = { .frozen_us = 3600 * SECOND };
    struct conditioning conditioning = with(&rules);

    for (uint64_t s = 0; s <= 3600; s += 60) {
        char text[32];
        struct reading reading;

        (void)snprintf(text, sizeof(text), "t=%u.0,rh=95.0", (unsigned)(s / 60 % 30));
        reading = reading_at(s * SECOND, text);
        cr_expect_eq(conditioning_apply(&conditioning, &reading),
                     s < 3600 ? CONDITIONING_SOUND : CONDITIONING_FROZEN, "after %u s",
                     (unsigned)s);
    }
    cr_expect_str_eq(conditioning.frozen.key, "rh");
}

Test(conditioning, what_moves_or_was_away_is_not_frozen) {
    static const struct conditioning_rules rules = { .frozen_us = 100 * SECOND };
    struct conditioning conditioning = with(&rules);
    struct reading first = reading_at(0, "t=20.0");
    struct reading moved = reading_at(99 * SECOND, "t=20.1");
    struct reading still = reading_at(198 * SECOND, "t=20.1");
    struct reading back = reading_at(900 * SECOND, "t=20.1");

    (void)conditioning_apply(&conditioning, &first);
    cr_expect_eq(conditioning_apply(&conditioning, &moved), CONDITIONING_SOUND);
    cr_expect_eq(conditioning_apply(&conditioning, &still), CONDITIONING_SOUND);
    conditioning_forget(&conditioning);
    cr_expect_eq(conditioning_apply(&conditioning, &back), CONDITIONING_SOUND);
}

Test(conditioning, nothing_is_frozen_unless_it_is_asked_for) {
    struct conditioning conditioning = with(NULL);
    struct reading first = reading_at(0, "t=20.0");
    struct reading last = reading_at(UINT64_MAX / 2, "t=20.0");

    (void)conditioning_apply(&conditioning, &first);
    cr_expect_eq(conditioning_apply(&conditioning, &last), CONDITIONING_SOUND);
}

/* ---- thinning ---- */

/* Gives a reading; returns when the published one was taken, in s, or -1. */
static int give(struct conditioning *conditioning, unsigned s, const char *text) {
    struct reading reading = reading_at(s * SECOND, text);

    return conditioning_thin(conditioning, &reading, &reading) ? (int)(reading.taken_us / SECOND)
                                                               : -1;
}

static int release(struct conditioning *conditioning, unsigned s) {
    struct reading reading;

    return conditioning_release(conditioning, s * SECOND, &reading)
               ? (int)(reading.taken_us / SECOND)
               : -1;
}

Test(conditioning, without_thinning_every_reading_is_published) {
    struct conditioning conditioning = with(NULL);

    for (unsigned s = 0; s < 10; s++)
        cr_expect_eq(give(&conditioning, s, "t=20.0"), (int)s);
    cr_expect_eq(conditioning.thinned, 0);
    cr_expect_eq(conditioning_due_us(&conditioning), UINT64_MAX);
}

static const struct conditioning_rules each_ten_seconds = { .publish_us = 10 * SECOND };

Test(conditioning, the_first_and_then_the_last_of_each_interval_is_published) {
    struct conditioning conditioning = with(&each_ten_seconds);
    unsigned published = 0;

    cr_expect_eq(give(&conditioning, 100, "t=20.0"), 100);
    for (unsigned s = 103; s <= 160; s += 3) {
        int given = give(&conditioning, s, "t=20.0");

        if (given >= 0)
            published++;
        cr_expect(given == -1 || (given == (int)s - 3 && given % 10 >= 7), "%d at %u", given, s);
    }
    cr_expect_eq(published, 6);
    cr_expect_eq(conditioning.thinned, 20 - 6 - 1, "%u thinned, and one is held",
                 (unsigned)conditioning.thinned);
}

Test(conditioning, a_held_reading_is_due_at_the_end_of_its_interval) {
    struct conditioning conditioning = with(&each_ten_seconds);

    cr_expect_eq(give(&conditioning, 100, "t=20.0"), 100);
    cr_expect_eq(conditioning_due_us(&conditioning), UINT64_MAX);
    cr_expect_eq(give(&conditioning, 103, "t=20.0"), -1);
    cr_expect_eq(conditioning_due_us(&conditioning), 110 * SECOND);
    cr_expect_eq(release(&conditioning, 109), -1);
    cr_expect_eq(release(&conditioning, 110), 103);
    cr_expect_eq(release(&conditioning, 110), -1);
    cr_expect_eq(give(&conditioning, 112, "t=20.0"), -1);
    cr_expect_eq(conditioning_due_us(&conditioning), 120 * SECOND);
}

Test(conditioning, after_a_pause_the_next_reading_is_published_at_once) {
    struct conditioning conditioning = with(&each_ten_seconds);

    cr_expect_eq(give(&conditioning, 100, "t=20.0"), 100);
    cr_expect_eq(give(&conditioning, 500, "t=20.0"), 500);
    cr_expect_eq(give(&conditioning, 505, "t=20.0"), -1);
    cr_expect_eq(conditioning_due_us(&conditioning), 510 * SECOND);
}

Test(conditioning, what_moved_enough_is_published_at_once) {
    static const struct quantity_amount changes[] = { { "temperature", 500 } };
    static const struct conditioning_rules rules = { .publish_us = 60 * SECOND,
                                                     .changes = changes,
                                                     .change_count = 1 };
    struct conditioning conditioning = with(&rules);

    cr_expect_eq(give(&conditioning, 100, "t=20.0,rh=40.0"), 100);
    cr_expect_eq(give(&conditioning, 103, "t=20.4,rh=90.0"), -1);
    cr_expect_eq(give(&conditioning, 106, "t=20.5,rh=40.0"), 106);
    cr_expect_eq(conditioning.thinned, 1);
    cr_expect_eq(give(&conditioning, 109, "t=20.1,rh=40.0"), -1);
    cr_expect_eq(give(&conditioning, 112, "t=20.0,rh=40.0"), 112);
    cr_expect_eq(give(&conditioning, 171, "t=20.0,rh=40.0"), -1);
    cr_expect_eq(release(&conditioning, 172), 171);
}

Test(conditioning, at_the_end_the_held_reading_is_let_go) {
    struct conditioning conditioning = with(&each_ten_seconds);
    struct reading reading;

    cr_expect_not(conditioning_let_go(&conditioning, &reading));
    (void)give(&conditioning, 100, "t=20.0");
    cr_expect_not(conditioning_let_go(&conditioning, &reading));
    (void)give(&conditioning, 101, "t=20.0");
    cr_expect(conditioning_let_go(&conditioning, &reading));
    cr_expect_eq(reading.taken_us, 101 * SECOND);
    cr_expect_not(conditioning_let_go(&conditioning, &reading));
}

/* Nothing is lost in silence: what came in was published, is held, or is counted. */
Test(conditioning, every_reading_is_published_held_or_counted_as_thinned) {
    static const struct quantity_amount changes[] = { { "temperature", 500 } };
    static const struct conditioning_rules rules = { .publish_us = 10 * SECOND,
                                                     .changes = changes,
                                                     .change_count = 1 };
    struct dice dice = dice_from_seed("conditioning/thinning");
    struct conditioning conditioning = with(&rules);
    uint64_t published = 0;
    unsigned s = 0;

    for (uint64_t given = 1; given <= 10000; given++) {
        char text[16];

        s += (unsigned)dice_roll(&dice, 15);
        (void)snprintf(text, sizeof(text), "t=20.%u", (unsigned)dice_roll(&dice, 7));
        if (dice_roll(&dice, 4) == 0)
            published += release(&conditioning, s) >= 0;
        published += give(&conditioning, s, text) >= 0;
        cr_assert_eq(given, published + conditioning.thinned + conditioning.has_held);
    }
}
