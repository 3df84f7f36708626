/* SPDX-License-Identifier: MIT */
#include "host_command.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

struct heard {
    unsigned hellos;
    unsigned nodes;
    uint16_t node; /* the last */
};

static struct heard hear(const char *bytes, size_t size_bytes) {
    struct host_command command;
    struct heard heard = { 0 };

    host_command_init(&command);
    for (size_t i = 0; i < size_bytes; i++) {
        enum host_request request = host_command_push(&command, bytes[i], &heard.node);

        heard.hellos += request == HOST_ASKS_HELLO;
        heard.nodes += request == HOST_SETS_NODE;
    }
    return heard;
}

struct line_row {
    char name[32];
    char bytes[32];
    unsigned hellos;
    uint16_t node; /* 0: none is set */
};

ParameterizedTestParameters(host_command, understands_or_ignores) {
    static struct line_row rows[] = {
        { "question", "?", 1, 0 },
        { "three questions", "???", 3, 0 },
        { "lowest node", "!node=1\r", 0, 1 },
        { "highest node", "!node=65535\r", 0, 65535 },
        { "ended by LF", "!node=7\n", 0, 7 },
        { "ended by both", "!node=7\r\n", 0, 7 },
        { "unended", "!node=7", 0, 0 },
        { "zero", "!node=0\r", 0, 0 },
        { "one too high", "!node=65536\r", 0, 0 },
        { "five digits too high", "!node=99999\r", 0, 0 },
        { "six digits", "!node=655350\r", 0, 0 },
        { "wraps to 7 in 16 bits", "!node=65543\r", 0, 0 },
        { "wraps to 7 in 32 bits", "!node=4294967303\r", 0, 0 },
        { "no number", "!node=\r", 0, 0 },
        { "negative", "!node=-7\r", 0, 0 },
        { "with a sign", "!node=+7\r", 0, 0 },
        { "with a blank", "!node= 7\r", 0, 0 },
        { "followed by a letter", "!node=7x\r", 0, 0 },
        { "another command", "!nodes=7\r", 0, 0 },
        { "upper case", "!NODE=7\r", 0, 0 },
        { "something before it", "x!node=7\r", 0, 0 },
        { "a modem probe before it", "AT\r!node=7\r", 0, 7 },
        { "overlong, then good", "!node=00000000001\r!node=7\r", 0, 7 },
        { "question before it", "?!node=7\r", 1, 7 },
        { "question within", "!no?de=7\r", 1, 0 },
        { "question clears the line", "!node=1?!node=7\r", 1, 7 },
        { "empty lines", "\r\n\r\n", 0, 0 },
        { "our own frame", "$SGW1,R,1,1,1524,rh=45.0*0\r\n", 0, 0 },
    };

    return cr_make_param_array(struct line_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct line_row *row, host_command, understands_or_ignores) {
    struct heard heard = hear(row->bytes, strlen(row->bytes));

    cr_expect_eq(heard.hellos, row->hellos, "%s", row->name);
    cr_expect_eq(heard.nodes, row->node > 0, "%s", row->name);
    cr_expect_eq(heard.node, row->node, "%s", row->name);
}

/* Its counter must not come round. */
Test(host_command, ignores_a_line_of_any_length) {
    static const char good[] = "\r!node=7\r";
    char bytes[2048];

    for (size_t size = 1; size + strlen(good) <= sizeof(bytes); size++) {
        struct heard heard;

        memset(bytes, '1', size);
        memcpy(bytes, "!node=", size < 6 ? size : 6);
        bytes[size - 1] = 'x';
        memcpy(&bytes[size], good, strlen(good));
        heard = hear(bytes, size + strlen(good));
        cr_assert_eq(heard.nodes, 1, "after %zu bytes", size);
        cr_assert_eq(heard.node, 7, "after %zu bytes", size);
    }
}

Test(host_command, takes_every_byte_value) {
    for (int byte = 0; byte < 256; byte++) {
        char bytes[] = { (char)byte, '\r', '!', 'n', 'o', 'd', 'e', '=', '7', '\r' };
        struct heard heard = hear(bytes, sizeof(bytes));

        cr_expect_eq(heard.node, 7, "after byte %d", byte);
    }
}
