/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One daemon a spool: a lock on a file beside the database, and in it a note of how the database
 * was left.
 *
 * The lock is never on the database itself, whose locks are SQLite's. The note finds out a database
 * that was replaced while nobody looked, by a backup say: what it says of numbers is then not to be
 * believed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "cleanup.h"

struct spool_note {
    uint64_t last_number; /* given out when the note was made */
    bool is_closed;       /* made after the database was closed: its file is then as noted */
    uint64_t device;
    uint64_t inode;
    int64_t size_bytes;
    int64_t modified_ns;
};

struct spool_lock;

/*
 * Takes the lock of the spool at path.
 *
 * Returns 0; -EBUSY when another has it; or why the file cannot be made.
 */
int spool_lock_new(const char *path, struct spool_lock **ret);
struct spool_lock *spool_lock_free(struct spool_lock *lock);
DEFINE_CLEANUP(struct spool_lock, spool_lock_free);

/* The process that holds the spool at path, or 0. */
int spool_lock_holder(const char *path);

/* Is there a note, and is the database still the file that it is about? */
bool spool_lock_recall(const struct spool_lock *lock, struct spool_note *ret);
bool spool_lock_recognises(const struct spool_lock *lock, const struct spool_note *note);

/* Notes the database as it is now. */
void spool_lock_note(struct spool_lock *lock, uint64_t last_number, bool is_closed);
