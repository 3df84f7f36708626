/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Why the board last started, as letters for a hello's `rst`: P power, E external (the reset
 * button, or a host that opened the port), B brown-out, W watchdog.
 *
 * A boot loader that clears the register before us leaves nothing to tell: "-". The Optiboot of
 * every UNO is one.
 */

#ifdef __cplusplus
extern "C" {
#endif

enum { RESET_CAUSE_SIZE = sizeof("PEBW") };

/* Writes the letters and their terminating zero. */
void reset_cause_letters(char ret[RESET_CAUSE_SIZE]);

#ifdef __cplusplus
}
#endif
