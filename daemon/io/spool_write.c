/* SPDX-License-Identifier: MIT */
#include "io/spool_parts.h"

#include <errno.h>

#include "io/log.h"
#include "io/loop.h"

enum {
    DROP_ROWS = 64,  /* given up at once when the spool is full */
    TURN_ROWS = 256, /* written in one transaction: the loop goes on in between */
};

static const uint64_t sync_after_us = 1000000;
static const int64_t checkpoint_at_bytes = 1 << 20;
static const int64_t checkpoint_again_bytes = 1 << 17; /* grown by since the last one */
static const int64_t log_limit_bytes = 8 << 20;

/* ---- one transaction ---- */

static int write_readings(struct spool *spool, uint64_t *ret_last, uint64_t *ret_filed) {
    uint64_t last = lower(spool->ring.last, spool->written + TURN_ROWS);

    for (uint64_t number = spool->written + 1; number <= last; number++) {
        struct spool_row row = spool_row_of(spool, number);
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
    row = spool_row_of(spool, last);
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
    spool_set_cause(spool, cause_after(spool, dropped), 0);
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
    if (r == 0 && spool_last_is_filed(spool)) {
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

void spool_start_disk_task(struct spool *spool) {
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
        spool_fail(spool, r);
}

void spool_on_disk_task_done(enum spool_disk_task task, uint64_t mark, int result, void *userdata) {
    struct spool *spool = userdata;

    if (result < 0) {
        spool_fail(spool, result);
        return;
    }
    spool->synced = higher(spool->synced, mark);
    if (task == SPOOL_DISK_CHECKPOINT && spool->lock)
        spool_lock_note(spool->lock, spool->ring.last, false);
    if (spool->file)
        brake(spool);
    if (wants_sync(spool))
        spool_start_disk_task(spool);
    spool_arm(spool);
}

void spool_write_out(struct spool *spool) {
    int r;

    if (!spool->file)
        return;
    r = write_all(spool);
    if (r < 0) {
        spool_fail(spool, r);
        return;
    }
    brake(spool);
    if (spool->written < spool->ring.last)
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
    if (spool->waiting > 0 && spool->synced < spool->written && spool->due.sync_us == NEVER)
        spool->due.sync_us = loop_now_us() + sync_after_us;
    spool_start_disk_task(spool);
    spool_continue_salvage(spool);
    spool_arm(spool);
}
