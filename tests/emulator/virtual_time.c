/* SPDX-License-Identifier: MIT */
#include "virtual_time.h"

#include <stdarg.h>
#include <stdio.h>

avr_cycle_count_t virtual_time_cycles(double ms) {
    return (avr_cycle_count_t)(ms * VIRTUAL_TIME_HZ / 1000);
}

double virtual_time_ms(avr_cycle_count_t cycles) {
    return (double)cycles * 1000 / VIRTUAL_TIME_HZ;
}

void virtual_time_log(const avr_t *avr, const char *format, ...) {
    va_list arguments;

    fprintf(stderr, "[%9.3f] ", virtual_time_ms(avr->cycle) / 1000);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}
