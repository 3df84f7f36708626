/* SPDX-License-Identifier: MIT */
#include "io/spool_file.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>

#include "folder.h"

static const char *path;
static struct spool_file *file;
static struct spool_summary summary;

static void set_up(void) {
    folder_make();
    path = folder_file("spool.db");
}

static void tear_down(void) {
    file = spool_file_close(file);
    folder_remove();
}

TestSuite(spool_file, .init = set_up, .fini = tear_down, .timeout = 30);

static void open_sound(void) {
    cr_assert_eq(spool_file_open(path, &file, &summary), 0);
}

static void reopen(void) {
    file = spool_file_close(file);
    open_sound();
}

/* Changes a file that nobody has open. */
static void run_sql(const char *sql) {
    sqlite3 *database = NULL;

    cr_assert_eq(sqlite3_open(path, &database), SQLITE_OK);
    cr_assert_eq(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK, "%s",
                 sqlite3_errmsg(database));
    cr_assert_eq(sqlite3_close(database), SQLITE_OK);
}

static struct spool_row row_of(uint64_t number) {
    struct spool_row row = {
        .number = number,
        .prefix = 0xfedcba98,
        .boot = 7,
        .reading = { .taken_us = 1000000 * number, .sensor = "kitchen-2" },
    };

    cr_assert_eq(reading_parse("t=-21.5,rh=45.0", &row.reading), 0);
    return row;
}

static void add(uint64_t first, uint64_t last) {
    cr_assert_eq(spool_file_begin(file), 0);
    for (uint64_t number = first; number <= last; number++) {
        struct spool_row row = row_of(number);

        cr_assert_eq(spool_file_add(file, &row), 0);
    }
    cr_assert_eq(spool_file_commit(file), 0);
}

/* The numbers that are read, as "1 2 3 ". */
static const char *numbers(uint64_t after, uint64_t before, size_t max) {
    static char text[512];
    struct spool_row rows[32];
    int n = spool_file_read(file, after, before, rows, max);
    size_t used = 0;

    cr_assert_geq(n, 0);
    text[0] = '\0';
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%llu ",
                                 (unsigned long long)rows[i].number);
    return text;
}

/* ---- rows ---- */

Test(spool_file, a_new_file_is_empty) {
    open_sound();
    cr_expect_eq(summary.last_number, 0);
    cr_expect_eq(summary.waiting, 0);
    cr_expect_eq(summary.dropped, 0);
    cr_expect_str_eq(numbers(0, UINT32_MAX, 32), "");
}

Test(spool_file, a_row_comes_back_as_it_was) {
    struct spool_row row = row_of(12345);
    struct spool_row back;
    char text[READING_TEXT_SIZE];

    open_sound();
    add(12345, 12345);
    reopen();
    cr_assert_eq(spool_file_read(file, 0, INT64_MAX, &back, 1), 1);
    cr_expect_eq(back.number, row.number);
    cr_expect_eq(back.prefix, row.prefix);
    cr_expect_eq(back.boot, row.boot);
    cr_expect_eq(back.reading.taken_us, row.reading.taken_us);
    cr_expect_str_eq(back.reading.sensor, row.reading.sensor);
    cr_assert_gt(reading_render(&back.reading, text, sizeof(text)), 0);
    cr_expect_str_eq(text, "t=-21.5,rh=45.0");
}

Test(spool_file, the_fullest_reading_fits) {
    struct spool_row row = row_of(1);
    struct spool_row back;
    char text[READING_TEXT_SIZE];

    memset(row.reading.sensor, 'z', NAME_MAX_LENGTH);
    row.reading.sensor[NAME_MAX_LENGTH] = '\0';
    row.reading.count = 0;
    for (int i = 0; i < READING_QUANTITIES; i++) {
        struct quantity quantity = { .scaled = -2147483647, .decimals = 3 };

        (void)snprintf(quantity.key, sizeof(quantity.key), "abcdefg%d", i);
        cr_assert_eq(reading_add(&row.reading, &quantity), 0);
    }
    open_sound();
    cr_assert_eq(spool_file_add(file, &row), 0);
    cr_assert_eq(spool_file_read(file, 0, 2, &back, 1), 1);
    cr_expect_eq(back.reading.count, READING_QUANTITIES);
    cr_expect_str_eq(back.reading.sensor, row.reading.sensor);
    cr_assert_gt(reading_render(&row.reading, text, sizeof(text)), 0);
    cr_expect_eq(back.reading.quantities[7].scaled, -2147483647);
}

