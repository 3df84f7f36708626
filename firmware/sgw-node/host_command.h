/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the host says to the node, byte by byte:
 *
 *     ?               asks for a hello, at once
 *     !node=N CR      sets the node number, 1..65535; LF will do as well
 *
 * Everything else is ignored, up to its CR or LF: noise, modem probes, our own frames echoed.
 *
 * Pure, and without an Arduino: the tests run it on the host. Source of truth: docs/frame.md.
 */

#include <stdint.h>

#include "frame_format.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { HOST_LINE_SIZE_MAX = sizeof(FRAME_SET_NODE "65535") - 1 };

struct host_command {
    char line[HOST_LINE_SIZE_MAX];
    uint8_t size_bytes; /* one more than the maximum: too long, ignored up to its end */
};

enum host_request {
    HOST_NOTHING,
    HOST_ASKS_HELLO,
    HOST_SETS_NODE,
};

void host_command_init(struct host_command *command);

/* Takes one byte; `ret_node` is written on HOST_SETS_NODE only. */
enum host_request host_command_push(struct host_command *command, char byte, uint16_t *ret_node);

#ifdef __cplusplus
}
#endif
