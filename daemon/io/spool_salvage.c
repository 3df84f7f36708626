/* SPDX-License-Identifier: MIT */
#include "io/spool_salvage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/job.h"

enum { PAGE_ROWS = 64 };

/* One job: a page of rows, and where it begins. */
struct page {
    char path[SPOOL_PATH_SIZE]; /* of the new file */
    bool is_backward;
    struct spool_span span;
    int count;  /* or what went wrong */
    int synced; /* at the end: 0, or why what was found is not on the disk */
    struct spool_row rows[PAGE_ROWS];
    struct spool_boot boots[PAGE_ROWS]; /* of each row */
};

struct spool_salvage {
    sd_event *loop; /* borrowed from the spool */
    const char *path;
    const struct spool_salvage_calls *calls;
    void *userdata;
    bool is_backward;
    struct spool_span left;
    struct job *job;
};

/* ---- names ---- */

/* The database, its log and the index of that. The database goes first: it may look sound without
 * its log. */
static const char *const parts[] = { "", "-wal", "-shm" };

/* PATH with something behind it. */
static int join(const char *path, const char *suffix, char *name) {
    int n = snprintf(name, SPOOL_PATH_SIZE, "%s%s", path, suffix);

    return n < 0 || n >= SPOOL_PATH_SIZE ? -ENAMETOOLONG : 0;
}

static int name_salvage(const char *path, char *name) {
    return join(path, ".salvage", name);
}

static int name_kept(const char *path, int number, char *name) {
    char suffix[32];

    (void)snprintf(suffix, sizeof(suffix), ".corrupt-%d", number);
    return join(path, suffix, name);
}

static int remove_all(const char *path) {
    char name[SPOOL_PATH_SIZE];
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
        r = join(path, parts[i], name);
        if (r == 0 && unlink(name) < 0 && errno != ENOENT)
            r = -errno;
    }
    return r;
}

static int rename_all(const char *from, const char *to) {
    char old[SPOOL_PATH_SIZE];
    char new[SPOOL_PATH_SIZE];
    int r = 0;

    for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
        r = join(from, parts[i], old);
        if (r == 0)
            r = join(to, parts[i], new);
        if (r == 0 && rename(old, new) < 0 && errno != ENOENT)
            r = -errno;
    }
    return r;
}

/* What is left of another under the new name may be a log alone: it must not become that of this
 * one. */
static int replace_all(const char *from, const char *to) {
    int r = remove_all(to);

    return r < 0 ? r : rename_all(from, to);
}

bool spool_salvage_is_due(const char *path) {
    char name[SPOOL_PATH_SIZE];

    return name_salvage(path, name) == 0 && access(name, F_OK) == 0;
}

int spool_salvage_set_aside(const char *path) {
    char name[SPOOL_PATH_SIZE];
    int r = name_salvage(path, name);

    return r < 0 ? r : replace_all(path, name);
}

int spool_salvage_finish_setting_aside(const char *path) {
    char name[SPOOL_PATH_SIZE];
    int r = name_salvage(path, name);

    if (r < 0 || access(path, F_OK) == 0 || access(name, F_OK) < 0)
        return r;
    return rename_all(path, name);
}

/* The first free number, or that of the oldest. */
static int choose_number(const char *path, int *ret) {
    struct timespec oldest = { 0 };

    for (int number = 1; number <= SPOOL_KEPT_MAX; number++) {
        char name[SPOOL_PATH_SIZE];
        struct stat status;
        int r = name_kept(path, number, name);

        if (r < 0)
            return r;
        if (lstat(name, &status) < 0) {
            *ret = number;
            return 0;
        }
        if (number == 1 || status.st_mtim.tv_sec < oldest.tv_sec) {
            oldest = status.st_mtim;
            *ret = number;
        }
    }
    return 0;
}

int spool_salvage_keep(const char *path, char *name) {
    char salvage[SPOOL_PATH_SIZE];
    int number = 1;
    int r = choose_number(path, &number);

    if (r == 0)
        r = name_salvage(path, salvage);
    if (r == 0)
        r = name_kept(path, number, name);
    return r < 0 ? r : replace_all(salvage, name);
}

/* ---- reading ---- */

static void advance(struct spool_span *left, bool is_backward, uint64_t number) {
    if (is_backward)
        left->before = number;
    else
        left->after = number;
}

/* Rows out of order are damage as well: only what comes before them counts. */
static int count_in_order(const struct page *page, int count) {
    struct spool_span left = page->span;

    for (int i = 0; i < count; i++) {
        uint64_t number = page->rows[i].number;

        if (number <= left.after || number >= left.before)
            return i > 0 ? i : -EUCLEAN;
        advance(&left, page->is_backward, number);
    }
    return count;
}

