/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * CRC-16/CCITT-FALSE: polynomial 1021, initial value FFFF, not reflected, no final exclusive or.
 * Its check value, over "123456789", is 29B1; over nothing it is FFFF.
 *
 * Pure. Shared by the firmware and the daemon.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

uint16_t frame_crc(const char *bytes, size_t size_bytes);

#ifdef __cplusplus
}
#endif
