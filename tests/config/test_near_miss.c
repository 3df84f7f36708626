/* SPDX-License-Identifier: MIT */
#include "near_miss.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

struct row {
    char typed[64];
    char meant[64];
    unsigned distance;
};

ParameterizedTestParameters(near_miss, slips_are_counted) {
    static struct row rows[] = {
        { "port", "port", 0 },
        { "prot", "port", 1 },
        { "ports", "port", 1 },
        { "pot", "port", 1 },
        { "pork", "port", 1 },
        { "keepalive", "keepalive_s", 2 },
        { "stauts", "status", 1 },
        { "cert", "certificate", 3 },
        { "max", "max_mb", 3 },
        { "ke", "key", 1 },
        { "ab", "key", NEAR_MISS_NONE },
        { "frobnicate", "gateway", NEAR_MISS_NONE },
        { "", "key", NEAR_MISS_NONE },
        { "a123456789b123456789c123456789d123456789", "key", NEAR_MISS_NONE },
    };

    return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct row *row, near_miss, slips_are_counted) {
    cr_assert_eq(near_miss(row->typed, row->meant), row->distance, "%s %s", row->typed, row->meant);
}
