/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `sensorgw check` found, link by link: a line for each in aligned columns as it is found, or
 * one JSON object at the end.
 *
 *     kitchen        error    /dev/ttyACM0 is held by ModemManager (pid 812)
 *                             install the udev rule: it keeps ModemManager away
 */

#include <stdbool.h>
#include <stdio.h>

#include "cleanup.h"
#include "core/cause.h"

/* In the order of their weight. */
enum verdict {
    VERDICT_OK,
    VERDICT_HIDDEN, /* whoever asks may not look: no fault of the link */
    VERDICT_WARNING,
    VERDICT_ERROR,
};

struct findings_style {
    FILE *out; /* borrowed */
    bool as_json;
    bool has_colour;
    size_t columns; /* lines are broken there; 0: never */
};

struct findings;

int findings_new(const struct findings_style *style, struct findings **ret);
struct findings *findings_free(struct findings *findings);
DEFINE_CLEANUP(struct findings, findings_free);

/* A link of this name will follow: the columns make room for it. */
void findings_expect(struct findings *findings, const char *link);

void findings_add(struct findings *findings, const char *link, enum verdict verdict,
                  enum cause cause, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* What to do about the finding just added. */
void findings_cure(struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

enum verdict findings_worst(const struct findings *findings);

/* Writes what is still to be written. Returns 0, or < 0 when not all of it could be. */
int findings_conclude(struct findings *findings);

/* "ok", "hidden", "warning", "error" */
const char *verdict_name(enum verdict verdict);
