/* SPDX-License-Identifier: MIT */

/* Any bytes in the place of the spool: refused, or used; rows that come out of it are sound. */

#include <assert.h>

#include "io/spool_file.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS = 16 };

static void check_rows(struct spool_file *file) {
    struct spool_row rows[ROWS];
    uint64_t after = 0;
    int n;

    while ((n = spool_file_read(file, after, INT64_MAX, rows, ROWS)) > 0) {
        assert(n <= ROWS);
        for (int i = 0; i < n; i++) {
            struct spool_boot boot;

            if (rows[i].number <= after)
                return; /* an index that lies: the next page would be the same */
            after = rows[i].number;
            (void)spool_file_get_boot(file, rows[i].boot, &boot);
            if (rows[i].reading.count > 0)
                assert(name_is_valid(rows[i].reading.sensor));
        }
    }
}

static void use(struct spool_file *file, uint64_t last) {
    struct spool_row row = { .number = last + 1, .boot = 1, .reading = { .sensor = "fuzz" } };
    int r = spool_file_begin(file);

    assert(reading_parse("t=21.5", &row.reading) == 0);
    if (r == 0)
        r = spool_file_add(file, &row);
    if (r == 0)
        r = spool_file_remove(file, last);
    if (r == 0)
        r = spool_file_drop_oldest(file, 2);
    if (r >= 0)
        r = spool_file_commit(file);
    if (r < 0)
        spool_file_roll_back(file);
    (void)spool_file_size(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(spool_file_closep) struct spool_file *file = NULL;
    struct spool_summary summary;
    char path[64];
    char log[80];

    (void)snprintf(path, sizeof(path), "%s/spool.db", scratch_folder());
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    (void)unlink(log);
    scratch_write(path, data, size);
    if (spool_file_open(path, &file, &summary) == 0 && summary.last_number < INT64_MAX / 2) {
        check_rows(file);
        use(file, summary.last_number);
    }
    return 0;
}
