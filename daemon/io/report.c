/* SPDX-License-Identifier: MIT */
#include "io/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/log.h"
#include "io/loop.h"

static const uint64_t second_us = 1000000;

struct report {
    struct report_settings settings;
    struct report_calls calls;
    sd_event_source *timer;
    uint64_t told_us;
    uint64_t due_us;
    uint64_t saved_us;
    bool cannot_write; /* said already */
};

/* ---- JSON ---- */

static void add_number(cJSON *object, const char *name, uint64_t number) {
    (void)cJSON_AddNumberToObject(object, name, (double)number);
}

static void add_cause(cJSON *object, enum cause cause) {
    if (cause != CAUSE_NONE)
        (void)cJSON_AddStringToObject(object, "cause", cause_name(cause));
}

static void add_values(cJSON *object, const struct reading *reading) {
    for (size_t i = 0; i < reading->count; i++) {
        char value[16];

        if (quantity_render_value(&reading->quantities[i], value, sizeof(value)) > 0)
            (void)cJSON_AddRawToObject(object, quantity_name(reading->quantities[i].key), value);
    }
}

static void add_failures(cJSON *object, const struct sensor *sensor) {
    for (size_t i = 0; i < SENSOR_FAILURES && sensor->failures[i].count > 0; i++)
        add_number(object, sensor->failures[i].word, sensor->failures[i].count);
}

static cJSON *render_sensor(const struct sensor_status *status, uint64_t now_us) {
    const struct sensor *sensor = status->sensor;
    cJSON *object = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(object, "state", sensor_state_name(sensor->state));
    add_cause(object, sensor->cause);
    (void)cJSON_AddStringToObject(object, "device", status->device);
    if (status->node > 0)
        add_number(object, "node", status->node);
    if (sensor->has_reading) {
        add_number(object, "age_s", (now_us - sensor->last.taken_us) / second_us);
        add_values(cJSON_AddObjectToObject(object, "last"), &sensor->last);
    }
    add_number(object, "readings", sensor->readings);
    add_number(object, "errors", sensor->errors);
    if (sensor->last_error[0]) {
        (void)cJSON_AddStringToObject(object, "last_error", sensor->last_error);
        add_failures(cJSON_AddObjectToObject(object, "failures"), sensor);
    }
    add_number(object, "out_of_range", sensor->out_of_range);
    add_number(object, "thinned", sensor->conditioning.thinned);
    add_number(object, "damaged", status->damaged);
    add_number(object, "lost_frames", status->lost_frames);
    return object;
}

static void add_link(cJSON *state, const struct link_status *link, uint64_t now_us) {
    bool is_online = link->state == UPLINK_ONLINE || link->state == UPLINK_ANNOUNCING;

    (void)cJSON_AddStringToObject(state, "link", uplink_state_name(link->state));
    if (link->broker[0])
        (void)cJSON_AddStringToObject(state, "broker", link->broker);
    if (link->tls[0]) {
        (void)cJSON_AddStringToObject(state, "tls", link->tls);
        (void)cJSON_AddStringToObject(state, "cipher", link->cipher);
    }
    if (link->has_certificate)
        (void)cJSON_AddNumberToObject(state, "certificate_days_left", link->certificate_days_left);
    if (is_online)
        return;
    add_cause(state, link->cause);
    if (link->sentence[0])
        (void)cJSON_AddStringToObject(state, "reason", link->sentence);
    if (link->next_attempt_us > now_us)
        add_number(state, "next_attempt_s",
                   (link->next_attempt_us - now_us + second_us - 1) / second_us);
}

static void add_counters(cJSON *state, const struct status *status) {
    const struct spool_status *spool = &status->spool;

    (void)cJSON_AddStringToObject(state, "clock",
                                  spool->clock_synchronised ? "synchronised" : "unsynchronised");
    add_number(state, "accepted", spool->accepted);
    add_number(state, "published", status->link.published);
    add_number(state, "waiting", spool->waiting);
    add_number(state, "dropped", spool->dropped);
    add_number(state, "damaged", status->damaged);
    add_number(state, "lost_frames", status->lost_frames);
    if (spool->cause != CAUSE_NONE)
        (void)cJSON_AddStringToObject(state, "spool", cause_name(spool->cause));
    if (status->unlisted_sensors > 0)
        add_number(state, "unlisted_sensors", status->unlisted_sensors);
}

/*
 * "online" is what the state topic says: nobody reads it there while we are not. The pid is for the
 * file, which a kill -9 leaves behind.
 */
