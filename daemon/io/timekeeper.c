/* SPDX-License-Identifier: MIT */
#include "io/timekeeper.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-bus.h>

#include "io/clock.h"
#include "io/loop.h"

#define TIMEDATED "org.freedesktop.timedate1"
#define TIMEDATED_PATH "/org/freedesktop/timedate1"

static const uint64_t pause_min_us = UINT64_C(5000000);
static const uint64_t pause_max_us = UINT64_C(300000000);
static const uint64_t answer_us = UINT64_C(20000000); /* it is started for the question */

struct timekeeper {
    sd_event *loop; /* borrowed from run() */
    sd_event_source *timer;
    sd_bus *bus; /* while a question is out */
    uint64_t pause_us;
};

static void hang_up(struct timekeeper *timekeeper) {
    timekeeper->bus = sd_bus_close_unref(timekeeper->bus);
}

static void ask_later(struct timekeeper *timekeeper) {
    loop_arm(timekeeper->timer, loop_now_us() + timekeeper->pause_us);
    timekeeper->pause_us *= 2;
    if (timekeeper->pause_us > pause_max_us)
        timekeeper->pause_us = pause_max_us;
}

/* No answer, an error (no such service) and a no are one: ask again. */
static int on_answer(sd_bus_message *answer, void *userdata, sd_bus_error *error) {
    struct timekeeper *timekeeper = userdata;
    int is_synchronised = 0;

    if (!sd_bus_message_is_method_error(answer, NULL) &&
        sd_bus_message_read(answer, "v", "b", &is_synchronised) > 0 && is_synchronised) {
        clock_believe_synchronised();
        /* To hang up: not here, which runs on the bus. */
        loop_arm(timekeeper->timer, loop_now_us());
    } else {
        ask_later(timekeeper);
    }
    return 0;
}

static int ask(struct timekeeper *timekeeper) {
    CLEANUP(sd_bus_message_unrefp) sd_bus_message *question = NULL;
    int r = sd_bus_open_system(&timekeeper->bus);

    if (r < 0)
        return r;
    r = sd_bus_attach_event(timekeeper->bus, timekeeper->loop, SD_EVENT_PRIORITY_NORMAL);
    if (r < 0)
        return r;
    r = sd_bus_message_new_method_call(timekeeper->bus, &question, TIMEDATED, TIMEDATED_PATH,
                                       "org.freedesktop.DBus.Properties", "Get");
    if (r < 0)
        return r;
    r = sd_bus_message_append(question, "ss", TIMEDATED, "NTPSynchronized");
    if (r < 0)
        return r;
    return sd_bus_call_async(timekeeper->bus, NULL, question, on_answer, timekeeper, answer_us);
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct timekeeper *timekeeper = userdata;

    hang_up(timekeeper);
    if (!clock_look().synchronised && ask(timekeeper) < 0) {
        hang_up(timekeeper);
        ask_later(timekeeper);
    }
    return 0;
}

int timekeeper_new(sd_event *loop, struct timekeeper **ret) {
    CLEANUP(timekeeper_freep) struct timekeeper *timekeeper = NULL;
    int r;

    *ret = NULL;
    if (!clock_is_kept_from_us())
        return 0;
    timekeeper = calloc(1, sizeof(*timekeeper));
    if (!timekeeper)
        return -ENOMEM;
    timekeeper->loop = loop;
    timekeeper->pause_us = pause_min_us;
    r = loop_add_timer(loop, on_timer, timekeeper, &timekeeper->timer);
    if (r < 0)
        return r;
    loop_arm(timekeeper->timer, loop_now_us());
    *ret = timekeeper;
    timekeeper = NULL;
    return 0;
}

struct timekeeper *timekeeper_free(struct timekeeper *timekeeper) {
    if (!timekeeper)
        return NULL;
    hang_up(timekeeper);
    (void)sd_event_source_disable_unref(timekeeper->timer);
    free(timekeeper);
    return NULL;
}
