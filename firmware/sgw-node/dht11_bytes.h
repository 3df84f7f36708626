/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The five bytes of a DHT11 answer, and every way in which asking for them can end.
 *
 *     humidity %, its tenths, temperature C, its tenths, sum of the four
 *
 * Bit 7 of the temperature's tenths is its sign: sign and magnitude, -(whole + tenths / 10). Other
 * sensors mean -1 - whole + tenths / 10 by the same bit; the bytes cannot tell which, so whoever
 * reports such a reading keeps the bytes beside it (dht11_bytes_are_negative).
 *
 * Pure. Shared by the firmware and the daemon.
 * Source: Aosong DHT11 data sheet, 40-bit single-bus response; docs/frame.md on the sign.
 */

#include <stdbool.h>
#include <stdint.h>

#include "climate.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    DHT11_BYTES = 5,
    DHT11_BITS = 40,
};

/* errno.h will not do: avr-libc has no EBADMSG. */
enum dht11_status {
    DHT11_OK,
    DHT11_STUCK,       /* the line was low before the request */
    DHT11_NO_RESPONSE, /* no answer to the request */
    DHT11_SHORT,       /* the answer ended before its 40th bit */
    DHT11_CHECKSUM,    /* the sum disagrees: bits were misread */
    DHT11_RANGE,       /* a right sum over what no DHT11 can measure */
};

/*
 * Decodes one answer; `ret` is written on DHT11_OK only.
 *
 * Returns DHT11_OK, DHT11_CHECKSUM or DHT11_RANGE. Out of range is more than 100.0 %, more than
 * 60.0 degrees either way, tenths above 9, and less than 4 %: this covers five zero bytes, whose
 * sum is right, and a DHT22 in a DHT11's place, whose first byte is 0 to 3.
 */
enum dht11_status dht11_bytes_decode(const uint8_t raw[DHT11_BYTES], struct climate *ret);

/* Tells whether the bytes claim a temperature below zero, also where it rounds to 0.0. */
bool dht11_bytes_are_negative(const uint8_t raw[DHT11_BYTES]);

/* The word for a status in a frame's `err`: "stuck", "noresp", "short", "cksum", "range"; "ok". */
const char *dht11_status_name(enum dht11_status status);

#ifdef __cplusplus
}
#endif
