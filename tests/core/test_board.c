/* SPDX-License-Identifier: MIT */
#include "core/board.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND UINT64_C(1000000)

static struct board new_board(void) {
    struct board board;

    board_init(&board, 1, "kitchen", 0);
    return board;
}

static struct frame reading(uint16_t sequence, uint32_t up_ms) {
    return (struct frame){
        .type = FRAME_READING,
        .node = 1,
        .sequence = sequence,
        .up_ms = up_ms,
        .reading = { .count = 1, .quantities = { { "t", 215, 1 } } },
    };
}

static struct frame hello(uint16_t sequence, uint32_t up_ms, uint32_t interval_ms) {
    return (struct frame){
        .type = FRAME_HELLO,
        .node = 1,
        .sequence = sequence,
        .up_ms = up_ms,
        .hello = { "0.1.0", "dht11", "P", interval_ms },
    };
}

static struct frame failure(uint16_t sequence, uint32_t up_ms) {
    return (struct frame){
        .type = FRAME_SENSOR_ERROR,
        .node = 1,
        .sequence = sequence,
        .up_ms = up_ms,
        .error = { "dht11", "noresp", 0, 1 },
    };
}

Test(board, reading_gets_name_and_time_and_is_remembered) {
    struct board board = new_board();
    struct frame frame = reading(1, 2000);

    cr_assert_eq(board_came(&board, 10 * SECOND), 0);
    cr_assert_eq(board_take(&board, &frame, 11 * SECOND),
                 BOARD_FRAME | BOARD_CHANGED | BOARD_PUBLISH);
    cr_assert_eq(frame.reading.taken_us, 11 * SECOND);
    cr_assert_str_eq(frame.reading.sensor, "kitchen");
    cr_assert(board.sensor.has_reading);
    cr_assert_eq(board.sensor.readings, 1);
    cr_assert_eq(board.sensor.last.taken_us, 11 * SECOND);
    cr_assert_eq(board.sensor.state, SENSOR_OK);
}

Test(board, reading_that_its_sensor_cannot_give_is_not_published) {
    struct board board = new_board();
    struct frame greeting = {
        .type = FRAME_HELLO,
        .node = 1,
        .hello = { .firmware = "0.1.0", .sensor = "dht11", .interval_ms = 2000, .reset = "P" },
    };
    struct frame frame = reading(1, 2000);

    (void)board_take(&board, &greeting, SECOND);
    frame.reading.count = 0;
    cr_assert_eq(reading_add(&frame.reading, &(struct quantity){ "t", 601, 1 }), 0);
    cr_assert_eq(board_take(&board, &frame, 2 * SECOND), BOARD_FRAME);
    cr_assert_eq(board.sensor.readings, 0);
    cr_assert_eq(board.sensor.out_of_range, 1);
}

Test(board, duplicate_is_nothing) {
    struct board board = new_board();
    struct frame frame = reading(1, 2000);

    (void)board_take(&board, &frame, SECOND);
    cr_assert_eq(board_take(&board, &frame, 2 * SECOND), 0);
    cr_assert_eq(board.sensor.readings, 1);
    cr_assert_eq(board.heard_us, SECOND);
}

Test(board, hello_is_news_once_a_port_and_when_it_differs) {
    struct board board = new_board();
    struct frame first = hello(0, 0, 2000);
    struct frame again = hello(1, 1000, 2000);
    struct frame other = hello(2, 2000, 5000);
    struct frame anew = hello(3, 3000, 5000);

    (void)board_came(&board, SECOND);
    cr_assert_eq(board_take(&board, &first, 2 * SECOND), BOARD_FRAME | BOARD_HELLO);
    cr_assert_eq(board_take(&board, &again, 3 * SECOND), BOARD_FRAME);
    cr_assert_eq(board_take(&board, &other, 4 * SECOND), BOARD_FRAME | BOARD_HELLO);
    (void)board_went(&board, CAUSE_DEVICE_LOST);
    (void)board_came(&board, 5 * SECOND);
    cr_assert_eq(board_take(&board, &anew, 5 * SECOND), BOARD_FRAME | BOARD_HELLO);
}

Test(board, restart_is_told_with_the_frame_that_shows_it) {
    struct board board = new_board();
    struct frame before = reading(9, 20000);
    struct frame after = hello(0, 0, 2000);

    (void)board_take(&board, &before, 20 * SECOND);
    cr_assert_eq(board_take(&board, &after, 22 * SECOND),
                 BOARD_FRAME | BOARD_HELLO | BOARD_RESTARTED);
}

