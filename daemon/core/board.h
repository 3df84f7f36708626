/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One board on a line: its frames followed, its sensor's state kept, its silence noticed.
 *
 * Pure: time comes in as now_us, CLOCK_BOOTTIME.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/frame.h"
#include "core/node.h"
#include "core/sensor.h"

#define BOARD_SILENCE_US UINT64_C(10000000)      /* while its interval is not known */
#define BOARD_SILENCE_FLOOR_US UINT64_C(1000000) /* no alarm sooner, whatever a hello claims */

struct board {
    uint16_t number;
    struct node node;
    struct sensor sensor;
    struct frame_hello hello; /* the last one */
    bool has_hello;           /* since the port was opened */
    bool is_there;            /* has its own frames on the open port, not another's */
    uint16_t another;         /* the number heard in its place */
    uint64_t heard_us;        /* what silence is counted from */
    uint64_t silence_us;      /* configured; 0: three times its interval */
    bool is_awaited;          /* its silence would be news */
};

/* What a frame brought; flags. */
enum board_news {
    BOARD_FRAME = 1,   /* no duplicate */
    BOARD_CHANGED = 2, /* the sensor's state or cause */
    BOARD_HELLO = 4,   /* the first on this port, after a restart, or unlike the last */
    BOARD_RESTARTED = 8,
    BOARD_PUBLISH = 16, /* the frame's reading, as it is now */
};

void board_init(struct board *board, uint16_t number, const char *name, uint64_t silence_us);

/* Its port was opened, or is not to be had. Return 1 when the state or cause changed, else 0. */
int board_came(struct board *board, uint64_t now_us);
int board_went(struct board *board, enum cause cause);

/* Takes one of its frames; a reading gets its time and goes through sensor_take. Returns flags. */
unsigned board_take(struct board *board, struct frame *frame, uint64_t now_us);

/* A damaged frame, of whichever board. Returns 1 when the state or cause changed, else 0. */
int board_damaged(struct board *board, uint64_t now_us);

/* A frame of another board in its place. Returns as above. */
int board_replaced(struct board *board, uint16_t number, uint64_t now_us);

/* How long it may say nothing. */
uint64_t board_patience_us(const struct board *board);

/* When its silence is to be looked at; UINT64_MAX: never. */
uint64_t board_due_us(const struct board *board);

/* It is due. Returns as above. */
int board_check(struct board *board, uint64_t now_us);
