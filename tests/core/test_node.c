/* SPDX-License-Identifier: MIT */
#include "core/node.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>

#include "seed.h"

#define SECOND_US UINT64_C(1000000)
#define HOUR_MS (UINT32_C(3600) * 1000)
#define DAY_MS (24 * HOUR_MS)

/* Our clock's reading when the first frame is heard; we were up before the board was. */
static const uint64_t start_us = 1000 * SECOND_US;

static int follow(struct node *node, enum frame_type type, uint16_t sequence, uint32_t up_ms,
                  uint64_t now_us) {
    struct frame frame = { .type = type, .node = 1, .sequence = sequence, .up_ms = up_ms };

    return node_follow(node, &frame, now_us);
}

/* One frame after another. */
struct pair_row {
    char name[48];
    uint16_t first_sequence;
    uint32_t first_up_ms;
    uint16_t sequence;
    uint32_t up_ms;
    uint64_t elapsed_ms; /* between them, on our clock */
    uint64_t lost;
    uint64_t restarts;
    uint64_t duplicates;
};

ParameterizedTestParameters(node, one_frame_after_another) {
    static struct pair_row rows[] = {
        { "the next one", 7, 15524, 8, 17524, 2000, 0, 0, 0 },
        { "the next one in the same millisecond", 7, 15524, 8, 15524, 0, 0, 0, 0 },
        { "one lost", 7, 15524, 9, 19524, 4000, 1, 0, 0 },
        { "a hundred lost", 7, 15524, 108, 217524, 202000, 100, 0, 0 },

        { "sequence wraps", 65535, 15524, 0, 17524, 2000, 0, 0, 0 },
        { "sequence wraps, one lost", 65535, 15524, 1, 19524, 4000, 1, 0, 0 },
        { "sequence wraps, the 65535th lost", 65534, 15524, 0, 19524, 4000, 1, 0, 0 },

        { "uptime wraps", 7, UINT32_MAX - 999, 8, 1000, 2000, 0, 0, 0 },
        { "uptime wraps to 0", 7, UINT32_MAX, 8, 0, 1, 0, 0, 0 },
        { "uptime and sequence wrap", 65535, UINT32_MAX - 999, 0, 1000, 2000, 0, 0, 0 },
        { "uptime wraps in a silence of an hour", 7, UINT32_MAX - HOUR_MS / 2 + 1, 1807,
          HOUR_MS / 2, HOUR_MS, 1799, 0, 0 },
        { "uptime wraps, heard late", 7, UINT32_MAX - 999, 8, 1000, 12000, 0, 0, 0 },
        { "uptime wraps, heard in a burst", 7, UINT32_MAX - 999, 8, 1000, 0, 0, 0, 0 },

        { "restart at once", 7, 15524, 0, 0, 2000, 0, 1, 0 },
        { "restart, first frames lost", 7, 15524, 3, 6000, 10000, 0, 1, 0 },
        { "restart, and the sequence fits", 7, 100000, 8, 1524, 3000, 0, 1, 0 },
        { "restart, and the sequence has a gap", 7, 100000, 20, 30000, 35000, 0, 1, 0 },
        { "restart within a second", 1, 1524, 0, 0, 800, 0, 1, 0 },
        { "restart, and it overtook its uptime", 3, 5524, 30, 60000, 600000, 0, 1, 0 },
        { "restart, overtook, sequence behind", 10, 5524, 9, 20000, 20000, 0, 1, 0 },
        { "restart of a board up for a month", 1000, 30 * DAY_MS, 0, 0, 5000, 0, 1, 0 },
        { "restart shortly before the wrap", 1000, UINT32_MAX - 20000, 0, 0, 5000, 0, 1, 0 },
        { "restart, same sequence", 7, 15524, 7, 13000, 60000, 0, 1, 0 },

        { "twice the same", 7, 15524, 7, 15524, 0, 0, 0, 1 },
        { "twice the same after a second", 7, 15524, 7, 15524, 1000, 0, 0, 1 },
        { "twice the same hello at boot", 0, 0, 0, 0, 1000, 0, 0, 1 },
        { "begins the same way an hour later", 0, 0, 0, 0, HOUR_MS, 0, 1, 0 },

        { "half a percent too slow over a day", 7, 10 * DAY_MS, 43207,
          10 * DAY_MS + DAY_MS / 1000 * 995, DAY_MS, 43199, 0, 0 },
        { "half a percent too fast over a day", 7, 10 * DAY_MS, 43207,
          10 * DAY_MS + DAY_MS / 1000 * 1005, DAY_MS, 43199, 0, 0 },
        { "heard ten seconds late", 7, 15524, 8, 17524, 12000, 0, 0, 0 },
        { "just not too slow", 7, 15524, 8, 95524, 100000, 0, 0, 0 },
        { "just too slow", 7, 15524, 8, 95523, 100000, 0, 1, 0 },
        { "just not too fast for a wrap", 7, UINT32_MAX, 8, 119999, 100000, 0, 0, 0 },
        { "just too fast for a wrap", 7, UINT32_MAX, 8, 120000, 100000, 0, 1, 0 },
        { "its clock ran far ahead of ours", 7, 15524, 8, HOUR_MS, 2000, 0, 0, 0 },

        { "32767 lost", 0, 15524, 32768, 15524 + 2 * 32768000, 2 * UINT64_C(32768000), 32767, 0,
          0 },
        { "32768 lost by a board that ran on", 0, 10 * DAY_MS, 32769, 10 * DAY_MS + 2 * 32769000,
          2 * UINT64_C(32769000), 32768, 0, 0 },
        { "32768 lost, or a restart that nobody heard", 0, 1524, 32769, 1524 + 2 * 32769000,
          2 * UINT64_C(32769000), 0, 1, 0 },
        { "65535 lost by a board that ran on", 7, 10 * DAY_MS, 7, 10 * DAY_MS + 2 * 65536000,
          2 * UINT64_C(65536000), 65535, 0, 0 },
        { "numbers back, old uptime: another board", 5000, 10 * DAY_MS, 100, 20 * DAY_MS, 60000, 0,
          1, 0 },
        { "silence beyond the wrap of the uptime", 7, 15524, 8, 17524, UINT64_C(50) * DAY_MS, 0, 1,
          0 },
    };

    return cr_make_param_array(struct pair_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct pair_row *row, node, one_frame_after_another) {
    struct node node = { 0 };
    int r;

    (void)follow(&node, FRAME_READING, row->first_sequence, row->first_up_ms, start_us);
    r = follow(&node, FRAME_READING, row->sequence, row->up_ms, start_us + row->elapsed_ms * 1000);
    cr_expect_eq(r, row->duplicates == 0, "%s", row->name);
    cr_expect_eq(node.lost, row->lost, "%s: %llu lost", row->name, (unsigned long long)node.lost);
    cr_expect_eq(node.restarts, row->restarts, "%s: %llu restarts", row->name,
                 (unsigned long long)node.restarts);
    cr_expect_eq(node.duplicates, row->duplicates, "%s: %llu duplicates", row->name,
                 (unsigned long long)node.duplicates);
    cr_expect_eq(node.sequence, row->sequence, "%s", row->name);
    cr_expect_eq(node.up_ms, row->up_ms, "%s", row->name);
}

Test(node, the_first_frame_is_news_and_nothing_was_lost_before_it) {
    struct node node = { 0 };

    cr_expect_eq(follow(&node, FRAME_READING, 500, 1000000, start_us), 1);
    cr_expect(node.heard);
    cr_expect_eq(node.lost, 0);
    cr_expect_eq(node.restarts, 0);
    cr_expect_eq(node.duplicates, 0);
}

Test(node, a_first_frame_of_all_zeros_is_no_duplicate_of_nothing) {
    struct node node = { 0 };

    cr_expect_eq(follow(&node, FRAME_HELLO, 0, 0, 0), 1);
    cr_expect_eq(node.duplicates, 0);
}

Test(node, a_hello_that_answers_a_question_is_no_restart) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_HELLO, 0, 0, start_us);
    (void)follow(&node, FRAME_READING, 1, 1524, start_us + 1524000);
    cr_expect_eq(follow(&node, FRAME_HELLO, 2, 2000, start_us + 2000000), 1);
    cr_expect_eq(follow(&node, FRAME_READING, 3, 3524, start_us + 3524000), 1);
    cr_expect_eq(node.restarts, 0);
    cr_expect_eq(node.lost, 0);
}

