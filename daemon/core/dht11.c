/* SPDX-License-Identifier: MIT */
#include "core/dht11.h"

#include <errno.h>
#include <string.h>

/*
 * DHT11: 76 to 78 us, and 120 us; AM2302: 70 to 85 us, and 116 to 130 us. What lies between could
 * be either, and is neither: a read that failed is tried again, a wrong value is published.
 */
enum {
    BIT_MIN_NS = 60000,
    ZERO_MAX_NS = 93000,
    ONE_MIN_NS = 107000,
    BIT_MAX_NS = 145000, /* two bits in one are 152 us at least */
};

enum { SIGN_BIT = 0x80 };

int dht_model_find(const char *name, enum dht_model *ret) {
    if (strcmp(name, "dht11") != 0 && strcmp(name, "dht22") != 0)
        return -ENOENT;
    *ret = strcmp(name, "dht22") == 0 ? DHT_MODEL_22 : DHT_MODEL_11;
    return 0;
}

enum dht11_status dht11_edges_decode(const uint64_t *falling_ns, size_t count,
                                     uint8_t ret[DHT11_BYTES]) {
    uint8_t raw[DHT11_BYTES] = { 0 };
    enum dht11_status status = DHT11_OK;

    if (count < 2)
        return DHT11_NO_RESPONSE; /* one edge may be the line's own, when it was let go */
    if (count < DHT11_EDGES_ACCEPTED)
        return DHT11_SHORT;
    for (size_t bit = count > DHT11_BITS ? 0 : 1; bit < DHT11_BITS; bit++) {
        const uint64_t *edge_ns = falling_ns + count - (DHT11_BITS - bit);
        uint64_t length_ns = edge_ns[0] - edge_ns[-1];

        if (length_ns > BIT_MAX_NS)
            return DHT11_SHORT;
        if (length_ns < BIT_MIN_NS || (length_ns > ZERO_MAX_NS && length_ns < ONE_MIN_NS))
            status = DHT11_CHECKSUM;
        if (length_ns >= ONE_MIN_NS)
            raw[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    if (status == DHT11_OK)
        memcpy(ret, raw, sizeof(raw));
    return status;
}

static bool sum_agrees(const uint8_t raw[DHT11_BYTES]) {
    return (uint8_t)(raw[0] + raw[1] + raw[2] + raw[3]) == raw[4];
}

enum dht11_status dht22_bytes_decode(const uint8_t raw[DHT11_BYTES], struct climate *ret) {
    static const uint8_t zeros[DHT11_BYTES];
    int humidity = raw[0] << 8 | raw[1];
    int magnitude = (raw[2] & ~SIGN_BIT) << 8 | raw[3];
    int temperature = raw[2] & SIGN_BIT ? -magnitude : magnitude;

    if (!sum_agrees(raw))
        return DHT11_CHECKSUM;
    if (humidity > 1000 || temperature < -400 || temperature > 800 ||
        memcmp(raw, zeros, sizeof(zeros)) == 0)
        return DHT11_RANGE;
    ret->humidity_tenths = (int16_t)humidity;
    ret->temperature_tenths = (int16_t)temperature;
    return DHT11_OK;
}

enum dht11_status dht11_decode(enum dht_model model, const uint64_t *falling_ns, size_t count,
                               uint8_t raw[DHT11_BYTES], struct climate *ret) {
    enum dht11_status status = dht11_edges_decode(falling_ns, count, raw);

    if (status != DHT11_OK)
        return status;
    return model == DHT_MODEL_22 ? dht22_bytes_decode(raw, ret) : dht11_bytes_decode(raw, ret);
}

bool dht11_is_dht22(const uint8_t raw[DHT11_BYTES]) {
    struct climate climate;

    return dht11_bytes_decode(raw, &climate) == DHT11_RANGE &&
           dht22_bytes_decode(raw, &climate) == DHT11_OK;
}