Test(board, failed_read_counts_and_keeps_the_boards_word) {
    struct board board = new_board();

    for (uint16_t i = 1; i <= SENSOR_PATIENCE; i++) {
        struct frame frame = failure(i, i * 2000u);

        (void)board_take(&board, &frame, i * 2 * SECOND);
    }
    cr_assert_eq(board.sensor.state, SENSOR_FAILING);
    cr_assert_eq(board.sensor.errors, SENSOR_PATIENCE);
    cr_assert_str_eq(board.sensor.last_error, "noresp");
    cr_assert_not(board.sensor.has_reading);
}

Test(board, patience_is_as_configured_else_three_intervals_else_ten_seconds) {
    struct board board = new_board();
    struct frame slow = hello(0, 0, 60000);
    struct frame hasty = hello(1, 1000, 1);
    struct frame last = hello(2, 2000, UINT32_MAX);

    cr_assert_eq(board_patience_us(&board), 10 * SECOND);
    (void)board_take(&board, &slow, SECOND);
    cr_assert_eq(board_patience_us(&board), 180 * SECOND);
    (void)board_take(&board, &hasty, 2 * SECOND);
    cr_assert_eq(board_patience_us(&board), SECOND);
    (void)board_take(&board, &last, 3 * SECOND);
    cr_assert_eq(board_patience_us(&board), UINT64_C(3000) * UINT32_MAX);
    board.silence_us = 7 * SECOND;
    cr_assert_eq(board_patience_us(&board), 7 * SECOND);
}

Test(board, falls_silent_once) {
    struct board board = new_board();
    struct frame frame = reading(1, 2000);

    (void)board_came(&board, SECOND);
    (void)board_take(&board, &frame, 2 * SECOND);
    cr_assert_eq(board_due_us(&board), 12 * SECOND);
    cr_assert_eq(board_check(&board, 12 * SECOND - 1), 0);
    cr_assert_eq(board_check(&board, 12 * SECOND), 1);
    cr_assert_eq(board.sensor.state, SENSOR_SILENT);
    cr_assert_eq(board_due_us(&board), UINT64_MAX);
    cr_assert_eq(board_check(&board, 99 * SECOND), 0);
}

Test(board, hellos_alone_do_not_end_silence) {
    struct board board = new_board();

    (void)board_came(&board, 0);
    for (uint16_t i = 0; i < 20; i++) {
        struct frame frame = hello(i, i * 1000u, 2000);

        (void)board_take(&board, &frame, i * SECOND);
        (void)board_check(&board, i * SECOND);
    }
    cr_assert_eq(board.sensor.state, SENSOR_SILENT);
}

Test(board, that_sends_damaged_frames_is_damaged_not_silent) {
    struct board board = new_board();

    (void)board_came(&board, 0);
    for (uint64_t i = 1; i < 20; i++) {
        (void)board_damaged(&board, i * SECOND);
        (void)board_check(&board, i * SECOND);
    }
    cr_assert_eq(board.sensor.state, SENSOR_DAMAGED);
    cr_assert_eq(board_check(&board, 40 * SECOND), 1);
    cr_assert_eq(board.sensor.state, SENSOR_SILENT);
}

Test(board, is_replaced_only_where_it_is_not_heard_itself) {
    struct board board = new_board();
    struct frame frame = reading(1, 2000);

    (void)board_came(&board, 0);
    cr_assert_eq(board_replaced(&board, 7, SECOND), 1);
    cr_assert_eq(board.sensor.state, SENSOR_WRONG_BOARD);
    cr_assert_eq(board.another, 7);
    cr_assert_eq(board_replaced(&board, 7, 2 * SECOND), 0);
    (void)board_take(&board, &frame, 3 * SECOND);
    cr_assert_eq(board.sensor.state, SENSOR_OK);
    cr_assert_eq(board_replaced(&board, 7, 4 * SECOND), 0);
    cr_assert_eq(board.sensor.state, SENSOR_OK);
    (void)board_check(&board, 13 * SECOND);
    cr_assert_eq(board_replaced(&board, 7, 14 * SECOND), 1);
    cr_assert_eq(board.sensor.state, SENSOR_WRONG_BOARD);
}

Test(board, without_its_port_is_not_awaited) {
    struct board board = new_board();

    (void)board_came(&board, SECOND);
    cr_assert_eq(board_went(&board, CAUSE_DEVICE_LOST), 1);
    cr_assert_eq(board.sensor.cause, CAUSE_DEVICE_LOST);
    cr_assert_eq(board_due_us(&board), UINT64_MAX);
    cr_assert_eq(board_check(&board, 99 * SECOND), 0);
    cr_assert_eq(board.sensor.state, SENSOR_ABSENT);
}
