/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is wrong with a sensor that hangs on this machine itself, in a sentence, and what to do
 * about it in the next. core/sensor_words.h has those behind a board.
 *
 * Pure.
 */

#include "core/sensor.h"

enum { DIRECT_WORDS_SIZE = 512 };

enum direct_kind { DIRECT_GPIO, DIRECT_IIO };

/* What surrounds it. */
struct direct_place {
    enum direct_kind kind;
    const char *name;   /* "gpio:pinctrl-bcm2711:4" */
    const char *error;  /* the system's word for why it cannot be had; "": none */
    const char *detail; /* what is known of the last failed read: "17 of 42 edges"; "": nothing */
};

/* Returns the length; text is cut to size. */
int direct_explain(const struct sensor *sensor, const struct direct_place *place, char *text,
                   size_t size);

/* A word for a failed read: what it means, and what to look at. */
const char *direct_error_meaning(enum direct_kind kind, const char *word);
const char *direct_error_cure(enum direct_kind kind, const char *word);

/* What to do about a place that is not to be had. */
const char *direct_place_cure(enum direct_kind kind, enum cause cause);

/*
 * "kitchen: temperature 61.2 is outside its limits, -20 to 60": for a sensor of any kind whose
 * cause is sensor-range or sensor-frozen. Returns as above.
 */
int sensor_explain_values(const struct sensor *sensor, char *text, size_t size);
