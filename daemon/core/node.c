/* SPDX-License-Identifier: MIT */
#include "core/node.h"

static bool is_repeated(const struct node *node, const struct frame *frame) {
    return frame->sequence == node->sequence && frame->up_ms == node->up_ms;
}

/*
 * Boards run on a resonator that is half a percent off, and USB hands over in bursts: two clocks
 * agree when they differ by less than a tenth and ten seconds.
 *
 * Half of all numbers may have been lost, too, and the sequence then seems to go back; a board that
 * ran on all the while shows it by its uptime.
 */
static bool has_restarted(const struct node *node, const struct frame *frame, uint64_t now_us) {
    uint64_t elapsed_ms = (now_us - node->heard_us) / 1000;
    uint64_t tolerance_ms = elapsed_ms / 10 + 10000;
    uint32_t advance_ms = frame->up_ms - node->up_ms; /* modulo 2^32: right over a wrap */
    bool counted_less = elapsed_ms > advance_ms + tolerance_ms;
    bool counted_more = advance_ms > elapsed_ms + tolerance_ms;
    bool is_young = frame->up_ms <= elapsed_ms + tolerance_ms; /* may have started since */
    bool went_back = (uint16_t)(frame->sequence - node->sequence - 1) > UINT16_MAX / 2;

    if (counted_less)
        return true;
    if (went_back && !is_repeated(node, frame) && (is_young || counted_more))
        return true;
    return frame->up_ms < node->up_ms && counted_more;
}

int node_follow(struct node *node, const struct frame *frame, uint64_t now_us) {
    bool restarted = node->heard && has_restarted(node, frame, now_us);

    if (node->heard && !restarted && is_repeated(node, frame)) {
        node->duplicates++;
        return 0;
    }
    if (restarted)
        node->restarts++;
    else if (node->heard)
        node->lost += (uint16_t)(frame->sequence - node->sequence - 1);

    node->heard = true;
    node->sequence = frame->sequence;
    node->up_ms = frame->up_ms;
    node->heard_us = now_us;
    return 1;
}
