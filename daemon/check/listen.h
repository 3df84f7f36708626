/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Several serial ports listened to at once, for some seconds, until each has given a reading.
 *
 * Opening a port may restart the board behind it, so it is asked for a hello twice: at once, and
 * when it has had time to start.
 */

#include <stdbool.h>

#include "core/frame.h"
#include "io/serial_port.h"

enum { LISTEN_MS = 8000 };

/* One port. What it has said stays when it is closed again. */
struct listener {
    const char *device; /* as configured; NULL: not listened to */
    unsigned baud;
    uint16_t wanted; /* number of the board; 0: any */

    int opened;    /* as serial_port_open returned it */
    bool was_lost; /* the port hung up */
    bool has_hello;
    struct frame_hello hello;
    bool has_reading;
    struct reading reading;
    bool has_error;
    struct frame_error error; /* the last one */
    uint16_t number;          /* of the board that said these; 0: none */
    uint16_t another;         /* heard in its place; 0: none */
    struct frame_decoder decoder;
    uint64_t bytes;

    struct serial_port port;
};

/* Returns 0, or < 0 when there is no listening at all. */
int listen_all(struct listener *listeners, size_t count);
