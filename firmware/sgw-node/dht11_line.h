/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Asks a DHT11 on SGW_SENSOR_PIN and times its answer.
 *
 *     node  ‾‾\__20 ms__/‾‾
 *     DHT11             30 \_80_/‾80‾\_50_/‾27‾\_50_/‾70‾\_ ... _50_/‾‾   us
 *                           attention     a 0       a 1
 *
 * Interrupts stay on: the clock and the serial port cost less than 10 us at a time, and a 0 and a
 * 1 are told apart with 20 us to spare on both sides. Takes Timer1 for itself.
 * Source: Aosong DHT11 data sheet, single-bus response.
 */

#include <stdint.h>

#include "dht11_bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

struct dht11_answer {
    uint8_t raw[DHT11_BYTES];
    uint8_t bits; /* how many of them arrived */
};

void dht11_line_init(void);

/*
 * Asks once. Never takes longer than 27 ms, whatever the line does.
 *
 * ret  written always: a short answer keeps what arrived
 *
 * Returns DHT11_OK once all bits are there, whatever they say; DHT11_STUCK, DHT11_NO_RESPONSE or
 * DHT11_SHORT.
 */
enum dht11_status dht11_line_read(struct dht11_answer *ret);

#ifdef __cplusplus
}
#endif
