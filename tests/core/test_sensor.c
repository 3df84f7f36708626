/* SPDX-License-Identifier: MIT */
#include "core/sensor.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

static struct sensor sensor_in(enum sensor_state state, enum cause cause) {
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    sensor.state = state;
    sensor.cause = cause;
    sensor.leaning = state;
    sensor.leaning_events = SENSOR_PATIENCE;
    return sensor;
}

static struct sensor sound_sensor(void) {
    return sensor_in(SENSOR_OK, CAUSE_NONE);
}

Test(sensor, begins_by_starting_with_nothing_wrong) {
    struct sensor sensor;

    memset(&sensor, 0xff, sizeof(sensor));
    sensor_init(&sensor, "kitchen");
    cr_expect_str_eq(sensor.name, "kitchen");
    cr_expect_eq(sensor.state, SENSOR_STARTING);
    cr_expect_eq(sensor.cause, CAUSE_NONE);
    cr_expect_not(sensor.has_reading);
    cr_expect_eq(sensor.readings, 0);
    cr_expect_eq(sensor.errors, 0);
    cr_expect_eq(sensor.out_of_range, 0);
    cr_expect_str_empty(sensor.last_error);
}

Test(sensor, the_longest_name_fits_and_a_longer_one_is_cut) {
    char name[NAME_MAX_LENGTH + 2] = { 0 };
    struct sensor sensor;

    memset(name, 'n', NAME_MAX_LENGTH);
    sensor_init(&sensor, name);
    cr_expect_str_eq(sensor.name, name);

    name[NAME_MAX_LENGTH] = 'x';
    sensor_init(&sensor, name);
    cr_expect_eq(strlen(sensor.name), NAME_MAX_LENGTH);
}

/* Events that come in any number on a sound sensor without a word, until there are three. */
struct patience_row {
    char name[32];
    enum sensor_event event;
    enum sensor_state state;
    enum cause cause;
};

ParameterizedTestParameters(sensor, believes_three_in_a_row_and_not_one) {
    static struct patience_row rows[] = {
        { "failed reads", SENSOR_GAVE_ERROR, SENSOR_FAILING, CAUSE_SENSOR_FAILING },
        { "readings out of range", SENSOR_OUT_OF_RANGE, SENSOR_FAILING, CAUSE_SENSOR_RANGE },
        { "damaged frames", SENSOR_LINE_DAMAGED, SENSOR_DAMAGED, CAUSE_FRAMES_DAMAGED },
    };

    return cr_make_param_array(struct patience_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct patience_row *row, sensor, believes_three_in_a_row_and_not_one) {
    struct sensor sensor = sound_sensor();

    for (unsigned i = 1; i < SENSOR_PATIENCE; i++) {
        cr_expect_eq(sensor_note(&sensor, row->event, CAUSE_NONE), 0, "%s: %u", row->name, i);
        cr_expect_eq(sensor.state, SENSOR_OK, "%s: %u", row->name, i);
        cr_expect_eq(sensor.cause, CAUSE_NONE, "%s: %u", row->name, i);
    }
    cr_expect_eq(sensor_note(&sensor, row->event, CAUSE_NONE), 1, "%s: the third", row->name);
    cr_expect_eq(sensor.state, row->state, "%s", row->name);
    cr_expect_eq(sensor.cause, row->cause, "%s", row->name);
    cr_expect_eq(sensor_note(&sensor, row->event, CAUSE_NONE), 0, "%s: said once", row->name);
}

ParameterizedTestParameters(sensor, is_no_alarm_when_every_third_is_good) {
    static struct patience_row rows[] = {
        { "failed reads", SENSOR_GAVE_ERROR, SENSOR_OK, CAUSE_NONE },
        { "readings out of range", SENSOR_OUT_OF_RANGE, SENSOR_OK, CAUSE_NONE },
        { "damaged frames", SENSOR_LINE_DAMAGED, SENSOR_OK, CAUSE_NONE },
    };

    return cr_make_param_array(struct patience_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct patience_row *row, sensor, is_no_alarm_when_every_third_is_good) {
    struct sensor sensor = sound_sensor();

    for (unsigned i = 0; i < 100; i++) {
        enum sensor_event event = i % 3 == 2 ? SENSOR_GAVE_READING : row->event;

        cr_expect_eq(sensor_note(&sensor, event, CAUSE_NONE), 0, "%s: %u", row->name, i);
    }
    cr_expect_eq(sensor.state, row->state, "%s", row->name);
    cr_expect_eq(sensor.cause, row->cause, "%s", row->name);
}

struct recovery_row {
    char name[32];
    enum sensor_state state;
    enum cause cause;
    unsigned readings; /* that it takes */
};

ParameterizedTestParameters(sensor, recovers) {
    static struct recovery_row rows[] = {
        { "at once from starting", SENSOR_STARTING, CAUSE_NONE, 1 },
        { "at once from absent", SENSOR_ABSENT, CAUSE_DEVICE_ABSENT, 1 },
        { "at once from silent", SENSOR_SILENT, CAUSE_NODE_SILENT, 1 },
        { "at once from a wrong board", SENSOR_WRONG_BOARD, CAUSE_WRONG_BOARD, 1 },
        { "by three from failing", SENSOR_FAILING, CAUSE_SENSOR_FAILING, SENSOR_PATIENCE },
        { "by three from out of range", SENSOR_FAILING, CAUSE_SENSOR_RANGE, SENSOR_PATIENCE },
        { "by three from damaged", SENSOR_DAMAGED, CAUSE_FRAMES_DAMAGED, SENSOR_PATIENCE },
    };

    return cr_make_param_array(struct recovery_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct recovery_row *row, sensor, recovers) {
    struct sensor sensor = sensor_in(row->state, row->cause);

    for (unsigned i = 1; i < row->readings; i++) {
        cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE), 0, "%s: %u", row->name,
                     i);
        cr_expect_eq(sensor.state, row->state, "%s: %u", row->name, i);
        cr_expect_eq(sensor.cause, row->cause, "%s: %u", row->name, i);
    }
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE), 1, "%s", row->name);
    cr_expect_eq(sensor.state, SENSOR_OK, "%s", row->name);
    cr_expect_eq(sensor.cause, CAUSE_NONE, "%s", row->name);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE), 0, "%s: said once",
                 row->name);
}