Test(spool_file, reads_between_two_numbers_in_order) {
    open_sound();
    add(6, 10);
    add(1, 5);
    cr_expect_str_eq(numbers(0, 100, 32), "1 2 3 4 5 6 7 8 9 10 ");
    cr_expect_str_eq(numbers(3, 8, 32), "4 5 6 7 ");
    cr_expect_str_eq(numbers(3, 100, 2), "4 5 ");
    cr_expect_str_eq(numbers(10, 100, 32), "");
    cr_expect_str_eq(numbers(3, 4, 32), "");
}

Test(spool_file, what_is_rolled_back_never_was) {
    struct spool_row row = row_of(2);

    open_sound();
    add(1, 1);
    cr_assert_eq(spool_file_begin(file), 0);
    cr_assert_eq(spool_file_add(file, &row), 0);
    spool_file_roll_back(file);
    spool_file_roll_back(file); /* nothing to do */
    cr_expect_str_eq(numbers(0, 100, 32), "1 ");
    add(2, 2);
    cr_expect_str_eq(numbers(0, 100, 32), "1 2 ");
}

Test(spool_file, what_was_not_committed_is_gone_after_a_reopen) {
    struct spool_row row = row_of(2);

    open_sound();
    add(1, 1);
    cr_assert_eq(spool_file_begin(file), 0);
    cr_assert_eq(spool_file_add(file, &row), 0);
    reopen();
    cr_expect_str_eq(numbers(0, 100, 32), "1 ");
}

Test(spool_file, a_number_that_is_there_already_is_a_lie_of_the_file) {
    struct spool_row row = row_of(1);

    open_sound();
    add(1, 1);
    cr_expect_eq(spool_file_add(file, &row), -EUCLEAN);
}

/* ---- what a file knows of itself ---- */

Test(spool_file, sums_itself_up_when_it_is_opened) {
    open_sound();
    add(1, 10);
    reopen();
    cr_expect_eq(summary.last_number, 10);
    cr_expect_eq(summary.last_prefix, 0xfedcba98);
    cr_expect_eq(summary.last_boot, 7);
    cr_expect_eq(summary.waiting, 10);
}

Test(spool_file, a_buried_row_keeps_its_number_and_is_not_read) {
    open_sound();
    add(1, 10);
    for (uint64_t number = 1; number < 10; number++)
        cr_assert_eq(spool_file_remove(file, number), 0);
    cr_assert_eq(spool_file_bury(file, 10), 0);
    cr_expect_str_eq(numbers(0, 100, 32), "");
    reopen();
    cr_expect_eq(summary.last_number, 10);
    cr_expect_eq(summary.last_prefix, 0xfedcba98);
    cr_expect_eq(summary.last_boot, 7);
    cr_expect_eq(summary.waiting, 0);
}

Test(spool_file, drops_the_oldest_that_are_not_buried_and_counts_for_good) {
    open_sound();
    add(1, 10);
    cr_assert_eq(spool_file_bury(file, 10), 0);
    cr_expect_eq(spool_file_drop_oldest(file, 4), 4);
    cr_expect_str_eq(numbers(0, 100, 32), "5 6 7 8 9 ");
    cr_expect_eq(spool_file_drop_oldest(file, 100), 5);
    cr_expect_eq(spool_file_drop_oldest(file, 100), 0);
    cr_assert_eq(spool_file_count_dropped(file, 1000), 0);
    reopen();
    cr_expect_eq(summary.dropped, 1009);
    cr_expect_eq(summary.last_number, 10);
}

Test(spool_file, remembers_whether_its_last_number_is_certain) {
    open_sound();
    cr_expect_not(summary.is_certain);
    cr_assert_eq(spool_file_mark_certain(file, true), 0);
    reopen();
    cr_expect(summary.is_certain);
    cr_assert_eq(spool_file_mark_certain(file, false), 0);
    reopen();
    cr_expect_not(summary.is_certain);
}

Test(spool_file, remembers_what_is_still_to_be_salvaged) {
    const struct spool_span span = { .after = 5, .before = 1795000000001 };

    open_sound();
    cr_expect_eq(summary.unsalvaged.before, 0);
    cr_assert_eq(spool_file_note_unsalvaged(file, &span), 0);
    reopen();
    cr_expect_eq(summary.unsalvaged.after, span.after);
    cr_expect_eq(summary.unsalvaged.before, span.before);
}

Test(spool_file, adds_what_is_missing_and_leaves_what_is_there) {
    struct spool_row row = row_of(5);
    struct spool_row found;

    open_sound();
    add(5, 5);
    row.prefix++;
    cr_expect_eq(spool_file_add_missing(file, &row), 0);
    cr_assert_eq(spool_file_read(file, 4, 6, &found, 1), 1);
    cr_expect_eq(found.prefix, row.prefix - 1);
    row.number = 6;
    cr_expect_eq(spool_file_add_missing(file, &row), 1);
    cr_expect_str_eq(numbers(0, 100, 32), "5 6 ");
}

