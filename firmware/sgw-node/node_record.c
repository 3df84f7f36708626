/* SPDX-License-Identifier: MIT */
#include "node_record.h"

#include <string.h>

#include "frame_crc.h"

void node_record_write(uint16_t node, uint8_t ret[NODE_RECORD_SIZE]) {
    uint16_t crc;

    ret[0] = (uint8_t)node;
    ret[1] = (uint8_t)(node >> 8);
    crc = frame_crc((const char *)ret, 2);
    ret[2] = (uint8_t)crc;
    ret[3] = (uint8_t)(crc >> 8);
}

uint16_t node_record_read(const uint8_t record[NODE_RECORD_SIZE]) {
    uint8_t expected[NODE_RECORD_SIZE];
    uint16_t node = (uint16_t)(record[0] | (uint16_t)record[1] << 8);

    node_record_write(node, expected);
    return memcmp(record, expected, NODE_RECORD_SIZE) == 0 ? node : 0;
}