Test(sensor, an_interrupted_recovery_begins_anew) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);

    for (unsigned i = 0; i < 20; i++) {
        (void)sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE);
        (void)sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE);
        (void)sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE);
        cr_assert_eq(sensor.state, SENSOR_FAILING);
    }
}

/* Said at once, from whatever it was. */
struct sudden_row {
    char name[32];
    enum sensor_event event;
    enum cause given;
    enum sensor_state state;
    enum cause cause;
};

ParameterizedTestParameters(sensor, says_at_once) {
    static struct sudden_row rows[] = {
        { "device gone", SENSOR_WENT, CAUSE_DEVICE_ABSENT, SENSOR_ABSENT, CAUSE_DEVICE_ABSENT },
        { "device denied", SENSOR_WENT, CAUSE_DEVICE_DENIED, SENSOR_ABSENT, CAUSE_DEVICE_DENIED },
        { "device busy", SENSOR_WENT, CAUSE_DEVICE_BUSY, SENSOR_ABSENT, CAUSE_DEVICE_BUSY },
        { "board silent", SENSOR_FELL_SILENT, CAUSE_NONE, SENSOR_SILENT, CAUSE_NODE_SILENT },
        { "another board", SENSOR_IS_ANOTHER, CAUSE_NONE, SENSOR_WRONG_BOARD, CAUSE_WRONG_BOARD },
        { "device is back", SENSOR_CAME, CAUSE_NONE, SENSOR_STARTING, CAUSE_NONE },
    };

    return cr_make_param_array(struct sudden_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct sudden_row *row, sensor, says_at_once) {
    for (enum sensor_state state = SENSOR_STARTING; state <= SENSOR_WRONG_BOARD; state++) {
        struct sensor sensor = sensor_in(state, CAUSE_DEVICE_LOST);

        cr_expect_eq(sensor_note(&sensor, row->event, row->given), 1, "%s, from %s", row->name,
                     sensor_state_name(state));
        cr_expect_eq(sensor.state, row->state, "%s, from %s", row->name, sensor_state_name(state));
        cr_expect_eq(sensor.cause, row->cause, "%s, from %s", row->name, sensor_state_name(state));
        cr_expect_eq(sensor_note(&sensor, row->event, row->given), 0, "%s: said once", row->name);
    }
}

Test(sensor, a_cause_is_taken_only_with_a_device_that_went) {
    struct sensor sensor = sound_sensor();

    (void)sensor_note(&sensor, SENSOR_FELL_SILENT, CAUSE_DEVICE_BUSY);
    cr_expect_eq(sensor.cause, CAUSE_NODE_SILENT);
    (void)sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_DEVICE_BUSY);
    cr_expect_eq(sensor.cause, CAUSE_NONE);
}

