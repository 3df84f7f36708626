/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <time.h>

enum { TIMER_ACCURACY_US = 10 * 1000 }; /* sd-event's default of 250 ms would be felt in a demo */

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info,
                        void *userdata) {
    const struct loop_signals *signals = userdata;

    (void)sd_notify(0, "STOPPING=1");
    signals->terminate(signals->userdata);
    return 0;
}

/* systemd waits for READY=1 again; RELOADING=1 wants the time since 253. */
static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
    const struct loop_signals *signals = userdata;
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)now.tv_sec * 1000000 +
                         (unsigned long long)now.tv_nsec / 1000);
    signals->reload(signals->userdata);
    (void)sd_notify(0, "READY=1");
    return 0;
}

static int add_signal(sd_event *loop, int signal_number, sd_event_signal_handler_t handler,
                      const struct loop_signals *signals) {
    sd_event_source *source = NULL;
    int r = sd_event_add_signal(loop, &source, signal_number | SD_EVENT_SIGNAL_PROCMASK, handler,
                                (void *)signals);

    if (r < 0)
        return r;
    (void)sd_event_source_set_exit_on_failure(source, true);
    (void)sd_event_source_set_floating(source, true);
    sd_event_source_unref(source);
    return 0;
}

int loop_new(const struct loop_signals *signals, sd_event **ret) {
    CLEANUP(sd_event_unrefp) sd_event *loop = NULL;
    int r = sd_event_new(&loop);

    if (r < 0)
        return r;
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL */
    r = add_signal(loop, SIGTERM, on_terminate, signals);
    if (r < 0)
        return r;
    r = add_signal(loop, SIGINT, on_terminate, signals);
    if (r < 0)
        return r;
    r = add_signal(loop, SIGHUP, on_reload, signals);
    if (r < 0)
        return r;
    r = sd_event_set_watchdog(loop, true);
    if (r < 0)
        return r;
    *ret = loop;
    loop = NULL;
    return 0;
}

int loop_run(sd_event *loop) {
    (void)sd_notify(0, "READY=1");
    return sd_event_loop(loop);
}

void loop_exit(sd_event *loop, int result) {
    (void)sd_event_exit(loop, result);
}

void loop_say_status(const char *status) {
    (void)sd_notifyf(0, "STATUS=%s", status);
}

int loop_add_timer(sd_event *loop, sd_event_time_handler_t handler, void *userdata,
                   sd_event_source **ret) {
    sd_event_source *timer = NULL;
    int r =
        sd_event_add_time(loop, &timer, CLOCK_BOOTTIME, 0, TIMER_ACCURACY_US, handler, userdata);

    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(timer, SD_EVENT_OFF);
    (void)sd_event_source_set_exit_on_failure(timer, true);
    *ret = timer;
    return 0;
}

void loop_arm(sd_event_source *timer, uint64_t at_us) {
    (void)sd_event_source_set_time(timer, at_us);
    (void)sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

void loop_disarm(sd_event_source *timer) {
    (void)sd_event_source_set_enabled(timer, SD_EVENT_OFF);
}

uint64_t loop_now_us(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
