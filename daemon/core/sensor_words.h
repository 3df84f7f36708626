/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is wrong with a sensor or its port, in a sentence, and what to do about it in the next.
 *
 * Pure. The journal's MESSAGE, and what `monitor` prints.
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/board.h"

enum { SENSOR_WORDS_SIZE = 512 };

/* What surrounds it. */
struct sensor_place {
    const char *device; /* as configured */
    unsigned baud;
    const char *error; /* the system's word for why a port cannot be had; NULL: none */
    bool is_no_port;   /* something is there, but no serial port */
    bool has_noise;    /* bytes arrive that make no frame */
    bool is_later;     /* frames arrive of a format that came after this sensorgw */
};

/* A port that is not to be had. Returns the length; text is cut to size. */
int port_explain(enum cause cause, const char *sensor, const struct sensor_place *place, char *text,
                 size_t size);

/* How a sensor on an open port is. Returns as above. */
int board_explain(const struct board *board, const struct sensor_place *place, char *text,
                  size_t size);

/* A board's word for a failed read ("noresp"): what it means, and what to look at. */
const char *sensor_error_meaning(const char *error);
const char *sensor_error_cure(const char *error);