Test(sensor, an_absent_device_that_turns_out_to_be_busy_is_news) {
    struct sensor sensor = sound_sensor();

    cr_expect_eq(sensor_note(&sensor, SENSOR_WENT, CAUSE_DEVICE_LOST), 1);
    cr_expect_eq(sensor_note(&sensor, SENSOR_WENT, CAUSE_DEVICE_BUSY), 1);
    cr_expect_eq(sensor.state, SENSOR_ABSENT);
    cr_expect_eq(sensor.cause, CAUSE_DEVICE_BUSY);
    cr_expect_eq(sensor_note(&sensor, SENSOR_WENT, CAUSE_DEVICE_BUSY), 0);
}

Test(sensor, unplugged_and_plugged_in_again_is_well_with_the_first_reading) {
    struct sensor sensor = sound_sensor();

    cr_expect_eq(sensor_note(&sensor, SENSOR_WENT, CAUSE_DEVICE_LOST), 1);
    cr_expect_eq(sensor_note(&sensor, SENSOR_CAME, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_STARTING);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_OK);
}

Test(sensor, a_device_that_opens_at_the_start_is_no_news) {
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    cr_expect_eq(sensor_note(&sensor, SENSOR_CAME, CAUSE_NONE), 0);
    cr_expect_eq(sensor.state, SENSOR_STARTING);
}

Test(sensor, one_failed_read_after_the_first_reading_leaves_it_well) {
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    (void)sensor_note(&sensor, SENSOR_GAVE_READING, CAUSE_NONE);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE), 0);
    cr_expect_eq(sensor.state, SENSOR_OK);
}

Test(sensor, fails_after_three_reads_also_when_it_never_worked) {
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE), 0);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE), 0);
    cr_expect_eq(sensor.state, SENSOR_STARTING);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_FAILING);
}

Test(sensor, failed_reads_and_readings_out_of_range_add_up) {
    struct sensor sensor = sound_sensor();

    (void)sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE);
    (void)sensor_note(&sensor, SENSOR_OUT_OF_RANGE, CAUSE_NONE);
    cr_expect_eq(sensor_note(&sensor, SENSOR_GAVE_ERROR, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_FAILING);
    cr_expect_eq(sensor.cause, CAUSE_SENSOR_FAILING);
}

Test(sensor, a_cause_does_not_flutter_while_the_sensor_fails_in_two_ways) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);

    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(
            sensor_note(&sensor, i % 2 ? SENSOR_GAVE_ERROR : SENSOR_OUT_OF_RANGE, CAUSE_NONE), 0);
    cr_expect_eq(sensor.cause, CAUSE_SENSOR_FAILING);
}

Test(sensor, a_cause_changes_after_three_of_the_other_kind) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);

    cr_expect_eq(sensor_note(&sensor, SENSOR_OUT_OF_RANGE, CAUSE_NONE), 0);
    cr_expect_eq(sensor_note(&sensor, SENSOR_OUT_OF_RANGE, CAUSE_NONE), 0);
    cr_expect_eq(sensor_note(&sensor, SENSOR_OUT_OF_RANGE, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_FAILING);
    cr_expect_eq(sensor.cause, CAUSE_SENSOR_RANGE);
}

Test(sensor, damage_and_failed_reads_do_not_add_up) {
    struct sensor sensor = sound_sensor();

    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(
            sensor_note(&sensor, i % 2 ? SENSOR_GAVE_ERROR : SENSOR_LINE_DAMAGED, CAUSE_NONE), 0);
    cr_expect_eq(sensor.state, SENSOR_OK);
}

Test(sensor, reports_what_is_wrong_now_when_it_goes_from_failing_to_damaged) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);

    (void)sensor_note(&sensor, SENSOR_LINE_DAMAGED, CAUSE_NONE);
    (void)sensor_note(&sensor, SENSOR_LINE_DAMAGED, CAUSE_NONE);
    cr_expect_eq(sensor.state, SENSOR_FAILING);
    cr_expect_eq(sensor_note(&sensor, SENSOR_LINE_DAMAGED, CAUSE_NONE), 1);
    cr_expect_eq(sensor.state, SENSOR_DAMAGED);
    cr_expect_eq(sensor.cause, CAUSE_FRAMES_DAMAGED);
}

