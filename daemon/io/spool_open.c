/* SPDX-License-Identifier: MIT */
#include "io/spool_parts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/catalogue.h"
#include "io/log.h"
#include "io/loop.h"

static const uint64_t retry_after_us = 5000000;
static const uint64_t note_distance = 1 << 20; /* more readings than are taken between two notes */

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
    if (error == -EBUSY)
        return "another program has the spool: readings are kept in memory, and the oldest go "
               "first when that is full. End it; it is tried again every few seconds";
    if (error == -EEXIST)
        return "the spool that has come back has numbers that memory has given out as well: "
               "readings are kept in memory. Restart sensorgw, which tells them apart";
    if (cause == CAUSE_SPOOL_FULL)
        return "the disk is full: readings are kept in memory, and the oldest go first when that "
               "is full too. Make room; it is tried again every few seconds";
    if (cause == CAUSE_SPOOL_CORRUPT)
        return "the spool is corrupt: it is set aside, and what can be read is salvaged";
    return "the spool cannot be written: readings are kept in memory, and the oldest go first when "
           "that is full. Mend the disk or the permissions; it is tried again every few seconds";
}

void spool_say_dropped(struct spool *spool) {
    uint64_t count = spool->dropped - spool->dropped_said;

    if (count > 0)
        log_warning(0, "readings were dropped", { "EVENT", EVENT_READINGS_DROPPED },
                    { "COUNT", LOG_NUMBER((long long)count) },
                    { "TOTAL", LOG_NUMBER((long long)spool->dropped) });
    spool->dropped_said = spool->dropped;
}

/* When dropping begins, and how many it were when it ends. */
void spool_set_cause(struct spool *spool, enum cause cause, int error) {
    if (spool->cause == cause)
        return;
    spool_say_dropped(spool);
    spool->cause = cause;
    if (cause == CAUSE_NONE)
        log_warning(0, "the spool is written to disk again", { "PATH", spool->settings.path });
    else
        log_warning(error, sentence_of(cause, error), { "PATH", spool->settings.path },
                    { "CAUSE", cause_name(cause) });
}

/* ---- who counts from where ---- */

