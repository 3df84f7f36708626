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
#include "core/conditioning.h"
#include "core/reading.h"

enum {
    SENSOR_PATIENCE = 3,
    SENSOR_FAILURES = 6,      /* kinds that are told apart; the last one is "other" */
    SENSOR_FAILURE_SIZE = 28, /* a board's word is 24 characters at most */
};

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
    SENSOR_OUT_OF_RANGE, /* a reading outside its limits */
    SENSOR_IS_FROZEN,    /* a reading like all others for very long */
    SENSOR_LINE_DAMAGED,
    SENSOR_FELL_SILENT,
    SENSOR_CAME, /* its device is open */
    SENSOR_WENT, /* the device is gone, or cannot be had; with the cause */
    SENSOR_IS_ANOTHER,
};

/* Reads that failed in one way. */
struct sensor_failure {
    char
        word[SENSOR_FAILURE_SIZE]; /* "noresp", "cksum": the board's word for it, or the driver's */
    uint64_t count;
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
    uint64_t errors;       /* failed reads */
    char last_error[32];   /* the word for the last one */
    struct sensor_failure failures[SENSOR_FAILURES];
    struct conditioning conditioning;
};

/* What a reading or a failed read brought; flags. */
enum sensor_news {
    SENSOR_CHANGED = 1, /* the state or its cause */
    SENSOR_PUBLISH = 2, /* a reading is to be published */
};

void sensor_init(struct sensor *sensor, const char *name);

/*
 * Takes note of an event; cause is used with SENSOR_WENT only.
 *
 * Returns 1 when the state or its cause changed, else 0.
 */
int sensor_note(struct sensor *sensor, enum sensor_event event, enum cause cause);

/*
 * Takes a reading with its time, from whichever driver: gives it the sensor's name, conditions it
 * (core/conditioning.h), and remembers it. With SENSOR_PUBLISH the one to publish is in its place.
 *
 * Returns flags.
 */
unsigned sensor_take(struct sensor *sensor, struct reading *reading);

/* Takes note of a failed read. Returns flags. */
unsigned sensor_fail(struct sensor *sensor, const char *word);

/* "ok", "absent", ...: the word in the state topic. */
const char *sensor_state_name(enum sensor_state state);