Test(spool_file, removing_what_is_not_there_is_no_error) {
    open_sound();
    cr_expect_eq(spool_file_remove(file, 99), 0);
    cr_expect_eq(spool_file_bury(file, 99), 0);
}

/* ---- boots ---- */

Test(spool_file, a_boot_keeps_its_key_and_takes_what_is_known_later) {
    struct spool_boot boot = { .boot_id = "0123456789abcdef0123456789abcdef",
                               .wall_offset_us = -5 };
    struct spool_boot other = { .boot_id = "ffffffffffffffffffffffffffffffff" };
    struct spool_boot back;
    int64_t key;

    open_sound();
    cr_assert_eq(spool_file_set_boot(file, &boot), 0);
    cr_assert_eq(spool_file_set_boot(file, &other), 0);
    cr_expect_neq(other.key, boot.key);
    key = boot.key;
    boot.key = 0;
    boot.wall_offset_us = INT64_C(1795370852000000);
    boot.synchronised = true;
    cr_assert_eq(spool_file_set_boot(file, &boot), 0);
    cr_expect_eq(boot.key, key);
    reopen();
    cr_assert_eq(spool_file_get_boot(file, key, &back), 0);
    cr_expect_eq(back.key, key);
    cr_expect_str_eq(back.boot_id, boot.boot_id);
    cr_expect_eq(back.wall_offset_us, boot.wall_offset_us);
    cr_expect(back.synchronised);
    cr_assert_eq(spool_file_get_boot(file, other.key, &back), 0);
    cr_expect_not(back.synchronised);
}

Test(spool_file, a_boot_that_is_not_there_is_said_so) {
    struct spool_boot boot;

    open_sound();
    cr_expect_eq(spool_file_get_boot(file, 99, &boot), -ENOENT);
}

/* ---- sizes, the log ---- */

Test(spool_file, its_size_is_of_what_is_in_use) {
    int64_t empty;
    int64_t full;

    open_sound();
    empty = spool_file_size(file);
    add(1, 5000);
    full = spool_file_size(file);
    cr_expect_gt(full, empty + 5000 * 30);
    cr_expect_eq(spool_file_drop_oldest(file, 5000), 5000);
    cr_expect_lt(spool_file_size(file), empty + (full - empty) / 10);
}

Test(spool_file, its_log_grows_with_commits_and_starts_again_after_a_checkpoint) {
    int64_t before;

    open_sound();
    for (uint64_t number = 1; number <= 100; number++)
        add(number, number);
    before = spool_file_log_size(file);
    cr_expect_gt(before, 100 * 512);
    cr_assert_eq(spool_file_checkpoint(file), 0);
    add(101, 101);
    cr_expect_lt(spool_file_log_size(file), before / 2);
    cr_expect_gt(spool_file_log_size(file), 0);
}

Test(spool_file, a_checkpoint_aside_does_as_well) {
    int64_t before;

    open_sound();
    for (uint64_t number = 1; number <= 100; number++)
        add(number, number);
    before = spool_file_log_size(file);
    cr_assert_eq(spool_file_checkpoint_aside(path), 0);
    add(101, 101);
    cr_expect_lt(spool_file_log_size(file), before / 2);
    reopen();
    cr_expect_eq(summary.waiting, 101);
}

Test(spool_file, its_log_can_be_synced_by_name) {
    open_sound();
    add(1, 1);
    cr_expect_eq(spool_file_sync_log(path), 0);
    cr_expect_eq(spool_file_sync_log(folder_file("absent.db")), -ENOENT);
}

Test(spool_file, jobs_beside_it_take_none_of_its_locks) {
    struct spool_file *other = NULL;
    struct spool_summary its_summary;
    struct spool_row row = row_of(2);

    open_sound();
    add(1, 1);
    cr_assert_eq(spool_file_begin(file), 0);
    cr_assert_eq(spool_file_add(file, &row), 0);
    cr_expect_eq(spool_file_sync_log(path), 0);
    cr_expect_leq(spool_file_checkpoint_aside(path), 0);
    cr_assert_eq(spool_file_open(path, &other, &its_summary), 0);
    cr_expect_eq(spool_file_begin(other), -EBUSY, "the writer still has its lock");
    other = spool_file_close(other);
    cr_expect_eq(spool_file_commit(file), 0);
}

/* ---- files that cannot be used ---- */

Test(spool_file, a_newer_version_is_refused) {
    open_sound();
    add(1, 1);
    file = spool_file_close(file);
    run_sql("PRAGMA user_version=2");
    cr_expect_eq(spool_file_open(path, &file, &summary), -EPROTONOSUPPORT);
    cr_expect_null(file);
}

