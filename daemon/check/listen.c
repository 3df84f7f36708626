/* SPDX-License-Identifier: MIT */
#include "check/listen.h"

#include <errno.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "io/loop.h"

enum { CHUNK_SIZE = 512, ASK_AGAIN_MS = 3000 };

/* The listeners and the loop that they share. */
struct round {
    sd_event *loop;
    struct listener *listeners;
    size_t count;
};

static bool is_open(const struct listener *listener) {
    return listener->device && listener->port.fd >= 0;
}

static void take_frame(struct listener *listener, const struct frame *frame) {
    if (listener->wanted != 0 && frame->node != listener->wanted) {
        listener->another = frame->node;
        return;
    }
    listener->number = frame->node;
    switch (frame->type) {
    case FRAME_HELLO:
        listener->has_hello = true;
        listener->hello = frame->hello;
        return;
    case FRAME_READING:
        listener->has_reading = true;
        listener->reading = frame->reading;
        return;
    case FRAME_SENSOR_ERROR:
        listener->has_error = true;
        listener->error = frame->error;
        return;
    }
}

/* Returns whether no more need be heard. */
static bool take_bytes(struct listener *listener, const uint8_t *bytes, int count) {
    struct frame frame;

    listener->bytes += (uint64_t)count;
    for (int i = 0; i < count; i++)
        if (frame_push(&listener->decoder, bytes[i], &frame) > 0)
            take_frame(listener, &frame);
    return listener->has_reading;
}

static int on_readable(sd_event_source *event, int fd, uint32_t revents, void *userdata) {
    struct listener *listener = userdata;
    uint8_t chunk[CHUNK_SIZE];
    int n = serial_port_read(&listener->port, chunk, sizeof(chunk));

    if (n == -EAGAIN && !(revents & (EPOLLHUP | EPOLLERR)))
        return 0;
    listener->was_lost = n < 0;
    if (n >= 0 && !take_bytes(listener, chunk, n))
        return 0;
    (void)sd_event_source_set_enabled(event, SD_EVENT_OFF);
    serial_port_close(&listener->port);
    return 0;
}

static int on_ask_again(sd_event_source *timer, uint64_t due_us, void *userdata) {
    const struct round *round = userdata;

    for (size_t i = 0; i < round->count; i++)
        if (is_open(&round->listeners[i]))
            serial_port_ask(&round->listeners[i].port);
    return 0;
}

static int open_one(struct round *round, struct listener *listener) {
    int r;

    serial_port_init(&listener->port);
    frame_decoder_init(&listener->decoder);
    if (!listener->device)
        return 0;
    listener->opened = serial_port_open(&listener->port, listener->device, listener->baud);
    if (listener->opened < 0)
        return 0;
    serial_port_ask(&listener->port);
    r = sd_event_add_io(round->loop, NULL, listener->port.fd, EPOLLIN, on_readable, listener);
    return r < 0 ? r : 0;
}

static int open_all(struct round *round) {
    for (size_t i = 0; i < round->count; i++) {
        int r = open_one(round, &round->listeners[i]);

        if (r < 0)
            return r;
    }
    return sd_event_add_time(round->loop, NULL, CLOCK_BOOTTIME,
                             loop_now_us() + UINT64_C(1000) * ASK_AGAIN_MS, 0, on_ask_again, round);
}

static bool any_is_open(const struct round *round) {
    for (size_t i = 0; i < round->count; i++)
        if (is_open(&round->listeners[i]))
            return true;
    return false;
}

/* Returns 0 or < 0. */
static int turn(struct round *round) {
    uint64_t end_us = loop_now_us() + UINT64_C(1000) * LISTEN_MS;

    while (any_is_open(round)) {
        uint64_t now_us = loop_now_us();
        int r;

        if (now_us >= end_us)
            return 0;
        r = sd_event_run(round->loop, end_us - now_us);
        if (r < 0)
            return r;
    }
    return 0;
}

int listen_all(struct listener *listeners, size_t count) {
    CLEANUP(sd_event_unrefp) sd_event *loop = NULL;
    struct round round = { .listeners = listeners, .count = count };
    int r = sd_event_new(&loop);

    if (r < 0)
        return r;
    round.loop = loop;
    r = open_all(&round);
    if (r >= 0)
        r = turn(&round);
    for (size_t i = 0; i < count; i++)
        serial_port_close(&listeners[i].port);
    return r;
}
