/* SPDX-License-Identifier: MIT */
#include "io/source_serial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "cleanup.h"
#include "io/boards.h"
#include "io/serial_port.h"
#include "io/source_log.h"

#define LOOK_US UINT64_C(1000000)   /* how often an absent port is looked for */
#define DENIED_US UINT64_C(5000000) /* udev hands a new port to its group only after making it */
#define ASK_US UINT64_C(3000000) /* a board that restarts at open says hello within two seconds */
#define ACCURACY_US UINT64_C(1000)

enum {
    ASKS = 4, /* for a hello, each time the port is opened */
    CHUNK_SIZE = 1024,
};

struct source_serial {
    sd_event *loop;
    const struct source_settings *settings; /* borrowed from the configuration */
    struct source_output output;
    struct serial_port port;
    enum cause cause; /* why the port is not open */
    int error;
    uint64_t denied_since_us; /* 0: it is not */
    sd_event_source *look;
    sd_event_source *readable; /* while the port is open */
    sd_event_source *ask;
    unsigned asks_left;
    struct boards *boards;
    struct source_log log;
};

static uint64_t now(const struct source_serial *source) {
    uint64_t now_us = 0;

    (void)sd_event_now(source->loop, CLOCK_BOOTTIME, &now_us);
    return now_us;
}

static int ring_in(const struct source_serial *source, sd_event_source *timer, uint64_t delay_us) {
    int r = sd_event_source_set_time(timer, now(source) + delay_us);

    return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* Once for the port, not once for each board behind it. */
static void tell_changed(struct source_serial *source) {
    const struct sensor_place place = {
        .device = source->settings->device,
        .baud = source->settings->baud,
        .error = source->error < 0 ? strerror(-source->error) : NULL,
        .is_no_port = source->error == -ENOTTY,
    };

    source_log_port(&source->log, source->settings, &place, source->cause);
    source->output.changed(source->output.userdata);
}

static int go_without(struct source_serial *source, enum cause cause, int error) {
    bool is_news = cause != source->cause || error != source->error;

    source->cause = cause;
    source->error = error;
    boards_go(source->boards, cause);
    if (is_news)
        tell_changed(source);
    return ring_in(source, source->look, LOOK_US);
}

static int on_hang_up(struct source_serial *source) {
    source->readable = sd_event_source_disable_unref(source->readable);
    (void)sd_event_source_set_enabled(source->ask, SD_EVENT_OFF);
    serial_port_close(&source->port);
    return go_without(source, CAUSE_DEVICE_LOST, 0);
}

static int on_readable(sd_event_source *event, int fd, uint32_t revents, void *userdata) {
    struct source_serial *source = userdata;
    uint8_t chunk[CHUNK_SIZE];
    int n = serial_port_read(&source->port, chunk, sizeof(chunk));

    if (n == -EAGAIN && !(revents & (EPOLLHUP | EPOLLERR)))
        return 0;
    if (n < 0)
        return on_hang_up(source);
    return boards_take(source->boards, chunk, (size_t)n);
}

/* At once, for the board that runs already, and again for one that was just reset by the open. */
static int on_ask(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct source_serial *source = userdata;

    if (boards_are_known(source->boards))
        return 0;
    serial_port_ask(&source->port);
    return --source->asks_left > 0 ? ring_in(source, timer, ASK_US) : 0;
}

static int begin_reading(struct source_serial *source) {
    int r = sd_event_add_io(source->loop, &source->readable, source->port.fd, EPOLLIN, on_readable,
                            source);

    if (r < 0)
        return r;
    r = sd_event_source_set_exit_on_failure(source->readable, true);
    if (r < 0)
        return r;
    r = boards_come(source->boards);
    if (r < 0)
        return r;
    source->asks_left = ASKS;
    return on_ask(source->ask, 0, source);
}

static int on_open(struct source_serial *source) {
    source->cause = CAUSE_NONE;
    source->error = 0;
    source->denied_since_us = 0;
    if (source->port.matches > 1)
        source_log_ambiguous(source->settings, source->port.path, source->port.matches);
    tell_changed(source);
    return begin_reading(source);
}

static int on_denied(struct source_serial *source) {
    if (source->denied_since_us == 0)
        source->denied_since_us = now(source);
    if (now(source) - source->denied_since_us < DENIED_US)
        return ring_in(source, source->look, LOOK_US);
    return go_without(source, CAUSE_DEVICE_DENIED, 0);
}

/* What was unplugged stays lost until there is something else to say. */
static int on_absent(struct source_serial *source) {
    return go_without(
        source, source->cause == CAUSE_DEVICE_LOST ? CAUSE_DEVICE_LOST : CAUSE_DEVICE_ABSENT, 0);
}

static int on_look(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct source_serial *source = userdata;
    int r = serial_port_open(&source->port, source->settings->device, source->settings->baud);

    if (r == 0)
        return on_open(source);
    if (r == -EACCES)
        return on_denied(source);
    source->denied_since_us = 0;
    if (r == -EBUSY)
        return go_without(source, CAUSE_DEVICE_BUSY, 0);
    if (r == -ENOENT || r == -ENODEV)
        return on_absent(source);
    return go_without(source, CAUSE_DEVICE_ABSENT, r);
}

static int add_timer(struct source_serial *source, sd_event_time_handler_t handler,
                     sd_event_source **ret) {
    int r = sd_event_add_time(source->loop, ret, CLOCK_BOOTTIME, 0, ACCURACY_US, handler, source);

    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
    return r < 0 ? r : sd_event_source_set_exit_on_failure(*ret, true);
}

static struct source_serial *source_serial_free(struct source_serial *source) {
    if (!source)
        return NULL;
    (void)sd_event_source_disable_unref(source->readable);
    (void)sd_event_source_disable_unref(source->look);
    (void)sd_event_source_disable_unref(source->ask);
    serial_port_close(&source->port);
    (void)boards_free(source->boards);
    (void)sd_event_unref(source->loop);
    free(source);
    return NULL;
}
DEFINE_CLEANUP(struct source_serial, source_serial_free);

/* The first look is the loop's: whoever starts us need not wait for a port. */
static int start(sd_event *loop, const struct source_settings *settings,
                 const struct source_output *output, void **ret) {
    CLEANUP(source_serial_freep) struct source_serial *source = calloc(1, sizeof(*source));
    int r;

    if (!source)
        return -ENOMEM;
    serial_port_init(&source->port);
    source->loop = sd_event_ref(loop);
    source->settings = settings;
    source->output = *output;
    r = boards_new(loop, settings, output, &source->boards);
    if (r < 0)
        return r;
    r = add_timer(source, on_look, &source->look);
    if (r < 0)
        return r;
    r = add_timer(source, on_ask, &source->ask);
    if (r < 0)
        return r;
    r = ring_in(source, source->look, 0);
    if (r < 0)
        return r;
    *ret = source;
    source = NULL;
    return 0;
}

static void stop(void *source) {
    (void)source_serial_free(source);
}

static void adopt(void *userdata, const struct source_settings *settings) {
    struct source_serial *source = userdata;

    source->settings = settings;
    boards_adopt(source->boards, settings);
}

static void describe(const void *userdata, struct status *status) {
    const struct source_serial *source = userdata;

    boards_describe(source->boards, status);
}

const struct source_driver source_serial_driver = {
    .name = "serial",
    .start = start,
    .stop = stop,
    .adopt = adopt,
    .describe = describe,
};
