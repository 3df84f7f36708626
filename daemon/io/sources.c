/* SPDX-License-Identifier: MIT */
#include "io/sources.h"

#include <errno.h>
#include <string.h>

#include "io/direct.h"
#include "io/source_serial.h"

static const struct source_driver *const drivers[] = {
    &source_serial_driver,
    &source_gpio_driver,
    &source_iio_driver,
};

struct running {
    const struct source_driver *driver;
    const struct source_settings *settings; /* borrowed from the configuration */
    void *source;
};

struct sources {
    sd_event *loop;
    struct source_output output;
    size_t count;
    struct running *running;
};

static const struct source_driver *find_driver(const char *name) {
    for (size_t i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0)
            return drivers[i];
    return NULL;
}

bool source_driver_exists(const char *name) {
    return find_driver(name) != NULL;
}

static void stop(struct running *running) {
    if (running->source)
        running->driver->stop(running->source);
    running->source = NULL;
}

static void stop_all(struct running *running, size_t count) {
    for (size_t i = 0; i < count; i++)
        stop(&running[i]);
    free(running);
}

static int start(struct sources *sources, struct running *running) {
    running->driver = find_driver(running->settings->driver);
    if (!running->driver)
        return -EINVAL;
    return running->driver->start(sources->loop, running->settings, &sources->output,
                                  &running->source);
}

static bool same_nodes(const struct source_settings *a, const struct source_settings *b) {
    if (a->node_count != b->node_count)
        return false;
    for (size_t i = 0; i < a->node_count; i++)
        if (a->nodes[i].number != b->nodes[i].number ||
            strcmp(a->nodes[i].name, b->nodes[i].name) != 0)
            return false;
    return true;
}

static bool same_text(const char *a, const char *b) {
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_amounts(const struct quantity_amount *a, size_t a_count,
                         const struct quantity_amount *b, size_t b_count) {
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i].amount != b[i].amount || !same_text(a[i].quantity, b[i].quantity))
            return false;
    return true;
}

static bool same_limits(const struct conditioning_rules *a, const struct conditioning_rules *b) {
    if (a->limit_count != b->limit_count)
        return false;
    for (size_t i = 0; i < a->limit_count; i++)
        if (a->limits[i].min != b->limits[i].min || a->limits[i].max != b->limits[i].max ||
            !same_text(a->limits[i].quantity, b->limits[i].quantity))
            return false;
    return true;
}

static bool same_rules(const struct conditioning_rules *a, const struct conditioning_rules *b) {
    return a->frozen_us == b->frozen_us && a->publish_us == b->publish_us && same_limits(a, b) &&
           same_amounts(a->offsets, a->offset_count, b->offsets, b->offset_count) &&
           same_amounts(a->changes, a->change_count, b->changes, b->change_count);
}

static bool same_settings(const struct source_settings *a, const struct source_settings *b) {
    return same_text(a->name, b->name) && same_text(a->driver, b->driver) &&
           same_text(a->device, b->device) && a->baud == b->baud &&
           a->silence_us == b->silence_us && a->node == b->node && same_nodes(a, b) &&
           a->interval_us == b->interval_us && same_text(a->chip, b->chip) &&
           same_text(a->line, b->line) && same_text(a->model, b->model) &&
           same_rules(&a->rules, &b->rules);
}

static struct running *find_same(const struct sources *sources,
                                 const struct source_settings *settings) {
    for (size_t i = 0; i < sources->count; i++)
        if (sources->running[i].source && same_settings(sources->running[i].settings, settings))
            return &sources->running[i];
    return NULL;
}

/* What goes on moves to its new place; what is left behind must let go of its port. */
static void adopt(struct sources *sources, struct running *next, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct running *same = find_same(sources, next[i].settings);

        if (!same)
            continue;
        next[i].driver = same->driver;
        next[i].source = same->source;
        next[i].driver->adopt(next[i].source, next[i].settings);
        same->source = NULL;
    }
    stop_all(sources->running, sources->count);
    sources->running = next;
    sources->count = count;
}

int sources_reload(struct sources *sources, const struct sources_settings *settings) {
    struct running *next = calloc(settings->count + 1, sizeof(*next));

    if (!next)
        return -ENOMEM;
    for (size_t i = 0; i < settings->count; i++)
        next[i].settings = &settings->sources[i];
    adopt(sources, next, settings->count);
    for (size_t i = 0; i < settings->count; i++) {
        int r = next[i].source ? 0 : start(sources, &next[i]);

        if (r < 0)
            return r;
    }
    return 0;
}

static void ignore(void *userdata) {
}

int sources_new(sd_event *loop, const struct sources_settings *settings, reading_sink sink,
                void (*changed)(void *userdata), void *userdata, struct sources **ret) {
    CLEANUP(sources_freep) struct sources *sources = calloc(1, sizeof(*sources));
    int r;

    if (!sources)
        return -ENOMEM;
    sources->loop = sd_event_ref(loop);
    sources->output = (struct source_output){ sink, changed ? changed : ignore, userdata };
    r = sources_reload(sources, settings);
    if (r < 0)
        return r;
    *ret = sources;
    sources = NULL;
    return 0;
}

struct sources *sources_free(struct sources *sources) {
    if (!sources)
        return NULL;
    stop_all(sources->running, sources->count);
    (void)sd_event_unref(sources->loop);
    free(sources);
    return NULL;
}

void sources_describe(const struct sources *sources, struct status *status) {
    for (size_t i = 0; i < sources->count; i++)
        if (sources->running[i].source)
            sources->running[i].driver->describe(sources->running[i].source, status);
}
