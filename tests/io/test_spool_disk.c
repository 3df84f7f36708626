/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>

#include "own_sync.h"
#include "spool_bench.h"

/* Disks that are slow, full or not there. */
TestSuite(spool_disk, .init = bench_make, .fini = bench_remove, .timeout = 60);

static const int64_t second_us = 1000000;

/* ---- syncing ---- */

static bool is_readable(uint64_t number) {
    struct spooled row;

    return spool_read(bench_spool, number - 1, &row, 1) == 1;
}

static void wait_until_readable(uint64_t number) {
    for (unsigned ms = 0; ms < 5000 && !is_readable(number); ms++)
        (void)bench_turn_for(1);
    cr_assert(is_readable(number));
}

Test(spool_disk, under_power_a_reading_is_read_when_it_is_synced_not_before) {
    bench_settings.durability = SPOOL_POWER;
    bench_open();
    atomic_store(&own_sync_hangs, true);
    bench_append_many(0, 10);
    (void)bench_turn_for(50);
    cr_expect_not(is_readable(1));
    atomic_store(&own_sync_hangs, false);
    wait_until_readable(10);
    cr_expect_eq(bench_read_all(1, 0, 10), 10);
}

Test(spool_disk, under_power_readings_taken_during_a_sync_wait_for_the_next) {
    bench_settings.durability = SPOOL_POWER;
    bench_open();
    atomic_store(&own_sync_hangs, true);
    bench_append_many(0, 1);
    (void)bench_turn_for(20);
    bench_append_many(1, 1);
    atomic_store(&own_sync_hangs, false);
    wait_until_readable(2);
    cr_expect_geq(atomic_load(&own_sync_count), 2);
}

Test(spool_disk, under_crash_a_hanging_disk_holds_up_nobody) {
    bench_open();
    atomic_store(&own_sync_hangs, true);
    for (unsigned i = 0; i < 10; i++) {
        bench_append_many(i, 1);
        cr_expect(is_readable(i + 1));
        own_time_skip(2 * second_us);
        (void)bench_turn();
    }
    atomic_store(&own_sync_hangs, false);
}

Test(spool_disk, under_crash_what_waits_is_synced_within_two_seconds) {
    unsigned before;

    bench_open();
    before = atomic_load(&own_sync_count);
    bench_append_many(0, 5);
    for (unsigned i = 0; i < 4; i++) {
        own_time_skip(second_us / 2);
        bench_turn_until_rest();
    }
    cr_expect_gt(atomic_load(&own_sync_count), before);
}

Test(spool_disk, under_crash_a_healthy_link_asks_for_no_sync) {
    unsigned before;

    bench_open();
    bench_append_many(0, 1); /* the head of a new log is synced once */
    cr_assert_eq(bench_deliver(1), 1);
    spool_settle(bench_spool);
    before = atomic_load(&own_sync_count);
    for (unsigned i = 1; i < 100; i++) {
        bench_append_many(i, 1);
        cr_assert_eq(bench_deliver(1), 1);
        own_time_skip(2 * second_us);
        (void)bench_turn_for(1);
    }
    cr_expect_eq(atomic_load(&own_sync_count), before);
}

Test(spool_disk, its_log_stays_small) {
    struct stat status;

    bench_open();
    for (unsigned i = 0; i < 20000; i++) {
        bench_append_many(i, 1);
        if (i % 10 == 9)
            cr_assert_eq(bench_deliver(10), 10);
    }
    cr_assert_eq(stat(folder_file("spool.db-wal"), &status), 0);
    cr_expect_lt(status.st_size, 9 << 20);
    cr_assert_eq(stat(bench_settings.path, &status), 0);
    cr_expect_lt(status.st_size, 1 << 20);
    bench_balance();
}

Test(spool_disk, comes_to_rest_after_a_checkpoint) {
    bench_open();
    for (unsigned i = 0; i < 40; i++) { /* some megabytes of log */
        for (unsigned k = 0; k < 100; k++)
            bench_append_many(i * 100 + k, 1);
        (void)bench_turn_for(10);
        cr_assert_lt(bench_turn_for(20), 10, "checkpoints follow one another without a reason");
    }
}

/* ---- a disk that refuses from the start ---- */

static void start_without_a_disk(void) {
    bench_settings.path = folder_file("absent/spool.db");
    bench_open();
}

static void bring_the_disk(void) {
    cr_assert_eq(mkdir(folder_file("absent"), 0755), 0);
    bench_wait_for_retry();
}