/* Their keys mean nothing in another file. */
static void find_boots(struct spool_file *file, struct page *page, int count) {
    for (int i = 0; i < count; i++)
        if (spool_file_get_boot(file, page->rows[i].boot, &page->boots[i]) < 0)
            page->boots[i].boot_id[0] = '\0';
}

static int read_rows(struct page *page) {
    CLEANUP(spool_file_closep) struct spool_file *file = NULL;
    char name[SPOOL_PATH_SIZE];
    int r = name_salvage(page->path, name);

    if (r == 0)
        r = spool_file_open_damaged(name, &file);
    if (r == 0)
        r = (page->is_backward ? spool_file_read_back : spool_file_read)(
            file, page->span.after, page->span.before, page->rows, PAGE_ROWS);
    r = count_in_order(page, r);
    find_boots(file, page, r);
    return r;
}

/* No damage, but something that the file cannot be read without: SQLite makes an index of the log
 * beside it. */
static bool is_passing(int error) {
    static const int passing[] = { ENOSPC, EDQUOT, EFBIG,  EROFS,  EACCES,
                                   EPERM,  EBUSY,  ENOMEM, EMFILE, ENFILE };

    for (size_t i = 0; i < sizeof(passing) / sizeof(*passing); i++)
        if (error == -passing[i])
            return true;
    return false;
}

/* Nothing more, or damage from both ends. */
static bool is_last(const struct page *page) {
    return page->count == 0 || (page->count < 0 && page->is_backward && !is_passing(page->count));
}

/* Before the old file gets another name, what came from it must be on the disk. */
static void run(void *data) {
    struct page *page = data;

    page->count = read_rows(page);
    if (is_last(page))
        page->synced = spool_file_sync_log(page->path);
}

static int read_page(struct spool_salvage *salvage);

static int hand_over(struct spool_salvage *salvage, const struct page *page) {
    struct spool_find find = { .rows = page->rows, .boots = page->boots, .count = page->count };

    if (page->count <= 0)
        return 0;
    advance(&salvage->left, page->is_backward, page->rows[page->count - 1].number);
    find.left = salvage->left;
    return salvage->calls->found(&find, salvage->userdata);
}

/* 1: there may be more; 0: there is not; or what keeps it from going on. */
static int judge(struct spool_salvage *salvage, const struct page *page) {
    if (is_last(page))
        return page->synced;
    if (page->count < 0 && is_passing(page->count))
        return page->count;
    if (page->count < 0)
        salvage->is_backward = true; /* the damage is reached: on from the other end */
    return 1;
}

static void on_page(void *data, void *userdata) {
    struct spool_salvage *salvage = userdata;
    const struct page *page = data;
    int r = hand_over(salvage, page);

    if (r < 0)
        return;
    r = judge(salvage, page);
    salvage->job = job_free(salvage->job);
    if (r > 0) {
        r = read_page(salvage);
        if (r == 0)
            return;
    }
    salvage->calls->over(r, salvage->userdata);
}

static int read_page(struct spool_salvage *salvage) {
    static const struct job_calls calls = { run, free, on_page };
    struct page *page = calloc(1, sizeof(*page));
    int r;

    if (!page)
        return -ENOMEM;
    page->is_backward = salvage->is_backward;
    page->span = salvage->left;
    (void)snprintf(page->path, sizeof(page->path), "%s", salvage->path);
    r = job_new(salvage->loop, &calls, page, salvage, &salvage->job);
    if (r < 0)
        free(page);
    return r;
}

int spool_salvage_new(sd_event *loop, const char *path, const struct spool_span *span,
                      const struct spool_salvage_calls *calls, void *userdata,
                      struct spool_salvage **ret) {
    CLEANUP(spool_salvage_freep) struct spool_salvage *salvage = calloc(1, sizeof(*salvage));
    int r;

    if (!salvage)
        return -ENOMEM;
    salvage->loop = loop;
    salvage->path = path;
    salvage->left = *span;
    salvage->calls = calls;
    salvage->userdata = userdata;
    r = read_page(salvage);
    if (r < 0)
        return r;
    *ret = salvage;
    salvage = NULL;
    return 0;
}

struct spool_salvage *spool_salvage_free(struct spool_salvage *salvage) {
    if (!salvage)
        return NULL;
    salvage->job = job_free(salvage->job);
    free(salvage);
    return NULL;
}
