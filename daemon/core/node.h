/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Follows one board by the sequence and uptime in its frames: what was lost on the way, what came
 * twice, when it restarted.
 *
 * Pure. Neither a hello (it also answers '?') nor sequence 0 (the counter wraps) means a restart:
 * only an uptime or a sequence that went back, or an uptime that stood still while time passed
 * here. A sequence that seems to go back is a long loss when the uptime shows that the board ran
 * on all the while.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"

struct node {
    bool heard;
    uint16_t sequence;
    uint32_t up_ms;
    uint64_t heard_us; /* on our clock */
    uint64_t lost;     /* frames that the board sent and we never saw */
    uint64_t duplicates;
    uint64_t restarts;
};

/*
 * Takes note of a frame heard at now_us.
 *
 * Returns 1 for news, 0 for a duplicate of the last frame.
 */
int node_follow(struct node *node, const struct frame *frame, uint64_t now_us);
