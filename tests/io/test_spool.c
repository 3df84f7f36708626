/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>

#include "../core/seed.h"
#include "spool_bench.h"

TestSuite(spool, .init = bench_make, .fini = bench_remove, .timeout = 60);

static const int64_t second_us = 1000000;

/* ---- numbers and prefixes ---- */

Test(spool, numbers_rise_by_one_from_one) {
    bench_open();
    bench_append_many(0, 250);
    cr_expect_eq(bench_read_all(1, 0, 7), 250);
    bench_balance();
}

Test(spool, a_prefix_is_eight_hex_digits_and_the_same_for_all) {
    struct spooled rows[3];

    bench_open();
    bench_append_many(0, 3);
    cr_assert_eq(bench_collect(0, rows, 3), 3);
    cr_expect_eq(strlen(rows[0].prefix), ID_PREFIX_LENGTH);
    for (const char *digit = rows[0].prefix; *digit; digit++)
        cr_expect(isxdigit((unsigned char)*digit) && !isupper((unsigned char)*digit));
    cr_expect_str_eq(rows[1].prefix, rows[0].prefix);
    cr_expect_str_eq(rows[2].prefix, rows[0].prefix);
}

Test(spool, numbers_go_on_under_the_same_prefix_over_a_clean_reopen) {
    struct spooled rows[20];

    bench_open();
    bench_append_many(0, 10);
    bench_reopen();
    bench_append_many(10, 10);
    cr_expect_eq(bench_read_all(1, 0, 3), 20);
    cr_assert_eq(bench_collect(0, rows, 20), 20);
    cr_expect_str_eq(rows[19].prefix, rows[0].prefix);
    bench_balance();
}

Test(spool, a_new_file_has_a_new_prefix) {
    struct spooled before;

    bench_open();
    bench_append_many(0, 1);
    before = bench_first();
    bench_close();
    bench_settings.path = folder_file("another.db");
    bench_open();
    bench_append_many(0, 1);
    cr_expect_str_neq(bench_first().prefix, before.prefix);
}

Test(spool, a_new_boot_has_a_new_prefix_and_keeps_that_of_what_waits) {
    struct spooled rows[2];

    bench_open();
    bench_append_many(0, 1);
    bench_close();
    own_time_boot++;
    bench_open();
    bench_append_many(1, 1);
    cr_assert_eq(bench_collect(0, rows, 2), 2);
    cr_expect_eq(rows[1].number, 2);
    cr_expect_str_neq(rows[1].prefix, rows[0].prefix);
}

Test(spool, under_outage_the_prefix_survives_a_clean_end_only) {
    struct spooled rows[3];

    bench_settings.durability = SPOOL_OUTAGE;
    bench_open();
    bench_append_many(0, 1);
    bench_reopen();
    bench_append_many(1, 1);
    bench_abandon();
    bench_open();
    bench_append_many(2, 1);
    cr_assert_eq(bench_collect(0, rows, 3), 3);
    cr_expect_str_eq(rows[1].prefix, rows[0].prefix);
    cr_expect_str_neq(rows[2].prefix, rows[0].prefix);
}

Test(spool, the_last_number_survives_an_emptied_spool) {
    bench_open();
    bench_append_many(0, 200);
    cr_assert_eq(bench_deliver(200), 200);
    spool_settle(bench_spool);
    for (unsigned start = 0; start < 3; start++) {
        bench_reopen();
        cr_expect_eq(bench_status().waiting, 0);
        cr_expect_eq(bench_read_all(1, 0, 10), 0);
    }
    bench_append_many(200, 1);
    cr_expect_eq(bench_first().number, 201);
    bench_balance();
}

/* ---- what is accepted ---- */

Test(spool, a_reading_is_read_when_it_is_committed_not_before) {
    struct spooled row;

    bench_open();
    bench_append(0);
    cr_expect_eq(spool_read(bench_spool, 0, &row, 1), 0);
    (void)bench_turn();
    cr_expect_eq(spool_read(bench_spool, 0, &row, 1), 1);
}

Test(spool, all_that_was_readable_is_there_after_an_end_without_a_flush) {
    bench_open();
    bench_append_many(0, 300);
    bench_append(300); /* not committed */
    bench_abandon();
    bench_open();
    cr_expect_eq(bench_waiting_at_start, 300);
    cr_expect_eq(bench_read_all(1, 0, 10), 300);
}

Test(spool, a_flush_writes_what_no_turn_of_the_loop_has) {
    bench_open();
    for (unsigned place = 0; place < 1000; place++)
        bench_append(place);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 1000);
    cr_expect_eq(bench_read_all(1, 0, 32), 1000);
}

Test(spool, more_than_memory_holds_in_one_turn_goes_to_disk) {
    enum { MANY = 3 * SPOOL_RING };

    bench_open();
    for (unsigned place = 0; place < MANY; place++)
        bench_append(place);
    (void)bench_turn();
    cr_expect_eq(bench_status().dropped, 0);
    cr_expect_eq(bench_read_all(1, 0, 32), MANY);
    bench_balance();
}

/* ---- reading ---- */

