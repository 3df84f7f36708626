/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A DHT11's or a DHT22's answer as its line shows it: the times of falling edges in, bytes and then
 * a climate out.
 *
 *     ____          ____ __ ______          __
 *         |________|    |__|  |__|   ...   |__|      release, 80 us low, 80 us high, then 40 bits,
 *         1             2     3           42          each 50 us low, then high for
 *                                                     26 us (0) or 70 us (1)
 *
 * From one falling edge to the next a bit takes about 76 us or 120 us, so the short pulses between
 * need not be seen. What comes first is what a busy kernel loses, so bits are counted from the last
 * edge back. A first bit that is lost alone is taken for the 0 that it is in any humidity that is
 * possible, and then the checksum must agree.
 *
 * Pure. io/gpio_line.c stamps the edges; core/dht11_bytes.h has the bytes of a DHT11.
 * Source: Aosong DHT11 and AM2302 data sheets, single-bus response.
 */

#include <stddef.h>

#include "core/dht11_bytes.h"

enum {
    DHT11_EDGES = 42,          /* of a whole answer */
    DHT11_EDGES_WANTED = 41,   /* around 40 bits */
    DHT11_EDGES_ACCEPTED = 40, /* without the first bit */
};

enum dht_model { DHT_MODEL_11, DHT_MODEL_22 };

/* The model of this name ("dht11", "dht22"): 0, or -ENOENT. */
int dht_model_find(const char *name, enum dht_model *ret);

/*
 * Takes the bits out of the last edges.
 *
 * falling_ns  when the line fell, in the order in which it did
 * ret         written on DHT11_OK only; nobody has looked at the checksum yet
 *
 * Returns DHT11_OK; DHT11_NO_RESPONSE; DHT11_SHORT when edges are missing; DHT11_CHECKSUM when a
 * bit is as long as neither a 0 nor a 1.
 */
enum dht11_status dht11_edges_decode(const uint64_t *falling_ns, size_t count,
                                     uint8_t ret[DHT11_BYTES]);

/*
 * Decodes five bytes of a DHT22: humidity and temperature as 16 bits in tenths, the temperature's
 * first bit its sign. Returns as dht11_bytes_decode; out of range is more than 100.0 %, what is not
 * between -40.0 and 80.0 degrees, and five zero bytes, whose sum is right.
 */
enum dht11_status dht22_bytes_decode(const uint8_t raw[DHT11_BYTES], struct climate *ret);

/* Both steps. raw is written whenever there are bytes: for the journal, and for dht11_is_dht22. */
enum dht11_status dht11_decode(enum dht_model model, const uint64_t *falling_ns, size_t count,
                               uint8_t raw[DHT11_BYTES], struct climate *ret);

/* No DHT11 gives such bytes, and a DHT22 does. */
bool dht11_is_dht22(const uint8_t raw[DHT11_BYTES]);
