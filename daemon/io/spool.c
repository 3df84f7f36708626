/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/catalogue.h"
#include "core/ring.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/spool_disk.h"
#include "io/spool_file.h"
#include "io/spool_lock.h"
#include "io/spool_rescue.h"

enum {
    SETTLE_AT =
        64, /* acknowledgements that wait for their deletion, at most, while the disk is well */
    READ_ROWS = 32,
    DROP_ROWS = 64,   /* given up at once when the spool is full */
    IN_FLIGHT = 1024, /* acknowledgements that can still come when no more is read */
    TURN_ROWS = 256,  /* written in one transaction: the loop goes on in between */
};

static const uint64_t second_us = 1000000;
static const uint64_t settle_after_us = 5 * second_us;
static const uint64_t sync_after_us = second_us;
static const uint64_t hold_for_us = 2 * second_us; /* under SPOOL_OUTAGE */
static const uint64_t retry_after_us = 5 * second_us;
static const int64_t checkpoint_at_bytes = 1 << 20;
static const int64_t checkpoint_again_bytes = 1 << 17; /* grown by since the last one */
static const int64_t log_limit_bytes = 8 << 20;
static const int64_t drift_us = 100000;
static const int64_t step_us = 1000000;        /* worth an entry */
static const uint64_t note_distance = 1 << 20; /* more readings than are taken between two notes */

/* When each task is due, CLOCK_BOOTTIME; NEVER: not asked for. */
struct due {
    uint64_t settle_us; /* delete what is acknowledged */
    uint64_t sync_us;
    uint64_t hold_us;  /* look whether a reading has waited too long in memory */
    uint64_t retry_us; /* try a sick disk again */
};
#define NEVER UINT64_MAX

struct spool {
    struct spool_settings settings; /* with a path of our own */
    sd_event *loop;                 /* borrowed from run() */
    struct spool_lock *lock;        /* NULL while the disk refuses even that */
    struct spool_file *file;        /* NULL while the disk refuses */
    struct spool_disk *disk;
    struct spool_rescue *rescue; /* of a corrupt file, until it has given what it can */
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

