/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One call that can block, on a thread of its own: name resolution, syncing, checkpointing,
 * salvaging, the kernel's sensors.
 *
 * The thread owns nothing but the job's data and answers by eventfd. A job that is freed before it
 * has finished goes on alone and releases its data when it does: a stuck name server holds up
 * nobody. Each owner keeps at most one job, so that stuck threads cannot pile up.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

struct job;

/*
 * run      on the thread: may touch data only
 * release  frees data, on whichever side lets go last; may be NULL
 * done     on the loop, when run has returned; may free the job
 */
struct job_calls {
    void (*run)(void *data);
    void (*release)(void *data);
    void (*done)(void *data, void *userdata);
};

/* Takes data over, on success only. */
int job_new(sd_event *loop, const struct job_calls *calls, void *data, void *userdata,
            struct job **ret);
struct job *job_free(struct job *job);
DEFINE_CLEANUP(struct job, job_free);
