/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A serial line under the magnifying glass: every byte of it ends up in a frame, in damage or in
 * noise, and is printed as that.
 */

#include "commands/monitor_output.h"
#include "core/roster.h"

enum { MONITOR_BOARDS = 16 };

struct monitor_line {
    struct monitor_output output;
    struct monitor_counts counts;
    struct frame_decoder decoder;
    bool in_step;                  /* a line has begun since the port was opened */
    uint8_t bytes[FRAME_SIZE_MAX]; /* not printed yet */
    size_t size;
    struct roster roster;
    struct board boards[MONITOR_BOARDS];
};

void monitor_line_init(struct monitor_line *line, const struct monitor_output *output);
void monitor_line_take(struct monitor_line *line, uint8_t byte, uint64_t now_us);
