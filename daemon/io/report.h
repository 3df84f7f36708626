/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How the daemon is, for everyone who asks: the gateway's state topic, /run/sensorgw/state.json,
 * and systemd's status line. One rendering serves the first two.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "core/status.h"

struct report_settings {
    const char *path; /* of state.json; NULL: none is written */
    uint64_t interval_us;
};

struct report_calls {
    void (*collect)(struct status *ret, void *userdata);
    void (*publish)(void *userdata); /* there is news for the state topic */
    void *userdata;
};

struct report;

int report_new(sd_event *loop, const struct report_settings *settings,
               const struct report_calls *calls, struct report **ret);
struct report *report_free(struct report *report);
DEFINE_CLEANUP(struct report, report_free);

/* Takes another interval. */
void report_change(struct report *report, uint64_t interval_us);

/* A state or a cause has changed: everyone hears of it, at most once a second. */
void report_changed(struct report *report);

/* A reading came: the file has it, at most once a second; nobody else is told. */
void report_refresh(struct report *report);

/* The state as JSON, to be freed; NULL without memory. */
char *report_render(const struct report *report);

/* $RUNTIME_DIRECTORY or /run/sensorgw, and state.json in it. Returns the length or -ENAMETOOLONG.
 */
int report_default_path(char *path, size_t size);
