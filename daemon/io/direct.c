/* SPDX-License-Identifier: MIT */
#include "io/direct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "io/log.h"
#include "io/source_log.h"

#define LOOK_US UINT64_C(1000000) /* how often an absent place is looked for */
/* udev hands a new device to its group only after making it. */
#define DENIED_US UINT64_C(5000000)
/* After an answer: a DHT11 must not be asked sooner, and the kernel's driver of it would repeat the
 * answer before until then. */
#define RETRY_US UINT64_C(2000000)
#define STALE_US UINT64_C(5000000)     /* what a sensor measured before that is not news */
#define PATIENCE_US UINT64_C(10000000) /* a driver of the kernel that takes longer hangs */
#define ACCURACY_US UINT64_C(1000)

struct direct {
    sd_event *loop;
    const struct source_settings *settings; /* borrowed from the configuration */
    struct source_output output;
    const struct probe_driver *driver;
    void *probe;
    sd_event_source *timer;
    bool is_asked;     /* and has not answered */
    uint64_t asked_us; /* last; 0: never */
    uint64_t beat_us;  /* when it is to be asked next, but for retries */
    unsigned failures; /* since the last beat */
    bool is_stale;     /* it answers with what was long ago */
    bool is_there;     /* its place was had the last time */
    int error;
    uint64_t denied_since_us; /* 0: it is not */
    char detail[96];          /* of the last failed read */
    struct sensor sensor;
    struct source_log log;
};

static uint64_t now(const struct direct *direct) {
    uint64_t now_us = 0;

    (void)sd_event_now(direct->loop, CLOCK_BOOTTIME, &now_us);
    return now_us;
}

static int ring_at(struct direct *direct, uint64_t at_us) {
    int r = sd_event_source_set_time(direct->timer, at_us);

    return r < 0 ? r : sd_event_source_set_enabled(direct->timer, SD_EVENT_ONESHOT);
}

static void tell_changed(struct direct *direct) {
    const struct direct_place place = {
        .kind = direct->driver->kind,
        .name = direct->settings->place,
        .error = direct->error < 0 ? strerror(-direct->error) : "",
        .detail = direct->detail,
    };

    source_log_direct(&direct->log, &direct->sensor, &place);
    direct->output.changed(direct->output.userdata);
}

/* ---- its place ---- */

static enum cause cause_of(const struct direct *direct, int error) {
    switch (-error) {
    case EACCES:
    case EPERM:
        return CAUSE_DEVICE_DENIED;
    case EBUSY:
        return CAUSE_DEVICE_BUSY;
    case ENODEV:
    case ENOENT:
        return direct->is_there || direct->sensor.cause == CAUSE_DEVICE_LOST ? CAUSE_DEVICE_LOST
                                                                             : CAUSE_DEVICE_ABSENT;
    default:
        return CAUSE_DEVICE_ABSENT;
    }
}

/* A device that udev has just made is not its group's yet: that is not worth a word. */
static bool is_too_soon(struct direct *direct, enum cause cause) {
    if (cause != CAUSE_DEVICE_DENIED) {
        direct->denied_since_us = 0;
        return false;
    }
    if (direct->denied_since_us == 0)
        direct->denied_since_us = now(direct);
    return now(direct) - direct->denied_since_us < DENIED_US;
}

static void take_absence(struct direct *direct, int error) {
    enum cause cause = cause_of(direct, error);
    bool is_news = error != direct->error;

    if (is_too_soon(direct, cause))
        return;
    direct->error = error;
    is_news |= sensor_note(&direct->sensor, SENSOR_WENT, cause) > 0;
    if (is_news)
        tell_changed(direct);
    direct->is_there = false;
    direct->asked_us = 0;
}

static void take_presence(struct direct *direct) {
    bool was_there = direct->is_there;

    direct->is_there = true;
    direct->error = 0;
    direct->denied_since_us = 0;
    if (!was_there && sensor_note(&direct->sensor, SENSOR_CAME, CAUSE_NONE) > 0)
        tell_changed(direct);
}

/* ---- its answers ---- */

static void take_failure(struct direct *direct, const struct probe_answer *answer) {
    direct->failures++;
    memcpy(direct->detail, answer->detail, sizeof(direct->detail));
    log_debug("a read failed", { "SENSOR", direct->settings->name }, { "ERROR", answer->failure },
              { "DETAIL", answer->detail });
    if (sensor_fail(&direct->sensor, answer->failure) & SENSOR_CHANGED)
        tell_changed(direct);
}

static void take_reading(struct direct *direct, const struct probe_answer *answer) {
    struct reading reading = answer->reading;
    unsigned news;

    direct->failures = 0;
    if (direct->is_stale)
        return;
    if (answer->detail[0])
        log_debug("a temperature below zero", { "SENSOR", direct->settings->name },
                  { "DETAIL", answer->detail });
    reading.taken_us = now(direct);
    news = sensor_take(&direct->sensor, &reading);
    if (news & SENSOR_CHANGED)
        tell_changed(direct);
    if (news & SENSOR_PUBLISH)
        direct->output.sink(&reading, direct->output.userdata);
}

static void release_held(struct direct *direct) {
    struct reading held;

    if (conditioning_release(&direct->sensor.conditioning, now(direct), &held))
        direct->output.sink(&held, direct->output.userdata);
}

/* ---- when it is asked ---- */

