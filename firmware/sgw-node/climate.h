/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a DHT11 measures, in its own resolution: the digits that are published are exactly these.
 * Shared by the firmware and the daemon.
 */

#include <stdint.h>

struct climate {
    int16_t temperature_tenths; /* 215 is 21.5 degrees Celsius */
    int16_t humidity_tenths;    /* 450 is 45.0 %RH */
};
