/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/dht11.h"
#include "io/gpio_line.h"
#include "io/probe.h"

/*
 *     resting --ask--> pulling --20 ms--> listening --12 ms--> resting
 *                                             | ^
 *                                             +-+ once more, where edges are missing
 *
 * An answer takes 5 ms, and the kernel keeps its edges: waking once is enough, not for each of
 * them. All steps are timers.
 */
#define PULL_US UINT64_C(18500) /* the kernel's own driver has 18 to 20 ms for both models */
#define LISTEN_US UINT64_C(12000)
#define LISTEN_AGAIN_US UINT64_C(40000) /* on a busy machine the edges come late */

enum step { RESTING, PULLING, LISTENING, LISTENING_AGAIN };

struct gpio_probe {
    sd_event *loop;
    const struct source_settings *settings; /* borrowed */
    probe_answered answered;
    void *userdata;
    struct gpio_line *line; /* NULL: not to be had yet */
    sd_event_source *timer;
    enum step step;
    uint64_t falling_ns[GPIO_LINE_EVENTS];
    size_t count;
};

static int ring_in(struct gpio_probe *probe, uint64_t delay_us) {
    uint64_t now_us = 0;
    int r;

    (void)sd_event_now(probe->loop, CLOCK_BOOTTIME, &now_us);
    r = sd_event_source_set_time(probe->timer, now_us + delay_us);
    return r < 0 ? r : sd_event_source_set_enabled(probe->timer, SD_EVENT_ONESHOT);
}

static void answer(struct gpio_probe *probe, const struct probe_answer *answer) {
    probe->step = RESTING;
    probe->answered(answer, probe->userdata);
}

/* The line, or its chip, went away, or cannot do what is wanted. */
static void give_up(struct gpio_probe *probe, int error) {
    probe->line = gpio_line_free(probe->line);
    answer(probe, &(struct probe_answer){ .error = error });
}

static void add(struct reading *reading, const char *key, int tenths) {
    struct quantity quantity = { .scaled = tenths, .decimals = 1 };

    (void)snprintf(quantity.key, sizeof(quantity.key), "%s", key);
    (void)reading_add(reading, &quantity);
}

static void describe_bytes(const uint8_t raw[DHT11_BYTES], const char *remark,
                           struct probe_answer *answer) {
    (void)snprintf(answer->detail, sizeof(answer->detail), "bytes %02x%02x%02x%02x%02x%s", raw[0],
                   raw[1], raw[2], raw[3], raw[4], remark);
}

static void decode(const struct gpio_probe *probe, struct probe_answer *ret) {
    enum dht_model model = DHT_MODEL_11;
    uint8_t raw[DHT11_BYTES];
    struct climate climate;
    enum dht11_status status;

    (void)dht_model_find(probe->settings->model, &model);
    status = dht11_decode(model, probe->falling_ns, probe->count, raw, &climate);
    if (status == DHT11_OK) {
        add(&ret->reading, "t", climate.temperature_tenths);
        add(&ret->reading, "rh", climate.humidity_tenths);
        if (model == DHT_MODEL_11 && dht11_bytes_are_negative(raw))
            describe_bytes(raw, "", ret); /* two encodings are about: core/dht11_bytes.h */
        return;
    }
    ret->failure = dht11_status_name(status);
    if (status == DHT11_RANGE)
        describe_bytes(
            raw, model == DHT_MODEL_11 && dht11_is_dht22(raw) ? ", as a DHT22 gives them" : "",
            ret);
    else
        (void)snprintf(ret->detail, sizeof(ret->detail), "%zu of %d edges", probe->count,
                       DHT11_EDGES);
}

static void conclude(struct gpio_probe *probe) {
    struct probe_answer found = { .error = 0 };
    int r = gpio_line_rest(probe->line);

    if (r < 0) {
        give_up(probe, r);
        return;
    }
    decode(probe, &found);
    answer(probe, &found);
}

static int listen_more(struct gpio_probe *probe) {
    int n = gpio_line_take(probe->line, probe->falling_ns + probe->count,
                           GPIO_LINE_EVENTS - probe->count);

    if (n < 0) {
        give_up(probe, n);
        return 0;
    }
    probe->count += (size_t)n;
    if (probe->count < DHT11_EDGES_WANTED && probe->step == LISTENING) {
        probe->step = LISTENING_AGAIN;
        return ring_in(probe, LISTEN_AGAIN_US);
    }
    conclude(probe);
    return 0;
}

static int let_go(struct gpio_probe *probe) {
    int r = gpio_line_let_go(probe->line);

    if (r < 0) {
        give_up(probe, r);
        return 0;
    }
    probe->step = LISTENING;
    probe->count = 0;
    return ring_in(probe, LISTEN_US);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct gpio_probe *probe = userdata;

    switch (probe->step) {
    case RESTING:
        return 0;
    case PULLING:
        return let_go(probe);
    case LISTENING:
    case LISTENING_AGAIN:
        return listen_more(probe);
    }
    return 0;
}

static int pull(struct gpio_probe *probe) {
    int r = gpio_line_pull_low(probe->line);

    if (r < 0)
        return r;
    probe->step = PULLING;
    return ring_in(probe, PULL_US);
}

static void ask(void *userdata) {
    struct gpio_probe *probe = userdata;
    int r = 0;

    if (!probe->line)
        r = gpio_line_new(probe->settings->chip, probe->settings->line, &probe->line);
    if (r == 0)
        r = gpio_line_is_high(probe->line);
    if (r == 0)
        answer(probe, &(struct probe_answer){ .failure = dht11_status_name(DHT11_STUCK) });
    if (r > 0)
        r = pull(probe);
    if (r < 0)
        give_up(probe, r);
}

static void stop(void *userdata) {
    struct gpio_probe *probe = userdata;

    if (!probe)
        return;
    (void)sd_event_source_disable_unref(probe->timer);
    (void)gpio_line_free(probe->line);
    (void)sd_event_unref(probe->loop);
    free(probe);
}

static struct gpio_probe *probe_free(struct gpio_probe *probe) {
    stop(probe);
    return NULL;
}
DEFINE_CLEANUP(struct gpio_probe, probe_free);

static int start(sd_event *loop, const struct source_settings *settings, probe_answered answered,
                 void *userdata, void **ret) {
    CLEANUP(probe_freep) struct gpio_probe *probe = calloc(1, sizeof(*probe));
    int r;

    if (!probe)
        return -ENOMEM;
    probe->loop = sd_event_ref(loop);
    probe->settings = settings;
    probe->answered = answered;
    probe->userdata = userdata;
    /* To the millisecond: a pulse that is much too long is no question to a DHT22. */
    r = sd_event_add_time(loop, &probe->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, probe);
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(probe->timer, SD_EVENT_OFF);
    if (r < 0)
        return r;
    r = sd_event_source_set_exit_on_failure(probe->timer, true);
    if (r < 0)
        return r;
    *ret = probe;
    probe = NULL;
    return 0;
}

static void adopt(void *userdata, const struct source_settings *settings) {
    struct gpio_probe *probe = userdata;

    probe->settings = settings;
}

const struct probe_driver probe_gpio = {
    .kind = DIRECT_GPIO,
    .start = start,
    .stop = stop,
    .adopt = adopt,
    .ask = ask,
};
