/* SPDX-License-Identifier: MIT */
#include "io/spool_rescue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/job.h"

enum { PAGE_ROWS = 64 };

static const char *const parts[] = { "", "-wal", "-shm" };

/* One job: a page of rows, and where it begins. */
struct page {
    char path[SPOOL_ASIDE_SIZE];
    bool is_backward;
    uint64_t after;
    uint64_t before;
    int count; /* or what went wrong */
    struct spool_row rows[PAGE_ROWS];
    struct spool_boot boots[PAGE_ROWS]; /* of each row */
};

struct spool_rescue {
    sd_event *loop; /* borrowed from the spool */
    char path[SPOOL_ASIDE_SIZE];
    void (*found)(const struct spool_row *row, const struct spool_boot *boot, void *userdata);
    void (*over)(uint64_t rescued, const char *aside, void *userdata);
    void *userdata;
    bool is_backward;
    uint64_t after;  /* all up to here is read from the front */
    uint64_t before; /* all from here on is read from the back, or is not wanted */
    uint64_t rescued;
    struct job *job;
};

/* ---- setting aside ---- */

static int name_aside(const char *path, int number, const char *part, char *name, size_t size) {
    int n = snprintf(name, size, "%s.corrupt-%d%s", path, number, part);

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* The first free number, or that of the oldest. */
static int choose_number(const char *path, int *ret) {
    struct timespec oldest = { 0 };

    for (int number = 1; number <= SPOOL_ASIDE_MAX; number++) {
        char name[SPOOL_ASIDE_SIZE];
        struct stat status;
        int r = name_aside(path, number, "", name, sizeof(name));

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

int spool_rescue_set_aside(const char *path, char *aside, size_t size) {
    int number = 1;
    int r = choose_number(path, &number);

    for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(*parts); i++) {
        char from[SPOOL_ASIDE_SIZE];
        char to[SPOOL_ASIDE_SIZE];
        int n = snprintf(from, sizeof(from), "%s%s", path, parts[i]);

        r = name_aside(path, number, parts[i], to, sizeof(to));
        if (r < 0 || n < 0 || (size_t)n >= sizeof(from))
            return -ENAMETOOLONG;
        if (unlink(to) < 0 && errno != ENOENT)
            r = -errno;
        if (r == 0 && rename(from, to) < 0 && errno != ENOENT)
            r = -errno;
    }
    return r < 0 ? r : name_aside(path, number, "", aside, size);
}

/* ---- reading ---- */

/* Their keys mean nothing in another file. */
static void find_boots(struct spool_file *file, struct page *page) {
    for (int i = 0; i < page->count; i++)
        if (spool_file_get_boot(file, page->rows[i].boot, &page->boots[i]) < 0)
            page->boots[i].boot_id[0] = '\0';
}

static void run(void *data) {
    CLEANUP(spool_file_closep) struct spool_file *file = NULL;
    struct page *page = data;
    int r = spool_file_open_damaged(page->path, &file);

    if (r == 0)
        r = page->is_backward
                ? spool_file_read_back(file, page->after, page->before, page->rows, PAGE_ROWS)
                : spool_file_read(file, page->after, page->before, page->rows, PAGE_ROWS);
    page->count = r;
    find_boots(file, page);
}

static int read_page(struct spool_rescue *rescue);

static void take(struct spool_rescue *rescue, const struct page *page) {
    for (int i = 0; i < page->count; i++) {
        const struct spool_row *row = &page->rows[i];

        if (page->is_backward)
            rescue->before = row->number;
        else
            rescue->after = row->number;
        rescue->rescued += row->reading.count > 0;
        rescue->found(row, &page->boots[i], rescue->userdata);
    }
}

static void on_page(void *data, void *userdata) {
    struct spool_rescue *rescue = userdata;
    const struct page *page = data;
    bool has_failed = page->count < 0;
    bool is_done = page->count == 0 || (has_failed && page->is_backward);

    take(rescue, page);
    rescue->job = job_free(rescue->job);
    if (has_failed)
        rescue->is_backward = true; /* the damage is reached: the rest is read from the other end */
    if (is_done || read_page(rescue) < 0)
        rescue->over(rescue->rescued, rescue->path, rescue->userdata);
}

static int read_page(struct spool_rescue *rescue) {
    static const struct job_calls calls = { run, free, on_page };
    struct page *page = calloc(1, sizeof(*page));
    int r;

    if (!page)
        return -ENOMEM;
    memcpy(page->path, rescue->path, sizeof(page->path));
    page->is_backward = rescue->is_backward;
    page->after = rescue->after;
    page->before = rescue->before;
    r = job_new(rescue->loop, &calls, page, rescue, &rescue->job);
    if (r < 0)
        free(page);
    return r;
}

int spool_rescue_new(sd_event *loop, const char *aside, uint64_t before,
                     void (*found)(const struct spool_row *row, const struct spool_boot *boot,
                                   void *userdata),
                     void (*over)(uint64_t rescued, const char *aside, void *userdata),
                     void *userdata, struct spool_rescue **ret) {
    CLEANUP(spool_rescue_freep) struct spool_rescue *rescue = calloc(1, sizeof(*rescue));
    int r;

    if (!rescue)
        return -ENOMEM;
    rescue->loop = loop;
    (void)snprintf(rescue->path, sizeof(rescue->path), "%s", aside);
    rescue->before = before;
    rescue->found = found;
    rescue->over = over;
    rescue->userdata = userdata;
    r = read_page(rescue);
    if (r < 0)
        return r;
    *ret = rescue;
    rescue = NULL;
    return 0;
}

struct spool_rescue *spool_rescue_free(struct spool_rescue *rescue) {
    if (!rescue)
        return NULL;
    rescue->job = job_free(rescue->job);
    free(rescue);
    return NULL;
}
