/* SPDX-License-Identifier: MIT */
#include "io/loop.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "folder.h"

static const uint64_t ms_us = 1000;

static sd_event *loop;
static int notified = -1; /* where systemd listens */
static unsigned terminations;
static unsigned reloads;

static void on_terminate(void *userdata) {
    terminations++;
    loop_exit(loop, 0);
}

static void on_reload(void *userdata) {
    reloads++;
    loop_exit(loop, 0);
}

static void listen_as_systemd(void) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    notified = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(notified, 0);
    cr_assert_lt(snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder_path),
                 (int)sizeof(address.sun_path));
    cr_assert_eq(bind(notified, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
}

static void set_up(void) {
    static const struct loop_signals signals = { on_terminate, on_reload, NULL };

    folder_make();
    listen_as_systemd();
    cr_assert_eq(loop_new(&signals, &loop), 0);
}

static void tear_down(void) {
    loop = sd_event_unref(loop);
    (void)close(notified);
    folder_remove();
}

TestSuite(loop, .init = set_up, .fini = tear_down, .timeout = 30);

/* What systemd has heard, a message a line; it is read once. */
static const char *heard(void) {
    static char text[4096];
    size_t used = 0;
    ssize_t n;

    while ((n = recv(notified, text + used, sizeof(text) - used - 2, 0)) >= 0) {
        used += (size_t)n;
        text[used++] = '\n';
    }
    text[used] = '\0';
    return text;
}

/* Calls handler in so many ms. */
static sd_event_source *call_in(uint64_t ms, sd_event_time_handler_t handler, void *userdata) {
    sd_event_source *timer = NULL;

    cr_assert_eq(loop_add_timer(loop, handler, userdata, &timer), 0);
    loop_arm(timer, loop_now_us() + ms * ms_us);
    return timer;
}

static int exit_with(sd_event_source *source, uint64_t due_us, void *userdata) {
    loop_exit(loop, *(const int *)userdata);
    return 0;
}

static int fail_with(sd_event_source *source, uint64_t due_us, void *userdata) {
    return *(const int *)userdata;
}

static int raise_it(sd_event_source *source, uint64_t due_us, void *userdata) {
    return raise(*(const int *)userdata) == 0 ? 0 : -EINVAL;
}

static int count(sd_event_source *source, uint64_t due_us, void *userdata) {
    ++*(unsigned *)userdata;
    return 0;
}

/* ---- its end ---- */

Test(loop, returns_what_it_was_ended_with) {
    static const int results[] = { 0, 1, 78, -EIO };

    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        static const struct loop_signals signals = { on_terminate, on_reload, NULL };
        int result = results[i];
        sd_event_source *timer;

        loop = sd_event_unref(loop);
        cr_assert_eq(loop_new(&signals, &loop), 0);
        timer = call_in(1, exit_with, &result);
        cr_expect_eq(loop_run(loop), result);
        sd_event_source_unref(timer);
    }
}

Test(loop, ends_when_a_handler_of_ours_fails) {
    int error = -EIO;
    sd_event_source *timer = call_in(1, fail_with, &error);

    cr_expect_eq(loop_run(loop), -EIO, "a source must not be switched off in silence");
    sd_event_source_unref(timer);
}

/* ---- signals ---- */

Test(loop, a_signal_to_end_is_told_to_systemd_and_to_its_owner) {
    static const int signals[] = { SIGTERM, SIGINT };

    for (size_t i = 0; i < 2; i++) {
        static const struct loop_signals handlers = { on_terminate, on_reload, NULL };
        int number = signals[i];
        sd_event_source *timer;

        loop = sd_event_unref(loop);
        cr_assert_eq(loop_new(&handlers, &loop), 0);
        timer = call_in(1, raise_it, &number);
        terminations = 0;
        cr_expect_eq(loop_run(loop), 0);
        cr_expect_eq(terminations, 1);
        cr_expect_str_eq(heard(), "READY=1\nSTOPPING=1\n");
        sd_event_source_unref(timer);
    }
}

Test(loop, a_signal_that_came_earlier_waits_for_the_loop) {
    cr_assert_eq(raise(SIGTERM), 0);
    cr_expect_eq(terminations, 0);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(terminations, 1);
}

