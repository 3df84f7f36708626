/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The channels of the kernel's industrial I/O drivers that are published, and what their files
 * hold.
 *
 * Pure. io/probe_iio.c reads them.
 * Source: Linux, Documentation/ABI/testing/sysfs-bus-iio: temperature in thousandths of a degree,
 * humidity in thousandths of a percent, pressure in kilopascal, illuminance in lux.
 */

#include <stddef.h>

#include "core/reading.h"

struct iio_channel {
    const char *file; /* "in_temp_input" */
    const char *key;  /* of the quantity */
    int power;        /* of ten, from the file's unit to the quantity's */
};

extern const struct iio_channel iio_channels[];
extern const size_t iio_channel_count;

/*
 * Reads a file's text, "21500\n" or "101.325000000\n", into a quantity with one to three decimals.
 *
 * Returns 0; -EBADMSG for what is no number; -ERANGE for one that cannot be published.
 */
int iio_channel_parse(const struct iio_channel *channel, const char *text, struct quantity *ret);

/* The word for what reading the file failed with (positive errno): "timeout", "io", "clock",
 * "value", "channels"; NULL where that is no failed read, but a device that is gone or denied. */
const char *iio_error_word(int error);