Test(spool_disk, without_a_disk_memory_goes_on_and_says_so) {
    uint64_t base;

    start_without_a_disk();
    cr_expect_eq(bench_status().cause, CAUSE_SPOOL_READONLY);
    bench_append_many(0, 100);
    cr_expect_eq(bench_status().waiting, 100);
    {
        struct spooled row;

        cr_assert_eq(spool_read(bench_spool, 0, &row, 1), 1);
        base = row.number;
    }
    cr_expect_eq(bench_read_all(base, 0, 9), 100);
    cr_expect_eq(bench_deliver(60), 60);
    cr_expect_eq(bench_read_all(base + 60, 60, 9), 40);
    bench_balance();
}

Test(spool_disk, without_a_disk_the_oldest_give_way_and_are_counted) {
    enum { MORE = 500 };
    struct spooled row;

    start_without_a_disk();
    bench_append_many(0, SPOOL_RING + MORE);
    cr_expect_geq(bench_status().dropped, MORE);
    cr_expect_leq(bench_status().dropped, MORE + 1);
    cr_assert_eq(spool_read(bench_spool, 0, &row, 1), 1);
    cr_expect_eq(bench_place(&row), bench_status().dropped, "the oldest go first");
    cr_expect_eq(bench_read_all(row.number, bench_place(&row), 32), bench_status().waiting);
    bench_balance();
}

Test(spool_disk, a_disk_that_comes_gets_what_memory_holds) {
    enum { MORE = 500 };
    uint64_t dropped;
    struct spooled row;

    start_without_a_disk();
    bench_append_many(0, SPOOL_RING + MORE);
    cr_assert_eq(bench_deliver(100), 100);
    dropped = bench_status().dropped;
    bring_the_disk();
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    bench_balance();
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, SPOOL_RING + MORE - dropped - 100);
    cr_expect_eq(bench_dropped_at_start, dropped, "the count is kept");
    cr_assert_eq(spool_read(bench_spool, 0, &row, 1), 1);
    cr_expect_eq(bench_place(&row), dropped + 100);
    cr_expect_eq(bench_read_all(row.number, bench_place(&row), 32), bench_waiting_at_start);
}

Test(spool_disk, a_disk_that_comes_with_readings_of_before_keeps_their_order) {
    struct spooled rows[BENCH_ROWS];

    bench_open();
    bench_append_many(0, 10);
    bench_close();
    cr_assert_eq(rename(bench_settings.path, folder_file("away.db")), 0);
    cr_assert_eq(mkdir(bench_settings.path, 0755), 0); /* no file can be there */
    bench_open();
    bench_append_many(10, 10);
    cr_assert_eq(rmdir(bench_settings.path), 0);
    cr_assert_eq(rename(folder_file("away.db"), bench_settings.path), 0);
    bench_wait_for_retry();
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    cr_assert_eq(bench_collect(0, rows, BENCH_ROWS), 20);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(bench_place(&rows[i]), i);
    cr_expect_eq(bench_status().waiting, 20);
}

Test(spool_disk, a_disk_that_comes_later_is_locked_like_any) {
    struct spool *second = NULL;

    start_without_a_disk();
    bring_the_disk();
    bench_append_many(0, 1);
    cr_expect_eq(spool_new(bench_loop, &bench_settings, &second), -EBUSY);
    cr_expect_eq(spool_holder(bench_settings.path), getpid());
    second = spool_free(second);
}

Test(spool_disk, a_folder_that_we_may_not_write_is_no_reason_to_stop) {
    folder_leave_root();
    cr_assert_eq(mkdir(folder_file("denied"), 0555), 0);
    bench_settings.path = folder_file("denied/spool.db");
    bench_open();
    cr_expect_eq(bench_status().cause, CAUSE_SPOOL_READONLY);
    bench_append_many(0, 10);
    cr_expect_eq(bench_deliver(10), 10);
    bench_balance();
    cr_assert_eq(chmod(folder_file("denied"), 0755), 0);
    bench_append_many(10, 1);
    bench_wait_for_retry();
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 1);
}

Test(spool_disk, a_newer_spool_is_left_as_it_is) {
    char before[64 * 1024];
    char after[64 * 1024];
    size_t size;

    bench_open();
    bench_append_many(0, 10);
    bench_close();
    bench_run_sql("PRAGMA user_version=999");
    size = folder_read(bench_settings.path, before, sizeof(before));
    bench_open();
    cr_expect_neq(bench_status().cause, CAUSE_NONE);
    bench_append_many(10, 10);
    cr_expect_eq(bench_deliver(10), 10);
    bench_balance();
    bench_close();
    cr_assert_eq(folder_read(bench_settings.path, after, sizeof(after)), size);
    cr_expect_arr_eq(after, before, size);
}

