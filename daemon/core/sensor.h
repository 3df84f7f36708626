/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How one sensor is: board gone, board silent, line damaged and sensor failing are four different
 * things.
 *
 * Pure. One failed read is normal for a DHT11 and no alarm, so a state changes only after
 * SENSOR_PATIENCE events in a row that speak for it, and the cause of a state that stays after as
 * many of one kind; a board that vanished or a wrong one is said at once.
 */

#include <stdint.h>

#include "core/cause.h"
#include "core/reading.h"

enum { SENSOR_PATIENCE = 3 };

enum sensor_state {
    SENSOR_STARTING, /* no word from it yet, and no reason to worry */
    SENSOR_OK,
    SENSOR_ABSENT,
    SENSOR_SILENT,
    SENSOR_DAMAGED,
    SENSOR_FAILING,
    SENSOR_WRONG_BOARD,
};

/* What happened on its line. */
enum sensor_event {
    SENSOR_GAVE_READING,
    SENSOR_GAVE_ERROR,
    SENSOR_OUT_OF_RANGE, /* a reading outside the configured limits */
    SENSOR_LINE_DAMAGED,
    SENSOR_FELL_SILENT,
    SENSOR_CAME, /* its device is open */
    SENSOR_WENT, /* the device is gone, or cannot be had; with the cause */
    SENSOR_IS_ANOTHER,
};

struct sensor {
    char name[NAME_MAX_LENGTH + 1];
    enum sensor_state state;
    enum cause cause;
    enum sensor_state leaning; /* the state that the last events speak for */
    unsigned leaning_events;
    enum sensor_event repeated; /* the last event, and how often it came in a row */
    unsigned repeats;

    bool has_reading;
    struct reading last;
    uint64_t readings;
    uint64_t out_of_range; /* readings not published */
    uint64_t errors;       /* failed reads that the board reported */
    char last_error[32];   /* "noresp", "cksum": the board's word for it */
};

void sensor_init(struct sensor *sensor, const char *name);

/*
 * Takes note of an event; cause is used with SENSOR_WENT only.
 *
 * Returns 1 when the state or its cause changed, else 0.
 */
int sensor_note(struct sensor *sensor, enum sensor_event event, enum cause cause);

/* "ok", "absent", ...: the word in the state topic. */
const char *sensor_state_name(enum sensor_state state);
