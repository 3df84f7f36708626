/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one event loop, and what systemd wants to hear of it.
 *
 * The watchdog proves that the loop turns, nothing else: a dead broker or an unplugged board never
 * restarts the daemon. sd_event switches a source that returned an error off in silence, so every
 * source of ours says sd_event_source_set_exit_on_failure.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

struct loop_signals {
    void (*terminate)(void *userdata); /* SIGTERM, SIGINT, after STOPPING=1: ends in loop_exit */
    void (*reload)(void *userdata);    /* SIGHUP */
    void *userdata;
};

/* signals is borrowed, and its handlers are not called before loop_run. */
int loop_new(const struct loop_signals *signals, sd_event **ret);

/* Says READY=1 and turns until loop_exit. Returns what that was given, or a handler's error. */
int loop_run(sd_event *loop);
void loop_exit(sd_event *loop, int result);

/* One line that answers "is it working?". */
void loop_say_status(const char *status);

/*
 * A one-shot timer on CLOCK_BOOTTIME, disarmed. The clock is one that no one sets, and that goes on
 * in suspend.
 */
int loop_add_timer(sd_event *loop, sd_event_time_handler_t handler, void *userdata,
                   sd_event_source **ret);
void loop_arm(sd_event_source *timer, uint64_t at_us);
void loop_disarm(sd_event_source *timer);

/* CLOCK_BOOTTIME, µs. */
uint64_t loop_now_us(void);
