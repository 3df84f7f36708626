/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sources on a bench: on a real loop with a fast clock, all that comes out of them, and the journal
 * kept in memory (log_emit here stands before the library's).
 */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fast_time.h"
#include "io/log.h"
#include "io/sources.h"

enum { READINGS = 64, ENTRIES = 128, SOURCES = 3, PATIENCE_MS = 20000 };

/* Sources on a real loop, and all that comes out of them. */
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
    if (priority > LOG_INFO || entry_count == ENTRIES)
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

static inline unsigned entries_with(const char *cause) {
    unsigned count = 0;

    for (size_t i = 0; i < entry_count; i++)
        count += strcmp(entries[i].cause, cause) == 0;
    return count;
}

static inline unsigned entries_saying(const char *text) {
    unsigned count = 0;

    for (size_t i = 0; i < entry_count; i++)
        count += strstr(entries[i].message, text) != NULL;
    return count;
}

static inline void on_reading(const struct reading *reading, void *userdata) {
    struct rig *rig = userdata;

    if (rig->count < READINGS)
        rig->readings[rig->count] = *reading;
    rig->count++;
}

static inline void on_changed(void *userdata) {
    struct rig *rig = userdata;

    rig->changes++;
}

static inline void begin(struct rig *rig, size_t count) {
    const struct sources_settings settings = { rig->settings, count };

    cr_assert_geq(sd_event_new(&rig->loop), 0);
    cr_assert_eq(sources_new(rig->loop, &settings, on_reading, on_changed, rig, &rig->sources), 0);
}

static inline void end(struct rig *rig) {
    rig->sources = sources_free(rig->sources);
    rig->loop = sd_event_unref(rig->loop);
}

static inline uint64_t real_ms(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static inline void turn(const struct rig *rig) {
    cr_assert_geq(sd_event_run(rig->loop, 2000), 0);
}

static inline void run_for(const struct rig *rig, uint64_t fast_ms) {
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

static inline struct status status_of(const struct rig *rig) {
    struct status status = { .sensor_count = 0 };

    sources_describe(rig->sources, &status);
    return status;
}

static inline enum sensor_state state_of(const struct rig *rig, size_t index) {
    return status_of(rig).sensors[index].sensor->state;
}

static inline enum cause cause_of(const struct rig *rig, size_t index) {
    return status_of(rig).sensors[index].sensor->cause;
}
