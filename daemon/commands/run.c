/* SPDX-License-Identifier: MIT */
#include "commands/commands.h"

#include <getopt.h>
#include <stdio.h>

#include "core/catalogue.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/timekeeper.h"
#include "pipeline.h"

/* From the sink up, so no reading arrives before it has somewhere to go; CLEANUP reverses it. */
static int run(const char *path) {
    CLEANUP(pipeline_take_down)
    struct pipeline pipeline = { .path = path, .started_us = loop_now_us() };
    CLEANUP(timekeeper_freep) struct timekeeper *timekeeper = NULL;
    struct loop_signals signals = { pipeline_stop, pipeline_reload, &pipeline };
    int r;

    r = config_load(path, &pipeline.config); /* logs for itself: file and line */
    if (r < 0)
        return r;
    r = loop_new(&signals, &pipeline.loop);
    if (r < 0)
        return log_error(r, "cannot make an event loop", { "PATH", path });
    r = timekeeper_new(pipeline.loop, &timekeeper);
    if (r < 0)
        return log_error(r, "cannot ask for the clock's state", { "PATH", path });
    r = pipeline_open_spool(&pipeline);
    if (r < 0)
        return r;
    r = pipeline_build_publisher(&pipeline, pipeline.config);
    if (r < 0)
        return r;
    r = pipeline_build_report(&pipeline);
    if (r < 0)
        return r;
    r = pipeline_start_sources(&pipeline);
    if (r < 0)
        return r;

    log_notice("started", { "EVENT", EVENT_STARTED }, { "VERSION", SENSORGW_VERSION },
               { "CONFIG", path }, { "HASH", pipeline.config->hash },
               { "GATEWAY", publisher_gateway(pipeline.publisher) });
    publisher_start(pipeline.publisher);
    r = loop_run(pipeline.loop);
    log_notice("stopped", { "EVENT", EVENT_STOPPED }, { "VERSION", SENSORGW_VERSION });
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
