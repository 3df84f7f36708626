/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The frames that a port's reader was given, one a line, without CR and LF: what a test compares
 * with what arrived elsewhere. A frame is written once its last byte has been handed to the port,
 * and only if it is whole: noise in its middle makes it no frame.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "frame_format.h"

struct ledger {
    FILE *file; /* NULL: count only */
    char frame[FRAME_SIZE_MAX];
    size_t size_bytes; /* 0: outside a frame */
    unsigned long n_frames;
};

/* Returns 0 or a negative errno. `path` is appended to; it may be NULL. */
int ledger_init(struct ledger *ledger, const char *path);
void ledger_deinit(struct ledger *ledger);

void ledger_push(struct ledger *ledger, uint8_t byte);

/* Forgets a frame of which the reader has only a part. */
void ledger_cut(struct ledger *ledger);