    uint64_t settling[SPOOL_RING + IN_FLIGHT]; /* acknowledged, with a row to be deleted */
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

static uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static uint64_t higher(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* The disk refused, and is tried again later: memory is all there is. */
static bool is_sick(const struct spool *spool) {
    return !spool->file || spool->due.retry_us != NEVER;
}

/* The last reading that is accepted in the sense of durability. */
static uint64_t ready(const struct spool *spool) {
    if (is_sick(spool))
        return spool->ring.last;
    switch (spool->settings.durability) {
    case SPOOL_POWER:
        return spool->synced;
    case SPOOL_CRASH:
        return spool->written;
    case SPOOL_OUTAGE:
        return spool->ring.last;
    }
    return spool->written;
}

static void arm(struct spool *spool) {
    const struct due *due = &spool->due;
    uint64_t at_us = lower(lower(due->settle_us, due->retry_us), due->hold_us);

    if (!spool_disk_is_busy(spool->disk)) /* its end looks for what is to be done next */
        at_us = lower(at_us, due->sync_us);
    if (at_us == NEVER)
        loop_disarm(spool->timer);
    else
        loop_arm(spool->timer, at_us);
}

/* ---- what is wrong with the disk, said once per change ---- */

static enum cause cause_of(int error) {
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
    case -EFBIG:
        return CAUSE_SPOOL_FULL;
    case -EUCLEAN:
        return CAUSE_SPOOL_CORRUPT;
    default:
        return CAUSE_SPOOL_READONLY;
    }
}

static const char *sentence_of(enum cause cause, int error) {
    if (cause == CAUSE_SPOOL_FULL && error == 0)
        return "the spool has reached spool.max_mb: the oldest readings are dropped until the "
               "broker takes some. Raise it, or mend the link";
    if (error == -EPROTONOSUPPORT)
        return "a newer sensorgw wrote the spool, going on from memory. Install that version "
               "again, or move the file away";
    if (cause == CAUSE_SPOOL_FULL)
        return "the disk is full: readings are kept in memory, and the oldest go first when that "
               "is full too. Make room; it is tried again every few seconds";
    if (cause == CAUSE_SPOOL_CORRUPT)
        return "the spool is corrupt: it is set aside, and what can be read is salvaged";
    return "the spool cannot be written: readings are kept in memory, and the oldest go first when "
           "that is full. Mend the disk or the permissions; it is tried again every few seconds";
}

static void say_dropped(struct spool *spool) {
    uint64_t count = spool->dropped - spool->dropped_said;

    if (count > 0)
        log_warning(0, "readings were dropped", { "EVENT", EVENT_READINGS_DROPPED },
                    { "COUNT", LOG_NUMBER((long long)count) },
                    { "TOTAL", LOG_NUMBER((long long)spool->dropped) });
    spool->dropped_said = spool->dropped;
}

/* When dropping begins, and how many it were when it ends. */
static void set_cause(struct spool *spool, enum cause cause, int error) {
    if (spool->cause == cause)
        return;
    say_dropped(spool);
    spool->cause = cause;
    if (cause == CAUSE_NONE)
        log_warning(0, "the spool is written to disk again", { "PATH", spool->settings.path });
    else
        log_warning(error, sentence_of(cause, error), { "PATH", spool->settings.path },
                    { "CAUSE", cause_name(cause) });
}

static void fail(struct spool *spool, int error);

/* ---- who counts from where ---- */

static int draw_prefix(uint32_t *ret) {
    return getrandom(ret, sizeof(*ret), 0) == sizeof(*ret) ? 0 : -errno;
}

/*
 * Where to count from when no file tells. Rows that turn up later must sort before what is taken
 * now: milliseconds since 1970 run ahead of any count of readings, and so does the last note of a
 * count by far.
 */
static uint64_t blind_start(const struct spool *spool) {
    int64_t wall_us = (int64_t)loop_now_us() + spool->boot.wall_offset_us;
    uint64_t start = wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
    struct spool_note note;

    if (spool->lock && spool_lock_recall(spool->lock, &note))
        start = higher(start, note.last_number + note_distance);
    return start;
}

static void count_from(struct spool *spool, uint64_t last) {
    ring_init(&spool->ring, spool->slots, SPOOL_RING, last);
    spool->written = spool->synced = spool->filed = last;
}

/*
 * The last number given out is certain only if this boot gave it out, the file is the one that was
 * left, and no daemon that kept readings in memory was killed: after a power cut a file may have
 * lost numbers that were already sent.
 */
static bool numbers_are_certain(const struct spool *spool, const struct spool_summary *summary) {
    struct spool_note note;

    if (summary->last_number == 0 || summary->last_boot != spool->boot.key)
        return false;
    return summary->is_certain && spool->lock && spool_lock_recall(spool->lock, &note) &&
           spool_lock_recognises(spool->lock, &note) && summary->last_number >= note.last_number;
}

/* The first file of this run says where to go on. */
static void continue_from(struct spool *spool, const struct spool_summary *summary,
                          bool is_certain) {
    struct spool_note note = { 0 };
    uint64_t last = summary->last_number;

    if (is_certain)
        spool->prefix = summary->last_prefix;
    else if (spool->lock && spool_lock_recall(spool->lock, &note))
        last = higher(last, note.last_number);
    count_from(spool, last);
    spool->filed = summary->last_number;
    spool->buried = summary->last_is_buried ? summary->last_number : 0;
}

/* Under SPOOL_OUTAGE memory alone knows the last number. */
static bool file_knows_the_last(const struct spool *spool) {
    return spool->is_ending || spool->settings.durability != SPOOL_OUTAGE;
}

static int adopt(struct spool *spool, const struct spool_summary *summary) {
    bool is_first = spool->ring.slots == NULL;
    bool is_certain;
    int r;

    if (!is_first && summary->last_number >= spool->ring.first)
        return -EEXIST; /* numbers that memory gave out as well: the next start tells them apart */
    r = spool_file_set_boot(spool->file, &spool->boot);
    if (r < 0)
        return r;
    is_certain = is_first && numbers_are_certain(spool, summary);
    spool->is_certain = is_certain && file_knows_the_last(spool);
    r = spool_file_mark_certain(spool->file, spool->is_certain);
    if (r < 0)
        return r;
    if (is_first)
        continue_from(spool, summary, is_certain);
    spool->boot_is_unsaved = false;
    spool->has_rewound = summary->waiting > 0;
    spool->dropped += summary->dropped;
    spool->dropped_said += summary->dropped;
    spool->waiting += summary->waiting;
    if (spool->lock)
        spool_lock_note(spool->lock, spool->ring.last, false);
    return 0;
}

static int open_file(struct spool *spool) {
    struct spool_summary summary;
    int r = spool_file_open(spool->settings.path, &spool->file, &summary);

    if (r < 0)
        return r;
    r = adopt(spool, &summary);
    if (r < 0)
        spool->file = spool_file_close(spool->file);
    return r;
}

/* ---- a corrupt file ---- */

/* The key of a boot of another file in this one; 0, which is nobody's, when it is not known. */
static int64_t adopt_boot(struct spool *spool, const struct spool_boot *boot) {
    struct spool_boot known = *boot;

    if (strcmp(boot->boot_id, spool->boot.boot_id) == 0)
        return spool->boot.key;
    if (boot->boot_id[0] == '\0' || spool_file_set_boot(spool->file, &known) < 0)
        return 0;
    return known.key;
}

static void on_rescued(const struct spool_row *row, const struct spool_boot *boot, void *userdata) {
    struct spool *spool = userdata;
    struct spool_row mine = *row;
    int r = -ENOTCONN;

    if (spool->file) {
        mine.boot = adopt_boot(spool, boot);
        r = spool_file_add(spool->file, &mine);
    }
    if (r == 0) {
        spool->waiting++;
        spool->has_rewound = true;
    } else {
        spool->dropped++;
        spool->unsaved_drops++;
    }
}

static void on_rescue_over(uint64_t rescued, const char *aside, void *userdata) {
    struct spool *spool = userdata;

    log_warning(0, "salvaged what could be read of the corrupt spool",
                { "RESCUED", LOG_NUMBER((long long)rescued) }, { "SET_ASIDE", aside },
                { "PATH", spool->settings.path });
    spool->rescue = spool_rescue_free(spool->rescue);
}

/* What the ring still has goes into the new file; what only the old one had is salvaged from it. */
static int start_anew(struct spool *spool) {
    char aside[SPOOL_ASIDE_SIZE];
    uint64_t in_ring = 0;
    int r;

    spool->file = spool_file_close(spool->file);
    r = spool_rescue_set_aside(spool->settings.path, aside, sizeof(aside));
    if (r < 0)
        return r;
    spool->rescue = spool_rescue_free(spool->rescue);
    if (spool->ring.slots) {
        for (uint64_t number = spool->ring.first; number <= spool->ring.last; number++)
            in_ring += !ring_at(&spool->ring, number)->is_acknowledged;
        spool->waiting = in_ring;
        spool->written = spool->synced = spool->ring.first - 1;
    } else {
        count_from(spool, blind_start(spool));
    }
    spool->settling_count = 0;
    spool->buried = 0;
    spool->filed = spool->ring.first - 1;
    spool->dropped_from_file = spool->lost_after = spool->lost_to = 0;
    r = open_file(spool);
    if (r < 0)
        return r;
    r = spool_rescue_new(spool->loop, aside, spool->ring.first, on_rescued, on_rescue_over, spool,
                         &spool->rescue);
    if (r < 0)
        log_warning(r, "cannot salvage the corrupt spool now", { "SET_ASIDE", aside });
    return 0;
}

/* Memory goes on alone, and what it hands out the file does not know: under another prefix, lest
 * a start after a kill gives these numbers out again. */
static void part_from_the_file(struct spool *spool) {
    if (is_sick(spool) || !file_knows_the_last(spool) || draw_prefix(&spool->prefix) < 0)
        return;
    for (uint64_t number = higher(spool->written, spool->shown) + 1; number <= spool->ring.last;
         number++)
        ring_at(&spool->ring, number)->prefix = spool->prefix;
}

/* Memory goes on alone, and the disk is tried again: at once with a new file if this one is
 * corrupt. */
static void fail(struct spool *spool, int error) {
    int r = error;

    part_from_the_file(spool);
    if (spool->file)
        spool_file_roll_back(spool->file);
    set_cause(spool, cause_of(error), error);
    if (error == -EUCLEAN) {
        r = start_anew(spool);
        if (r == 0) {
            (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
            return;
        }
        set_cause(spool, cause_of(r), r);
    }
    if (!spool->ring.slots)
        count_from(spool, blind_start(spool));
    spool->due.retry_us = loop_now_us() + retry_after_us;
    arm(spool);
}

/* ---- time ---- */

/* The clock was set, or was synchronised: readings of this boot get their time by it, also after
 * the next. */
static void look_at_the_clock(struct spool *spool) {
    struct clock_facts facts = clock_look();
    int64_t moved_us = facts.wall_offset_us - spool->boot.wall_offset_us;

    if (spool->boot.synchronised && !facts.synchronised)
        return; /* what was known of this boot stays known */
    if (facts.synchronised == spool->boot.synchronised && moved_us > -drift_us &&
        moved_us < drift_us)
        return;
    if (moved_us > step_us || moved_us < -step_us)
        log_notice("the clock was set", { "EVENT", EVENT_CLOCK_STEPPED },
                   { "MOVED_MS", LOG_NUMBER((long long)(moved_us / 1000)) },
                   { "CLOCK", facts.synchronised ? "synchronised" : "unsynchronised" });
    spool->boot.wall_offset_us = facts.wall_offset_us;
    spool->boot.synchronised = facts.synchronised;
    spool->boot_is_unsaved = true;
}

static void stamp(struct spool *spool, const struct spool_row *row, struct spooled *ret) {
    struct spool_boot boot = spool->boot;
    bool is_ours = row->boot == spool->boot.key;

    if (!is_ours && (!spool->file || spool_file_get_boot(spool->file, row->boot, &boot) < 0))
        boot.synchronised = false;
    *ret = (struct spooled){
        .number = row->number,
        .wall_us = (int64_t)row->reading.taken_us + boot.wall_offset_us,
        .synchronised = boot.synchronised,
        .accepted_us = is_ours ? row->reading.taken_us : 0,
        .reading = row->reading,
    };
    (void)snprintf(ret->prefix, sizeof(ret->prefix), "%08x", row->prefix);
}

static struct spool_row row_of(const struct spool *spool, uint64_t number) {
    return (struct spool_row){
        .number = number,
        .prefix = ring_at(&spool->ring, number)->prefix,
        .boot = spool->boot.key,
        .reading = ring_at(&spool->ring, number)->reading,
    };
}

/* ---- writing ---- */

static int write_readings(struct spool *spool, uint64_t *ret_last, uint64_t *ret_filed) {
    uint64_t last = lower(spool->ring.last, spool->written + TURN_ROWS);

    for (uint64_t number = spool->written + 1; number <= last; number++) {
        struct spool_row row = row_of(spool, number);
        int r;

        if (ring_at(&spool->ring, number)->is_acknowledged)
            continue;
        r = spool_file_add(spool->file, &row);
        if (r < 0)
            return r;
        *ret_filed = number;
    }
    *ret_last = last;
    return 0;
}

/* The last row of all is kept for its number, until a later one has taken its place. */
static int delete_settled(struct spool *spool, uint64_t filed, uint64_t *ret_buried) {
    int r;

    if (spool->buried != 0 && spool->buried < filed) {
        r = spool_file_remove(spool->file, spool->buried);
        if (r < 0)
            return r;
        *ret_buried = 0;
    }
    for (size_t i = 0; i < spool->settling_count; i++) {
        uint64_t number = spool->settling[i];
        bool is_last = number == filed;

        r = is_last ? spool_file_bury(spool->file, number) : spool_file_remove(spool->file, number);
        if (r < 0)
            return r;
        if (is_last)
            *ret_buried = number;
    }
    return 0;
}

/* The next start counts on from the last number, even if its reading never needed a row. */
static int keep_last(struct spool *spool, uint64_t last, uint64_t *filed, uint64_t *buried) {
    struct spool_row row;
    int r;

    if (*filed >= last || !ring_at(&spool->ring, last))
        return 0;
    row = row_of(spool, last);
    r = spool_file_add(spool->file, &row);
    if (r == 0)
        r = spool_file_bury(spool->file, last);
    if (r == 0 && *buried != 0)
        r = spool_file_remove(spool->file, *buried);
    *filed = *buried = last;
    return r;
}

/* Oldest first, until there is room. */
static int make_room(struct spool *spool, uint64_t *ret_dropped) {
    while (spool_file_size(spool->file) > (int64_t)spool->settings.max_bytes) {
        int r = spool_file_drop_oldest(spool->file, DROP_ROWS);

        if (r <= 0)
            return r;
        *ret_dropped += (uint64_t)r;
    }
    return 0;
}

/* All below the oldest row is gone. */
static void note_dropped(struct spool *spool) {
    struct spool_row oldest;
    int n = spool_file_read(spool->file, 0, INT64_MAX, &oldest, 1);

    spool->dropped_from_file = n > 0 ? oldest.number - 1 : spool->filed;
}

/* Full is said until there is room again that is worth the word. */
static enum cause cause_after(struct spool *spool, uint64_t dropped) {
    int64_t roomy_bytes = (int64_t)(spool->settings.max_bytes / 8 * 7);

    if (dropped > 0)
        return CAUSE_SPOOL_FULL;
    if (spool->cause == CAUSE_SPOOL_FULL && spool_file_size(spool->file) > roomy_bytes)
        return CAUSE_SPOOL_FULL;
    return CAUSE_NONE;
}

static void note_success(struct spool *spool, uint64_t dropped) {
    if (spool->settling_count >= SPOOL_RING)
        spool->has_rewound = true; /* older rows were passed over: see spool_read */
    if (dropped > 0)
        note_dropped(spool);
    spool->boot_is_unsaved = false;
    spool->settling_count = 0;
    spool->due.settle_us = NEVER;
    spool->due.retry_us = NEVER;
    spool->unsaved_drops = 0;
    spool->dropped += dropped;
    spool->waiting -= lower(spool->waiting, dropped);
    set_cause(spool, cause_after(spool, dropped), 0);
}

/* Is the last row in the file that of the last number, as far as anybody has seen one? */
static int mark_certain(struct spool *spool, bool is_certain) {
    return is_certain == spool->is_certain ? 0 : spool_file_mark_certain(spool->file, is_certain);
}

/* One transaction with all that is new. */
static int write_all(struct spool *spool) {
    uint64_t last = spool->written;
    uint64_t filed = spool->filed;
    uint64_t buried = spool->buried;
    uint64_t dropped = 0;
    bool is_certain = false;
    int r = spool_file_begin(spool->file);

    if (r == 0 && spool->boot_is_unsaved)
        r = spool_file_set_boot(spool->file, &spool->boot);
    if (r == 0)
        r = write_readings(spool, &last, &filed);
    if (r == 0)
        r = delete_settled(spool, filed, &buried);
    if (r == 0 && file_knows_the_last(spool)) {
        is_certain = spool->shown <= last;
        r = keep_last(spool, last, &filed, &buried);
    }
    if (r == 0)
        r = mark_certain(spool, is_certain);
    if (r == 0 && spool->unsaved_drops > 0)
        r = spool_file_count_dropped(spool->file, spool->unsaved_drops);
    if (r == 0)
        r = make_room(spool, &dropped);
    if (r == 0)
        r = spool_file_commit(spool->file);
    if (r < 0)
        return r;
    spool->written = last;
    spool->filed = filed;
    spool->buried = buried;
    spool->is_certain = is_certain;
    note_success(spool, dropped);
    return 0;
}

/* ---- syncing and checkpointing ---- */

static bool wants_sync(const struct spool *spool) {
    if (spool->synced >= spool->written)
        return false;
    return spool->settings.durability == SPOOL_POWER ||
           (spool->waiting > 0 && loop_now_us() >= spool->due.sync_us);
}

/* A log begins anew only with a commit that finds all of it checkpointed: one that has just been
 * checkpointed is still as long, and under a flood the next try is no better than this one. */
static bool wants_checkpoint(struct spool *spool) {
    int64_t size = spool_file_log_size(spool->file);

    if (size < spool->checkpointed_bytes)
        spool->checkpointed_bytes = 0;
    return size > checkpoint_at_bytes && size > spool->checkpointed_bytes + checkpoint_again_bytes;
}

static void start_disk_task(struct spool *spool) {
    bool is_checkpoint;

    if (!spool->file || spool_disk_is_busy(spool->disk))
        return;
    is_checkpoint = wants_checkpoint(spool);
    if (!is_checkpoint && !wants_sync(spool))
        return;
    if (is_checkpoint)
        spool->checkpointed_bytes = spool_file_log_size(spool->file);
    spool->due.sync_us = NEVER;
    (void)spool_disk_start(spool->disk, is_checkpoint ? SPOOL_DISK_CHECKPOINT : SPOOL_DISK_SYNC,
                           spool->written);
}

/* The log outgrew a checkpoint beside the loop: here, and nowhere else, the loop waits for the
 * disk. */
static void brake(struct spool *spool) {
    int64_t size = spool_file_log_size(spool->file);
    int r;

    if (size <= checkpoint_at_bytes)
        spool->is_braking = false;
    if (size <= log_limit_bytes || spool_disk_is_busy(spool->disk))
        return;
    if (!spool->is_braking)
        log_warning(0, "the disk is too slow for what comes in: waiting for it",
                    { "CAUSE", cause_name(CAUSE_SPOOL_SLOW) }, { "PATH", spool->settings.path });
    spool->is_braking = true;
    r = spool_file_checkpoint(spool->file);
    if (r < 0 && r != -EBUSY)
        fail(spool, r);
}

static void on_disk_task_done(enum spool_disk_task task, uint64_t mark, int result,
                              void *userdata) {
    struct spool *spool = userdata;

    if (result < 0) {
        fail(spool, result);
        return;
    }
    spool->synced = higher(spool->synced, mark);
    if (task == SPOOL_DISK_CHECKPOINT && spool->lock)
        spool_lock_note(spool->lock, spool->ring.last, false);
    if (spool->file)
        brake(spool);
    if (wants_sync(spool))
        start_disk_task(spool);
    arm(spool);
}

static void write_out(struct spool *spool) {
    int r;

    if (!spool->file)
        return;
    r = write_all(spool);
    if (r < 0) {
        fail(spool, r);
        return;
    }
    brake(spool);
    if (spool->written < spool->ring.last)
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
    if (spool->waiting > 0 && spool->synced < spool->written && spool->due.sync_us == NEVER)
        spool->due.sync_us = loop_now_us() + sync_after_us;
    start_disk_task(spool);
    arm(spool);
}

/* ---- when ---- */

static bool holds_in_memory(const struct spool *spool) {
    return spool->settings.durability == SPOOL_OUTAGE && spool->link_is_up;
}

static void write_soon(struct spool *spool) {
    if (!is_sick(spool))
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
}

/* Acknowledged before it was written: it never needs to be. */
static void pass_acknowledged(struct spool *spool) {
    const struct ring_slot *slot;

    while ((slot = ring_at(&spool->ring, spool->written + 1)) && slot->is_acknowledged)
        spool->written++;
}

/* Under SPOOL_OUTAGE the oldest reading without an answer decides. */
static void hold(struct spool *spool) {
    const struct ring_slot *oldest;
    uint64_t until_us;

    spool->due.hold_us = NEVER;
    pass_acknowledged(spool);
    oldest = ring_at(&spool->ring, spool->written + 1);
    if (!oldest)
        return;
    until_us = oldest->reading.taken_us + hold_for_us;
    if (loop_now_us() >= until_us)
        write_soon(spool);
    else
        spool->due.hold_us = until_us;
}

static void try_the_disk(struct spool *spool) {
    int r = 0;

    if (!spool->lock)
        r = spool_lock_new(spool->settings.path, &spool->lock);
    if (r == 0 && !spool->file)
        r = open_file(spool);
    if (r < 0)
        fail(spool, r);
    else
        write_out(spool);
}

static int on_turn_end(sd_event_source *source, void *userdata) {
    write_out(userdata);
    return 0;
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct spool *spool = userdata;
    uint64_t now_us = loop_now_us();

    look_at_the_clock(spool);
    if (now_us >= spool->due.retry_us)
        try_the_disk(spool);
    if (now_us >= spool->due.hold_us)
        hold(spool);
    if (now_us >= spool->due.settle_us)
        write_out(spool);
    start_disk_task(spool);
    arm(spool);
    return 0;
}

/* ---- the life of a spool ---- */

static int set_up(struct spool *spool) {
    struct clock_facts facts = clock_look();
    int r = clock_read_boot_id(spool->boot.boot_id);

    if (r == 0)
        r = draw_prefix(&spool->prefix);
    if (r < 0)
        return r;
    spool->boot.wall_offset_us = facts.wall_offset_us;
    spool->boot.synchronised = facts.synchronised;
    r = spool_lock_new(spool->settings.path, &spool->lock);
    if (r == -EBUSY)
        return r;
    if (r == 0)
        r = open_file(spool);
    if (r < 0)
        fail(spool, r);
    return 0;
}

static int make_sources(struct spool *spool) {
    int r = loop_add_timer(spool->loop, on_timer, spool, &spool->timer);

    if (r < 0)
        return r;
    r = sd_event_add_defer(spool->loop, &spool->turn_end, on_turn_end, spool);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_OFF);
    (void)sd_event_source_set_exit_on_failure(spool->turn_end, true);
    return 0;
}

int spool_new(sd_event *loop, const struct spool_settings *settings, struct spool **ret) {
    CLEANUP(spool_freep) struct spool *spool = calloc(1, sizeof(*spool));
    int r;

    if (!spool)
        return -ENOMEM;
    spool->settings = *settings;
    spool->settings.path = strdup(settings->path);
    spool->loop = loop;
    spool->due = (struct due){ NEVER, NEVER, NEVER, NEVER };
    spool->slots = calloc(SPOOL_RING, sizeof(*spool->slots));
    if (!spool->slots || !spool->settings.path)
        return -ENOMEM;
    r = spool_disk_new(loop, spool->settings.path, on_disk_task_done, spool, &spool->disk);
    if (r == 0)
        r = make_sources(spool);
    if (r == 0)
        r = set_up(spool);
    if (r < 0)
        return r;
    *ret = spool;
    spool = NULL;
    return 0;
}

struct spool *spool_free(struct spool *spool) {
    bool was_open;

