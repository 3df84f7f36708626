/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Serial bytes in, frames out: $SGW1,R,1,7,15524,rh=44.8,t=22.3*71BE
 *
 * Pure. The decoder finds its way back after any damage: it begins anew at every '$', believes
 * nothing before the CRC has agreed, and counts all it had to throw away. docs/frame.md is the
 * format.
 */

#include <stdint.h>

#include "core/frame_format.h"
#include "core/reading.h"

/* FRAME_HELLO: at boot, and in answer to FRAME_ASK_HELLO. */
struct frame_hello {
    char firmware[FRAME_VALUE_SIZE_MAX + 1];
    char sensor[FRAME_VALUE_SIZE_MAX + 1]; /* "dht11" */
    char reset[FRAME_VALUE_SIZE_MAX + 1];  /* letters of PEBW, or "-" */
    uint32_t interval_ms;
};

/* FRAME_SENSOR_ERROR: no reading this time. */
struct frame_error {
    char source[FRAME_VALUE_SIZE_MAX + 1];
    char error[FRAME_VALUE_SIZE_MAX + 1]; /* stuck, noresp, short, cksum, range */
    uint32_t bits;                        /* that arrived */
    uint32_t failures;                    /* in a row */
};

struct frame {
    enum frame_type type;
    uint16_t node;
    uint16_t sequence;
    uint32_t up_ms; /* since the board's boot; wraps after 49.7 days */
    union {
        struct frame_hello hello;
        struct frame_error error;
        struct {
            struct reading
                reading; /* its quantities; sensor and taken_us are the reader's to fill in */
            char raw[FRAME_VALUE_SIZE_MAX +
                     1]; /* what the sensor sent, in hex, where a doubt is left */
        };
    };
};

/* Each counts since frame_decoder_init. Noise is counted in bytes, everything else in frames. */
struct frame_counters {
    uint64_t frames;          /* good ones */
    uint64_t noise_bytes;     /* outside any frame */
    uint64_t cut;             /* another '$' came before the end */
    uint64_t overlong;        /* more than FRAME_SIZE_MAX bytes */
    uint64_t foreign_byte;    /* a byte outside 20..7E */
    uint64_t bad_crc;         /* a CRC that disagrees or is missing */
    uint64_t malformed;       /* the CRC agrees, the fields do not */
    uint64_t unknown_version; /* SGW2 and later */
    uint64_t unknown_type;
};

struct frame_decoder {
    char line[FRAME_SIZE_MAX]; /* from '$' on */
    uint8_t length;            /* 0: outside any frame */
    struct frame_counters counters;
};

void frame_decoder_init(struct frame_decoder *decoder);

/*
 * Takes one byte.
 *
 * Returns 1 when it completed a frame; 0 when it did not, or completed one of a version or type
 * that we do not know; -EBADMSG when something that began as a frame had to be dropped.
 */
int frame_push(struct frame_decoder *decoder, uint8_t byte, struct frame *ret);

/* Frames dropped as damaged, of every kind. */
uint64_t frame_damaged(const struct frame_counters *counters);
