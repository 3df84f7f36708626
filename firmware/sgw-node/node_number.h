/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The board's own number, kept in EEPROM so that two boards of one kind stay apart wherever they
 * are plugged in. Flashing a sketch over serial leaves it alone.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the stored number, or SGW_NODE_DEFAULT where none is. */
uint16_t node_number_load(void);

/* Stores a number, 1..65535. Takes up to 14 ms; what already is there is not written again. */
void node_number_store(uint16_t node);

#ifdef __cplusplus
}
#endif