static char *render(const struct status *status, pid_t pid) {
    cJSON *state = cJSON_CreateObject();
    cJSON *sensors;
    char *text;

    (void)cJSON_AddStringToObject(state, "state", "online");
    (void)cJSON_AddStringToObject(state, "gateway", status->gateway);
    (void)cJSON_AddStringToObject(state, "version", SENSORGW_VERSION);
    if (pid > 0)
        add_number(state, "pid", (uint64_t)pid);
    add_number(state, "uptime_s", (status->now_us - status->started_us) / second_us);
    add_link(state, &status->link, status->now_us);
    add_counters(state, status);
    sensors = cJSON_AddObjectToObject(state, "sensors");
    for (size_t i = 0; i < status->sensor_count; i++)
        (void)cJSON_AddItemToObject(sensors, status->sensors[i].sensor->name,
                                    render_sensor(&status->sensors[i], status->now_us));
    text = cJSON_PrintUnformatted(state);
    cJSON_Delete(state);
    return text;
}

static char *render_now(const struct report *report, pid_t pid) {
    struct status status = { 0 };

    report->calls.collect(&status, report->calls.userdata);
    return render(&status, pid);
}

char *report_render(const struct report *report) {
    return render_now(report, 0);
}

/* ---- the file ---- */

int report_default_path(char *path, size_t size) {
    const char *folder = getenv("RUNTIME_DIRECTORY");
    int n = snprintf(path, size, "%s/state.json", folder ? folder : "/run/sensorgw");

    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : n;
}

/* A reader finds the old state or the new one, never half of it. */
static int write_file(const char *path, const char *text) {
    char fresh[4096];
    size_t length = strlen(text);
    ssize_t n;
    int fd;
    int r = 0;

    if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
        return -ENAMETOOLONG;
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    (void)fchmod(fd, 0644); /* for `sensorgw status`, whatever the umask: the service's is 0077 */
    n = write(fd, text, length);
    if (n < 0 || (size_t)n < length)
        r = n < 0 ? -errno : -ENOSPC;
    (void)close(fd);
    if (r == 0 && rename(fresh, path) < 0)
        r = -errno;
    return r;
}

static void save(struct report *report, const char *text) {
    int r;

    if (!report->settings.path)
        return;
    r = write_file(report->settings.path, text);
    if (r < 0 && !report->cannot_write)
        log_warning(r, "cannot write the state for `sensorgw status`, going on without",
                    { "PATH", report->settings.path });
    report->cannot_write = r < 0;
    report->saved_us = loop_now_us();
}

/* ---- systemd's line ---- */

static void say_status(const struct status *status) {
    const struct link_status *link = &status->link;
    char connection[STATUS_SENTENCE_SIZE];
    char line[STATUS_SENTENCE_SIZE + 128];
    size_t ok = 0;

    for (size_t i = 0; i < status->sensor_count; i++)
        ok += status->sensors[i].sensor->state == SENSOR_OK;
    if (link->state == UPLINK_ONLINE)
        (void)snprintf(connection, sizeof(connection), "connected to %s %s %s", link->broker,
                       link->tls, link->cipher);
    else if (link->cause != CAUSE_NONE)
        (void)snprintf(connection, sizeof(connection), "not connected (%s)",
                       cause_name(link->cause));
    else
        (void)snprintf(connection, sizeof(connection), "connecting to %s", link->broker);
    (void)snprintf(line, sizeof(line), "%s, %zu of %zu sensors ok, %llu waiting", connection, ok,
                   status->sensor_count, (unsigned long long)status->spool.waiting);
    loop_say_status(line);
}

/* ---- when ---- */

static void tell(struct report *report) {
    struct status status = { 0 };
    char *text;

    report->calls.collect(&status, report->calls.userdata);
    text = render(&status, getpid());
    if (text)
        save(report, text);
    free(text);
    say_status(&status);
    report->calls.publish(report->calls.userdata);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct report *report = userdata;

    report->told_us = loop_now_us();
    report->due_us = report->told_us + report->settings.interval_us;
    loop_arm(report->timer, report->due_us);
    tell(report);
    return 0;
}

void report_changed(struct report *report) {
    uint64_t earliest_us = report->told_us + second_us;

    if (earliest_us < report->due_us) {
        report->due_us = earliest_us;
        loop_arm(report->timer, earliest_us);
    }
}

void report_change(struct report *report, uint64_t interval_us) {
    report->settings.interval_us = interval_us;
    report_changed(report);
}

void report_refresh(struct report *report) {
    char *text;

    if (loop_now_us() - report->saved_us < second_us)
        return;
    text = render_now(report, getpid());
    if (text)
        save(report, text);
    free(text);
}

int report_new(sd_event *loop, const struct report_settings *settings,
               const struct report_calls *calls, struct report **ret) {
    CLEANUP(report_freep) struct report *report = calloc(1, sizeof(*report));
    int r;

    if (!report)
        return -ENOMEM;
    report->settings = *settings;
    report->calls = *calls;
    r = loop_add_timer(loop, on_timer, report, &report->timer);
    if (r < 0)
        return r;
    loop_arm(report->timer, loop_now_us());
    *ret = report;
    report = NULL;
    return 0;
}

struct report *report_free(struct report *report) {
    if (!report)
        return NULL;
    if (report->settings.path)
        (void)unlink(report->settings.path);
    (void)sd_event_source_disable_unref(report->timer);
    free(report);
    return NULL;
}
