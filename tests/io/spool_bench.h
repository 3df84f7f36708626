/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A spool on a bench: a file in a folder of the test's own, an event loop that is turned by hand,
 * and the books of what went in and came out.
 */

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>

#include "io/loop.h"
#include "io/spool.h"

#include "folder.h"
#include "own_time.h"
#include "threads.h"

enum { BENCH_ROWS = 64 };

static struct spool_settings bench_settings;
static sd_event *bench_loop;
static struct spool *bench_spool;
static unsigned bench_threads; /* before there were any jobs */

/* The books since bench_open. */
static uint64_t bench_appended;
static uint64_t bench_acknowledged;
static uint64_t bench_waiting_at_start;
static uint64_t bench_dropped_at_start;

static inline struct spool_status bench_status(void) {
    struct spool_status status;

    spool_describe(bench_spool, &status);
    return status;
}

static inline void bench_make(void) {
    folder_make();
    bench_threads = threads_count();
    bench_settings = (struct spool_settings){
        .path = folder_file("spool.db"),
        .max_bytes = 64 << 20,
        .durability = SPOOL_CRASH,
    };
    cr_assert_eq(sd_event_new(&bench_loop), 0);
}

static inline void bench_open(void) {
    cr_assert_eq(spool_new(bench_loop, &bench_settings, &bench_spool), 0);
    bench_appended = 0;
    bench_acknowledged = 0;
    bench_waiting_at_start = bench_status().waiting;
    bench_dropped_at_start = bench_status().dropped;
}

/* As after a kill: nothing is written that was not. */
static inline void bench_abandon(void) {
    bench_spool = spool_free(bench_spool);
    (void)threads_wait_for(bench_threads); /* a job that has the file keeps another spool out */
}

static inline void bench_close(void) {
    spool_flush(bench_spool);
    bench_abandon();
}

static inline void bench_reopen(void) {
    bench_close();
    bench_open();
}

static inline void bench_remove(void) {
    bench_abandon();
    bench_loop = sd_event_unref(bench_loop);
    folder_remove();
}

/* Turns the loop until it has nothing to do at once. Returns how often it turned. */
static inline unsigned bench_turn(void) {
    unsigned turns = 0;

    while (sd_event_run(bench_loop, 0) > 0)
        cr_assert_lt(++turns, 100000, "the loop does not come to rest");
    return turns;
}

/* Turns it for a while of real time, for what threads do. Returns how often it turned. */
static inline unsigned bench_turn_for(unsigned ms) {
    unsigned turns = 0;

    for (; ms > 0; ms--) {
        (void)poll(NULL, 0, 1);
        turns += bench_turn();
    }
    return turns;
}

/* Turns it until no thread works any more and none has anything to tell. */
static inline void bench_turn_until_rest(void) {
    for (unsigned ms = 0; ms < 30000; ms++) {
        bool is_alone = threads_count() <= bench_threads;

        if (bench_turn() == 0 && is_alone)
            return;
        (void)poll(NULL, 0, 1);
    }
    cr_assert_fail("threads still work after 30 s");
}

/* Each reading tells its place: the first ever appended is 0. */
static inline struct reading bench_reading(uint64_t place) {
    struct reading reading = { .taken_us = loop_now_us(), .sensor = "kitchen" };
    struct quantity quantity = { .key = "n", .scaled = (int32_t)place };

    cr_assert_eq(reading_add(&reading, &quantity), 0);
    return reading;
}

static inline void bench_append(uint64_t place) {
    struct reading reading = bench_reading(place);

    spool_append(&reading, bench_spool);
    bench_appended++;
}

static inline void bench_append_many(uint64_t first, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        bench_append(first + i);
        if (i % 100 == 99)
            (void)bench_turn();
    }
    (void)bench_turn();
}

static inline uint64_t bench_place(const struct spooled *row) {
    cr_assert_eq(row->reading.count, 1, "reading %llu has %u quantities",
                 (unsigned long long)row->number, row->reading.count);
    return (uint64_t)row->reading.quantities[0].scaled;
}

static inline void bench_acknowledge(uint64_t number) {
    spool_acknowledge(bench_spool, number);
    bench_acknowledged++;
}

/* The oldest that can be read. */
static inline struct spooled bench_first(void) {
    struct spooled row = { 0 };

    cr_assert_eq(spool_read(bench_spool, 0, &row, 1), 1);
    return row;
}

/* The oldest from `after` on, at most max, in as many reads as it takes. */
static inline size_t bench_collect(uint64_t after, struct spooled *rows, size_t max) {
    size_t count = 0;
    int n;

    while (count < max && (n = spool_read(bench_spool, after, rows + count, max - count)) > 0) {
        count += (size_t)n;
        after = rows[count - 1].number;
    }
    return count;
}

/* Reads all that is there, `batch` at a time, and sees that numbers and places rise by one. Returns
 * how many there were. */
static inline uint64_t bench_read_all(uint64_t first_number, uint64_t first_place, size_t batch) {
    struct spooled rows[BENCH_ROWS];
    uint64_t after = first_number - 1;
    int n;

    cr_assert_leq(batch, BENCH_ROWS);
    while ((n = spool_read(bench_spool, after, rows, batch)) > 0)
        for (int i = 0; i < n; i++) {
            cr_assert_eq(rows[i].number, after + 1, "%llu came after %llu",
                         (unsigned long long)rows[i].number, (unsigned long long)after);
            cr_assert_eq(bench_place(&rows[i]), first_place + (rows[i].number - first_number));
            after = rows[i].number;
        }
    cr_assert_eq(n, 0);
    return after + 1 - first_number;
}

/* Reads and acknowledges up to count readings, as a broker would. Returns how many. */
static inline uint64_t bench_deliver(uint64_t count) {
    struct spooled rows[BENCH_ROWS];
    uint64_t done = 0;
    uint64_t after = 0;

    while (done < count) {
        size_t batch = count - done < BENCH_ROWS ? (size_t)(count - done) : BENCH_ROWS;
        int n = spool_read(bench_spool, after, rows, batch);

        if (n <= 0)
            break;
        for (int i = 0; i < n; i++) {
            after = rows[i].number;
            bench_acknowledge(after);
        }
        done += (uint64_t)n;
        (void)bench_turn();
    }
    return done;
}

/* Changes the file by hand, while no spool has it. */
static inline void bench_run_sql(const char *sql) {
    sqlite3 *database = NULL;

    cr_assert_eq(sqlite3_open(bench_settings.path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(database));
    cr_assert_eq(sqlite3_close(database), SQLITE_OK);
}

/* Whatever happened: each reading is acknowledged, waiting or counted as dropped. */
static inline void bench_balance(void) {
    struct spool_status status = bench_status();

    cr_expect_eq(status.accepted, bench_appended);
    cr_expect_eq(bench_waiting_at_start + status.accepted,
                 bench_acknowledged + status.waiting + status.dropped - bench_dropped_at_start,
                 "%llu at the start + %llu accepted, but %llu acknowledged + %llu waiting + %llu "
                 "dropped",
                 (unsigned long long)bench_waiting_at_start, (unsigned long long)status.accepted,
                 (unsigned long long)bench_acknowledged, (unsigned long long)status.waiting,
                 (unsigned long long)(status.dropped - bench_dropped_at_start));
}

/* From here on the disk takes nothing: no file may grow beyond nothing. */
static inline void bench_make_disk_sick(void) {
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 0;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static inline void bench_heal_disk(void) {
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Long enough for a sick disk to be tried again. */
static inline void bench_wait_for_retry(void) {
    own_time_skip(6 * 1000000);
    (void)bench_turn();
}