int spool_draw_prefix(uint32_t *ret) {
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

/* What is still to be read of a file that was set aside; before == 0: there is none. */
static struct spool_span find_unsalvaged(const struct spool *spool,
                                         const struct spool_summary *summary) {
    if (!spool_salvage_is_due(spool->settings.path))
        return (struct spool_span){ 0 };
    if (summary->unsalvaged.before > 0)
        return summary->unsalvaged;
    if (spool->unsalvaged.before > 0)
        return spool->unsalvaged; /* it was set aside by this run */
    return (struct spool_span){ 0, spool->ring.slots ? spool->ring.first : blind_start(spool) + 1 };
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

/* The first file of this run, and one that was set aside before it, say where to go on. */
static void continue_from(struct spool *spool, const struct spool_summary *summary, uint64_t last,
                          bool is_certain) {
    struct spool_note note = { 0 };

    if (is_certain)
        spool->prefix = summary->last_prefix;
    else if (spool->lock)
        (void)spool_lock_recall(spool->lock, &note);
    count_from(spool, higher(last, note.last_number));
    spool->filed = last;
    spool->buried = summary->last_is_buried ? summary->last_number : 0;
}

bool spool_last_is_filed(const struct spool *spool) {
    return spool->is_ending || spool->settings.durability != SPOOL_OUTAGE;
}

/*
 * What is left to salvage the new file knows before it has a row. What the ring has is noted as
 * well, as long as it is not written: the first find, which comes later, takes that back.
 */
static int note_unsalvaged(struct spool *spool, const struct spool_summary *summary) {
    struct spool_span noted = { 0, higher(spool->unsalvaged.before, spool->ring.last + 1) };

    if (spool->unsalvaged.before == 0)
        return 0;
    (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
    return summary->unsalvaged.before > 0 ? 0 : spool_file_note_unsalvaged(spool->file, &noted);
}

static int adopt(struct spool *spool, const struct spool_summary *summary) {
    struct spool_span unsalvaged = find_unsalvaged(spool, summary);
    uint64_t last = summary->last_number;
    bool is_first = spool->ring.slots == NULL;
    bool is_certain;
    int r;

    if (unsalvaged.before > 0)
        last = higher(last, unsalvaged.before - 1);
    if (!is_first && last >= spool->ring.first)
        return -EEXIST; /* numbers that memory gave out as well: the next start tells them apart */
    spool->unsalvaged = unsalvaged;
    r = spool_file_set_boot(spool->file, &spool->boot);
    if (r == 0)
        r = note_unsalvaged(spool, summary);
    if (r < 0)
        return r;
    is_certain = is_first && last == summary->last_number && numbers_are_certain(spool, summary);
    spool->is_certain = is_certain && spool_last_is_filed(spool);
    r = spool_file_mark_certain(spool->file, spool->is_certain);
    if (r < 0)
        return r;
    if (is_first)
        continue_from(spool, summary, last, is_certain);
    spool->boot_is_unsaved = false;
    spool->has_rewound = summary->waiting > 0;
    spool->dropped += summary->dropped;
    spool->dropped_said += summary->dropped;
    spool->waiting += summary->waiting;
    if (spool->lock)
        spool_lock_note(spool->lock, spool->ring.last, false);
    return 0;
}

/* ---- a corrupt file ---- */

/* The key of a boot of another file in this one; 0, which is nobody's, when it is not known. */
static int adopt_boot(struct spool *spool, const struct spool_boot *boot, int64_t *ret) {
    struct spool_boot known = *boot;
    int r = 0;

    if (strcmp(boot->boot_id, spool->boot.boot_id) == 0)
        known.key = spool->boot.key;
    else if (boot->boot_id[0] == '\0')
        known.key = 0;
    else
        r = spool_file_set_boot(spool->file, &known);
    *ret = known.key;
    return r;
}

/* The rows and how far they go are written as one: whatever comes between, none is taken twice and
 * none passed over. */
static int file_find(struct spool *spool, const struct spool_find *find, uint64_t *ret_kept,
                     uint64_t *ret_damaged) {
    int r = spool_file_begin(spool->file);

    for (int i = 0; r >= 0 && i < find->count; i++) {
        struct spool_row row = find->rows[i];

        if (row.reading.count == 0) {
            (*ret_damaged)++;
            continue;
        }
        r = adopt_boot(spool, &find->boots[i], &row.boot);
        if (r == 0)
            r = spool_file_add_missing(spool->file, &row);
        *ret_kept += r > 0;
    }
    if (r >= 0)
        r = spool_file_count_dropped(spool->file, *ret_damaged);
    if (r == 0)
        r = spool_file_note_unsalvaged(spool->file, &find->left);
    if (r == 0)
        r = spool_file_commit(spool->file);
    return r;
}

static int on_found(const struct spool_find *find, void *userdata) {
    struct spool *spool = userdata;
    uint64_t lowest = lower(find->rows[0].number, find->rows[find->count - 1].number);
    uint64_t kept = 0;
    uint64_t damaged = 0;
    int r = file_find(spool, find, &kept, &damaged);

    if (r < 0) {
        spool_fail(spool, r);
        return r;
    }
    spool->unsalvaged = find->left;
    spool->salvaged += kept;
    spool->waiting += kept;
    spool->dropped += damaged;
    spool->dropped_from_file = lower(spool->dropped_from_file, lowest - 1);
    spool->has_rewound = true;
    spool_start_disk_task(spool);
    return 0;
}

/* What keeps it from going on is said once; it is tried again at the next write. */
static void on_salvage_over(int result, void *userdata) {
    struct spool *spool = userdata;
    char name[SPOOL_PATH_SIZE];
    int r = result;

    spool->salvage = spool_salvage_free(spool->salvage);
    if (r == 0)
        r = spool_salvage_keep(spool->settings.path, name);
    if (r < 0 && r != spool->salvage_error)
        log_warning(r, "cannot salvage the corrupt spool now: it is tried again",
                    { "PATH", spool->settings.path });
    spool->salvage_error = r;
    if (r < 0)
        return;
    spool->unsalvaged.before = 0;
    log_warning(0, "salvaged what could be read of the corrupt spool",
                { "SALVAGED", LOG_NUMBER((long long)spool->salvaged) }, { "SET_ASIDE", name },
                { "PATH", spool->settings.path });
}

void spool_continue_salvage(struct spool *spool) {
    static const struct spool_salvage_calls calls = { on_found, on_salvage_over };
    int r;

    if (spool->unsalvaged.before == 0 || spool->salvage || spool_is_sick(spool) ||
        spool->written < spool->ring.last)
        return;
    r = spool_salvage_new(spool->loop, spool->settings.path, &spool->unsalvaged, &calls, spool,
                          &spool->salvage);
    if (r < 0)
        on_salvage_over(r, spool);
}

/* A file is corrupt before that of the last time was salvaged. */
static int give_up_salvage(struct spool *spool) {
    char name[SPOOL_PATH_SIZE];
    int r;

    spool->salvage = spool_salvage_free(spool->salvage);
    if (!spool_salvage_is_due(spool->settings.path))
        return 0;
    r = spool_salvage_keep(spool->settings.path, name);
    if (r < 0)
        return r;
    log_warning(0,
                "the spool is corrupt again, and the one before was not salvaged to its end: the "
                "rest is in the file that was set aside, and only there",
                { "SET_ASIDE", name }, { "PATH", spool->settings.path });
    return 0;
}

int spool_open(struct spool *spool) {
    struct spool_summary summary;
    int r = spool_salvage_finish_setting_aside(spool->settings.path);

    if (r == 0)
        r = spool_file_open(spool->settings.path, &spool->file, &summary);
    if (r < 0)
        return r;
    r = adopt(spool, &summary);
    if (r < 0)
        spool->file = spool_file_close(spool->file);
    return r;
}

/* What the ring still has goes into the new file; what only the old one had is salvaged from it. */
static int start_anew(struct spool *spool) {
    uint64_t in_ring = 0;
    int r;

    spool_disk_forget(spool->disk); /* what it does is for the old file */
    spool->file = spool_file_close(spool->file);
    r = give_up_salvage(spool);
    if (r == 0)
        r = spool_salvage_set_aside(spool->settings.path);
    if (r < 0)
        return r;
    if (spool->ring.slots) {
        for (uint64_t number = spool->ring.first; number <= spool->ring.last; number++)
            in_ring += !ring_at(&spool->ring, number)->is_acknowledged;
        spool->waiting = in_ring;
        spool->written = spool->synced = spool->ring.first - 1;
    } else {
        count_from(spool, blind_start(spool));
    }
    spool->unsalvaged = (struct spool_span){ 0, spool->ring.first };
    spool->salvaged = 0;
    spool->settling_count = 0;
    spool->buried = 0;
    spool->filed = spool->ring.first - 1;
    spool->dropped_from_file = spool->lost_after = spool->lost_to = 0;
    spool->unsaved_drops = spool->dropped; /* the new file has counted none */
    spool->due.settle_us = spool->due.sync_us = NEVER;
    return spool_open(spool);
}

/* Memory goes on alone, and what it hands out the file does not know: under another prefix, lest
 * a start after a kill gives these numbers out again. */
static void part_from_the_file(struct spool *spool) {
    if (spool_is_sick(spool) || !spool_last_is_filed(spool) ||
        spool_draw_prefix(&spool->prefix) < 0)
        return;
    for (uint64_t number = higher(spool->written, spool->shown) + 1; number <= spool->ring.last;
         number++)
        ring_at(&spool->ring, number)->prefix = spool->prefix;
}

void spool_fail(struct spool *spool, int error) {
    int r = error;

    spool->salvage = spool_salvage_free(spool->salvage);
    part_from_the_file(spool);
    if (spool->file)
        spool_file_roll_back(spool->file);
    spool_set_cause(spool, cause_of(error), error);
    if (error == -EUCLEAN) {
        r = start_anew(spool);
        if (r == 0) {
            (void)sd_event_source_set_enabled(spool->turn_end, SD_EVENT_ONESHOT);
            return;
        }
        spool_set_cause(spool, cause_of(r), r);
    }
    if (!spool->ring.slots)
        count_from(spool, blind_start(spool));
    spool->due.retry_us = loop_now_us() + retry_after_us;
    spool_arm(spool);
}