/* Beats that went by without a question are left out. */
static uint64_t next_beat_us(struct direct *direct) {
    uint64_t interval_us = direct->settings->interval_us;
    uint64_t now_us = now(direct);

    if (direct->beat_us <= now_us)
        direct->beat_us += ((now_us - direct->beat_us) / interval_us + 1) * interval_us;
    return direct->beat_us;
}

static uint64_t next_ask_us(struct direct *direct, const struct probe_answer *answer) {
    uint64_t soonest_us = now(direct) + RETRY_US;
    uint64_t beat_us;

    if (answer->error < 0)
        return now(direct) + LOOK_US;
    beat_us = next_beat_us(direct);
    if (!direct->is_stale && (direct->failures == 0 || direct->failures > DIRECT_RETRIES)) {
        direct->failures = 0;
        return beat_us > soonest_us ? beat_us : soonest_us;
    }
    return soonest_us;
}

static void on_answer(const struct probe_answer *answer, void *userdata) {
    struct direct *direct = userdata;
    uint64_t next_us;

    direct->is_asked = false;
    if (answer->error < 0) {
        take_absence(direct, answer->error);
    } else {
        take_presence(direct);
        if (answer->failure)
            take_failure(direct, answer);
        else
            take_reading(direct, answer);
    }
    next_us = next_ask_us(direct, answer);
    direct->is_stale = false;
    (void)ring_at(direct, next_us);
}

/* It was asked, and there is no answer. */
static void take_silence(struct direct *direct) {
    if (sensor_note(&direct->sensor, SENSOR_FELL_SILENT, CAUSE_NONE) > 0)
        tell_changed(direct);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct direct *direct = userdata;
    int r;

    release_held(direct);
    if (direct->is_asked) {
        take_silence(direct);
        return ring_at(direct, now(direct) + PATIENCE_US);
    }
    direct->is_stale = direct->asked_us == 0 || now(direct) - direct->asked_us > STALE_US;
    direct->asked_us = now(direct);
    direct->is_asked = true;
    r = ring_at(direct, now(direct) + PATIENCE_US);
    direct->driver->ask(direct->probe); /* may answer at once, and then rings sooner */
    return r;
}

/* ---- its life ---- */

static struct direct *direct_free(struct direct *direct) {
    struct reading held;

    if (!direct)
        return NULL;
    if (conditioning_let_go(&direct->sensor.conditioning, &held))
        direct->output.sink(&held, direct->output.userdata);
    if (direct->probe)
        direct->driver->stop(direct->probe);
    (void)sd_event_source_disable_unref(direct->timer);
    (void)sd_event_unref(direct->loop);
    free(direct);
    return NULL;
}
DEFINE_CLEANUP(struct direct, direct_free);

static int add_timer(struct direct *direct) {
    int r = sd_event_add_time(direct->loop, &direct->timer, CLOCK_BOOTTIME, 0, ACCURACY_US,
                              on_timer, direct);

    if (r < 0)
        return r;
    r = sd_event_source_set_exit_on_failure(direct->timer, true);
    if (r < 0)
        return r;
    direct->beat_us = now(direct);
    return ring_at(direct, direct->beat_us);
}

/* The first question is the loop's: whoever starts us need not wait for a sensor. */
static int start(const struct probe_driver *driver, sd_event *loop,
                 const struct source_settings *settings, const struct source_output *output,
                 void **ret) {
    CLEANUP(direct_freep) struct direct *direct = calloc(1, sizeof(*direct));
    int r;

    if (!direct)
        return -ENOMEM;
    direct->loop = sd_event_ref(loop);
    direct->settings = settings;
    direct->output = *output;
    direct->driver = driver;
    sensor_init(&direct->sensor, settings->name);
    direct->sensor.conditioning.rules = &settings->rules;
    if (settings->model)
        conditioning_know(&direct->sensor.conditioning, settings->model);
    r = driver->start(loop, settings, on_answer, direct, &direct->probe);
    if (r < 0)
        return r;
    r = add_timer(direct);
    if (r < 0)
        return r;
    *ret = direct;
    direct = NULL;
    return 0;
}

static int start_gpio(sd_event *loop, const struct source_settings *settings,
                      const struct source_output *output, void **ret) {
    return start(&probe_gpio, loop, settings, output, ret);
}

static int start_iio(sd_event *loop, const struct source_settings *settings,
                     const struct source_output *output, void **ret) {
    return start(&probe_iio, loop, settings, output, ret);
}

static void stop(void *source) {
    (void)direct_free(source);
}

static void adopt(void *userdata, const struct source_settings *settings) {
    struct direct *direct = userdata;

    direct->settings = settings;
    direct->sensor.conditioning.rules = &settings->rules;
    direct->driver->adopt(direct->probe, settings);
}

static void describe(const void *userdata, struct status *status) {
    const struct direct *direct = userdata;
    const struct sensor_status sensor = {
        .sensor = &direct->sensor,
        .device = direct->settings->place,
    };

    source_add_status(status, &sensor);
}

const struct probe_driver *probe_find(const char *driver) {
    if (strcmp(driver, source_gpio_driver.name) == 0)
        return &probe_gpio;
    return strcmp(driver, source_iio_driver.name) == 0 ? &probe_iio : NULL;
}

const struct source_driver source_gpio_driver = {
    .name = "gpio",
    .start = start_gpio,
    .stop = stop,
    .adopt = adopt,
    .describe = describe,
};

const struct source_driver source_iio_driver = {
    .name = "iio",
    .start = start_iio,
    .stop = stop,
    .adopt = adopt,
    .describe = describe,
};
