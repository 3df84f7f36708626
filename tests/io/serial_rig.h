/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon's end of a serial line: sources on a real loop with a fast clock, all that comes out
 * of them, and the journal kept in memory (log_emit here stands before the library's).
 */

#include <stdlib.h>

#include "fast_time.h"
#include "io/log.h"
#include "io/sources.h"
#include "serial_pty.h"

enum { READINGS = 64, ENTRIES = 128, SOURCES = 2, PATIENCE_MS = 20000 };

#define HELLO "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=P"

/* The daemon's end: sources on a real loop, and all that comes out of them. */
struct rig {
    sd_event *loop;
    struct sources *sources;
    struct source_settings settings[SOURCES];
    struct reading readings[READINGS];
    size_t count; /* readings published */
    unsigned changes;
};

/* The journal. */
static struct {
    int priority;
    char message[512];
    char cause[32];
} entries[ENTRIES];
static size_t entry_count;

int log_emit(int priority, int error, const char *message, const struct log_field *fields) {
    if (entry_count == ENTRIES)
        return error;
    entries[entry_count].priority = priority;
    (void)snprintf(entries[entry_count].message, sizeof(entries->message), "%s", message);
    for (const struct log_field *field = fields; field->key; field++)
        if (strcmp(field->key, "CAUSE") == 0)
            (void)snprintf(entries[entry_count].cause, sizeof(entries->cause), "%s", field->value);
    entry_count++;
    return error;
}

void log_init(void) {
}

const char *log_number(long long number, char text[static 24]) {
    (void)snprintf(text, 24, "%lld", number);
    return text;
}

static unsigned entries_with(const char *cause) {
    unsigned count = 0;

    for (size_t i = 0; i < entry_count; i++)
        count += strcmp(entries[i].cause, cause) == 0;
    return count;
}

static unsigned entries_saying(const char *text) {
    unsigned count = 0;

    for (size_t i = 0; i < entry_count; i++)
        count += strstr(entries[i].message, text) != NULL;
    return count;
}

static void on_reading(const struct reading *reading, void *userdata) {
    struct rig *rig = userdata;

    if (rig->count < READINGS)
        rig->readings[rig->count] = *reading;
    rig->count++;
}

static void on_changed(void *userdata) {
    struct rig *rig = userdata;

    rig->changes++;
}

static struct source_settings kitchen_on(const char *device) {
    return (struct source_settings){
        .name = "kitchen", .driver = "serial", .device = device, .baud = 115200
    };
}

static void begin(struct rig *rig, size_t count) {
    const struct sources_settings settings = { rig->settings, count };

    cr_assert_geq(sd_event_new(&rig->loop), 0);
    cr_assert_eq(sources_new(rig->loop, &settings, on_reading, on_changed, rig, &rig->sources), 0);
}

static void end(struct rig *rig) {
    rig->sources = sources_free(rig->sources);
    rig->loop = sd_event_unref(rig->loop);
}

static uint64_t real_ms(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void turn(const struct rig *rig) {
    cr_assert_geq(sd_event_run(rig->loop, 2000), 0);
}

static void run_for(const struct rig *rig, uint64_t fast_ms) {
    uint64_t until_ms = real_ms() + fast_ms / FAST;

    while (real_ms() < until_ms)
        turn(rig);
}

#define WAIT_FOR(rig, condition)                                                 \
    do {                                                                         \
        uint64_t until_ms = real_ms() + PATIENCE_MS;                             \
        while (!(condition)) {                                                   \
            cr_assert_lt(real_ms(), until_ms, "waited in vain for " #condition); \
            turn(rig);                                                           \
        }                                                                        \
    } while (0)

static struct status status_of(const struct rig *rig) {
    struct status status = { .sensor_count = 0 };

    sources_describe(rig->sources, &status);
    return status;
}

static enum sensor_state state_of(const struct rig *rig, size_t index) {
    return status_of(rig).sensors[index].sensor->state;
}

static enum cause cause_of(const struct rig *rig, size_t index) {
    return status_of(rig).sensors[index].sensor->cause;
}

/* The question tells that the port is open. */
static void wait_for_question(const struct rig *rig, const struct pty *pty) {
    WAIT_FOR(rig, pty_questions(pty) > 0);
}

static struct rig rig_on(struct pty *pty) {
    *pty = pty_new();
    return (struct rig){ .settings = { kitchen_on(pty->path) } };
}

static void send_reading(const struct pty *pty, unsigned node, unsigned sequence) {
    pty_send(pty, "SGW1,R,%u,%u,%u,rh=45.0,t=21.5", node, sequence, sequence * 2000);
}

/* A link to the pty, as udev makes one, in a folder of its own. */
struct link {
    char folder[64];
    char path[80];
};

static void link_to(struct link *link, const char *target) {
    if (link->folder[0] == '\0') {
        (void)snprintf(link->folder, sizeof(link->folder), "/tmp/sensorgw-serial.XXXXXX");
        cr_assert_not_null(mkdtemp(link->folder));
        (void)snprintf(link->path, sizeof(link->path), "%s/board", link->folder);
    }
    (void)unlink(link->path);
    if (target)
        cr_assert_eq(symlink(target, link->path), 0);
}

static void remove_link(struct link *link) {
    (void)unlink(link->path);
    (void)rmdir(link->folder);
}