Test(node, a_hello_with_sequence_0_after_the_wrap_is_no_restart) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_READING, 65535, 131071524, start_us);
    (void)follow(&node, FRAME_HELLO, 0, 131072000, start_us + 476000);
    cr_expect_eq(node.restarts, 0);
    cr_expect_eq(node.lost, 0);
}

Test(node, frames_of_all_types_share_one_sequence) {
    static const enum frame_type types[] = { FRAME_HELLO, FRAME_READING, FRAME_SENSOR_ERROR };
    struct node node = { 0 };

    for (uint16_t i = 0; i < 30; i++)
        (void)follow(&node, types[i % 3], i, i * 2000U, start_us + i * 2 * SECOND_US);
    cr_expect_eq(node.lost, 0);
    cr_expect_eq(node.restarts, 0);
}

Test(node, duplicates_are_counted_and_change_nothing_else) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_READING, 7, 15524, start_us);
    cr_expect_eq(follow(&node, FRAME_READING, 7, 15524, start_us + 10000), 0);
    cr_expect_eq(follow(&node, FRAME_READING, 7, 15524, start_us + 20000), 0);
    cr_expect_eq(node.duplicates, 2);
    cr_expect_eq(follow(&node, FRAME_READING, 8, 17524, start_us + 2000000), 1);
    cr_expect_eq(node.lost, 0);
    cr_expect_eq(node.restarts, 0);
}

