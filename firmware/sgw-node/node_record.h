/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The node number as it lies in EEPROM: number, then frame_crc() of its two bytes, both with the
 * low byte first. Neither an erased EEPROM (all FF), nor a zeroed one, nor one that lost power
 * while it was written makes a valid record.
 *
 * Pure. Also used by the tests' emulator to give a board its number.
 */

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NODE_RECORD_SIZE = 4 };

void node_record_write(uint16_t node, uint8_t ret[NODE_RECORD_SIZE]);

/* Returns the number, 1..65535, or 0 if the record is not valid. */
uint16_t node_record_read(const uint8_t record[NODE_RECORD_SIZE]);

#ifdef __cplusplus
}
#endif
