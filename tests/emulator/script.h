/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the emulated sensor stands in, over virtual time: rows of a CSV file, or what was last
 * commanded.
 *
 *     # at_s,temperature,humidity,fault
 *     0,21.5,45.0
 *     10,22.3,44.8,noresp
 *
 * A row holds until the next. Lines that do not begin with a digit are comments. A command ends
 * the file's part and keeps the rest of what held then.
 */

#include <stddef.h>

enum fault {
    FAULT_NONE,
    FAULT_NO_RESPONSE, /* never answers */
    FAULT_CHECKSUM,    /* one bit of the sum is wrong */
    FAULT_SHORT,       /* the answer ends after short_bits bits */
    FAULT_STUCK,       /* holds the line low */
    FAULT_ZERO,        /* answers five zero bytes */
    FAULT_DHT22,       /* answers as a DHT22 would */
};

struct conditions {
    int temperature_tenths;
    int humidity_tenths;
    enum fault fault;
    int short_bits;
};

struct script_row {
    double at_s;
    struct conditions conditions;
};

struct script {
    struct conditions commanded;
    struct script_row *rows; /* in order of time */
    size_t n_rows;
};

void script_init(struct script *script);
void script_free_rows(struct script *script);

/* Returns 0 or a negative errno; what is wrong with the file is said on stderr. */
int script_load(struct script *script, const char *path);

struct conditions script_at(const struct script *script, double time_s);

/* Each takes a command's argument and returns 0, or -EINVAL if it is none. */
int script_set_temperature(struct script *script, double time_s, const char *text);
int script_set_humidity(struct script *script, double time_s, const char *text);
int script_set_fault(struct script *script, double time_s, const char *text);
