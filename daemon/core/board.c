/* SPDX-License-Identifier: MIT */
#include "core/board.h"

#include <stdio.h>
#include <string.h>

enum { SILENT_INTERVALS = 3 };

void board_init(struct board *board, uint16_t number, const char *name, uint64_t silence_us) {
    *board = (struct board){ .number = number, .silence_us = silence_us };
    sensor_init(&board->sensor, name);
}

static void hear(struct board *board, uint64_t now_us) {
    board->heard_us = now_us;
    board->is_awaited = true;
}

int board_came(struct board *board, uint64_t now_us) {
    hear(board, now_us);
    board->has_hello = false;
    board->is_there = false;
    return sensor_note(&board->sensor, SENSOR_CAME, CAUSE_NONE);
}

int board_went(struct board *board, enum cause cause) {
    board->is_awaited = false;
    return sensor_note(&board->sensor, SENSOR_WENT, cause);
}

static bool is_same_hello(const struct frame_hello *a, const struct frame_hello *b) {
    return strcmp(a->firmware, b->firmware) == 0 && strcmp(a->sensor, b->sensor) == 0 &&
           strcmp(a->reset, b->reset) == 0 && a->interval_ms == b->interval_ms;
}

/* Silence is still counted from the last reading: a board that boots for ever is no live one. */
static unsigned take_hello(struct board *board, const struct frame_hello *hello, unsigned news,
                           uint64_t now_us) {
    if (!board->is_awaited)
        hear(board, now_us);
    if (!board->has_hello || !is_same_hello(&board->hello, hello) || news & BOARD_RESTARTED)
        news |= BOARD_HELLO;
    board->hello = *hello;
    board->has_hello = true;
    conditioning_know(&board->sensor.conditioning, hello->sensor);
    return news;
}

static unsigned news_of(unsigned sensor_news) {
    return (sensor_news & SENSOR_CHANGED ? BOARD_CHANGED : 0) |
           (sensor_news & SENSOR_PUBLISH ? BOARD_PUBLISH : 0);
}

static unsigned take_reading(struct board *board, struct reading *reading, uint64_t now_us) {
    reading->taken_us = now_us;
    hear(board, now_us);
    return news_of(sensor_take(&board->sensor, reading));
}

static unsigned take_error(struct board *board, const struct frame_error *error, uint64_t now_us) {
    hear(board, now_us);
    return news_of(sensor_fail(&board->sensor, error->error));
}

unsigned board_take(struct board *board, struct frame *frame, uint64_t now_us) {
    uint64_t restarts = board->node.restarts;
    unsigned news = BOARD_FRAME;

    if (node_follow(&board->node, frame, now_us) == 0)
        return 0;
    board->is_there = true;
    if (board->node.restarts > restarts)
        news |= BOARD_RESTARTED;
    switch (frame->type) {
    case FRAME_HELLO:
        return take_hello(board, &frame->hello, news, now_us);
    case FRAME_READING:
        return news | take_reading(board, &frame->reading, now_us);
    case FRAME_SENSOR_ERROR:
        return news | take_error(board, &frame->error, now_us);
    }
    return news;
}

/* Whoever sends damaged frames is not silent. */
int board_damaged(struct board *board, uint64_t now_us) {
    hear(board, now_us);
    return sensor_note(&board->sensor, SENSOR_LINE_DAMAGED, CAUSE_NONE);
}

/* Only where the right one is not heard too: several boards may share a line. */
int board_replaced(struct board *board, uint16_t number, uint64_t now_us) {
    if (board->is_there)
        return 0;
    board->another = number;
    hear(board, now_us);
    return sensor_note(&board->sensor, SENSOR_IS_ANOTHER, CAUSE_NONE);
}

uint64_t board_patience_us(const struct board *board) {
    uint64_t told_us = (uint64_t)board->hello.interval_ms * 1000 * SILENT_INTERVALS;

    if (board->silence_us > 0)
        return board->silence_us;
    if (told_us == 0)
        return BOARD_SILENCE_US;
    return told_us < BOARD_SILENCE_FLOOR_US ? BOARD_SILENCE_FLOOR_US : told_us;
}

uint64_t board_due_us(const struct board *board) {
    return board->is_awaited ? board->heard_us + board_patience_us(board) : UINT64_MAX;
}

int board_check(struct board *board, uint64_t now_us) {
    if (now_us < board_due_us(board))
        return 0;
    board->is_awaited = false;
    board->is_there = false;
    return sensor_note(&board->sensor, SENSOR_FELL_SILENT, CAUSE_NONE);
}