/* ---- a disk that falls sick ---- */

Test(spool_disk, goes_on_from_memory_when_the_disk_falls_sick) {
    bench_open();
    bench_append_many(0, 10);
    bench_make_disk_sick();
    bench_append_many(10, 10);
    cr_expect_neq(bench_status().cause, CAUSE_NONE);
    cr_expect_eq(bench_read_all(1, 0, 7), 20);
    bench_balance();
    bench_heal_disk();
    bench_wait_for_retry();
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    bench_abandon();
    bench_open();
    cr_expect_eq(bench_waiting_at_start, 20);
    cr_expect_eq(bench_read_all(1, 0, 7), 20);
}

Test(spool_disk, tries_a_sick_disk_again_and_again) {
    bench_open();
    bench_append_many(0, 1);
    bench_make_disk_sick();
    for (unsigned i = 0; i < 5; i++) {
        bench_append_many(1 + i, 1);
        bench_wait_for_retry();
        cr_expect_neq(bench_status().cause, CAUSE_NONE);
    }
    cr_expect_lt(bench_turn_for(100), 5, "it is not tried all the time");
    /* What a healthy disk would be asked to delete by and by. */
    bench_acknowledge(1);
    own_time_skip(6 * second_us);
    cr_expect_lt(bench_turn_for(100), 5, "it is tried all the time for what is acknowledged");
    bench_heal_disk();
    bench_wait_for_retry();
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    cr_expect_eq(bench_read_all(2, 1, 7), 5);
}

Test(spool_disk, on_a_sick_disk_the_oldest_in_memory_give_way_and_are_counted) {
    enum { WRITTEN = 100, MORE = 300 };
    struct spooled rows[WRITTEN + 1];
    uint64_t dropped;

    bench_open();
    bench_append_many(0, WRITTEN);
    bench_make_disk_sick();
    bench_append_many(WRITTEN, SPOOL_RING + MORE);
    dropped = bench_status().dropped;
    cr_expect_geq(dropped, MORE);
    cr_expect_leq(dropped, MORE + 1);
    bench_balance();
    cr_assert_eq(bench_collect(0, rows, WRITTEN + 1), WRITTEN + 1);
    cr_expect_eq(bench_place(&rows[WRITTEN - 1]), WRITTEN - 1, "what is on disk can still be read");
    cr_expect_eq(bench_place(&rows[WRITTEN]), WRITTEN + dropped);

    bench_heal_disk();
    bench_wait_for_retry();
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, WRITTEN + SPOOL_RING + MORE - dropped);
    cr_expect_eq(bench_dropped_at_start, dropped);
}

Test(spool_disk, delivers_a_long_backlog_from_a_disk_that_cannot_be_written) {
    enum { MANY = 6000, WINDOW = 1000 };
    static uint64_t sent[WINDOW];
    struct spooled rows[BENCH_ROWS];
    uint64_t after = 0;
    int n = 1;

    bench_open();
    bench_append_many(0, MANY);
    bench_reopen();
    bench_make_disk_sick();
    bench_append_many(MANY, 1);
    while (n > 0) { /* as much in flight as any window allows, then all is acknowledged */
        size_t count = 0;

        while (count + BENCH_ROWS <= WINDOW &&
               (n = spool_read(bench_spool, after, rows, BENCH_ROWS)) > 0)
            for (int i = 0; i < n; i++) {
                cr_assert_gt(rows[i].number, after);
                sent[count++] = after = rows[i].number;
            }
        for (size_t i = 0; i < count; i++)
            bench_acknowledge(sent[i]);
        bench_balance();
    }
    bench_heal_disk();
    bench_wait_for_retry();
    after = 0;
    bench_deliver(MANY);
    bench_balance();
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
}

Test(spool_disk, what_was_handed_out_from_memory_gets_no_second_reading_with_its_id) {
    struct spooled handed_out;
    struct spooled later;

    bench_open();
    bench_append_many(0, 10);
    cr_assert_eq(bench_deliver(10), 10);
    spool_settle(bench_spool);
    bench_make_disk_sick();
    bench_append_many(10, 1);
    handed_out = bench_first();
    bench_abandon(); /* killed before the disk was well again */
    bench_heal_disk();
    bench_open();
    bench_append_many(11, 1);
    later = bench_first();
    cr_expect(later.number != handed_out.number || strcmp(later.prefix, handed_out.prefix) != 0,
              "%s-%llu is the id of two readings", later.prefix, (unsigned long long)later.number);
}

