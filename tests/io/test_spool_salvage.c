/* SPDX-License-Identifier: MIT */
#include "io/spool_salvage.h"

#include <criterion/criterion.h>
#include <fcntl.h>

#include "own_sync.h"
#include "spool_bench.h"

/* Files that are damaged: what comes of their readings. */
TestSuite(spool_salvage, .init = bench_make, .fini = bench_remove, .timeout = 60);

static const int64_t second_us = 1000000;

static bool rename_fills_the_disk;

int rename(const char *from, const char *to) {
    int r = renameat(AT_FDCWD, from, AT_FDCWD, to);

    if (rename_fills_the_disk)
        bench_make_disk_sick();
    rename_fills_the_disk = false;
    return r;
}

/* Overwrites pages of the closed file with noise. */
static void damage_pages(unsigned first, unsigned count) {
    enum { PAGE_BYTES = 1024 };
    FILE *file = fopen(bench_settings.path, "r+e");

    cr_assert_not_null(file);
    cr_assert_eq(fseek(file, (long)first * PAGE_BYTES, SEEK_SET), 0);
    for (unsigned i = 0; i < count * PAGE_BYTES; i++)
        (void)fputc((int)(i * 167 + 13) & 0xff, file);
    cr_assert_eq(fclose(file), 0);
}

static long pages_of_file(void) {
    struct stat status;

    cr_assert_eq(stat(bench_settings.path, &status), 0);
    return (long)(status.st_size / 1024);
}

