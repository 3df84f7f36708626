/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Readings on disk until a broker has acknowledged them: the only queue there is.
 *
 * Each reading accepted gets the next number. It is kept in a ring in memory and, at the end of the
 * same turn of the loop, in one SQLite transaction with its neighbours; the publisher sees it when
 * durability says it is accepted. Acknowledged readings are deleted with the next transaction, so
 * that a healthy link costs one page of log per reading. Where the disk refuses, the ring goes on
 * alone: it holds SPOOL_RING readings, and when it is full the oldest give way, counted and said.
 *
 * docs/delivery.md is the contract. Source: SQLite's "Write-Ahead Logging" and "How To Corrupt"
 * pages.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "core/payload.h"
#include "core/reading.h"
#include "core/status.h"

enum { SPOOL_RING = 2048 };

/* Named after the worst event that loses nothing accepted. */
enum spool_durability {
    SPOOL_POWER,  /* accepted is synced to the medium */
    SPOOL_CRASH,  /* accepted is in the write-ahead log */
    SPOOL_OUTAGE, /* accepted is in memory; on disk when the link is down or slow */
};

struct spool_settings {
    const char *path;
    uint64_t max_bytes;
    enum spool_durability durability;
};

/* A reading with all that its id and its time need. */
struct spooled {
    uint64_t number;
    char prefix[ID_PREFIX_LENGTH + 1];
    int64_t wall_us;      /* when it was taken, by the best knowledge of now */
    bool synchronised;    /* is that knowledge certain? */
    uint64_t accepted_us; /* CLOCK_BOOTTIME; on disk stands only taken_us; 0: before this boot */
    struct reading reading;
};

struct spool;

/* -EBUSY: another daemon has it (it is named by spool_holder); a sick disk is no error. */
int spool_new(sd_event *loop, const struct spool_settings *settings, struct spool **ret);
struct spool *spool_free(struct spool *spool);
DEFINE_CLEANUP(struct spool, spool_free);

/* Takes another size or durability. -EXDEV for another path: that waits for the next start. */
int spool_change(struct spool *spool, const struct spool_settings *settings);

/* The process that holds the spool at path, or 0. */
int spool_holder(const char *path);

/* Takes a reading; a reading_sink. */
void spool_append(const struct reading *reading, void *spool);

/*
 * Reads the oldest accepted readings with a number above after, in order.
 *
 * Returns how many were written to rows, 0 when there are none yet.
 */
int spool_read(struct spool *spool, uint64_t after, struct spooled *rows, size_t max);

/* Have readings turned up, since this was last asked, that are older than what was read? */
bool spool_has_rewound(struct spool *spool);

/* A broker has taken it: it need not be kept. */
void spool_acknowledge(struct spool *spool, uint64_t number);

/* How many are acknowledged and not yet deleted: a kill now would send them again. */
size_t spool_unsettled(const struct spool *spool);

/* Deletes them now. */
void spool_settle(struct spool *spool);

/* Under SPOOL_OUTAGE: is there anyone to hand readings to? */
void spool_set_link(struct spool *spool, bool is_up);

/* Writes all that is not yet written; for the end of the daemon. */
void spool_flush(struct spool *spool);

void spool_describe(const struct spool *spool, struct spool_status *ret);
