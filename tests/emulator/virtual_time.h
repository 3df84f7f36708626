/* SPDX-License-Identifier: MIT */
#pragma once

/* The processor's own time, counted in its cycles since the emulator began. */

#include "sim_avr.h"

enum { VIRTUAL_TIME_HZ = 16000000 };

avr_cycle_count_t virtual_time_cycles(double ms);
double virtual_time_ms(avr_cycle_count_t cycles);

/* One line on stderr, with the virtual time in seconds. */
void virtual_time_log(const avr_t *avr, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
