/* SPDX-License-Identifier: MIT */
#include "dht11_line.h"

#include <Arduino.h>
#include <string.h>

#include "config.h"

enum {
    START_MS = 20,              /* at least 18 */
    RISE_US = 20,               /* for the pull-up to charge a long cable */
    ANSWER_BEGINS_MAX_US = 200, /* 20 to 40; some take longer */
    ATTENTION_MAX_US = 150,     /* 80 */
    BIT_LOW_MAX_US = 120,       /* 50 */
    BIT_HIGH_MAX_US = 150,      /* 23 to 28 for a 0, 68 to 75 for a 1 */
    ONE_ABOVE_US = 48,          /* midway */
};

enum { TICKS_PER_US = F_CPU / 8 / 1000000 };

static volatile uint8_t *line_register;
static uint8_t line_mask;

/* Not digitalRead(): its 4 us would be a fifth of the margin. */
static bool line_is_high(void) {
    return *line_register & line_mask;
}

/* Not micros(): its steps are 4 us, too. */
static uint16_t now_ticks(void) {
    return TCNT1;
}

/* Waits until the line leaves a level. Returns how long that took, or 0 when over the limit. */
static uint16_t ticks_while(bool is_high, uint16_t limit_us) {
    uint16_t start = now_ticks();
    uint16_t elapsed = 0;

    while (line_is_high() == is_high) {
        elapsed = (uint16_t)(now_ticks() - start);
        if (elapsed > limit_us * TICKS_PER_US)
            return 0;
    }
    return elapsed > 0 ? elapsed : 1;
}

static void pull_low(void) {
    digitalWrite(SGW_SENSOR_PIN, LOW); /* pull-up off first: never drives the line high */
    pinMode(SGW_SENSOR_PIN, OUTPUT);
}

static void release(void) {
    pinMode(SGW_SENSOR_PIN, INPUT_PULLUP);
}

static bool is_answered(void) {
    return ticks_while(true, ANSWER_BEGINS_MAX_US) && ticks_while(false, ATTENTION_MAX_US) &&
           ticks_while(true, ATTENTION_MAX_US);
}

static bool read_bit(uint8_t *bits) {
    uint16_t high_ticks;

    if (!ticks_while(false, BIT_LOW_MAX_US))
        return false;
    high_ticks = ticks_while(true, BIT_HIGH_MAX_US);
    if (!high_ticks)
        return false;

    *bits = (uint8_t)(*bits << 1 | (high_ticks > ONE_ABOVE_US * TICKS_PER_US));
    return true;
}

void dht11_line_init(void) {
    line_register = portInputRegister(digitalPinToPort(SGW_SENSOR_PIN));
    line_mask = digitalPinToBitMask(SGW_SENSOR_PIN);
    release();

    TCCR1A = 0;
    TCCR1B = _BV(CS11); /* free-running at F_CPU / 8 */
}

enum dht11_status dht11_line_read(struct dht11_answer *ret) {
    memset(ret, 0, sizeof(*ret));

    release();
    delayMicroseconds(RISE_US);
    if (!line_is_high())
        return DHT11_STUCK;

    pull_low();
    delay(START_MS);
    release();
    if (!is_answered())
        return DHT11_NO_RESPONSE;

    while (ret->bits < DHT11_BITS && read_bit(&ret->raw[ret->bits / 8]))
        ret->bits++;
    return ret->bits < DHT11_BITS ? DHT11_SHORT : DHT11_OK;
}
