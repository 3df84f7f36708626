/* SPDX-License-Identifier: MIT */
#include "check/trial.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/reading.h"
#include "io/attempt.h"
#include "io/link.h"
#include "io/loop.h"

static const char message[] = "{\"check\":true}";

/* Names that no sensor can have. */
static const char sensor[] = "_check";

struct trial {
    const struct trial_settings *settings;
    sd_event *loop;
    struct attempt attempt;
    struct addresses addresses;
    struct link *link;
    const char *topic;
    char client_id[NAME_MAX_LENGTH + 32];
    int message;

    /* what the callbacks have said; nothing is done there */
    bool is_resolved;
    bool is_connected;
    bool is_secured;
    bool is_accepted;
    bool is_acknowledged;
    bool is_lost;
};

/* Turns the loop until it is so. Returns 0; -ENOTCONN; -ETIMEDOUT; or the loop's error. */
static int wait_for(struct trial *trial, const bool *is_so, uint64_t patience_us) {
    uint64_t end_us = loop_now_us() + patience_us;

    while (!*is_so) {
        uint64_t now_us = loop_now_us();
        int r;

        if (trial->is_lost)
            return -ENOTCONN;
        if (now_us >= end_us) {
            trial->attempt.timed_out = true;
            return -ETIMEDOUT;
        }
        r = sd_event_run(trial->loop, end_us - now_us);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- name ---- */

static void on_resolved(const struct addresses *addresses, void *userdata) {
    struct trial *trial = userdata;

    trial->addresses = *addresses;
    trial->is_resolved = true;
}

static void begin(struct trial *trial) {
    const struct trial_settings *settings = trial->settings;

    attempt_begin(&trial->attempt, settings->publisher, settings->broker, settings->gateway);
}

static int resolve(struct trial *trial) {
    CLEANUP(resolver_freep) struct resolver *resolver = NULL;
    int r;

    begin(trial);
    trial->attempt.phase = ATTEMPT_RESOLVE;
    r = resolver_new(trial->loop, trial->settings->broker->host, on_resolved, trial, &resolver);
    if (r < 0)
        return r;
    r = wait_for(trial, &trial->is_resolved, trial->settings->publisher->resolve_us);
    if (r == 0 && (trial->addresses.error != 0 || trial->addresses.count == 0)) {
        attempt_note_unresolved(&trial->attempt, &trial->addresses);
        return -ENOENT;
    }
    return r;
}

/* ---- connection ---- */

static void on_link_event(enum link_event event, void *userdata) {
    struct trial *trial = userdata;

    switch (event) {
    case LINK_CONNECTED:
        trial->is_connected = true;
        return;
    case LINK_SECURED:
        trial->is_secured = true;
        return;
    case LINK_ACCEPTED:
        trial->is_accepted = true;
        return;
    case LINK_LOST:
        trial->is_lost = true;
        return;
    }
}

static void on_acknowledged(int number, void *userdata) {
    struct trial *trial = userdata;

    if (number == trial->message)
        trial->is_acknowledged = true;
}

static void on_idle(void *userdata) {
}

static int open_link(struct trial *trial, const char *address, struct tls *tls) {
    const struct publisher_settings *publisher = trial->settings->publisher;
    struct link_calls calls = { on_link_event, on_acknowledged, on_idle, trial };
    char password[ATTEMPT_PASSWORD_SIZE];
    struct link_settings link = {
        .client_id = trial->client_id,
        .username = publisher->username,
        .password = publisher->password_file ? password : NULL,
        .keepalive_s = publisher->keepalive_s,
        .window = 1,
    };
    int r = attempt_read_password(&trial->attempt, publisher->password_file, password);

    if (r == 0)
        r = link_new(trial->loop, &link, address, trial->settings->broker->port, tls_context(tls),
                     &trial->attempt, &calls, &trial->link);
    explicit_bzero(password, sizeof(password));
    return r;
}

/* One message decides: MQTT 3.1.1 has no other way to ask. */
static int publish(struct trial *trial) {
    int r =
        link_publish(trial->link, trial->topic, message, strlen(message), false, &trial->message);

    if (r == 0)
        r = wait_for(trial, &trial->is_acknowledged, trial->settings->publisher->puback_us);
    if (r == 0)
        return 0;
    trial->attempt.unacknowledged = 1;
    trial->attempt.short_lives = 2; /* a connection of our own, ended upon its first message */
    (void)snprintf(trial->attempt.topic, sizeof(trial->attempt.topic), "%s", trial->topic);
    return r;
}

static int climb(struct trial *trial) {
    const struct publisher_settings *publisher = trial->settings->publisher;
    int r = wait_for(trial, &trial->is_connected, publisher->connect_us);

    if (r == 0)
        r = wait_for(trial, &trial->is_secured, publisher->tls_us);
    if (r == 0)
        r = wait_for(trial, &trial->is_accepted, publisher->connack_us);
    if (r == 0 && trial->settings->may_publish)
        r = publish(trial);
    if (r == 0)
        link_disconnect(trial->link);
    return r;
}

static void forget_connection(struct trial *trial) {
    trial->message = LINK_NO_MESSAGE;
    trial->is_connected = false;
    trial->is_secured = false;
    trial->is_accepted = false;
    trial->is_acknowledged = false;
    trial->is_lost = false;
}

static int try_address(struct trial *trial, const char *address) {
    CLEANUP(tls_freep) struct tls *tls = NULL;
    int r;

    begin(trial);
    forget_connection(trial);
    (void)snprintf(trial->attempt.address, sizeof(trial->attempt.address), "%s", address);
    r = tls_new(&trial->settings->publisher->tls, trial->settings->broker->name, &trial->attempt,
                &tls);
    if (r == 0)
        r = open_link(trial, address, tls);
    if (r == 0)
        r = climb(trial);
    trial->link = link_free(trial->link);
    return r;
}

/* Where all fail, the address that came furthest has most to tell. */
static int try_all(struct trial *trial, struct attempt *ret) {
    int r = -ENOENT;

    for (unsigned i = 0; i < trial->addresses.count; i++) {
        r = try_address(trial, trial->addresses.text[i]);
        if (r == 0 || i == 0 || trial->attempt.phase > ret->phase)
            *ret = trial->attempt;
        if (r == 0 || trial->attempt.local != CAUSE_NONE)
            return r;
    }
    return r;
}

int trial_make(const struct trial_settings *settings, char topic[static TOPIC_SIZE],
               struct attempt *ret) {
    CLEANUP(sd_event_unrefp) sd_event *loop = NULL;
    struct trial *trial = calloc(1, sizeof(*trial));
    int r = trial ? sd_event_new(&loop) : -ENOMEM;

    if (r >= 0)
        r = topic_render(settings->publisher->topic, settings->gateway, sensor, topic, TOPIC_SIZE);
    if (r >= 0) {
        trial->settings = settings;
        trial->loop = loop;
        trial->topic = topic;
        (void)snprintf(trial->client_id, sizeof(trial->client_id), "sensorgw-%s-check",
                       settings->gateway);
        r = resolve(trial);
        *ret = trial->attempt;
    }
    if (r == 0)
        r = try_all(trial, ret);
    free(trial);
    return r;
}
