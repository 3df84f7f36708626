/* SPDX-License-Identifier: MIT */
#include "node_record.h"

#include <criterion/criterion.h>
#include <string.h>

Test(node_record, every_number_is_read_as_it_was_written) {
    for (uint32_t node = 1; node <= UINT16_MAX; node++) {
        uint8_t record[NODE_RECORD_SIZE];

        node_record_write((uint16_t)node, record);
        cr_assert_eq(node_record_read(record), node);
    }
}

Test(node_record, lies_in_eeprom_as_documented) {
    uint8_t record[NODE_RECORD_SIZE];

    node_record_write(0x3231, record); /* "12", whose CRC is 3DBA */
    cr_expect_arr_eq(record, ((uint8_t[]){ 0x31, 0x32, 0xba, 0x3d }), sizeof(record));
}

Test(node_record, an_erased_or_zeroed_memory_holds_none) {
    uint8_t record[NODE_RECORD_SIZE];

    for (int byte = 0; byte <= 0xff; byte += 0xff) {
        memset(record, byte, sizeof(record));
        cr_expect_eq(node_record_read(record), 0, "all %02x", (unsigned)byte);
    }
}

Test(node_record, number_zero_is_none) {
    uint8_t record[NODE_RECORD_SIZE];

    node_record_write(0, record);
    cr_expect_eq(node_record_read(record), 0);
}

Test(node_record, every_single_bit_flip_is_noticed) {
    uint8_t record[NODE_RECORD_SIZE];

    for (size_t bit = 0; bit < 8 * NODE_RECORD_SIZE; bit++) {
        node_record_write(4711, record);
        record[bit / 8] = (uint8_t)(record[bit / 8] ^ 1U << bit % 8);
        cr_expect_eq(node_record_read(record), 0, "bit %zu", bit);
    }
}

/* Power fails after the first bytes: the new number's, then what was there before. */
Test(node_record, one_that_was_half_written_is_noticed) {
    uint8_t record[NODE_RECORD_SIZE];
    uint8_t new_record[NODE_RECORD_SIZE];

    for (size_t written = 1; written < NODE_RECORD_SIZE; written++) {
        node_record_write(4711, record);
        node_record_write(815, new_record);
        memcpy(record, new_record, written);
        cr_expect_eq(node_record_read(record), 0, "%zu bytes", written);
    }
}
