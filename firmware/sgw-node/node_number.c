/* SPDX-License-Identifier: MIT */
#include "node_number.h"

#include <avr/eeprom.h>

#include "config.h"
#include "node_record.h"

static uint8_t *const record_address = 0; /* the EEPROM's first bytes */

uint16_t node_number_load(void) {
    uint8_t record[NODE_RECORD_SIZE];
    uint16_t node;

    eeprom_read_block(record, record_address, sizeof(record));
    node = node_record_read(record);
    return node > 0 ? node : SGW_NODE_DEFAULT;
}

void node_number_store(uint16_t node) {
    uint8_t record[NODE_RECORD_SIZE];

    node_record_write(node, record);
    eeprom_update_block(record, record_address, sizeof(record));
}