static off_t root_of_readings(void) {
    sqlite3 *database = NULL;
    sqlite3_stmt *statement = NULL;
    off_t page;

    cr_assert_eq(sqlite3_open(bench_settings.path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_prepare_v2(database,
                                    "SELECT rootpage FROM sqlite_schema WHERE name = 'reading'", -1,
                                    &statement, NULL),
                 SQLITE_OK);
    cr_assert_eq(sqlite3_step(statement), SQLITE_ROW);
    page = sqlite3_column_int(statement, 0) - 1;
    (void)sqlite3_finalize(statement);
    cr_assert_eq(sqlite3_close(database), SQLITE_OK);
    return page;
}

Test(spool_salvage, salvages_both_ends_of_a_corrupt_file) {
    enum { MANY = 6000 };
    struct spooled rows[BENCH_ROWS];
    uint64_t places = 0;
    uint64_t after = 0;
    uint64_t last_place = 0;
    size_t n;

    bench_open();
    bench_append_many(0, MANY);
    bench_close();
    damage_pages((unsigned)pages_of_file() / 2, 3);
    bench_open();
    bench_append_many(MANY, 10);
    bench_turn_until_rest();
    /* Whoever reads finds the damage, and what is left. */
    for (uint64_t from = 0; from < MANY; from += 500) {
        (void)bench_collect(from, rows, BENCH_ROWS);
        bench_turn_until_rest();
    }
    while ((n = bench_collect(after, rows, BENCH_ROWS)) > 0)
        for (size_t i = 0; i < n; i++) {
            after = rows[i].number;
            cr_assert(places == 0 || bench_place(&rows[i]) > last_place, "in order, none twice");
            last_place = bench_place(&rows[i]);
            places++;
        }
    cr_expect_eq(last_place, MANY + 9);
    cr_expect_gt(places, MANY / 10 * 9, "only %llu are left", (unsigned long long)places);
    cr_expect_eq(bench_status().waiting, places);
    /* What was salvaged is delivered once and deleted like any other. */
    cr_expect_eq(bench_deliver(MANY * 2), places);
    cr_expect_eq(bench_collect(0, rows, BENCH_ROWS), 0);
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
}

/* The corrupt file is set aside, and then there is no room for a new one. */
Test(spool_salvage, salvages_when_there_is_room_again) {
    struct spooled rows[BENCH_ROWS];
    size_t n;

    bench_open();
    bench_append_many(0, 10);
    bench_close();
    bench_run_sql("DROP TABLE counter");
    rename_fills_the_disk = true;
    bench_open();
    bench_append_many(10, 5);
    cr_expect_eq(bench_collect(0, rows, BENCH_ROWS), 5);
    bench_heal_disk();
    bench_wait_for_retry();
    bench_turn_until_rest();
    n = bench_collect(0, rows, BENCH_ROWS);
    cr_assert_eq(n, 15);
    for (size_t i = 0; i < n; i++)
        cr_expect_eq(bench_place(&rows[i]), i);
}

/* A spool that is refused, and can be read from its first row to its last. */
static void leave_corrupt(uint64_t count) {
    bench_open();
    bench_append_many(0, count);
    bench_close();
    bench_run_sql("DROP TABLE counter");
}

static void turn_until_something_waits(void) {
    for (unsigned ms = 0; ms < 30000 && bench_status().waiting == 0; ms++) {
        (void)poll(NULL, 0, 1);
        (void)sd_event_run(bench_loop, 0);
    }
}

static uint64_t count_places(void) {
    struct spooled rows[BENCH_ROWS];
    uint64_t places = 0;
    uint64_t after = 0;
    size_t n;

    for (; (n = bench_collect(after, rows, BENCH_ROWS)) > 0; places += n)
        after = rows[n - 1].number;
    return places;
}

static void expect_places(uint64_t first, uint64_t count) {
    struct spooled rows[BENCH_ROWS];
    uint64_t after = 0;
    uint64_t place = first;
    size_t n;

    while ((n = bench_collect(after, rows, BENCH_ROWS)) > 0)
        for (size_t i = 0; i < n; i++) {
            cr_expect_eq(bench_place(&rows[i]), place++);
            after = rows[i].number;
        }
    cr_expect_eq(place, first + count);
    cr_expect_eq(bench_status().waiting, count);
    cr_expect_eq(bench_status().dropped, 0);
}

Test(spool_salvage, a_restart_goes_on_with_a_salvage) {
    enum { MANY = 1000 };
    uint64_t salvaged;

    leave_corrupt(MANY);
    bench_open();
    turn_until_something_waits();
    salvaged = bench_status().waiting;
    cr_assert(salvaged > 0 && salvaged < MANY);
    cr_assert_eq(bench_deliver(salvaged), salvaged);
    spool_settle(bench_spool);
    bench_append_many(MANY, 1);
    bench_abandon();
    cr_expect_neq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    bench_open();
    bench_turn_until_rest();
    expect_places(salvaged, MANY + 1 - salvaged);
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
}

/* Set aside, and ended before there was a new one. */
Test(spool_salvage, a_start_salvages_what_the_last_had_no_room_for) {
    leave_corrupt(10);
    rename_fills_the_disk = true;
    bench_open();
    bench_abandon();
    cr_assert_eq(access(folder_file("spool.db.salvage"), F_OK), 0);
    bench_heal_disk();
    bench_open();
    bench_append_many(10, 5);
    bench_turn_until_rest();
    expect_places(0, 15);
}

Test(spool_salvage, a_salvage_is_over_when_it_is_synced_not_before) {
    leave_corrupt(10);
    bench_open();
    atomic_store(&own_sync_hangs, true);
    for (unsigned ms = 0; ms < 5000 && bench_status().waiting < 10; ms++)
        (void)bench_turn_for(1);
    cr_assert_eq(bench_status().waiting, 10);
    (void)bench_turn_for(50);
    cr_expect_neq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    atomic_store(&own_sync_hangs, false);
    bench_turn_until_rest();
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
}

Test(spool_salvage, a_salvage_that_cannot_be_synced_is_not_over) {
    leave_corrupt(10);
    bench_open();
    atomic_store(&own_sync_fails, true);
    bench_turn_until_rest();
    cr_expect_eq(bench_status().waiting, 10);
    cr_expect_neq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    atomic_store(&own_sync_fails, false);
    bench_append_many(10, 1);
    bench_turn_until_rest();
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    expect_places(0, 11);
}

/* No reading comes in the meantime: the numbers go on from nothing that has a row. */
Test(spool_salvage, what_a_restart_salvaged_is_deleted_when_it_is_delivered) {
    enum { MANY = 1000 };
    struct spooled row;

    leave_corrupt(MANY);
    bench_open();
    turn_until_something_waits();
    bench_abandon();
    bench_open();
    bench_turn_until_rest();
    cr_expect_eq(bench_deliver(2 * MANY), MANY);
    cr_expect_eq(bench_status().waiting, 0);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
    cr_expect_eq(bench_collect(0, &row, 1), 0);
}

/* What was in memory as well is in the corrupt file alone until the new one has it. */
Test(spool_salvage, an_end_right_after_the_damage_was_found_loses_nothing) {
    enum { MANY = 6000 };
    struct spooled rows[BENCH_ROWS];
    uint64_t places;
    uint64_t after = 0;
    size_t n;

    bench_open();
    bench_append_many(0, MANY);
    bench_reopen();
    bench_append_many(MANY, SPOOL_RING / 2);
    damage_pages((unsigned)pages_of_file() / 4, 3);
    while ((n = bench_collect(after, rows, BENCH_ROWS)) > 0 && rows[n - 1].number < MANY)
        after = rows[n - 1].number;
    cr_assert_eq(access(folder_file("spool.db.salvage"), F_OK), 0);
    bench_abandon();
    bench_open();
    bench_turn_until_rest();
    places = count_places();
    cr_expect_gt(places, (MANY + SPOOL_RING / 2) / 10 * 9, "only %llu are left",
                 (unsigned long long)places);
}

Test(spool_salvage, what_was_on_its_way_when_the_file_was_set_aside_is_counted_once) {
    enum { MANY = 6000, SENT = 20 };
    const char *salvage = folder_file("spool.db.salvage");
    struct spooled rows[BENCH_ROWS];
    uint64_t after;
    size_t n;

    bench_open();
    bench_append_many(0, MANY);
    bench_reopen();
    bench_append_many(MANY, 2 * SENT);
    cr_assert_eq(bench_collect(0, rows, SENT), SENT);
    after = rows[SENT - 1].number;
    damage_pages((unsigned)pages_of_file() / 2, 3);
    while (access(salvage, F_OK) < 0) {
        n = bench_collect(after, rows, BENCH_ROWS);
        cr_assert_gt(n, 0);
        after = rows[n - 1].number;
    }
    for (uint64_t number = 1; number <= SENT; number++)
        spool_acknowledge(bench_spool, number);
    bench_turn_until_rest();
    cr_expect_eq(bench_status().waiting, count_places());
}

/* Rows are dropped at the front while older ones still come from the back of the corrupt file. */
Test(spool_salvage, a_salvage_into_a_full_spool_comes_to_rest) {
    enum { MANY = 6000 };
    const char *kept = folder_file("spool.db.corrupt-1");
    uint64_t place = MANY;

    bench_open();
    bench_append_many(0, MANY);
    bench_close();
    damage_pages(10, 3);
    bench_settings.max_bytes = 64 << 10;
    bench_open();
    for (unsigned turn = 0; turn < 10000 && access(kept, F_OK) < 0; turn++) {
        bench_append(place++);
        (void)bench_turn_for(1);
    }
    cr_assert_eq(access(kept, F_OK), 0);
    cr_expect_gt(bench_status().dropped, 0);
    (void)bench_deliver(2 * MANY);
    cr_expect_eq(bench_status().waiting, 0);
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
}

Test(spool_salvage, what_cannot_be_kept_is_not_replaced) {
    const char *kept[] = { folder_file("spool.db.corrupt-1"), folder_file("spool.db.corrupt-2"),
                           folder_file("spool.db.corrupt-3") };
    struct stat before;
    struct stat after;

    leave_corrupt(1000);
    bench_open();
    turn_until_something_waits();
    bench_abandon();
    cr_assert_eq(stat(folder_file("spool.db.salvage"), &before), 0);
    bench_run_sql("DROP TABLE counter");
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(mkdir(kept[i], 0700), 0);
    bench_open();
    bench_append_many(1000, 1);
    cr_expect_eq(bench_status().waiting, 1);
    cr_assert_eq(stat(folder_file("spool.db.salvage"), &after), 0);
    cr_expect_eq(after.st_ino, before.st_ino);
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(rmdir(kept[i]), 0);
    bench_wait_for_retry();
    bench_turn_until_rest();
    cr_assert_eq(stat(kept[0], &after), 0);
    cr_expect_eq(after.st_ino, before.st_ino);
    cr_expect_gt(bench_status().waiting, 1);
}

static void copy(const char *from, const char *to) {
    static char content[1 << 17];
    size_t size = folder_read(folder_file(from), content, sizeof(content));

    cr_assert_lt(size, sizeof(content));
    folder_write(folder_file(to), content, size);
}

/* The database had its other name already, its log not yet. */
Test(spool_salvage, a_kill_between_two_renames_parts_no_file_from_its_log) {
    bench_open();
    bench_append_many(0, 10);
    copy("spool.db", "copy.db.salvage");
    copy("spool.db-wal", "copy.db-wal");
    bench_abandon();
    bench_settings.path = folder_file("copy.db");
    bench_open();
    bench_turn_until_rest();
    expect_places(0, 10);
}

Test(spool_salvage, a_disk_that_fills_in_the_midst_of_a_salvage_costs_nothing) {
    enum { MANY = 1000 };

    leave_corrupt(MANY);
    bench_open();
    turn_until_something_waits();
    cr_assert_lt(bench_status().waiting, MANY);
    bench_make_disk_sick();
    bench_turn_until_rest();
    cr_expect_lt(bench_status().waiting, MANY);
    cr_expect_neq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    bench_append_many(MANY, 1);
    cr_expect_neq(bench_status().cause, CAUSE_NONE);
    bench_heal_disk();
    bench_wait_for_retry();
    bench_turn_until_rest();
    expect_places(0, MANY + 1);
}

Test(spool_salvage, a_file_that_becomes_corrupt_before_the_last_was_salvaged) {
    leave_corrupt(1000);
    bench_open();
    turn_until_something_waits();
    bench_abandon();
    bench_run_sql("DROP TABLE counter");
    bench_open();
    bench_append_many(1000, 1);
    bench_turn_until_rest();
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
    cr_expect_eq(access(folder_file("spool.db.corrupt-2"), F_OK), 0);
    cr_expect_gt(bench_status().waiting, 1, "the second gave what the first had given");
}

/* The row numbers of a damaged page may go down, or round in a circle. */
Test(spool_salvage, a_row_out_of_order_is_not_taken_again) {
    enum { PAGE_BYTES = 512, HEADER = 8, POINTER = 2 };
    uint8_t page[PAGE_BYTES];
    off_t root;
    int fd;

    leave_corrupt(5);
    root = root_of_readings() * PAGE_BYTES;
    fd = open(bench_settings.path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(pread(fd, page, sizeof(page), root), PAGE_BYTES);
    memcpy(page + HEADER + 4 * POINTER, page + HEADER, POINTER); /* the last is the first again */
    cr_assert_eq(pwrite(fd, page, sizeof(page), root), PAGE_BYTES);
    (void)close(fd);
    bench_open();
    bench_turn_until_rest();
    cr_expect_eq(bench_status().waiting, 4);
    cr_expect_eq(access(folder_file("spool.db.corrupt-1"), F_OK), 0);
}

Test(spool_salvage, a_damaged_row_of_a_corrupt_file_is_counted) {
    struct spooled rows[BENCH_ROWS];

    bench_open();
    bench_append_many(0, 10);
    bench_close();
    bench_run_sql("UPDATE reading SET quantities = 'n=1,n=2' WHERE number = 3");
    bench_run_sql("DROP TABLE counter");
    bench_open();
    bench_turn_until_rest();
    cr_expect_eq(bench_collect(0, rows, BENCH_ROWS), 9);
    cr_expect_eq(bench_status().waiting, 9);
    cr_expect_eq(bench_status().dropped, 1);
}

/* The count of the readings that were dropped does not go with a corrupt file. */
Test(spool_salvage, a_new_file_knows_what_was_dropped_before) {
    enum { MANY = 6000, DROPPED = 7 };
    struct spooled rows[BENCH_ROWS];
    uint64_t dropped;
    size_t n;

    bench_settings.path = folder_file("absent/spool.db");
    bench_open();
    bench_append_many(0, SPOOL_RING + DROPPED);
    cr_assert_eq(mkdir(folder_file("absent"), 0700), 0);
    bench_wait_for_retry();
    bench_append_many(SPOOL_RING + DROPPED, MANY);
    bench_reopen();
    cr_assert_eq(bench_status().dropped, DROPPED);
    damage_pages((unsigned)pages_of_file() / 2, 3);
    for (uint64_t after = 0; (n = bench_collect(after, rows, BENCH_ROWS)) > 0;)
        after = rows[n - 1].number;
    bench_turn_until_rest();
    cr_assert_eq(access(folder_file("absent/spool.db.corrupt-1"), F_OK), 0);
    bench_append_many(0, 1);
    dropped = bench_status().dropped;
    cr_expect_geq(dropped, DROPPED);
    bench_reopen();
    cr_expect_eq(bench_status().dropped, dropped);
}

Test(spool_salvage, salvaged_readings_do_not_get_the_clock_of_another_boot) {
    const int64_t day_us = INT64_C(86400) * second_us;
    struct spooled rows[BENCH_ROWS];
    int64_t true_us[2];
    size_t n;

    bench_open();
    bench_append_many(0, 5);
    true_us[0] = bench_first().wall_us;
    bench_close();
    own_time_boot++;
    own_time_set_wall(day_us);
    bench_open();
    bench_append_many(5, 5);
    true_us[1] = true_us[0] + day_us;
    bench_close();
    bench_run_sql("DROP TABLE counter");
    bench_open();
    bench_turn_until_rest();
    n = bench_collect(0, rows, BENCH_ROWS);
    cr_assert_eq(n, 10);
    for (size_t i = 0; i < n; i++) {
        int64_t error_us = rows[i].wall_us - true_us[i / 5];

        cr_expect(!rows[i].synchronised || (error_us > -5 * second_us && error_us < 5 * second_us),
                  "reading %zu is said to be taken %lld s from when it was", i,
                  (long long)(error_us / second_us));
    }
}

Test(spool_salvage, garbage_in_place_of_the_spool_is_no_reason_to_stop) {
    static const char garbage[4096] = "this is no database";

    folder_write(bench_settings.path, garbage, sizeof(garbage));
    bench_open();
    bench_append_many(0, 10);
    cr_expect_eq(bench_deliver(10), 10);
    bench_balance();
}

Test(spool_salvage, a_damaged_row_is_dropped_counted_and_in_nobodys_way) {
    struct spooled rows[BENCH_ROWS];

    bench_open();
    bench_append_many(0, 100);
    bench_close();
    bench_run_sql("UPDATE reading SET quantities = 'n=1,n=2' WHERE number = 1");
    bench_run_sql("UPDATE reading SET sensor = 'a/b' WHERE number BETWEEN 30 AND 69");
    bench_open();
    cr_expect_eq(spool_read(bench_spool, 0, rows, 28), 28);
    cr_expect_eq(rows[0].number, 2);
    cr_expect_eq(rows[27].number, 29);
    cr_expect_gt(spool_read(bench_spool, 29, rows, BENCH_ROWS), 0);
    cr_expect_eq(rows[0].number, 70);
    cr_expect_eq(bench_status().dropped, 41);
    bench_balance();
    cr_expect_eq(bench_deliver(100), 59);
    bench_balance();
    bench_reopen();
    cr_expect_eq(bench_waiting_at_start, 0);
    cr_expect_eq(bench_dropped_at_start, 41);
}
