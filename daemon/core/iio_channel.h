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

/*
 * The word for what is wrong with an answer that came without an error; NULL: nothing.
 *
 * name     of the driver: "dht11@4"
 * took_us  to read its files
 *
 * Two faults of the driver of the DHT11. For two seconds after any answer it does not ask the
 * sensor again, but gives the values that it has; if it refused that answer these are older ones,
 * or 0. A question takes 18 ms, and so tells: "repeated". And where sum or decimals displease it,
 * it tries once more one bit earlier: this puts a 1 before all others, and gives 128 % or more:
 * "range".
 *
 * Source: Linux 6.1, drivers/iio/humidity/dht11.c.
 */
const char *iio_answer_fault(const char *name, const struct reading *reading, uint64_t took_us);
