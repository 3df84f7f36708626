/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One sensor and its port, and what is said of them.
 */

#include "check/links.h"
#include "check/listen.h"

struct place {
    const struct check *check;
    const struct source_settings *source;
    const struct found_port *port;
    char name[2 * SERIAL_PORT_PATH_SIZE]; /* "/dev/ttyACM0 (usb:2341:0043)" */
};

void place_init(struct place *place, const struct check *check, size_t i);

/* The daemon says that it reads there: that holds where /proc shows us nothing. */
bool place_daemon_reads(const struct check *check, const struct source_settings *source);

/* A sensor without a board: where it is, who has it, and what it answers. */
void place_tell_direct(const struct check *check, const struct source_settings *source);

/* "temperature 21.5, humidity 45.0" */
void place_render_values(const struct reading *reading, char *text, size_t size);

/* error: a positive errno */
void place_tell_absent(const struct place *place, int error);
void place_tell_denied(const struct place *place);

/* The daemon of this configuration has it open; anyone else has. */
void place_tell_daemon(const struct place *place);
void place_tell_held(const struct place *place);

/* What may be wrong although the port can be opened. */
void place_warn(const struct place *place);

/* Nobody has it open, and it was not opened. */
void place_tell_free(const struct place *place);

/* It was listened to. */
void place_tell_heard(const struct place *place, const struct listener *listener);