static const struct damage {
    const char *name;
    const char *sql;
} damages[] = {
    { "no table of readings", "DROP TABLE reading" },
    { "no table of boots", "DROP TABLE boot" },
    { "no counters", "DROP TABLE counter" },
    { "a column is missing", "ALTER TABLE reading DROP COLUMN taken_us" },
};

Test(spool_file, a_file_that_is_not_as_we_made_it_is_unsound) {
    for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
        path = folder_file(damages[i].name);
        open_sound();
        file = spool_file_close(file);
        run_sql(damages[i].sql);
        cr_expect_eq(spool_file_open(path, &file, &summary), -EUCLEAN, "%s", damages[i].name);
        cr_expect_null(file);
    }
}

Test(spool_file, garbage_is_unsound) {
    char garbage[8192];

    for (size_t i = 0; i < sizeof(garbage); i++)
        garbage[i] = (char)(i * 31 + 7);
    folder_write(path, garbage, sizeof(garbage));
    cr_expect_eq(spool_file_open(path, &file, &summary), -EUCLEAN);
    folder_write(path, "hello\n", 6);
    cr_expect_eq(spool_file_open(path, &file, &summary), -EUCLEAN);
}

Test(spool_file, a_file_cut_short_is_unsound_or_loses_only_its_end) {
    struct stat status;

    open_sound();
    add(1, 2000);
    file = spool_file_close(file);
    cr_assert_eq(stat(path, &status), 0);
    for (off_t size = status.st_size - 1024; size > 0; size -= 4096 + 100) {
        int r;

        cr_assert_eq(truncate(path, size), 0);
        r = spool_file_open(path, &file, &summary);
        if (r == 0) {
            struct spool_row rows[32];
            uint64_t after = 0;
            int n;

            while ((n = spool_file_read(file, after, INT64_MAX, rows, 32)) > 0)
                after = rows[n - 1].number;
            r = n;
        }
        cr_expect(r == 0 || r == -EUCLEAN, "%lld bytes: %d", (long long)size, r);
        file = spool_file_close(file);
    }
}

Test(spool_file, an_empty_file_is_a_new_one) {
    folder_write(path, "", 0);
    open_sound();
    add(1, 1);
}

Test(spool_file, a_folder_that_is_not_there_is_said_so) {
    path = folder_file("absent/spool.db");
    cr_expect_eq(spool_file_open(path, &file, &summary), -ENOENT);
    cr_expect_null(file);
}

Test(spool_file, a_folder_that_may_not_be_written_is_said_so) {
    int r;

    folder_leave_root();
    cr_assert_eq(chmod(folder_path, 0555), 0);
    r = spool_file_open(path, &file, &summary);
    cr_expect(r == -EACCES || r == -ENOENT, "%d", r);
}

Test(spool_file, a_file_that_may_not_be_written_is_said_so) {
    int r;

    folder_leave_root();
    open_sound();
    add(1, 1);
    file = spool_file_close(file);
    cr_assert_eq(chmod(path, 0444), 0);
    r = spool_file_open(path, &file, &summary);
    cr_expect(r == -EROFS || r == -EACCES, "%d", r);
    cr_expect_null(file);
}

/* ---- damaged rows ---- */

struct damaged_row {
    char name[32];
    char sql[128];
};

ParameterizedTestParameters(spool_file, a_damaged_row_has_no_quantities) {
    static struct damaged_row rows[] = {
        { "not a quantity", "UPDATE reading SET quantities = 'hello'" },
        { "one of two broken", "UPDATE reading SET quantities = 't=21.5,rh=x'" },
        { "a key twice", "UPDATE reading SET quantities = 't=1,t=2'" },
        { "none", "UPDATE reading SET quantities = ''" },
        { "a number", "UPDATE reading SET quantities = 42" },
        { "bytes", "UPDATE reading SET quantities = x'00ff00ff'" },
        { "very long", "UPDATE reading SET quantities = hex(zeroblob(100000))" },
        { "a sensor with a slash", "UPDATE reading SET sensor = 'a/b'" },
        { "a sensor too long", "UPDATE reading SET sensor = hex(zeroblob(1000))" },
        { "a sensor of bytes", "UPDATE reading SET sensor = x'c328'" },
    };

    return cr_make_param_array(struct damaged_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct damaged_row *row, spool_file, a_damaged_row_has_no_quantities) {
    struct spool_row back;

    open_sound();
    add(5, 5);
    file = spool_file_close(file);
    run_sql(row->sql);
    open_sound();
    cr_assert_eq(spool_file_read(file, 0, 100, &back, 1), 1, "%s", row->name);
    cr_expect_eq(back.number, 5, "%s", row->name);
    cr_expect_eq(back.reading.count, 0, "%s", row->name);
}
