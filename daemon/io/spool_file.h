/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The spool's SQLite database: what is in it and how it is written. io/spool_write.c decides when.
 *
 * Write-ahead log, one writer, small pages. A commit does not sync: synchronous=NORMAL with
 * automatic checkpoints off flushes once at the head of each new log, and otherwise only when it is
 * asked to. The database file and its -shm are never opened or closed by hand: that would drop
 * SQLite's POSIX locks. The -wal has none.
 *
 * Source: "How To Corrupt An SQLite Database File", section 2.2; "Write-Ahead Logging".
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "core/reading.h"

/* One row: a reading and what its id and its time need. */
struct spool_row {
    uint64_t number;
    uint32_t prefix;
    int64_t boot; /* key of a spool_boot */
    struct reading reading;
};

/* What is known of one boot's clock. */
struct spool_boot {
    int64_t key;
    char boot_id[33];
    int64_t wall_offset_us; /* wall clock minus CLOCK_BOOTTIME */
    bool synchronised;
};

/* The numbers above one and below another. */
struct spool_span {
    uint64_t after;
    uint64_t before;
};

/* What the file says of itself when it is opened. */
struct spool_summary {
    uint64_t last_number; /* 0: none */
    uint32_t last_prefix;
    int64_t last_boot;
    uint64_t waiting;
    uint64_t dropped;
    bool is_certain; /* no later number was given out under last_prefix */
    bool last_is_buried;
    struct spool_span unsalvaged; /* before == 0: nobody has noted any */
};

struct spool_file;

/*
 * Opens or creates path.
 *
 * Returns 0; -EUCLEAN when it is no sound database; -EPROTONOSUPPORT when a newer sensorgw wrote
 * it; or what the disk said: -ENOSPC, -EROFS, -EIO, -EACCES, -ENOENT.
 */
int spool_file_open(const char *path, struct spool_file **ret, struct spool_summary *ret_summary);
struct spool_file *spool_file_close(struct spool_file *file);
DEFINE_CLEANUP(struct spool_file, spool_file_close);

/*
 * Opens path to read only, leaving nothing behind. For other processes than the daemon alone:
 * closing it drops the locks of whoever has it open in the same one. Errors as spool_file_open, and
 * -ENOENT.
 * Source: sqlite.org, "Uniform Resource Identifiers" (immutable).
 */
int spool_file_look(const char *path, struct spool_file **ret, struct spool_summary *ret_summary);

/* All between these two happens as one, or not at all. Errors as spool_file_open. */
int spool_file_begin(struct spool_file *file);
int spool_file_commit(struct spool_file *file);
void spool_file_roll_back(struct spool_file *file);

int spool_file_add(struct spool_file *file, const struct spool_row *row);

/* Unless there is one of the same number. Returns how many rows were added. */
int spool_file_add_missing(struct spool_file *file, const struct spool_row *row);

int spool_file_remove(struct spool_file *file, uint64_t number);

/* Keeps the row for its number alone: the last one given out must survive. */
int spool_file_bury(struct spool_file *file, uint64_t number);

/* Removes at most count of the oldest rows that are not buried, and adds them to `dropped`. Returns
 * how many. */
int spool_file_drop_oldest(struct spool_file *file, unsigned count);

/* Adds to `dropped` what never reached the file. */
int spool_file_count_dropped(struct spool_file *file, uint64_t count);

/* Notes whether the last number in the file is the last that was given out. */
int spool_file_mark_certain(struct spool_file *file, bool is_certain);

/* Notes what is still to be salvaged of the file before this one. */
int spool_file_note_unsalvaged(struct spool_file *file, const struct spool_span *span);

/* Reads rows above `after` and below `before`, in order; a damaged one has no quantities. Returns
 * how many. */
int spool_file_read(struct spool_file *file, uint64_t after, uint64_t before,
                    struct spool_row *rows, size_t max);

/* The same from the back: the highest number first. */
int spool_file_read_back(struct spool_file *file, uint64_t after, uint64_t before,
                         struct spool_row *rows, size_t max);

/* Opens a file that is known to be corrupt, for these two and spool_file_get_boot alone. */
int spool_file_open_damaged(const char *path, struct spool_file **ret);

/* Finds or makes the row of a boot. */
int spool_file_set_boot(struct spool_file *file, struct spool_boot *boot);
int spool_file_get_boot(struct spool_file *file, int64_t key, struct spool_boot *ret);

/* Bytes in use, without the log. */
int64_t spool_file_size(struct spool_file *file);

/* Bytes in the write-ahead log after the last commit. */
int64_t spool_file_log_size(const struct spool_file *file);

/* Waits for the disk: for when the log has grown too long for a checkpoint beside the loop. */
int spool_file_checkpoint(struct spool_file *file);

/* For jobs: each opens what it needs by itself and touches nothing else. */
int spool_file_sync_log(const char *path);
int spool_file_checkpoint_aside(const char *path);
