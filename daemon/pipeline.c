/* SPDX-License-Identifier: MIT */
#include "pipeline.h"

#include <errno.h>

#include "core/catalogue.h"
#include "io/log.h"
#include "io/loop.h"

/* ---- who tells whom ---- */

static void on_reading(const struct reading *reading, void *userdata) {
    const struct pipeline *pipeline = userdata;

    spool_append(reading, pipeline->spool);
    /* Online, the state is told when the broker has the reading: "waiting" then means something. */
    if (!publisher_is_online(pipeline->publisher))
        report_refresh(pipeline->report);
}

static void on_progress(void *userdata) {
    const struct pipeline *pipeline = userdata;

    if (pipeline->report)
        report_refresh(pipeline->report);
}

static void on_change(void *userdata) {
    struct pipeline *pipeline = userdata;

    if (pipeline->report)
        report_changed(pipeline->report);
}

static void collect(struct status *status, void *userdata) {
    const struct pipeline *pipeline = userdata;

    status->gateway = publisher_gateway(pipeline->publisher);
    status->now_us = loop_now_us();
    status->started_us = pipeline->started_us;
    spool_describe(pipeline->spool, &status->spool);
    publisher_describe(pipeline->publisher, &status->link);
    if (pipeline->sources)
        sources_describe(pipeline->sources, status);
}

static char *render_state(void *userdata) {
    const struct pipeline *pipeline = userdata;

    return pipeline->report ? report_render(pipeline->report) : NULL;
}

static void publish_state(void *userdata) {
    const struct pipeline *pipeline = userdata;

    publisher_announce(pipeline->publisher);
}

/* ---- building it, from the sink up: no reading arrives before it has somewhere to go ---- */

int pipeline_open_spool(struct pipeline *pipeline) {
    const struct spool_settings *settings = &pipeline->config->spool;
    int r = spool_new(pipeline->loop, settings, &pipeline->spool);

    if (r == -EBUSY)
        return log_error(r, "another sensorgw has this spool", { "PATH", settings->path },
                         { "PID", LOG_NUMBER(spool_holder(settings->path)) });
    return r < 0 ? log_error(r, "cannot open the spool", { "PATH", settings->path }) : 0;
}

int pipeline_build_publisher(struct pipeline *pipeline, struct config *config) {
    struct publisher_calls calls = { on_change, on_progress, render_state, pipeline };
    int r = publisher_new(pipeline->loop, &config->publisher, pipeline->spool, &calls,
                          &pipeline->publisher);

    pipeline->publisher_config = config;
    return r < 0 ? log_error(r, "cannot build the publisher", { "PATH", config->path }) : 0;
}

int pipeline_build_report(struct pipeline *pipeline) {
    static char path[4096];
    struct report_calls calls = { collect, publish_state, pipeline };
    struct report_settings settings = { .path = path,
                                        .interval_us = pipeline->config->state_interval_us };
    int r = report_default_path(path, sizeof(path));

    if (r >= 0)
        r = report_new(pipeline->loop, &settings, &calls, &pipeline->report);
    return r < 0 ? log_error(r, "cannot build the report", { "PATH", path }) : 0;
}

int pipeline_start_sources(struct pipeline *pipeline) {
    int r = sources_new(pipeline->loop, &pipeline->config->sources, on_reading, on_change, pipeline,
                        &pipeline->sources);

    return r < 0 ? log_error(r, "cannot start the sources", { "PATH", pipeline->config->path }) : 0;
}

/* ---- SIGHUP: all is read anew, and what did not change goes on undisturbed ---- */

static void adopt_config(struct pipeline *pipeline, struct config *config) {
    if (pipeline->config != pipeline->publisher_config)
        (void)config_free(pipeline->config);
    pipeline->config = config;
}

/* Another broker, say: the connection is made anew, and what was in flight is sent again. */
static int change_publisher(struct pipeline *pipeline, struct config *config) {
    struct config *old = pipeline->publisher_config;
    struct link_status link;
    int r;

    if (publisher_settings_agree(&config->publisher, &old->publisher)) {
        publisher_retry(pipeline->publisher);
        return 0;
    }
    publisher_describe(pipeline->publisher, &link);
    pipeline->publisher = publisher_free(pipeline->publisher);
    r = pipeline_build_publisher(pipeline, config);
    if (old != pipeline->config)
        (void)config_free(old);
    if (r < 0)
        return r;
    publisher_was_failing(pipeline->publisher, link.cause);
    publisher_start(pipeline->publisher);
    return 0;
}

static int apply(struct pipeline *pipeline, struct config *config) {
    int r;

    if (spool_change(pipeline->spool, &config->spool) == -EXDEV)
        log_warning(0, "spool.path has changed: it is taken at the next start",
                    { "PATH", config->spool.path });
    report_change(pipeline->report, config->state_interval_us);
    r = sources_reload(pipeline->sources, &config->sources);
    if (r == 0)
        r = change_publisher(pipeline, config);
    adopt_config(pipeline, config);
    return r;
}

void pipeline_reload(void *userdata) {
    struct pipeline *pipeline = userdata;
    struct config *config = NULL;
    int r;

    if (!pipeline->sources)
        return;
    r = config_load(pipeline->path, &config); /* logs for itself: file and line */
    if (r < 0) {
        log_warning(r, "the configuration is refused, keeping the running one",
                    { "EVENT", EVENT_CONFIGURATION_REFUSED }, { "CONFIG", pipeline->path });
        publisher_retry(pipeline->publisher);
        return;
    }
    r = apply(pipeline, config);
    if (r < 0)
        loop_exit(pipeline->loop, log_error(r, "cannot apply the configuration, ending",
                                            { "CONFIG", pipeline->path }));
    else
        log_notice("configuration applied", { "EVENT", EVENT_CONFIGURATION_APPLIED },
                   { "CONFIG", pipeline->path }, { "HASH", config->hash });
}

/* ---- the end ---- */

/* What was acknowledged to the last must not be sent again by the next start. */
static void on_stopped(void *userdata) {
    struct pipeline *pipeline = userdata;

    spool_flush(pipeline->spool);
    loop_exit(pipeline->loop, 0);
}

void pipeline_stop(void *userdata) {
    struct pipeline *pipeline = userdata;

    pipeline->sources = sources_free(pipeline->sources);
    spool_flush(pipeline->spool);
    publisher_stop(pipeline->publisher, on_stopped, pipeline);
}

void pipeline_take_down(struct pipeline *pipeline) {
    pipeline->sources = sources_free(pipeline->sources);
    pipeline->report = report_free(pipeline->report);
    pipeline->publisher = publisher_free(pipeline->publisher);
    pipeline->spool = spool_free(pipeline->spool);
    pipeline->loop = sd_event_unref(pipeline->loop);
    if (pipeline->publisher_config != pipeline->config)
        pipeline->publisher_config = config_free(pipeline->publisher_config);
    pipeline->config = config_free(pipeline->config);
}
