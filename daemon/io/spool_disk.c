/* SPDX-License-Identifier: MIT */
#include "io/spool_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/job.h"
#include "io/spool_file.h"

struct work {
    enum spool_disk_task task;
    uint64_t mark;
    int result;
    char path[4096];
};

struct spool_disk {
    sd_event *loop;   /* borrowed from the spool */
    const char *path; /* borrowed from the spool */
    void (*done)(enum spool_disk_task task, uint64_t mark, int result, void *userdata);
    void *userdata;
    struct job *job;
};

static int checkpoint(const char *path) {
    int r = spool_file_sync_log(path); /* SQLite's own may find nothing to do */

    if (r == 0)
        r = spool_file_checkpoint_aside(path);
    return r == -EBUSY ? 0 : r; /* the log is still as long: it is tried again */
}

static void run(void *data) {
    struct work *work = data;

    switch (work->task) {
    case SPOOL_DISK_SYNC:
        work->result = spool_file_sync_log(work->path);
        break;
    case SPOOL_DISK_CHECKPOINT:
        work->result = checkpoint(work->path);
        break;
    }
}

static void on_done(void *data, void *userdata) {
    struct spool_disk *disk = userdata;
    const struct work *work = data;
    enum spool_disk_task task = work->task;
    uint64_t mark = work->mark;
    int result = work->result;

    disk->job = job_free(disk->job);
    disk->done(task, mark, result, disk->userdata);
}

int spool_disk_new(sd_event *loop, const char *path,
                   void (*done)(enum spool_disk_task task, uint64_t mark, int result,
                                void *userdata),
                   void *userdata, struct spool_disk **ret) {
    struct spool_disk *disk = calloc(1, sizeof(*disk));

    if (!disk)
        return -ENOMEM;
    *disk = (struct spool_disk){ .loop = loop, .path = path, .done = done, .userdata = userdata };
    *ret = disk;
    return 0;
}

struct spool_disk *spool_disk_free(struct spool_disk *disk) {
    if (!disk)
        return NULL;
    disk->job = job_free(disk->job);
    free(disk);
    return NULL;
}

void spool_disk_forget(struct spool_disk *disk) {
    disk->job = job_free(disk->job);
}

bool spool_disk_is_busy(const struct spool_disk *disk) {
    return disk->job != NULL;
}

int spool_disk_start(struct spool_disk *disk, enum spool_disk_task task, uint64_t mark) {
    static const struct job_calls calls = { run, free, on_done };
    struct work *work;
    int r;

    if (disk->job)
        return -EBUSY;
    work = calloc(1, sizeof(*work));
    if (!work)
        return -ENOMEM;
    work->task = task;
    work->mark = mark;
    (void)snprintf(work->path, sizeof(work->path), "%s", disk->path);
    r = job_new(disk->loop, &calls, work, disk, &disk->job);
    if (r < 0)
        free(work);
    return r;
}