Test(node, losses_add_up) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_READING, 0, 0, start_us);
    (void)follow(&node, FRAME_READING, 2, 4000, start_us + 4 * SECOND_US);
    (void)follow(&node, FRAME_READING, 3, 6000, start_us + 6 * SECOND_US);
    (void)follow(&node, FRAME_READING, 13, 26000, start_us + 26 * SECOND_US);
    cr_expect_eq(node.lost, 1 + 9);
}

Test(node, after_a_restart_it_counts_from_the_new_numbers) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_READING, 500, 1000000, start_us);
    (void)follow(&node, FRAME_HELLO, 0, 0, start_us + 5 * SECOND_US);
    (void)follow(&node, FRAME_READING, 1, 1524, start_us + 7 * SECOND_US);
    (void)follow(&node, FRAME_READING, 3, 5524, start_us + 11 * SECOND_US);
    cr_expect_eq(node.restarts, 1);
    cr_expect_eq(node.lost, 1);
}

Test(node, a_boot_loop_is_counted_round_by_round) {
    struct node node = { 0 };
    uint64_t now_us = start_us;

    for (unsigned i = 0; i < 10; i++, now_us += 3 * SECOND_US) {
        (void)follow(&node, FRAME_HELLO, 0, 0, now_us);
        (void)follow(&node, FRAME_READING, 1, 1524, now_us + 1524000);
    }
    cr_expect_eq(node.restarts, 9);
    cr_expect_eq(node.lost, 0);
    cr_expect_eq(node.duplicates, 0);
}

Test(node, a_burst_of_frames_heard_at_once_is_no_restart) {
    struct node node = { 0 };

    (void)follow(&node, FRAME_READING, 0, UINT32_MAX - 30000, start_us);
    for (uint16_t i = 1; i <= 60; i++)
        (void)follow(&node, FRAME_READING, i, UINT32_MAX - 30000 + i * 2000U,
                     start_us + 5 * SECOND_US);
    cr_expect_eq(node.restarts, 0);
    cr_expect_eq(node.lost, 0);
}

Test(node, a_sound_board_followed_for_two_months_loses_nothing) {
    struct node node = { 0 };
    const uint64_t interval_ms = 2000;

    for (uint64_t i = 0; i < 60 * UINT64_C(86400) / 2; i++) {
        uint64_t up_ms = i * interval_ms;
        int r = follow(&node, FRAME_READING, (uint16_t)i, (uint32_t)up_ms, start_us + up_ms * 1005);

        cr_assert_eq(r, 1);
    }
    cr_expect_eq(node.lost, 0);
    cr_expect_eq(node.restarts, 0);
    cr_expect_eq(node.duplicates, 0);
}

Test(node, random_losses_of_a_board_that_runs_on_are_counted_exactly) {
    struct dice dice = dice_from_seed("node losses");
    struct node node = { 0 };
    uint64_t number = 0;
    uint64_t lost = 0;

    (void)follow(&node, FRAME_READING, 0, 0, start_us);
    for (unsigned i = 0; i < 100000; i++) {
        size_t gap = dice_roll(&dice, 10) ? 0 : dice_roll(&dice, 3000);
        uint64_t late_us = dice_roll(&dice, 1000000);

        number += 1 + gap;
        lost += gap;
        (void)follow(&node, FRAME_READING, (uint16_t)number, (uint32_t)(number * 2000),
                     start_us + number * 2000000 + late_us);
    }
    cr_expect_eq(node.lost, lost);
    cr_expect_eq(node.restarts, 0);
}
