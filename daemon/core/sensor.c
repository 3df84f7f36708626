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
    [SENSOR_LINE_DAMAGED] = { SENSOR_DAMAGED, CAUSE_FRAMES_DAMAGED, SENSOR_PATIENCE },
    [SENSOR_FELL_SILENT] = { SENSOR_SILENT, CAUSE_NODE_SILENT, 1 },
    [SENSOR_CAME] = { SENSOR_STARTING, CAUSE_NONE, 1 },
    [SENSOR_WENT] = { SENSOR_ABSENT, CAUSE_NONE, 1 },
    [SENSOR_IS_ANOTHER] = { SENSOR_WRONG_BOARD, CAUSE_WRONG_BOARD, 1 },
};

void sensor_init(struct sensor *sensor, const char *name) {
    *sensor = (struct sensor){ .state = SENSOR_STARTING };
    (void)snprintf(sensor->name, sizeof(sensor->name), "%s", name);
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

const char *sensor_state_name(enum sensor_state state) {
    static const char *const names[] = {
        [SENSOR_STARTING] = "starting",       [SENSOR_OK] = "ok",
        [SENSOR_ABSENT] = "absent",           [SENSOR_SILENT] = "silent",
        [SENSOR_DAMAGED] = "damaged",         [SENSOR_FAILING] = "failing",
        [SENSOR_WRONG_BOARD] = "wrong-board",
    };

    return names[state];
}
