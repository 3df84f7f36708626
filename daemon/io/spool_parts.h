/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the three parts of the spool share; nobody else includes this.
 *
 *   spool.c        takes readings, gives them to the publisher, knows when what is due
 *   spool_write.c  one transaction with all that is new; syncing and checkpointing
 *   spool_open.c   finds out where to count on from, and goes on where the disk does not
 */

#include "core/cause.h"
#include "core/in_flight.h"
#include "core/ring.h"
#include "io/spool.h"
#include "io/spool_disk.h"
#include "io/spool_file.h"
#include "io/spool_lock.h"
#include "io/spool_salvage.h"

/* What a sick disk cannot delete yet, and then what can still come when no more is read. */
enum { SPOOL_SETTLING = SPOOL_RING + IN_FLIGHT_MAX };

#define NEVER UINT64_MAX

/* When each task is due, CLOCK_BOOTTIME; NEVER: not asked for. */
struct due {
    uint64_t settle_us; /* delete what is acknowledged */
    uint64_t sync_us;
    uint64_t hold_us;  /* look whether a reading has waited too long in memory */
    uint64_t retry_us; /* try a sick disk again */
};

struct spool {
    struct spool_settings settings; /* with a path of our own */
    sd_event *loop;                 /* borrowed from run() */
    struct spool_lock *lock;        /* NULL while the disk refuses even that */
    struct spool_file *file;        /* NULL while the disk refuses */
    struct spool_disk *disk;
    struct spool_salvage *salvage; /* of a corrupt file, while the disk is well */
    struct spool_span unsalvaged;  /* what is still to be read of it; before == 0: there is none */
    uint64_t salvaged;
    int salvage_error; /* as it was said */
    enum cause cause;

    /* Readings pass these in order: ring.last >= written >= synced; ring.first <= written + 1. */
    struct ring ring;
    struct ring_slot *slots;
    uint64_t written; /* handed to the file, or never to be */
    uint64_t synced;
    uint64_t filed; /* the last number that has a row */
    uint64_t shown; /* the last number that the publisher has seen */
    uint32_t prefix;
    bool is_certain; /* so the file says: a start after a kill may count on from its last row */
    bool is_ending;  /* no reading comes any more */
    bool is_braking; /* waits for the disk, and has said so */
    int64_t checkpointed_bytes; /* how long the log was at the last checkpoint */
    struct spool_boot boot;
    bool boot_is_unsaved;
    bool has_rewound; /* older readings have turned up */

    uint64_t settling[SPOOL_SETTLING]; /* acknowledged, with a row to be deleted */
    size_t settling_count;
    uint64_t buried; /* the row kept for its number alone, 0: none */

    uint64_t accepted;
    uint64_t waiting;
    uint64_t dropped;
    uint64_t dropped_said;  /* of these, in the log */
    uint64_t unsaved_drops; /* of these, not yet in the file */

    /* Dropped, and perhaps on their way to a broker: from the file, and from the ring. */
    uint64_t dropped_from_file; /* up to here */
    uint64_t lost_after;        /* from here */
    uint64_t lost_to;           /* to here */
    bool link_is_up;

    sd_event_source *turn_end; /* writes what this turn of the loop took in */
    sd_event_source *timer;
    struct due due;
};

static inline uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static inline uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* The disk refused, and is tried again later: memory is all there is. */
static inline bool spool_is_sick(const struct spool *spool) {
    return !spool->file || spool->due.retry_us != NEVER;
}

/* ---- spool.c ---- */

/* Sets the timer to what is due next. */
void spool_arm(struct spool *spool);

/* A reading of the ring, as it is written. */
struct spool_row spool_row_of(const struct spool *spool, uint64_t number);

/* ---- spool_write.c ---- */

/* Writes what the ring has and deletes what is acknowledged; a failure ends in spool_fail. */
void spool_write_out(struct spool *spool);

/* Syncs or checkpoints beside the loop, if either is due. */
void spool_start_disk_task(struct spool *spool);
void spool_on_disk_task_done(enum spool_disk_task task, uint64_t mark, int result, void *spool);

/* ---- spool_open.c ---- */

/* Eight digits that tell this count of readings from any other. */
int spool_draw_prefix(uint32_t *ret);

/* Opens the file, or makes it, and goes on from its last number. */
int spool_open(struct spool *spool);

/* Memory goes on alone, and the disk is tried again: at once with a new file if this one is
 * corrupt. */
void spool_fail(struct spool *spool, int error);

/* Says it, if it is another one. */
void spool_set_cause(struct spool *spool, enum cause cause, int error);

/* Goes on with a corrupt file that was set aside, if there is one. */
void spool_continue_salvage(struct spool *spool);

/* Says how many readings were dropped since it was last said. */
void spool_say_dropped(struct spool *spool);

/* Does the file know the last number? Under SPOOL_OUTAGE memory alone does. */
bool spool_last_is_filed(const struct spool *spool);
