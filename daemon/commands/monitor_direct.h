/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `sensorgw monitor` for a sensor without a board: "gpio:CHIP:LINE" or "iio:DEVICE".
 */

#include "commands/monitor_output.h"

struct monitor_direct_options {
    const char *device;
    const char *model; /* of a sensor on a line */
    uint64_t count;    /* readings to wait for; 0: no end */
    struct monitor_output output;
};

/* Is it the name of such a sensor? */
bool monitor_direct_is(const char *device);

/* Asks it until Ctrl-C. Returns the exit status. */
int monitor_direct(const struct monitor_direct_options *options);
