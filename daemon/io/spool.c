/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/job.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/spool_file.h"

enum {
    SETTLE_AT = 64, /* acknowledgements that wait for their deletion, at most */
    READ_ROWS = 32,
    DROP_ROWS = 64,  /* given up at once when the spool is full */
    TURN_ROWS = 256, /* written in one transaction: the loop goes on in between */
};

static const uint64_t second_us = 1000000;
static const uint64_t settle_after_us = 5 * second_us;
static const uint64_t sync_after_us = second_us;
static const uint64_t retry_after_us = 5 * second_us;
static const int64_t checkpoint_at_bytes = 1 << 20;
static const int64_t log_limit_bytes = 8 << 20;
static const int64_t boot_drift_us = 100000;

/* A reading in the ring. */
struct slot {
    struct reading reading;
    bool is_acknowledged;
};

struct spool {
    struct spool_settings settings;
    sd_event *loop; /* borrowed from run() */
    int lock_fd;
    struct spool_file *file; /* NULL while the disk refuses */
    enum cause cause;

    /*
     * Numbers, in the order in which readings pass them:
     * ring_first <= written + 1 <= taken + 1, and synced <= written. The ring holds
     * ring_first..taken.
     */
    uint64_t taken;
    uint64_t written;
    uint64_t synced;
    uint64_t ring_first;
    struct slot *ring; /* SPOOL_RING slots, number modulo SPOOL_RING */
    uint32_t prefix;
    struct spool_boot boot;
    bool boot_is_unsaved;

    uint64_t settling[SETTLE_AT + SPOOL_RING]; /* acknowledged, on disk, to be deleted */
    size_t settling_count;
    uint64_t buried; /* the row kept for its number alone, 0: none */

    uint64_t accepted;
    uint64_t waiting;
    uint64_t dropped;
    uint64_t unsaved_drops; /* of these, not yet in the file */
    bool link_is_up;

    sd_event_source *turn_end; /* writes what this turn of the loop took in */
    sd_event_source *timer;    /* settles, syncs, tries a sick disk again */
    uint64_t settle_at_us;
    uint64_t sync_at_us;
    uint64_t retry_at_us;
    struct job *job; /* a sync or a checkpoint */
};

