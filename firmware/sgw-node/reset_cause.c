/* SPDX-License-Identifier: MIT */
#include "reset_cause.h"

#include <avr/io.h>
#include <avr/wdt.h>
#include <stdint.h>

#include "frame_format.h"

static uint8_t flags __attribute__((section(".noinit"))); /* set before .bss is cleared */

void reset_cause_keep(void) __attribute__((naked, used, section(".init3")));

/*
 * Runs before main() and before memory is set up. A watchdog that has bitten goes on running, at
 * its shortest period, until its flag is cleared and it is stopped: later would be too late.
 */
void reset_cause_keep(void) {
    flags = MCUSR;
    MCUSR = 0;
    wdt_disable();
}

void reset_cause_letters(char ret[RESET_CAUSE_SIZE]) {
    static const struct {
        uint8_t flag;
        char letter;
    } causes[] = {
        { _BV(PORF), FRAME_RESET_POWER },
        { _BV(EXTRF), FRAME_RESET_EXTERNAL },
        { _BV(BORF), FRAME_RESET_BROWN_OUT },
        { _BV(WDRF), FRAME_RESET_WATCHDOG },
    };
    uint8_t n = 0;

    for (uint8_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
        if (flags & causes[i].flag)
            ret[n++] = causes[i].letter;
    }
    if (n == 0)
        ret[n++] = FRAME_RESET_UNKNOWN;
    ret[n] = '\0';
}
