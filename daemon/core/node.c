/* SPDX-License-Identifier: MIT */
#include "core/node.h"

/*
 * Boards run on a resonator that is half a percent off, and USB hands over in bursts: two clocks
 * agree when they differ by less than a tenth and ten seconds.
 */
static uint64_t tolerance_ms(uint64_t elapsed_ms) {
    return elapsed_ms / 10 + 10000;
}

static bool has_restarted(const struct node *node, const struct frame *frame, uint64_t now_us) {
    uint64_t elapsed_ms = (now_us - node->heard_us) / 1000;
    uint32_t advance_ms = frame->up_ms - node->up_ms; /* modulo 2^32: right over a wrap */

    if (elapsed_ms > (uint64_t)advance_ms + tolerance_ms(elapsed_ms))
        return true; /* the board counted less than we did */
    if ((uint16_t)(frame->sequence - node->sequence - 1) > UINT16_MAX / 2)
        return true; /* its numbers went back: 18 hours of loss at 2 s a frame is no likelier tale
                      */
    return frame->up_ms < node->up_ms && advance_ms > elapsed_ms + tolerance_ms(elapsed_ms);
}

int node_follow(struct node *node, const struct frame *frame, uint64_t now_us) {
    if (node->heard && frame->sequence == node->sequence && frame->up_ms == node->up_ms) {
        node->duplicates++;
        return 0;
    }
    if (node->heard && has_restarted(node, frame, now_us))
        node->restarts++;
    else if (node->heard)
        node->lost += (uint16_t)(frame->sequence - node->sequence - 1);

    node->heard = true;
    node->sequence = frame->sequence;
    node->up_ms = frame->up_ms;
    node->heard_us = now_us;
    return 1;
}