static uint64_t lower(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* The disk refused, and is tried again later: memory is all there is. */
static bool is_sick(const struct spool *spool) {
    return !spool->file || spool->retry_at_us != UINT64_MAX;
}

/* The last reading that is accepted in the sense of durability. */
static uint64_t ready(const struct spool *spool) {
    if (is_sick(spool))
        return spool->taken;
    switch (spool->settings.durability) {
    case SPOOL_POWER:
        return spool->synced;
    case SPOOL_CRASH:
        return spool->written;
    case SPOOL_OUTAGE:
        return spool->taken;
    }
    return spool->written;
}

static struct slot *slot_of(const struct spool *spool, uint64_t number) {
    return &spool->ring[number % SPOOL_RING];
}

/* ---- the lock: one daemon a spool ---- */

static int lock_path(const char *path, char *lock, size_t size) {
    int n = snprintf(lock, size, "%s.lock", path);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int take_lock(struct spool *spool) {
    char path[4096];
    char pid[32];
    int r = lock_path(spool->settings.path, path, sizeof(path));
    int n;

    if (r < 0)
        return r;
    spool->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (spool->lock_fd < 0)
        return -errno;
    if (flock(spool->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(spool->lock_fd, 0) < 0 || pwrite(spool->lock_fd, pid, (size_t)n, 0) < 0)
        return 0; /* only a name for the next one's message; a full disk must not keep us out */
    return 0;
}

int spool_holder(const char *path) {
    char lock[4096];
    int pid = 0;
    FILE *file;

    if (lock_path(path, lock, sizeof(lock)) < 0)
        return 0;
    file = fopen(lock, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%d", &pid) != 1)
        pid = 0;
    (void)fclose(file);
    return pid;
}

/* ---- what is wrong with the disk, said once per change ---- */

static enum cause cause_of(int error) {
    switch (error) {
    case -ENOSPC:
    case -EDQUOT:
        return CAUSE_SPOOL_FULL;
    case -EUCLEAN:
        return CAUSE_SPOOL_CORRUPT;
    default:
        return CAUSE_SPOOL_READONLY;
    }
}

static void set_cause(struct spool *spool, enum cause cause, int error) {
    if (spool->cause == cause)
        return;
    spool->cause = cause;
    if (cause == CAUSE_NONE)
        log_warning(0, "spool is written to disk again", { "PATH", spool->settings.path });
    else
        log_warning(error, "cannot write the spool: going on from memory, trying the disk again",
                    { "PATH", spool->settings.path }, { "CAUSE", cause_name(cause) },
                    { "RING", LOG_NUMBER(SPOOL_RING) });
}

static void arm(struct spool *spool) {
    uint64_t due_us = lower(spool->settle_at_us, spool->retry_at_us);

    if (!spool->job) /* whose end looks for what is to be synced next */
        due_us = lower(due_us, spool->sync_at_us);

    if (due_us == UINT64_MAX)
        loop_disarm(spool->timer);
    else
        loop_arm(spool->timer, due_us);
}

static void fail(struct spool *spool, int error) {
    if (spool->file)
        spool_file_roll_back(spool->file);
    set_cause(spool, cause_of(error), error);
    spool->retry_at_us = loop_now_us() + retry_after_us;
    arm(spool);
}

/* ---- opening ---- */

static int draw_prefix(uint32_t *ret) {
    return getrandom(ret, sizeof(*ret), 0) == sizeof(*ret) ? 0 : -errno;
}

/*
 * The last number given out is certain only if this boot gave it out and the file was not written
 * by a daemon that kept readings in memory and was killed: after a power cut the file may have lost
 * numbers that were already sent.
 */
static bool numbers_are_certain(const struct spool *spool, const struct spool_summary *summary,
                                const struct spool_boot *boot) {
    if (summary->last_number == 0 || summary->last_boot != boot->key)
        return false;
    return summary->was_closed || spool->settings.durability != SPOOL_OUTAGE;
}

static void number_from(struct spool *spool, uint64_t last) {
    spool->taken = spool->written = spool->synced = last;
    spool->ring_first = last + 1;
}

static int adopt(struct spool *spool, const struct spool_summary *summary) {
    bool is_first = spool->ring_first == 0;
    int r;

    if (!is_first && summary->last_number >= spool->ring_first)
        return -EEXIST; /* its numbers are those that memory gave out: the next start tells them
                           apart */
    r = spool_file_set_boot(spool->file, &spool->boot);
    if (r < 0)
        return r;
    if (is_first && numbers_are_certain(spool, summary, &spool->boot))
        spool->prefix = summary->last_prefix;
    r = spool_file_mark_closed(spool->file, false);
    if (r < 0)
        return r;
    spool->boot_is_unsaved = false;
    spool->dropped += summary->dropped;
    spool->waiting += summary->waiting;
    if (is_first)
        number_from(spool, summary->last_number);
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

/* ---- time ---- */

/* The clock was set, or has been synchronised: readings of this boot get their time by it, later
 * ones too. */
static void look_at_the_clock(struct spool *spool) {
    struct clock_facts facts = clock_look();
    int64_t drift_us = facts.wall_offset_us - spool->boot.wall_offset_us;

    if (spool->boot.synchronised && !facts.synchronised)
        return; /* what was known of this boot stays known */
    if (facts.synchronised == spool->boot.synchronised && drift_us > -boot_drift_us &&
        drift_us < boot_drift_us)
        return;
    spool->boot.wall_offset_us = facts.wall_offset_us;
    spool->boot.synchronised = facts.synchronised;
    spool->boot_is_unsaved = true;
}

static void stamp(struct spool *spool, const struct spool_row *row, struct spooled *ret) {
    struct spool_boot boot = spool->boot;

    if (row->boot != spool->boot.key &&
        (!spool->file || spool_file_get_boot(spool->file, row->boot, &boot) < 0))
        boot.synchronised = false;
    *ret = (struct spooled){
        .number = row->number,
        .wall_us = (int64_t)row->reading.taken_us + boot.wall_offset_us,
        .synchronised = boot.synchronised,
        .accepted_us = row->boot == spool->boot.key ? row->reading.taken_us : 0,
        .reading = row->reading,
    };
    (void)snprintf(ret->prefix, sizeof(ret->prefix), "%08x", row->prefix);
}

/* ---- writing ---- */

static int write_readings(struct spool *spool, uint64_t *ret_last) {
    uint64_t last = lower(spool->taken, spool->written + TURN_ROWS);

    for (uint64_t number = spool->written + 1; number <= last; number++) {
        struct slot *slot = slot_of(spool, number);
        struct spool_row row = {
            .number = number,
            .prefix = spool->prefix,
            .boot = spool->boot.key,
            .reading = slot->reading,
        };
        int r;

        if (slot->is_acknowledged && number != spool->taken)
            continue;
        r = spool_file_add(spool->file, &row);
        if (r == 0 && slot->is_acknowledged)
            r = spool_file_bury(spool->file, number);
        if (r < 0)
            return r;
    }
    *ret_last = last;
    return 0;
}

static int delete_settled(struct spool *spool, uint64_t last, uint64_t *ret_buried) {
    uint64_t buried = spool->buried;
    int r;

    if (buried != 0 && buried < last) {
        r = spool_file_remove(spool->file, buried);
        if (r < 0)
            return r;
        buried = 0;
    }
    for (size_t i = 0; i < spool->settling_count; i++) {
        uint64_t number = spool->settling[i];

        if (number == last) {
            r = spool_file_bury(spool->file, number);
            buried = number;
        } else {
            r = spool_file_remove(spool->file, number);
        }
        if (r < 0)
            return r;
    }
    *ret_buried = buried;
    return 0;
}

/* Oldest first, until there is room. */
static int make_room(struct spool *spool, uint64_t *ret_dropped) {
    uint64_t dropped = 0;

    while (spool_file_size(spool->file) > (int64_t)spool->settings.max_bytes) {
        int r = spool_file_drop_oldest(spool->file, DROP_ROWS);

        if (r <= 0)
            return r;
        dropped += (uint64_t)r;
    }
    *ret_dropped = dropped;
    return 0;
}

/* One transaction with all that is new. */
static int write_all(struct spool *spool) {
    uint64_t last = spool->written;
    uint64_t buried = spool->buried;
    uint64_t dropped = 0;
    int r = spool_file_begin(spool->file);

    if (r == 0 && spool->boot_is_unsaved)
        r = spool_file_set_boot(spool->file, &spool->boot);
    if (r == 0)
        r = write_readings(spool, &last);
    if (r == 0)
        r = delete_settled(spool, last, &buried);
    if (r == 0 && spool->unsaved_drops > 0)
        r = spool_file_count_dropped(spool->file, spool->unsaved_drops);
    if (r == 0)
        r = make_room(spool, &dropped);
    if (r == 0)
        r = spool_file_commit(spool->file);
    if (r < 0)
        return r;
    spool->boot_is_unsaved = false;
    spool->written = last;
    spool->buried = buried;
    spool->settling_count = 0;
    spool->settle_at_us = UINT64_MAX;
    spool->unsaved_drops = 0;
    if (dropped > 0) {
        spool->dropped += dropped;
        spool->waiting -= lower(spool->waiting, dropped);
        set_cause(spool, CAUSE_SPOOL_FULL, -ENOSPC);
    } else {
        set_cause(spool, CAUSE_NONE, 0);
    }
    return 0;
}

/* ---- jobs: syncing and checkpointing ---- */

struct disk_work {
    char path[4096];
    bool checkpoints;
    uint64_t up_to; /* written before the sync began */
    int result;
};

static void run_disk_work(void *data) {
    struct disk_work *work = data;

    work->result = work->checkpoints ? spool_file_checkpoint_aside(work->path)
                                     : spool_file_sync_log(work->path);
}

static void start_disk_work(struct spool *spool);

static void on_disk_work_done(void *data, void *userdata) {
    struct spool *spool = userdata;
    const struct disk_work *work = data;
    bool synced = work->result == 0 && !work->checkpoints;
    uint64_t up_to = work->up_to;

    if (work->result < 0 && work->result != -EBUSY)
        fail(spool, work->result);
    spool->job = job_free(spool->job);
    if (synced && up_to > spool->synced)
        spool->synced = up_to;
    start_disk_work(spool);
    arm(spool);
}

static bool wants_sync(const struct spool *spool) {
    if (spool->synced >= spool->written)
        return false;
    return spool->settings.durability == SPOOL_POWER ||
           (spool->waiting > 0 && loop_now_us() >= spool->sync_at_us);
}

static void start_disk_work(struct spool *spool) {
    static const struct job_calls calls = { run_disk_work, free, on_disk_work_done };
    bool checkpoints = spool->file && spool_file_log_size(spool->file) > checkpoint_at_bytes;
    struct disk_work *work;

    if (spool->job || !spool->file || !(checkpoints || wants_sync(spool)))
        return;
    work = calloc(1, sizeof(*work));
    if (!work)
        return;
    (void)snprintf(work->path, sizeof(work->path), "%s", spool->settings.path);
    work->checkpoints = !wants_sync(spool);
    work->up_to = spool->written;
    if (!work->checkpoints)
        spool->sync_at_us = UINT64_MAX;
    if (job_new(spool->loop, &calls, work, spool, &spool->job) < 0)
        free(work);
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
    if (spool_file_log_size(spool->file) > log_limit_bytes) {
        log_warning(0, "the spool's log has outgrown the disk: waiting for it",
                    { "CAUSE", cause_name(CAUSE_SPOOL_SLOW) }, { "PATH", spool->settings.path });
        (void)spool_file_checkpoint(spool->file);
    }
    if (spool->written < spool->taken)
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
    if (spool->waiting > 0 && spool->synced < spool->written && spool->sync_at_us == UINT64_MAX)
        spool->sync_at_us = loop_now_us() + sync_after_us;
    arm(spool);
    start_disk_work(spool);
}

static bool writes_at_once(const struct spool *spool) {
    return spool->settings.durability != SPOOL_OUTAGE || !spool->link_is_up;
}

static int on_turn_end(sd_event_source *source, void *userdata) {
    write_out(userdata);
    return 0;
}

static void try_the_disk(struct spool *spool) {
    int r;

    spool->retry_at_us = UINT64_MAX;
    if (spool->file) {
        write_out(spool);
        return;
    }
    r = open_file(spool);
    if (r < 0)
        fail(spool, r);
    else
        write_out(spool);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct spool *spool = userdata;
    uint64_t now_us = loop_now_us();

    look_at_the_clock(spool);
    if (now_us >= spool->retry_at_us)
        try_the_disk(spool);
    if (now_us >= spool->settle_at_us)
        write_out(spool);
    start_disk_work(spool);
    arm(spool);
    return 0;
}

/* ---- the life of a spool ---- */

/*
 * Where to count from while the file cannot be read. When it can be, its rows must sort before
 * those taken since: milliseconds since 1970 run ahead of any count of readings.
 */
static uint64_t memory_base(const struct spool *spool) {
    int64_t wall_us = (int64_t)loop_now_us() + spool->boot.wall_offset_us;

    return wall_us > 0 ? (uint64_t)wall_us / 1000 : 0;
}

static int set_up(struct spool *spool) {
    struct clock_facts facts = clock_look();
    int r = take_lock(spool);

    if (r == -EBUSY)
        return r;
    if (r < 0)
        fail(spool, r);
    r = clock_read_boot_id(spool->boot.boot_id);
    if (r < 0)
        return r;
    r = draw_prefix(&spool->prefix);
    if (r < 0)
        return r;
    spool->boot.wall_offset_us = facts.wall_offset_us;
    spool->boot.synchronised = facts.synchronised;
    r = open_file(spool);
    if (r < 0) {
        number_from(spool, memory_base(spool));
        fail(spool, r);
    }
    return 0;
}

int spool_new(sd_event *loop, const struct spool_settings *settings, struct spool **ret) {
    CLEANUP(spool_freep) struct spool *spool = calloc(1, sizeof(*spool));
    int r;

    if (!spool)
        return -ENOMEM;
    spool->settings = *settings;
    spool->loop = loop;
    spool->lock_fd = -1;
    spool->settle_at_us = spool->sync_at_us = spool->retry_at_us = UINT64_MAX;
    spool->ring = calloc(SPOOL_RING, sizeof(*spool->ring));
    if (!spool->ring)
        return -ENOMEM;
    r = loop_add_timer(loop, on_timer, spool, &spool->timer);
    if (r < 0)
        return r;
    r = sd_event_add_defer(loop, &spool->turn_end, on_turn_end, spool);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_OFF);
    (void)sd_event_source_set_exit_on_failure(spool->turn_end, true);
    r = set_up(spool);
    if (r < 0)
        return r;
    *ret = spool;
    spool = NULL;
    return 0;
}

struct spool *spool_free(struct spool *spool) {
    if (!spool)
        return NULL;
    spool->job = job_free(spool->job);
    (void)sd_event_source_disable_unref(spool->turn_end);
    (void)sd_event_source_disable_unref(spool->timer);
    spool->file = spool_file_close(spool->file);
    close_fdp(&spool->lock_fd);
    free(spool->ring);
    free(spool);
    return NULL;
}

/* The ring is full of what the disk would not take: the oldest gives way. */
static void give_way(struct spool *spool) {
    if (!slot_of(spool, spool->ring_first)->is_acknowledged) {
        spool->dropped++;
        spool->unsaved_drops++;
        spool->waiting--;
    }
    spool->written = spool->ring_first;
}

void spool_append(const struct reading *reading, void *userdata) {
    struct spool *spool = userdata;

    if (spool->taken - spool->ring_first + 1 == SPOOL_RING) {
        if (spool->ring_first > spool->written)
            write_out(spool);
        if (spool->ring_first > spool->written)
            give_way(spool);
        spool->ring_first++;
    }
    spool->taken++;
    *slot_of(spool, spool->taken) = (struct slot){ .reading = *reading };
    spool->accepted++;
    spool->waiting++;
    if (!is_sick(spool) && writes_at_once(spool))
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
}

static bool is_settling(const struct spool *spool, uint64_t number) {
    for (size_t i = 0; i < spool->settling_count; i++)
        if (spool->settling[i] == number)
            return true;
    return false;
}

static size_t read_ring(struct spool *spool, uint64_t after, struct spooled *rows, size_t max) {
    size_t count = 0;

    for (uint64_t number = after + 1; number <= ready(spool) && count < max; number++) {
        const struct slot *slot = slot_of(spool, number);
        struct spool_row row = {
            .number = number,
            .prefix = spool->prefix,
            .boot = spool->boot.key,
            .reading = slot->reading,
        };

        if (!slot->is_acknowledged)
            stamp(spool, &row, &rows[count++]);
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
        n = spool_file_read(spool->file, after, lower(spool->ring_first, ready(spool) + 1), page,
                            READ_ROWS);
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
    size_t count = 0;

    look_at_the_clock(spool);
    if (after + 1 < spool->ring_first) {
        if (spool->file && spool->settling_count < SPOOL_RING)
            count = read_file(spool, after, rows, max);
        if (count > 0)
            return (int)count;
        after = spool->ring_first - 1;
    }
    return (int)read_ring(spool, after, rows, max);
}

void spool_acknowledge(struct spool *spool, uint64_t number) {
    if (number >= spool->ring_first)
        slot_of(spool, number)->is_acknowledged = true;
    if (spool->waiting > 0)
        spool->waiting--;
    if (spool->waiting == 0)
        spool->sync_at_us = UINT64_MAX; /* nothing that a power cut could take */
    if (number > spool->written)
        return;
    spool->settling[spool->settling_count++] = number;
    if (spool->settling_count >= SETTLE_AT)
        write_out(spool);
    else if (spool->settle_at_us == UINT64_MAX) {
        spool->settle_at_us = loop_now_us() + settle_after_us;
        arm(spool);
    }
}

size_t spool_unsettled(const struct spool *spool) {
    return is_sick(spool) ? 0 : spool->settling_count;
}

void spool_settle(struct spool *spool) {
    write_out(spool);
}

void spool_set_link(struct spool *spool, bool is_up) {
    spool->link_is_up = is_up;
    if (!is_sick(spool) && writes_at_once(spool))
        (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
}

void spool_flush(struct spool *spool) {
    uint64_t before;

    do {
        before = spool->written;
        write_out(spool);
    } while (spool->written > before && spool->written < spool->taken);
    if (spool->file)
        (void)spool_file_mark_closed(spool->file, spool->written == spool->taken);
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
