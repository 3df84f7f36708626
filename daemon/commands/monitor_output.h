/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `sensorgw monitor` prints: lines for people, or one JSON object per frame.
 */

#include <stdbool.h>

#include "core/frame.h"

struct monitor_output {
    bool as_json;
    bool has_colour;
};

struct monitor_counts {
    uint64_t readings;
    uint64_t errors;
    uint64_t hellos;
    uint64_t duplicates;
    uint64_t damaged;
    uint64_t lost;
    uint64_t noise_bytes;
    double seconds;
};

/* lost: frames of this board that are missing before this one. */
void monitor_print_frame(const struct monitor_output *output, const struct frame *frame,
                         uint64_t lost);
void monitor_print_damaged(const struct monitor_output *output, const char *why, const void *bytes,
                           size_t size);
void monitor_print_noise(const struct monitor_output *output, const void *bytes, size_t size);

/* Of a sensor without a board; detail: "", or what is known beside. */
void monitor_print_reading(const struct monitor_output *output, const struct reading *reading,
                           const char *detail);
void monitor_print_failure(const struct monitor_output *output, const char *word,
                           const char *detail, const char *meaning, const char *cure);

/* For people only. */
void monitor_print_hint(const struct monitor_output *output, const char *hint);
void monitor_print_summary(const struct monitor_output *output,
                           const struct monitor_counts *counts);
