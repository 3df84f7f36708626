/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Writes one frame: begin, its fields in order, end.
 *
 *     frame_writer_begin(&frame, FRAME_READING, node, sequence++, millis());
 *     frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, 215);
 *     Serial.write(frame.bytes, frame_writer_end(&frame));
 *
 * Keys and values are the caller's constants and are not checked. A frame that would exceed
 * FRAME_SIZE_MAX comes out empty: half a frame helps nobody, and its sequence number is missed.
 *
 * Pure, and without an Arduino: the tests run it on the host. Source of truth: docs/frame.md.
 */

#include <stdbool.h>
#include <stdint.h>

#include "frame_format.h"

#ifdef __cplusplus
extern "C" {
#endif

struct frame_writer {
    char bytes[FRAME_SIZE_MAX]; /* not terminated */
    uint8_t size_bytes;
    bool is_overfull;
};

void frame_writer_begin(struct frame_writer *frame, enum frame_type type, uint16_t node,
                        uint16_t sequence, uint32_t up_ms);

void frame_writer_text(struct frame_writer *frame, const char *key, const char *value);
void frame_writer_number(struct frame_writer *frame, const char *key, uint32_t value);

/* One digit after the point: 215 is 21.5, -5 is -0.5, and 0 is 0.0. */
void frame_writer_tenths(struct frame_writer *frame, const char *key, int16_t tenths);

/* Two lower-case digits a byte. */
void frame_writer_hex(struct frame_writer *frame, const char *key, const uint8_t *bytes,
                      uint8_t size_bytes);

/* Adds CRC and line end. Returns how many bytes to send, 0 if the frame did not fit. */
uint8_t frame_writer_end(struct frame_writer *frame);

#ifdef __cplusplus
}
#endif
