/* SPDX-License-Identifier: MIT */

/* Any bytes on a serial line: nothing crashes, every byte is accounted for, and what comes out is
 * sound. */

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/frame.h"
#include "core/node.h"
#include "core/payload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must come back from the spool as it was, and fit into a message. */
static void check_reading(const struct frame *frame) {
    struct envelope envelope = { .gateway = "g", .prefix = "00000000" };
    struct reading again = { 0 };
    char text[READING_TEXT_SIZE];
    char payload[PAYLOAD_SIZE];

    assert(frame->reading.count > 0);
    assert(reading_render(&frame->reading, text, sizeof(text)) > 0);
    assert(reading_parse(text, &again) == 0);
    assert(again.count == frame->reading.count);
    assert(payload_render(&envelope, &frame->reading, payload, sizeof(payload)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct frame_decoder decoder;
    struct node node = { 0 };
    uint64_t frames = 0;
    uint64_t damaged = 0;

    frame_decoder_init(&decoder);
    for (size_t i = 0; i < size; i++) {
        struct frame frame;
        int r = frame_push(&decoder, data[i], &frame);

        assert(r == 0 || r == 1 || r == -EBADMSG);
        frames += r == 1;
        damaged += r < 0;
        if (r != 1)
            continue;
        assert(frame.node > 0);
        (void)node_follow(&node, &frame, i * 1000);
        if (frame.type == FRAME_READING)
            check_reading(&frame);
    }
    assert(decoder.counters.frames == frames);
    assert(frame_damaged(&decoder.counters) == damaged);
    assert(decoder.counters.noise_bytes <= size);
    return 0;
}