static struct reading reading_of(int32_t tenths, uint64_t taken_us) {
    struct reading reading = { .taken_us = taken_us };

    cr_assert_eq(reading_add(&reading, &(struct quantity){ "t", tenths, 1 }), 0);
    return reading;
}

Test(sensor, takes_readings_inside_their_limits_only) {
    static const struct quantity_limits limits[] = { { "temperature", 0, 30000 } };
    static const struct conditioning_rules rules = { .limits = limits, .limit_count = 1 };
    struct sensor sensor;
    struct reading reading = reading_of(215, 7);

    sensor_init(&sensor, "kitchen");
    sensor.conditioning.rules = &rules;
    cr_expect_eq(sensor_take(&sensor, &reading), SENSOR_CHANGED | SENSOR_PUBLISH);
    cr_expect_str_eq(reading.sensor, "kitchen");
    cr_expect_eq(sensor.state, SENSOR_OK);
    for (unsigned i = 0; i < SENSOR_PATIENCE; i++) {
        reading = reading_of(301, 8 + i);
        cr_expect_eq(sensor_take(&sensor, &reading), i + 1 == SENSOR_PATIENCE ? SENSOR_CHANGED : 0);
    }
    cr_expect_eq(sensor.cause, CAUSE_SENSOR_RANGE);
    cr_expect_eq(sensor.out_of_range, SENSOR_PATIENCE);
    cr_expect_eq(sensor.readings, 1);
    cr_expect_eq(sensor.last.taken_us, 7, "what is not published is no last reading");
}

Test(sensor, a_frozen_one_is_published_and_failing_until_it_moves) {
    static const struct conditioning_rules rules = { .frozen_us = 100 };
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    sensor.conditioning.rules = &rules;
    for (uint64_t now_us = 0; now_us <= 100; now_us += 10) {
        struct reading reading = reading_of(215, now_us);

        cr_expect(sensor_take(&sensor, &reading) & SENSOR_PUBLISH);
        cr_expect_eq(sensor.cause, now_us == 100 ? CAUSE_SENSOR_FROZEN : CAUSE_NONE);
    }
    cr_expect_eq(sensor.state, SENSOR_FAILING);
    for (int32_t i = 1; i <= SENSOR_PATIENCE; i++) {
        struct reading reading = reading_of(215 + i, 100 + (uint64_t)i);

        (void)sensor_take(&sensor, &reading);
    }
    cr_expect_eq(sensor.state, SENSOR_OK);
}

Test(sensor, counts_failures_by_their_word_and_no_more_words_than_it_has_room_for) {
    struct sensor sensor = sound_sensor();
    uint64_t sum = 0;

    (void)sensor_fail(&sensor, "noresp");
    (void)sensor_fail(&sensor, "cksum");
    (void)sensor_fail(&sensor, "noresp");
    cr_expect_str_eq(sensor.failures[0].word, "noresp");
    cr_expect_eq(sensor.failures[0].count, 2);
    cr_expect_str_eq(sensor.failures[1].word, "cksum");
    cr_expect_eq(sensor.failures[1].count, 1);
    cr_expect_str_eq(sensor.last_error, "noresp");
    cr_expect_eq(sensor.state, SENSOR_FAILING);
    for (unsigned i = 0; i < 100; i++) {
        char word[16];

        (void)snprintf(word, sizeof(word), "word%u", i);
        (void)sensor_fail(&sensor, word);
    }
    for (size_t i = 0; i < SENSOR_FAILURES; i++)
        sum += sensor.failures[i].count;
    cr_expect_eq(sum, 103);
    cr_expect_eq(sensor.errors, 103);
    cr_expect_str_eq(sensor.failures[SENSOR_FAILURES - 1].word, "other");
}

Test(sensor, states_have_the_words_of_the_state_topic) {
    cr_expect_str_eq(sensor_state_name(SENSOR_STARTING), "starting");
    cr_expect_str_eq(sensor_state_name(SENSOR_OK), "ok");
    cr_expect_str_eq(sensor_state_name(SENSOR_ABSENT), "absent");
    cr_expect_str_eq(sensor_state_name(SENSOR_SILENT), "silent");
    cr_expect_str_eq(sensor_state_name(SENSOR_DAMAGED), "damaged");
    cr_expect_str_eq(sensor_state_name(SENSOR_FAILING), "failing");
    cr_expect_str_eq(sensor_state_name(SENSOR_WRONG_BOARD), "wrong-board");
}