    if (!spool)
        return NULL;
    was_open = spool->file != NULL;
    spool->rescue = spool_rescue_free(spool->rescue);
    spool->disk = spool_disk_free(spool->disk);
    (void)sd_event_source_disable_unref(spool->turn_end);
    (void)sd_event_source_disable_unref(spool->timer);
    spool->file = spool_file_close(spool->file);
    if (spool->lock)
        spool_lock_note(spool->lock, spool->ring.last, was_open);
    spool->lock = spool_lock_free(spool->lock);
    free(spool->slots);
    free((char *)spool->settings.path);
    free(spool);
    return NULL;
}

int spool_change(struct spool *spool, const struct spool_settings *settings) {
    int r = strcmp(settings->path, spool->settings.path) == 0 ? 0 : -EXDEV;

    spool->settings.max_bytes = settings->max_bytes;
    spool->settings.durability = settings->durability;
    if (!is_sick(spool))
        write_out(spool); /* the file says how far it can be trusted */
    return r;
}

int spool_holder(const char *path) {
    return spool_lock_holder(path);
}

/* Room for one more: what is on disk needs no place here, what is not must give way. */
static void make_room_in_memory(struct spool *spool) {
    if (spool->ring.first > spool->written && !is_sick(spool))
        write_out(spool);
    if (spool->ring.first > spool->written) {
        if (!ring_at(&spool->ring, spool->ring.first)->is_acknowledged) {
            spool->dropped++;
            spool->unsaved_drops++;
            spool->waiting--;
            if (spool->lost_to <= spool->filed)
                spool->lost_after = spool->ring.first - 1;
            spool->lost_to = spool->ring.first;
        }
        spool->written = spool->ring.first;
    }
    ring_pop(&spool->ring);
}

void spool_append(const struct reading *reading, void *userdata) {
    struct spool *spool = userdata;

    if (ring_is_full(&spool->ring))
        make_room_in_memory(spool);
    ring_push(&spool->ring, spool->prefix, reading);
    spool->accepted++;
    spool->waiting++;
    if (!holds_in_memory(spool))
        write_soon(spool);
    else if (spool->due.hold_us == NEVER) {
        spool->due.hold_us = reading->taken_us + hold_for_us;
        arm(spool);
    }
}

/* ---- reading ---- */

static bool is_settling(const struct spool *spool, uint64_t number) {
    for (size_t i = 0; i < spool->settling_count; i++)
        if (spool->settling[i] == number)
            return true;
    return false;
}

static size_t read_ring(struct spool *spool, uint64_t after, struct spooled *rows, size_t max) {
    uint64_t last = ready(spool);
    size_t count = 0;

    after = higher(after, higher(spool->ring.first - 1, spool->dropped_from_file));
    for (uint64_t number = after + 1; number <= last && count < max; number++) {
        struct spool_row row = row_of(spool, number);

        if (!ring_at(&spool->ring, number)->is_acknowledged)
            stamp(spool, &row, &rows[count++]);
        spool->shown = higher(spool->shown, number);
    }
    return count;
}

/* A row that the disk has damaged. */
static void give_up(struct spool *spool, uint64_t number) {
    if (is_settling(spool, number))
        return;
    log_warning(0, "a reading in the spool is damaged and had to be dropped",
                { "PATH", spool->settings.path }, { "NUMBER", LOG_NUMBER((long long)number) });
    spool->dropped++;
    spool->unsaved_drops++;
    spool_acknowledge(spool, number);
}

static size_t read_file(struct spool *spool, uint64_t after, struct spooled *rows, size_t max) {
    struct spool_row page[READ_ROWS];
    size_t count = 0;
    int n;

    do {
        n = spool_file_read(spool->file, after, spool->ring.first, page, READ_ROWS);
        for (int i = 0; i < n && count < max; i++) {
            after = page[i].number;
            if (page[i].reading.count == 0)
                give_up(spool, page[i].number);
            else if (!is_settling(spool, page[i].number))
                stamp(spool, &page[i], &rows[count++]);
        }
    } while (n == READ_ROWS && count == 0);
    if (n < 0)
        fail(spool, n);
    return count;
}

int spool_read(struct spool *spool, uint64_t after, struct spooled *rows, size_t max) {
    /* No more can be remembered as acknowledged: what is on disk waits until it can be deleted. */
    bool file_is_of_use = spool->file && spool->settling_count < SPOOL_RING;
    size_t count = 0;

    look_at_the_clock(spool);
    if (after + 1 < spool->ring.first && file_is_of_use)
        count = read_file(spool, after, rows, max);
    if (count == 0)
        count = read_ring(spool, after, rows, max);
    return (int)count;
}

bool spool_has_rewound(struct spool *spool) {
    bool has_rewound = spool->has_rewound;

    spool->has_rewound = false;
    return has_rewound;
}

/* ---- acknowledgements ---- */

static void settle_later(struct spool *spool, uint64_t number) {
    spool->settling[spool->settling_count++] = number;
    if (spool->settling_count >= SETTLE_AT && !is_sick(spool))
        write_out(spool);
    else if (spool->due.settle_us == NEVER)
        spool->due.settle_us = loop_now_us() + settle_after_us;
}

/* Dropped while it was on its way: it is counted already. */
static bool was_dropped(const struct spool *spool, uint64_t number) {
    return number <= spool->dropped_from_file ||
           (number > spool->lost_after && number <= spool->lost_to);
}

void spool_acknowledge(struct spool *spool, uint64_t number) {
    struct ring_slot *slot = ring_at(&spool->ring, number);

    if (slot)
        slot->is_acknowledged = true;
    if (was_dropped(spool, number))
        return;
    if (spool->waiting > 0)
        spool->waiting--;
    if (spool->waiting == 0) /* nothing that a crash or a power cut could take */
        spool->due.sync_us = spool->due.hold_us = NEVER;
    if (number <= spool->filed && spool->settling_count < SPOOL_RING + IN_FLIGHT)
        settle_later(spool, number);
    if (holds_in_memory(spool))
        pass_acknowledged(spool);
    arm(spool);
}

size_t spool_unsettled(const struct spool *spool) {
    return is_sick(spool) ? 0 : spool->settling_count;
}

void spool_settle(struct spool *spool) {
    write_out(spool);
}

void spool_set_link(struct spool *spool, bool is_up) {
    spool->link_is_up = is_up;
    if (!holds_in_memory(spool) && spool->written < spool->ring.last)
        write_soon(spool);
}

void spool_flush(struct spool *spool) {
    uint64_t before;

    spool->is_ending = true;
    do {
        before = spool->written;
        write_out(spool);
    } while (spool->written > before && spool->written < spool->ring.last);
}

void spool_describe(const struct spool *spool, struct spool_status *ret) {
    *ret = (struct spool_status){
        .accepted = spool->accepted,
        .waiting = spool->waiting,
        .dropped = spool->dropped,
        .clock_synchronised = spool->boot.synchronised,
        .cause = spool->cause,
    };
}
