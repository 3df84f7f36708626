/* SPDX-License-Identifier: MIT */

/* The daemon: source -> frame -> reading -> spool -> publisher. */

#include "commands/commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#include "config.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/report.h"

struct daemon {
    struct config *config;
    sd_event *loop;
    struct spool *spool;
    struct publisher *publisher;
    struct report *report;
    struct sources *sources;
    uint64_t started_us;
};

/* ---- who tells whom ---- */

static void on_reading(const struct reading *reading, void *userdata) {
    const struct daemon *daemon = userdata;

    spool_append(reading, daemon->spool);
    if (!publisher_is_online(daemon->publisher))
        report_refresh(
            daemon->report); /* else when the broker has it: "waiting" then means something */
}

static void on_progress(void *userdata) {
    const struct daemon *daemon = userdata;

    if (daemon->report)
        report_refresh(daemon->report);
}

static void on_change(void *userdata) {
    struct daemon *daemon = userdata;

    if (daemon->report)
        report_changed(daemon->report);
}

static void collect(struct status *status, void *userdata) {
    const struct daemon *daemon = userdata;

    status->gateway = publisher_gateway(daemon->publisher);
    status->now_us = loop_now_us();
    status->started_us = daemon->started_us;
    spool_describe(daemon->spool, &status->spool);
    publisher_describe(daemon->publisher, &status->link);
    if (daemon->sources)
        sources_describe(daemon->sources, status);
}

static char *render_state(void *userdata) {
    const struct daemon *daemon = userdata;

    return daemon->report ? report_render(daemon->report) : NULL;
}

static void publish_state(void *userdata) {
    const struct daemon *daemon = userdata;

    publisher_announce(daemon->publisher);
}

/* ---- the end ---- */

static void on_stopped(void *userdata) {
    struct daemon *daemon = userdata;

    loop_exit(daemon->loop, 0);
}

static void terminate(void *userdata) {
    struct daemon *daemon = userdata;

    daemon->sources = sources_free(daemon->sources);
    spool_flush(daemon->spool);
    publisher_stop(daemon->publisher, on_stopped, daemon);
}

static void reload(void *userdata) {
    struct daemon *daemon = userdata;

    publisher_retry(daemon->publisher);
}

/* ---- building it, from the sink up: no reading arrives before it has somewhere to go ---- */

static int open_spool(struct daemon *daemon) {
    const struct spool_settings *settings = &daemon->config->spool;
    int r = spool_new(daemon->loop, settings, &daemon->spool);

    if (r == -EBUSY)
        return log_error(r, "another sensorgw has this spool", { "PATH", settings->path },
                         { "PID", LOG_NUMBER(spool_holder(settings->path)) });
    return r < 0 ? log_error(r, "cannot open the spool", { "PATH", settings->path }) : 0;
}

static int build_publisher(struct daemon *daemon) {
    struct publisher_calls calls = { on_change, on_progress, render_state, daemon };
    int r = publisher_new(daemon->loop, &daemon->config->publisher, daemon->spool, &calls,
                          &daemon->publisher);

    return r < 0 ? log_error(r, "cannot build the publisher", { "PATH", daemon->config->path }) : 0;
}

static int build_report(struct daemon *daemon) {
    static char path[4096];
    struct report_calls calls = { collect, publish_state, daemon };
    struct report_settings settings = { .path = path,
                                        .interval_us = daemon->config->state_interval_us };
    int r = report_default_path(path, sizeof(path));

    if (r >= 0)
        r = report_new(daemon->loop, &settings, &calls, &daemon->report);
    return r < 0 ? log_error(r, "cannot build the report", { "PATH", path }) : 0;
}

static int start_sources(struct daemon *daemon) {
    int r = sources_new(daemon->loop, &daemon->config->sources, on_reading, on_change, daemon,
                        &daemon->sources);

    return r < 0 ? log_error(r, "cannot start the sources", { "PATH", daemon->config->path }) : 0;
}

static void take_down(struct daemon *daemon) {
    daemon->sources = sources_free(daemon->sources);
    daemon->report = report_free(daemon->report);
    daemon->publisher = publisher_free(daemon->publisher);
    daemon->spool = spool_free(daemon->spool);
    daemon->loop = sd_event_unref(daemon->loop);
    daemon->config = config_free(daemon->config);
}

static int run(const char *path) {
    CLEANUP(take_down) struct daemon daemon = { .started_us = loop_now_us() };
    struct loop_signals signals = { terminate, reload, &daemon };
    int r;

    r = config_load(path, &daemon.config); /* logs for itself: file and line */
    if (r < 0)
        return r;
    r = loop_new(&signals, &daemon.loop);
    if (r < 0)
        return log_error(r, "cannot make an event loop", { "PATH", path });
    r = open_spool(&daemon);
    if (r < 0)
        return r;
    r = build_publisher(&daemon);
    if (r < 0)
        return r;
    r = build_report(&daemon);
    if (r < 0)
        return r;
    r = start_sources(&daemon);
    if (r < 0)
        return r;

    log_notice("started", { "VERSION", SENSORGW_VERSION }, { "CONFIG", path },
               { "GATEWAY", publisher_gateway(daemon.publisher) });
    publisher_start(daemon.publisher);
    r = loop_run(daemon.loop);
    log_notice("stopped", { "VERSION", SENSORGW_VERSION });
    return r;
}

static int usage(void) {
    (void)fputs("usage: sensorgw [run] [-c FILE]\n", stderr);
    return EXIT_USAGE;
}

int command_run(int argc, char **argv) {
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { 0 },
    };
    const char *path = DEFAULT_CONFIG_PATH;
    int option;
    int r;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option != 'c')
            return usage();
        path = optarg;
    }
    if (optind < argc)
        return usage();
    r = run(path);
    return r < 0 ? config_exit_status(r) : EXIT_DONE;
}
