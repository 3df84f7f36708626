/* SPDX-License-Identifier: MIT */
#include "io/spool_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalogue.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/loop.h"

enum {
    SETTLE_AT = 64, /* acknowledged rows are deleted together, this many at most on a well disk */
    READ_ROWS = 32,
};

static const uint64_t second_us = 1000000;
static const uint64_t settle_after_us = 5 * second_us;
static const uint64_t hold_for_us = 2 * second_us; /* under SPOOL_OUTAGE */
static const int64_t drift_us = 100000;
static const int64_t step_us = 1000000; /* worth an entry */

/* The last reading that is accepted in the sense of durability. */
static uint64_t ready(const struct spool *spool) {
    if (spool_is_sick(spool))
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

void spool_arm(struct spool *spool) {
    const struct due *due = &spool->due;
    uint64_t at_us = due->retry_us; /* on a sick disk all else waits for that */

    if (!spool_is_sick(spool))
        at_us = lower(due->settle_us, due->hold_us);
    if (!spool_is_sick(spool) && !spool_disk_is_busy(spool->disk)) /* its end looks for the next */
        at_us = lower(at_us, due->sync_us);
    if (at_us == NEVER)
        loop_disarm(spool->timer);
    else
        loop_arm(spool->timer, at_us);
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

struct spool_row spool_row_of(const struct spool *spool, uint64_t number) {
    return (struct spool_row){
        .number = number,
        .prefix = ring_at(&spool->ring, number)->prefix,
        .boot = spool->boot.key,
        .reading = ring_at(&spool->ring, number)->reading,
    };
}

/* ---- when ---- */

static bool holds_in_memory(const struct spool *spool) {
    return spool->settings.durability == SPOOL_OUTAGE && spool->link_is_up;
}

static void write_soon(struct spool *spool) {
    if (!spool_is_sick(spool))
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
    until_us = oldest->accepted_us + hold_for_us;
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
        r = spool_open(spool);
    if (r < 0)
        spool_fail(spool, r);
    else
        spool_write_out(spool);
}

static int on_turn_end(sd_event_source *source, void *userdata) {
    spool_write_out(userdata);
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
    if (!spool_is_sick(spool) && now_us >= spool->due.settle_us)
        spool_write_out(spool);
    spool_start_disk_task(spool);
    spool_arm(spool);
    return 0;
}

/* ---- the life of a spool ---- */

static int set_up(struct spool *spool) {
    struct clock_facts facts = clock_look();
    int r = clock_read_boot_id(spool->boot.boot_id);

    if (r == 0)
        r = spool_draw_prefix(&spool->prefix);
    if (r < 0)
        return r;
    spool->boot.wall_offset_us = facts.wall_offset_us;
    spool->boot.synchronised = facts.synchronised;
    r = spool_lock_new(spool->settings.path, &spool->lock);
    if (r == -EBUSY)
        return r;
    if (r == 0)
        r = spool_open(spool);
    if (r < 0)
        spool_fail(spool, r);
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
    r = spool_disk_new(loop, spool->settings.path, spool_on_disk_task_done, spool, &spool->disk);
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

/* What the disk would not take to the last goes with this process. */
static void give_up_memory(struct spool *spool) {
    for (uint64_t number = spool->written + 1; number <= spool->ring.last; number++)
        spool->dropped += !ring_at(&spool->ring, number)->is_acknowledged;
    spool_say_dropped(spool);
}

struct spool *spool_free(struct spool *spool) {
    bool was_open;

    if (!spool)
        return NULL;
    was_open = spool->file != NULL;
    give_up_memory(spool);
    spool->salvage = spool_salvage_free(spool->salvage);
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
    if (!spool_is_sick(spool))
        spool_write_out(spool); /* the file says how far it can be trusted */
    return r;
}

int spool_holder(const char *path) {
    return spool_lock_holder(path);
}

/* Room for one more: what is on disk needs no place here, what is not must give way. */
static void make_room_in_memory(struct spool *spool) {
    if (spool->ring.first > spool->written && !spool_is_sick(spool))
        spool_write_out(spool);
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
    uint64_t now_us = loop_now_us();

    if (ring_is_full(&spool->ring))
        make_room_in_memory(spool);
    ring_push(&spool->ring, spool->prefix, now_us, reading);
    spool->accepted++;
    spool->waiting++;
    if (!holds_in_memory(spool))
        write_soon(spool);
    else if (spool->due.hold_us == NEVER) {
        spool->due.hold_us = now_us + hold_for_us;
        spool_arm(spool);
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
        struct spool_row row = spool_row_of(spool, number);

        if (!ring_at(&spool->ring, number)->is_acknowledged) {
            stamp(spool, &row, &rows[count]);
            rows[count++].accepted_us = ring_at(&spool->ring, number)->accepted_us;
        }
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
        spool_fail(spool, n);
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
    if (spool->settling_count >= SETTLE_AT && !spool_is_sick(spool))
        spool_write_out(spool);
    else if (spool->due.settle_us == NEVER)
        spool->due.settle_us = loop_now_us() + settle_after_us;
}

/* Dropped while it was on its way: it is counted already. */
static bool was_dropped(const struct spool *spool, uint64_t number) {
    return number <= spool->dropped_from_file ||
           (number > spool->lost_after && number <= spool->lost_to);
}

/* Read from a file that has been found corrupt since: it is counted when it is salvaged. */
static bool is_set_aside(const struct spool *spool, uint64_t number) {
    return number > spool->unsalvaged.after && number < spool->unsalvaged.before;
}

void spool_acknowledge(struct spool *spool, uint64_t number) {
    struct ring_slot *slot = ring_at(&spool->ring, number);

    if (slot)
        slot->is_acknowledged = true;
    if (was_dropped(spool, number) || is_set_aside(spool, number))
        return;
    if (spool->waiting > 0)
        spool->waiting--;
    if (spool->waiting == 0) /* nothing that a crash or a power cut could take */
        spool->due.sync_us = spool->due.hold_us = NEVER;
    if (number <= spool->filed && spool->settling_count < SPOOL_SETTLING)
        settle_later(spool, number);
    if (holds_in_memory(spool))
        pass_acknowledged(spool);
    spool_arm(spool);
}

size_t spool_unsettled(const struct spool *spool) {
    return spool_is_sick(spool) ? 0 : spool->settling_count;
}

void spool_settle(struct spool *spool) {
    spool_write_out(spool);
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
        spool_write_out(spool);
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
