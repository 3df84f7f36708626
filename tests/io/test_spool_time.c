/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "spool_bench.h"

/* When a reading was taken, by clocks that are set, synchronised and started anew. */
TestSuite(spool_time, .init = bench_make, .fini = bench_remove, .timeout = 60);

static const int64_t second_us = 1000000;
static const int64_t year_us = INT64_C(31536000) * 1000000;

static int64_t wall_now_us(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Between which moments of the wall clock a reading was taken. */
struct taken {
    int64_t from_us;
    int64_t to_us;
};

static struct taken take(uint64_t place) {
    struct taken taken = { .from_us = wall_now_us() };

    bench_append_many(place, 1);
    taken.to_us = wall_now_us();
    return taken;
}

/* By a clock that is later by so much than the one of then. */
static void expect_taken(int64_t us, struct taken taken, int64_t later_us) {
    const int64_t drift_us = second_us / 4;

    us -= later_us;
    cr_expect(us >= taken.from_us - drift_us && us <= taken.to_us + drift_us,
              "%lld us after the first moment, %lld before the last",
              (long long)(us - taken.from_us), (long long)(taken.to_us - us));
}

Test(spool_time, a_reading_has_the_time_when_it_was_taken) {
    struct taken taken;

    bench_open();
    taken = take(0);
    own_time_skip(3600 * second_us);
    expect_taken(bench_first().wall_us, taken, 0);
    cr_expect(bench_first().synchronised);
}

Test(spool_time, a_clock_that_nobody_synchronised_is_told) {
    own_time_synchronised = false;
    bench_open();
    bench_append_many(0, 1);
    cr_expect_not(bench_first().synchronised);
    cr_expect_not(bench_status().clock_synchronised);
}

Test(spool_time, a_clock_set_later_corrects_what_was_taken_before) {
    struct taken taken;

    own_time_synchronised = false;
    own_time_set_wall(-10 * year_us);
    bench_open();
    taken = take(0);
    expect_taken(bench_first().wall_us, taken, 0);
    own_time_set_wall(10 * year_us);
    own_time_synchronised = true;
    expect_taken(bench_first().wall_us, taken, 10 * year_us);
    cr_expect(bench_first().synchronised);
    cr_expect(bench_status().clock_synchronised);
}

Test(spool_time, a_clock_that_is_no_longer_synchronised_is_believed_as_it_was) {
    struct taken taken;

    bench_open();
    own_time_synchronised = false;
    own_time_set_wall(year_us);
    taken = take(0);
    expect_taken(bench_first().wall_us, taken, -year_us);
    cr_expect(bench_first().synchronised);
}

Test(spool_time, a_former_boot_keeps_its_clock) {
    struct spooled rows[2];
    struct taken taken[2];

    own_time_skip(1800 * second_us); /* no clock goes back behind its boot */
    bench_open();
    taken[0] = take(0);
    bench_close();
    own_time_boot++;
    own_time_skip(-1800 * second_us); /* this boot is younger */
    own_time_set_wall(7200 * second_us + 1800 * second_us);
    bench_open();
    taken[1] = take(1);
    cr_assert_eq(bench_collect(0, rows, 2), 2);
    expect_taken(rows[0].wall_us, taken[0], 0);
    expect_taken(rows[1].wall_us, taken[1], 0);
    cr_expect(rows[0].synchronised);
}

Test(spool_time, a_former_boot_that_nobody_synchronised_stays_unsynchronised) {
    struct spooled rows[2];

    own_time_synchronised = false;
    bench_open();
    bench_append_many(0, 1);
    bench_close();
    own_time_boot++;
    own_time_synchronised = true;
    bench_open();
    bench_append_many(1, 1);
    cr_assert_eq(bench_collect(0, rows, 2), 2);
    cr_expect_not(rows[0].synchronised);
    cr_expect(rows[1].synchronised);
}

Test(spool_time, a_correction_outlives_the_boot) {
    struct taken taken;

    own_time_synchronised = false;
    own_time_set_wall(-10 * year_us);
    bench_open();
    taken = take(0);
    own_time_set_wall(10 * year_us);
    own_time_synchronised = true;
    bench_append_many(1, 1);
    (void)bench_first();
    bench_close();
    own_time_boot++;
    own_time_set_wall(year_us);
    bench_open();
    expect_taken(bench_first().wall_us, taken, 10 * year_us);
    cr_expect(bench_first().synchronised);
}

Test(spool_time, tells_what_was_accepted_before_this_boot) {
    struct spooled rows[2];
    uint64_t before_us;

    bench_open();
    bench_append_many(0, 1);
    bench_close();
    own_time_boot++;
    bench_open();
    before_us = loop_now_us();
    bench_append_many(1, 1);
    cr_assert_eq(bench_collect(0, rows, 2), 2);
    cr_expect_eq(rows[0].accepted_us, 0);
    cr_expect_geq(rows[1].accepted_us, before_us);
    cr_expect_leq(rows[1].accepted_us, loop_now_us());
}

/* Conditioning lets go of a reading when its time has come: until then it was not late. */
Test(spool_time, a_reading_that_was_held_back_is_accepted_when_it_comes) {
    struct reading reading;
    struct spooled row;
    uint64_t before_us;

    bench_open();
    reading = bench_reading(0);
    own_time_skip(300 * second_us);
    before_us = loop_now_us();
    spool_append(&reading, bench_spool);
    (void)bench_turn();
    row = bench_first();
    cr_expect_geq(row.accepted_us, before_us);
    cr_expect_leq(row.accepted_us, loop_now_us());
    cr_expect_leq(row.reading.taken_us + 300 * (uint64_t)second_us, before_us);
}
