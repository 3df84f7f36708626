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

static void expect_about(int64_t us, int64_t expected_us) {
    cr_expect_leq(llabs(us - expected_us), second_us / 4, "%lld s instead of %lld s",
                  (long long)(us / second_us), (long long)(expected_us / second_us));
}

Test(spool_time, a_reading_has_the_time_when_it_was_taken) {
    int64_t taken_us = wall_now_us();

    bench_open();
    bench_append_many(0, 1);
    own_time_skip(3600 * second_us);
    expect_about(bench_first().wall_us, taken_us);
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
    int64_t taken_us = wall_now_us();

    own_time_synchronised = false;
    own_time_set_wall(-10 * year_us);
    bench_open();
    bench_append_many(0, 1);
    expect_about(bench_first().wall_us, taken_us - 10 * year_us);
    own_time_set_wall(10 * year_us);
    own_time_synchronised = true;
    expect_about(bench_first().wall_us, taken_us);
    cr_expect(bench_first().synchronised);
    cr_expect(bench_status().clock_synchronised);
}

Test(spool_time, a_clock_that_is_no_longer_synchronised_is_believed_as_it_was) {
    int64_t taken_us = wall_now_us();

    bench_open();
    own_time_synchronised = false;
    own_time_set_wall(year_us);
    bench_append_many(0, 1);
    expect_about(bench_first().wall_us, taken_us);
    cr_expect(bench_first().synchronised);
}

Test(spool_time, a_former_boot_keeps_its_clock) {
    struct spooled rows[2];
    int64_t taken_us;

    own_time_skip(1800 * second_us); /* no clock goes back behind its boot */
    taken_us = wall_now_us();
    bench_open();
    bench_append_many(0, 1);
    bench_close();
    own_time_boot++;
    own_time_skip(-1800 * second_us); /* this boot is younger */
    own_time_set_wall(7200 * second_us + 1800 * second_us);
    bench_open();
    bench_append_many(1, 1);
    cr_assert_eq(bench_collect(0, rows, 2), 2);
    expect_about(rows[0].wall_us, taken_us);
    expect_about(rows[1].wall_us, taken_us + 7200 * second_us);
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
    int64_t taken_us = wall_now_us();

    own_time_synchronised = false;
    own_time_set_wall(-10 * year_us);
    bench_open();
    bench_append_many(0, 1);
    own_time_set_wall(10 * year_us);
    own_time_synchronised = true;
    bench_append_many(1, 1);
    (void)bench_first();
    bench_close();
    own_time_boot++;
    own_time_set_wall(year_us);
    bench_open();
    expect_about(bench_first().wall_us, taken_us);
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
