/* SPDX-License-Identifier: MIT */
#include "frame_writer.h"

#include "frame_crc.h"

enum { UINT32_DIGITS_MAX = 10 };

static void put(struct frame_writer *frame, char c) {
    if (frame->size_bytes < FRAME_SIZE_MAX)
        frame->bytes[frame->size_bytes++] = c;
    else
        frame->is_overfull = true;
}

static void put_text(struct frame_writer *frame, const char *text) {
    while (*text)
        put(frame, *text++);
}

static void put_number(struct frame_writer *frame, uint32_t number) {
    char backwards[UINT32_DIGITS_MAX];
    uint8_t n = 0;

    do {
        backwards[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (n > 0)
        put(frame, backwards[--n]);
}

static void put_key(struct frame_writer *frame, const char *key) {
    put(frame, FRAME_SEPARATOR);
    put_text(frame, key);
    put(frame, FRAME_ASSIGN);
}

static void put_crc(struct frame_writer *frame, uint16_t crc) {
    put(frame, FRAME_CRC_MARK);
    for (int8_t shift = 12; shift >= 0; shift = (int8_t)(shift - 4))
        put(frame, "0123456789ABCDEF"[crc >> shift & 0xF]);
}

void frame_writer_begin(struct frame_writer *frame, enum frame_type type, uint16_t node,
                        uint16_t sequence, uint32_t up_ms) {
    frame->size_bytes = 0;
    frame->is_overfull = false;

    put(frame, FRAME_START);
    put_text(frame, FRAME_VERSION);
    put(frame, FRAME_SEPARATOR);
    put(frame, (char)type);
    put(frame, FRAME_SEPARATOR);
    put_number(frame, node);
    put(frame, FRAME_SEPARATOR);
    put_number(frame, sequence);
    put(frame, FRAME_SEPARATOR);
    put_number(frame, up_ms);
}

void frame_writer_text(struct frame_writer *frame, const char *key, const char *value) {
    put_key(frame, key);
    put_text(frame, value);
}

void frame_writer_number(struct frame_writer *frame, const char *key, uint32_t value) {
    put_key(frame, key);
    put_number(frame, value);
}

void frame_writer_tenths(struct frame_writer *frame, const char *key, int16_t tenths) {
    uint16_t magnitude = tenths < 0 ? (uint16_t)(0U - (uint16_t)tenths) : (uint16_t)tenths;

    put_key(frame, key);
    if (tenths < 0)
        put(frame, '-');
    put_number(frame, magnitude / 10);
    put(frame, '.');
    put(frame, (char)('0' + magnitude % 10));
}

void frame_writer_hex(struct frame_writer *frame, const char *key, const uint8_t *bytes,
                      uint8_t size_bytes) {
    put_key(frame, key);
    for (uint8_t i = 0; i < size_bytes; i++) {
        put(frame, "0123456789abcdef"[bytes[i] >> 4]);
        put(frame, "0123456789abcdef"[bytes[i] & 0xF]);
    }
}

uint8_t frame_writer_end(struct frame_writer *frame) {
    put_crc(frame, frame_crc(&frame->bytes[1], (size_t)(frame->size_bytes - 1)));
    put_text(frame, FRAME_LINE_END);
    return frame->is_overfull ? 0 : frame->size_bytes;
}