Test(spool_disk, what_memory_still_held_at_the_end_is_said_to_be_lost) {
    char said[8192];
    int stderr_fd = dup(STDERR_FILENO);
    int fd = open(folder_file("said"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    bench_open();
    bench_append_many(0, 3);
    bench_make_disk_sick();
    bench_append_many(3, 5);
    bench_acknowledge(8);
    cr_expect_eq(bench_status().dropped, 0);
    bench_heal_disk(); /* of stderr: the spool does not look again so soon */
    cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
    bench_abandon();
    cr_assert_geq(dup2(stderr_fd, STDERR_FILENO), 0);
    (void)close(stderr_fd);
    (void)close(fd);
    said[folder_read(folder_file("said"), said, sizeof(said) - 1)] = '\0';
    cr_expect_not_null(strstr(said, "readings were dropped"), "%s", said);
    cr_expect_not_null(strstr(said, "COUNT=4"), "%s", said);
}

/* ---- a full spool ---- */

Test(spool_disk, a_full_spool_drops_the_oldest_and_counts_them) {
    enum { MANY = 40000 };
    struct spooled row;

    bench_settings.max_bytes = 1 << 20;
    bench_open();
    bench_append_many(0, MANY);
    cr_expect_eq(bench_status().cause, CAUSE_SPOOL_FULL);
    cr_expect_gt(bench_status().dropped, 0);
    bench_balance();
    row = bench_first();
    cr_expect_eq(row.number, bench_status().dropped + 1);
    cr_expect_eq(bench_read_all(row.number, row.number - 1, 32), bench_status().waiting);
    bench_reopen();
    cr_expect_eq(bench_dropped_at_start, row.number - 1);
    cr_expect_eq(bench_first().number, row.number);
}

Test(spool_disk, a_spool_that_was_full_recovers_when_it_is_drained) {
    enum { MANY = 30000 };

    bench_settings.max_bytes = 1 << 20;
    bench_open();
    bench_append_many(0, MANY);
    cr_assert_eq(bench_status().cause, CAUSE_SPOOL_FULL);
    cr_assert_gt(bench_deliver(5000), 0);
    bench_append_many(MANY, 10);
    cr_expect_eq(bench_status().cause, CAUSE_NONE);
    bench_balance();
}

Test(spool_disk, a_reading_dropped_while_it_was_on_its_way_is_counted_once) {
    enum { MANY = 40000, IN_FLIGHT = 32 };
    struct spooled rows[IN_FLIGHT];

    bench_settings.max_bytes = 1 << 20;
    bench_open();
    bench_append_many(0, 1000);
    cr_assert_eq(bench_collect(0, rows, IN_FLIGHT), IN_FLIGHT);
    bench_append_many(1000, MANY);
    cr_assert_gt(bench_first().number, rows[IN_FLIGHT - 1].number);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        spool_acknowledge(bench_spool, rows[i].number);
    cr_expect_eq(
        bench_waiting_at_start + bench_appended, bench_status().waiting + bench_status().dropped,
        "of %llu, %llu wait and %llu were dropped", (unsigned long long)bench_appended,
        (unsigned long long)bench_status().waiting, (unsigned long long)bench_status().dropped);
}

Test(spool_disk, a_reading_that_gave_way_while_it_was_on_its_way_is_counted_once) {
    enum { MORE = 500, IN_FLIGHT = 32 };
    struct spooled rows[IN_FLIGHT];

    start_without_a_disk();
    bench_append_many(0, SPOOL_RING - 1);
    cr_assert_eq(bench_collect(0, rows, IN_FLIGHT), IN_FLIGHT);
    bench_append_many(SPOOL_RING - 1, MORE);
    for (unsigned i = 0; i < IN_FLIGHT; i++)
        spool_acknowledge(bench_spool, rows[i].number);
    cr_expect_eq(bench_appended, bench_status().waiting + bench_status().dropped);
    bring_the_disk();
    cr_expect_eq(bench_appended, bench_status().waiting + bench_status().dropped);
    bench_acknowledge(bench_first().number);
    bench_balance();
}
