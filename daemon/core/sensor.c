/* SPDX-License-Identifier: MIT */
#include "core/sensor.h"

#include <stdio.h>
#include <string.h>

/* Where an event leads, why, and whether it takes more than one of its kind to get there. */
struct lead {
    enum sensor_state state;
    enum cause cause;
    unsigned events;
};

static const struct lead leads[] = {
    [SENSOR_GAVE_READING] = { SENSOR_OK, CAUSE_NONE, SENSOR_PATIENCE },
    [SENSOR_GAVE_ERROR] = { SENSOR_FAILING, CAUSE_SENSOR_FAILING, SENSOR_PATIENCE },
    [SENSOR_OUT_OF_RANGE] = { SENSOR_FAILING, CAUSE_SENSOR_RANGE, SENSOR_PATIENCE },
    [SENSOR_IS_FROZEN] = { SENSOR_FAILING, CAUSE_SENSOR_FROZEN, 1 },
    [SENSOR_LINE_DAMAGED] = { SENSOR_DAMAGED, CAUSE_FRAMES_DAMAGED, SENSOR_PATIENCE },
    [SENSOR_FELL_SILENT] = { SENSOR_SILENT, CAUSE_NODE_SILENT, 1 },
    [SENSOR_CAME] = { SENSOR_STARTING, CAUSE_NONE, 1 },
    [SENSOR_WENT] = { SENSOR_ABSENT, CAUSE_NONE, 1 },
    [SENSOR_IS_ANOTHER] = { SENSOR_WRONG_BOARD, CAUSE_WRONG_BOARD, 1 },
};

void sensor_init(struct sensor *sensor, const char *name) {
    *sensor = (struct sensor){ .state = SENSOR_STARTING };
    (void)snprintf(sensor->name, sizeof(sensor->name), "%s", name);
    conditioning_init(&sensor->conditioning);
}

/* From a state in which nothing was heard of the sensor itself, its first word is believed. */
static bool was_unheard(enum sensor_state state) {
    return state == SENSOR_STARTING || state == SENSOR_ABSENT || state == SENSOR_SILENT ||
           state == SENSOR_WRONG_BOARD;
}

static bool is_settled(const struct sensor *sensor, enum sensor_event event) {
    if (event == SENSOR_GAVE_READING && was_unheard(sensor->state))
        return true;
    if (sensor->state == leads[event].state) /* only the cause can change, and must not flutter */
        return sensor->repeats >= leads[event].events;
    return sensor->leaning_events >= leads[event].events;
}

int sensor_note(struct sensor *sensor, enum sensor_event event, enum cause cause) {
    struct lead lead = leads[event];

    if (event == SENSOR_WENT)
        lead.cause = cause;
    if (event == SENSOR_WENT || event == SENSOR_CAME || event == SENSOR_FELL_SILENT)
        conditioning_forget(&sensor->conditioning);
    sensor->leaning_events = sensor->leaning == lead.state ? sensor->leaning_events + 1 : 1;
    sensor->leaning = lead.state;
    sensor->repeats = sensor->repeated == event ? sensor->repeats + 1 : 1;
    sensor->repeated = event;
    if (!is_settled(sensor, event))
        return 0;
    if (sensor->state == lead.state && sensor->cause == lead.cause)
        return 0;
    sensor->state = lead.state;
    sensor->cause = lead.cause;
    return 1;
}

unsigned sensor_take(struct sensor *sensor, struct reading *reading) {
    enum conditioning_verdict verdict = conditioning_apply(&sensor->conditioning, reading);
    enum sensor_event event = SENSOR_GAVE_READING;
    unsigned news = 0;

    memcpy(reading->sensor, sensor->name, sizeof(reading->sensor));
    if (verdict == CONDITIONING_OUTSIDE)
        event = SENSOR_OUT_OF_RANGE;
    else if (verdict == CONDITIONING_FROZEN)
        event = SENSOR_IS_FROZEN;
    if (sensor_note(sensor, event, CAUSE_NONE) > 0)
        news |= SENSOR_CHANGED;
    if (verdict == CONDITIONING_OUTSIDE) {
        sensor->out_of_range++;
        return news;
    }
    sensor->last = *reading;
    sensor->has_reading = true;
    sensor->readings++;
    if (conditioning_thin(&sensor->conditioning, reading, reading))
        news |= SENSOR_PUBLISH;
    return news;
}

/* A board may have any number of words: they must not fill the memory. */
static void count_failure(struct sensor *sensor, const char *word) {
    struct sensor_failure *failure = sensor->failures;
    struct sensor_failure *last = &sensor->failures[SENSOR_FAILURES - 1];

    while (failure < last && failure->count > 0 && strcmp(failure->word, word) != 0)
        failure++;
    (void)snprintf(failure->word, sizeof(failure->word), "%s", failure < last ? word : "other");
    failure->count++;
}

unsigned sensor_fail(struct sensor *sensor, const char *word) {
    (void)snprintf(sensor->last_error, sizeof(sensor->last_error), "%s", word);
    sensor->errors++;
    count_failure(sensor, word);
    return sensor_note(sensor, SENSOR_GAVE_ERROR, CAUSE_NONE) > 0 ? SENSOR_CHANGED : 0;
}

const char *sensor_state_name(enum sensor_state state) {
    static const char *const names[] = {
        [SENSOR_STARTING] = "starting",       [SENSOR_OK] = "ok",
        [SENSOR_ABSENT] = "absent",           [SENSOR_SILENT] = "silent",
        [SENSOR_DAMAGED] = "damaged",         [SENSOR_FAILING] = "failing",
        [SENSOR_WRONG_BOARD] = "wrong-board",
    };

    return names[state];
}