Test(loop, a_reload_is_told_from_its_begin_to_its_end) {
    int number = SIGHUP;
    sd_event_source *hangup = call_in(1, raise_it, &number);
    unsigned long long begun_us = 0;
    struct timespec now;
    const char *said;

    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(reloads, 1);
    said = heard();
    cr_expect_eq(sscanf(said, "READY=1\nRELOADING=1\nMONOTONIC_USEC=%llu\n", &begun_us), 1, "%s",
                 said);
    cr_expect_not_null(strstr(said + strlen("READY=1"), "\nREADY=1\n"), "%s", said);
    cr_assert_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    cr_expect_leq(begun_us / 1000000, (unsigned long long)now.tv_sec);
    cr_expect_geq(begun_us / 1000000 + 5, (unsigned long long)now.tv_sec);
    sd_event_source_unref(hangup);
}

Test(loop, a_broken_pipe_does_not_kill) {
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    (void)close(ends[0]);
    cr_expect_eq(write(ends[1], "x", 1), -1);
    cr_expect_eq(errno, EPIPE);
    (void)close(ends[1]);
}

/* ---- systemd ---- */

Test(loop, says_a_line_of_status) {
    loop_say_status("connected, 2 of 2 sensors ok, 0 waiting");
    cr_expect_str_eq(heard(), "STATUS=connected, 2 of 2 sensors ok, 0 waiting\n");
}

Test(loop, without_systemd_nothing_is_missing) {
    int result = 0;
    sd_event_source *timer = call_in(1, exit_with, &result);

    (void)unsetenv("NOTIFY_SOCKET");
    loop_say_status("nobody hears this");
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_str_empty(heard());
    sd_event_source_unref(timer);
}

Test(loop, feeds_the_watchdog_while_it_turns) {
    static const struct loop_signals signals = { on_terminate, on_reload, NULL };
    int result = 0;
    sd_event_source *timer;
    char pid[24];

    loop = sd_event_unref(loop);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    (void)setenv("WATCHDOG_PID", pid, 1);
    (void)setenv("WATCHDOG_USEC", "40000", 1);
    cr_assert_eq(loop_new(&signals, &loop), 0);
    timer = call_in(200, exit_with, &result);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_not_null(strstr(heard(), "WATCHDOG=1\n"));
    sd_event_source_unref(timer);
}

/* ---- timers ---- */

Test(loop, a_timer_is_on_the_clock_that_nobody_sets) {
    sd_event_source *timer = NULL;
    unsigned fired = 0;
    clockid_t clock;
    int enabled;

    cr_assert_eq(loop_add_timer(loop, count, &fired, &timer), 0);
    cr_assert_geq(sd_event_source_get_time_clock(timer, &clock), 0);
    cr_expect_eq(clock, CLOCK_BOOTTIME);
    cr_assert_geq(sd_event_source_get_enabled(timer, &enabled), 0);
    cr_expect_eq(enabled, SD_EVENT_OFF, "it waits to be armed");
    sd_event_source_unref(timer);
}

Test(loop, a_timer_fires_once_and_not_early) {
    unsigned fired = 0;
    int result = 0;
    uint64_t begun_us = loop_now_us();
    sd_event_source *timer = call_in(30, count, &fired);
    sd_event_source *end;

    while (fired == 0)
        cr_assert_geq(sd_event_run(loop, 1000 * ms_us), 0);
    cr_expect_geq(loop_now_us() - begun_us, 30 * ms_us);
    end = call_in(60, exit_with, &result);
    cr_expect_eq(loop_run(loop), 0);
    cr_expect_eq(fired, 1);
    sd_event_source_unref(timer);
    sd_event_source_unref(end);
}

Test(loop, a_disarmed_timer_does_not_fire_and_can_be_armed_again) {
    unsigned fired = 0;
    sd_event_source *timer = call_in(0, count, &fired);

    loop_disarm(timer);
    (void)sd_event_run(loop, 20 * ms_us);
    cr_expect_eq(fired, 0);
    loop_arm(timer, loop_now_us());
    (void)sd_event_run(loop, 1000 * ms_us);
    cr_expect_eq(fired, 1);
    loop_arm(timer, 1); /* long ago: at once */
    (void)sd_event_run(loop, 1000 * ms_us);
    cr_expect_eq(fired, 2);
    sd_event_source_unref(timer);
}

Test(loop, now_is_the_clock_of_its_timers) {
    struct timespec now;
    uint64_t us = loop_now_us();

    cr_assert_eq(clock_gettime(CLOCK_BOOTTIME, &now), 0);
    cr_expect_leq(us, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
    cr_expect_geq(us + 5000000, (uint64_t)now.tv_sec * 1000000);
}
