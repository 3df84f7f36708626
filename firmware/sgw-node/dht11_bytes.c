/* SPDX-License-Identifier: MIT */
#include "dht11_bytes.h"

enum { SIGN_BIT = 0x80 };

enum {
    HUMIDITY,
    HUMIDITY_TENTHS,
    TEMPERATURE,
    TEMPERATURE_TENTHS,
    SUM,
};

static bool sum_agrees(const uint8_t raw[DHT11_BYTES]) {
    uint8_t sum = 0;

    for (uint8_t i = 0; i < SUM; i++)
        sum = (uint8_t)(sum + raw[i]);
    return sum == raw[SUM];
}

enum dht11_status dht11_bytes_decode(const uint8_t raw[DHT11_BYTES], struct climate *ret) {
    uint8_t temperature_digit = raw[TEMPERATURE_TENTHS] & (uint8_t)~SIGN_BIT;
    int16_t humidity = (int16_t)(raw[HUMIDITY] * 10 + raw[HUMIDITY_TENTHS]);
    int16_t temperature = (int16_t)(raw[TEMPERATURE] * 10 + temperature_digit);

    if (!sum_agrees(raw))
        return DHT11_CHECKSUM;
    if (raw[HUMIDITY] < 4 || humidity > 1000 || raw[HUMIDITY_TENTHS] > 9)
        return DHT11_RANGE;
    if (temperature > 600 || temperature_digit > 9)
        return DHT11_RANGE;

    ret->humidity_tenths = humidity;
    ret->temperature_tenths = dht11_bytes_are_negative(raw) ? (int16_t)-temperature : temperature;
    return DHT11_OK;
}

bool dht11_bytes_are_negative(const uint8_t raw[DHT11_BYTES]) {
    return raw[TEMPERATURE_TENTHS] & SIGN_BIT;
}

const char *dht11_status_name(enum dht11_status status) {
    switch (status) {
    case DHT11_OK:
        return "ok";
    case DHT11_STUCK:
        return "stuck";
    case DHT11_NO_RESPONSE:
        return "noresp";
    case DHT11_SHORT:
        return "short";
    case DHT11_CHECKSUM:
        return "cksum";
    case DHT11_RANGE:
        return "range";
    }
    return "unknown";
}