Test(spool, reads_a_long_backlog_in_order_from_disk_and_memory) {
    enum { BEFORE = 4000, SINCE = 3000 };

    bench_open();
    bench_append_many(0, BEFORE);
    bench_reopen();
    bench_append_many(BEFORE, SINCE);
    cr_expect_eq(bench_read_all(1, 0, 1), BEFORE + SINCE);
    cr_expect_eq(bench_read_all(1, 0, 31), BEFORE + SINCE);
    cr_expect_eq(bench_read_all(1, 0, 32), BEFORE + SINCE);
    cr_expect_eq(bench_read_all(1, 0, BENCH_ROWS), BEFORE + SINCE);
    bench_balance();
}

Test(spool, drains_a_long_backlog_while_more_comes_in) {
    enum { BEFORE = 3000, SINCE = 3000, STEP = 50 };
    struct spooled rows[STEP];
    uint64_t sent = 0;
    uint64_t place = BEFORE;

    bench_open();
    bench_append_many(0, BEFORE);
    bench_reopen();
    for (;;) {
        int n;

        for (unsigned i = 0; i < STEP / 2 && place < BEFORE + SINCE; i++)
            bench_append(place++);
        (void)bench_turn();
        n = spool_read(bench_spool, sent, rows, STEP);
        if (n == 0)
            break;
        for (int i = 0; i < n; i++) {
            cr_assert_eq(rows[i].number, ++sent);
            cr_assert_eq(bench_place(&rows[i]), sent - 1);
            bench_acknowledge(sent);
        }
        bench_balance();
    }
    cr_expect_eq(sent, BEFORE + SINCE);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
}

/* ---- acknowledging ---- */

Test(spool, what_is_acknowledged_does_not_come_again) {
    bench_open();
    bench_append_many(0, 100);
    cr_assert_eq(bench_deliver(40), 40);
    cr_expect_eq(bench_read_all(41, 40, 9), 60);
    cr_expect_eq(bench_first().number, 41);
    bench_balance();
    bench_reopen();
    cr_expect_eq(bench_first().number, 41);
    cr_expect_eq(bench_read_all(41, 40, 9), 60);
    cr_expect_eq(bench_status().waiting, 60);
}

Test(spool, takes_acknowledgements_in_any_order) {
    enum { MANY = 3000 };
    struct dice dice = dice_from_seed("takes_acknowledgements_in_any_order");
    static uint64_t order[MANY];
    struct spooled row;

    bench_open();
    bench_append_many(0, MANY);
    for (size_t i = 0; i < MANY; i++) {
        size_t other = dice_roll(&dice, i + 1);

        order[i] = order[other];
        order[other] = i + 1;
    }
    for (size_t i = 0; i < MANY - 1; i++) {
        bench_acknowledge(order[i]);
        if (dice_roll(&dice, 50) == 0)
            (void)bench_turn();
    }
    bench_balance();
    cr_expect_eq(bench_first().number, order[MANY - 1]);
    cr_expect_eq(spool_read(bench_spool, order[MANY - 1], &row, 1), 0);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 1);
    cr_expect_eq(bench_first().number, order[MANY - 1]);
    bench_append_many(MANY, 1);
    cr_expect_eq(spool_read(bench_spool, order[MANY - 1], &row, 1), 1);
    cr_expect_eq(row.number, MANY + 1);
    bench_balance();
}

Test(spool, counts_what_a_kill_would_send_again) {
    bench_open();
    bench_append_many(0, 20);
    cr_expect_eq(spool_unsettled(bench_spool), 0);
    cr_assert_eq(bench_deliver(5), 5);
    cr_expect_eq(spool_unsettled(bench_spool), 5);
    spool_settle(bench_spool);
    cr_expect_eq(spool_unsettled(bench_spool), 0);
    cr_assert_eq(bench_deliver(5), 5);
    bench_append_many(20, 1);
    cr_expect_eq(spool_unsettled(bench_spool), 0, "the next commit deletes them");
    bench_abandon();
    bench_open();
    cr_expect_eq(bench_waiting_at_start, 11);
}

Test(spool, settles_by_itself_soon) {
    bench_open();
    bench_append_many(0, 20);
    cr_assert_eq(bench_deliver(5), 5);
    own_time_skip(10 * second_us);
    (void)bench_turn();
    cr_expect_eq(spool_unsettled(bench_spool), 0);
    bench_abandon();
    bench_open();
    cr_expect_eq(bench_waiting_at_start, 15);
}

Test(spool, never_lets_many_wait_for_their_deletion) {
    bench_open();
    bench_append_many(0, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert_eq(bench_deliver(1), 1);
        cr_assert_leq(spool_unsettled(bench_spool), 64);
    }
    bench_balance();
}

/* ---- one daemon a spool ---- */

Test(spool, a_second_daemon_is_refused_and_told_who_has_it) {
    struct spool *second = NULL;

    bench_open();
    cr_expect_eq(spool_new(bench_loop, &bench_settings, &second), -EBUSY);
    cr_expect_null(second);
    cr_expect_eq(spool_holder(bench_settings.path), getpid());
    bench_append_many(0, 3);
    cr_expect_eq(bench_read_all(1, 0, 3), 3);
    bench_close();
    bench_open();
}

Test(spool, nobody_holds_a_spool_that_is_not_there) {
    cr_expect_eq(spool_holder(folder_file("absent.db")), 0);
}
