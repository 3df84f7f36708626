/* SPDX-License-Identifier: MIT */
#include "io/job.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum { STACK_SIZE = 128 * 1024 }; /* getaddrinfo wants some; the default is 8 MiB */

/* What the thread and the loop share. */
struct work {
    struct job_calls calls;
    void *data;
    int done_fd;
    atomic_int references;
};

struct job {
    struct work *work;
    sd_event_source *source;
    void *userdata;
};

static void let_go(struct work *work) {
    if (atomic_fetch_sub(&work->references, 1) > 1)
        return;
    if (work->calls.release)
        work->calls.release(work->data);
    (void)close(work->done_fd);
    free(work);
}

static void *run(void *argument) {
    struct work *work = argument;

    work->calls.run(work->data);
    (void)eventfd_write(work->done_fd, 1);
    let_go(work);
    return NULL;
}

/* Signals belong to the loop. */
static int start_thread(struct work *work) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    int r = pthread_attr_init(&attributes);

    if (r != 0)
        return -r;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&thread, &attributes, run, work);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct job *job = userdata;

    (void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
    job->work->calls.done(job->work->data, job->userdata);
    return 0;
}

int job_new(sd_event *loop, const struct job_calls *calls, void *data, void *userdata,
            struct job **ret) {
    CLEANUP(job_freep) struct job *job = calloc(1, sizeof(*job));
    struct work *work = calloc(1, sizeof(*work));
    int r;

    if (!job || !work) {
        free(work);
        return -ENOMEM;
    }
    *work = (struct work){ .calls = *calls, .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
    work->calls.release = NULL; /* until the thread runs, data is the caller's */
    atomic_init(&work->references, 1);
    job->work = work;
    job->userdata = userdata;
    if (work->done_fd < 0)
        return -errno;
    r = sd_event_add_io(loop, &job->source, work->done_fd, EPOLLIN, on_done, job);
    if (r < 0)
        return r;
    (void)sd_event_source_set_exit_on_failure(job->source, true);

    work->data = data;
    work->calls.release = calls->release;
    atomic_store(&work->references, 2);
    r = start_thread(work);
    if (r < 0) {
        work->calls.release = NULL;
        atomic_store(&work->references, 1);
        return r;
    }
    *ret = job;
    job = NULL;
    return 0;
}

struct job *job_free(struct job *job) {
    if (!job)
        return NULL;
    (void)sd_event_source_disable_unref(job->source);
    if (job->work)
        let_go(job->work);
    free(job);
    return NULL;
}
