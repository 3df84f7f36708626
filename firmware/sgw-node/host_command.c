/* SPDX-License-Identifier: MIT */
#include "host_command.h"

#include <stdbool.h>
#include <string.h>

enum { PREFIX_SIZE = sizeof(FRAME_SET_NODE) - 1 };

static void append(struct host_command *command, char byte) {
    if (command->size_bytes < HOST_LINE_SIZE_MAX)
        command->line[command->size_bytes++] = byte;
    else
        command->size_bytes = HOST_LINE_SIZE_MAX + 1;
}

static bool parse_node(const char *digits, uint8_t n, uint16_t *ret) {
    uint32_t number = 0;

    for (uint8_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        number = number * 10 + (uint32_t)(digits[i] - '0');
    }
    if (number < 1 || number > UINT16_MAX)
        return false;

    *ret = (uint16_t)number;
    return true;
}

static bool parse_line(const struct host_command *command, uint16_t *ret_node) {
    if (command->size_bytes <= PREFIX_SIZE || command->size_bytes > HOST_LINE_SIZE_MAX)
        return false;
    if (memcmp(command->line, FRAME_SET_NODE, PREFIX_SIZE) != 0)
        return false;
    return parse_node(&command->line[PREFIX_SIZE], (uint8_t)(command->size_bytes - PREFIX_SIZE),
                      ret_node);
}

void host_command_init(struct host_command *command) {
    command->size_bytes = 0;
}

enum host_request host_command_push(struct host_command *command, char byte, uint16_t *ret_node) {
    bool is_node;

    if (byte == FRAME_ASK_HELLO) {
        host_command_init(command);
        return HOST_ASKS_HELLO;
    }
    if (byte != '\r' && byte != '\n') {
        append(command, byte);
        return HOST_NOTHING;
    }

    is_node = parse_line(command, ret_node);
    host_command_init(command);
    return is_node ? HOST_SETS_NODE : HOST_NOTHING;
}
