/* SPDX-License-Identifier: MIT */
#include "io/publisher_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"

enum { ROWS = 32 }; /* published in one turn of the loop: boards are read in between */

static const uint64_t farewell_us = 2000000;
static const uint64_t late_after_us = 10000000;

/* ---- the state ---- */

static void send_state(struct publisher *publisher) {
    char *json = publisher->calls.render_state(publisher->calls.userdata);

    publisher->state_is_stale = false;
    if (publisher->in_flight.count == 0) /* the wait for an answer begins now */
        publisher->progress_us = loop_now_us();
    if (json)
        (void)link_publish(publisher->link, publisher->state_topic, json, strlen(json), true,
                           &publisher->state_message);
    free(json);
}

static bool state_is_refused(const struct publisher *publisher) {
    return loop_now_us() < publisher->state_refused_until_us;
}

void publisher_greet(struct publisher *publisher) {
    publisher->accepted_us = loop_now_us();
    publisher->progress_us = publisher->accepted_us;
    publisher->has_delivered = false;
    if (state_is_refused(publisher))
        publisher_step(publisher, UPLINK_ANNOUNCED);
    else
        send_state(publisher);
}

/* ---- readings ---- */

static int send_reading(struct publisher *publisher, const struct spooled *row) {
    struct envelope envelope = {
        .gateway = publisher->gateway,
        .prefix = row->prefix,
        .number = row->number,
        .wall_us = row->wall_us,
        .synchronised = row->synchronised,
        .late = row->accepted_us < publisher->accepted_us ||
                loop_now_us() - row->accepted_us > late_after_us,
    };
    char topic[TOPIC_SIZE];
    char payload[PAYLOAD_SIZE];
    int message;
    int size = payload_render(&envelope, &row->reading, payload, sizeof(payload));
    int r = topic_render(publisher->settings->topic, publisher->gateway, row->reading.sensor, topic,
                         sizeof(topic));

    if (size < 0 || r < 0)
        return -ENOSPC;
    r = link_publish(publisher->link, topic, payload, (size_t)size, false, &message);
    if (r < 0)
        return r;
    in_flight_add(&publisher->in_flight, message, row->number);
    publisher->sent = row->number;
    return 0;
}

/* In flight, and acknowledged but not yet deleted: what a kill now would send twice. */
static size_t room(const struct publisher *publisher) {
    size_t used = publisher->in_flight.count + spool_unsettled(publisher->spool);

    return used < publisher->settings->window ? publisher->settings->window - used : 0;
}

static void pump(struct publisher *publisher) {
    struct spooled rows[ROWS];
    size_t space = room(publisher);
    int count;

    if (space == 0 && spool_unsettled(publisher->spool) > 0) {
        spool_settle(publisher->spool);
        space = room(publisher);
    }
    if (space == 0)
        return;
    if (spool_has_rewound(publisher->spool))
        publisher->sent = 0;
    count = spool_read(publisher->spool, publisher->sent, rows, space < ROWS ? space : ROWS);
    if (count > 0 && !awaits_answer(publisher))
        publisher->progress_us = loop_now_us();
    for (int i = 0; i < count; i++) {
        if (in_flight_has(&publisher->in_flight, rows[i].number))
            publisher->sent = rows[i].number;
        else if (send_reading(publisher, &rows[i]) < 0)
            return;
    }
}

/* ---- new certificate files ---- */

/* Nothing new is sent, so nothing is sent twice; the timer ends it, patient or not. */
static void begin_renewal(struct publisher *publisher) {
    publisher->is_renewing = true;
    loop_arm(publisher->timer, loop_now_us() + farewell_us);
}

static void wait_for_renewal(struct publisher *publisher) {
    if (!awaits_answer(publisher))
        loop_arm(publisher->timer, loop_now_us()); /* not here: the link is in use */
}

/* Not a loss: nothing is said of it, and no time is waited for. */
void publisher_renew(struct publisher *publisher) {
    link_disconnect(publisher->link);
    publisher_drop_link(publisher);
    publisher_step(publisher, UPLINK_LOST_ROUND);
    publisher_step(publisher, UPLINK_RETRY);
    publisher->calls.on_change(publisher->calls.userdata);
}

/* One that is still being made is made first. */
void publisher_on_renewed(void *userdata) {
    struct publisher *publisher = userdata;

    if (publisher->state != UPLINK_ONLINE)
        publisher->wants_renewal = publisher->link != NULL;
    else if (!publisher->is_renewing)
        begin_renewal(publisher);
}

/* ---- the end ---- */

void publisher_begin_farewell(struct publisher *publisher) {
    loop_arm(publisher->timer, loop_now_us() + farewell_us);
}

/* Readings first; then the word that we are gone; when that is acknowledged, the goodbye. */
static void finish_farewell(struct publisher *publisher) {
    if (awaits_answer(publisher))
        return;
    if (!publisher->state_is_stale || state_is_refused(publisher)) {
        loop_arm(publisher->timer, loop_now_us()); /* not here: the link is in use */
        return;
    }
    publisher->state_is_stale = false;
    (void)link_publish(publisher->link, publisher->state_topic, PUBLISHER_OFFLINE,
                       strlen(PUBLISHER_OFFLINE), true, &publisher->state_message);
}

void publisher_finish(struct publisher *publisher) {
    loop_disarm(publisher->timer);
    if (publisher->link)
        link_disconnect(publisher->link);
    publisher_drop_link(publisher);
    if (publisher->stopped)
        publisher->stopped(publisher->stopped_userdata);
}

/* ---- the link's words ---- */

void publisher_on_idle(void *userdata) {
    struct publisher *publisher = userdata;

    if (publisher->is_renewing && publisher->state == UPLINK_ONLINE) {
        wait_for_renewal(publisher);
        return;
    }
    if (publisher->state == UPLINK_ONLINE || publisher->state == UPLINK_CLOSING)
        pump(publisher);
    if (publisher->state == UPLINK_ONLINE && publisher->state_is_stale &&
        publisher->state_message == LINK_NO_MESSAGE && !state_is_refused(publisher))
        send_state(publisher);
    if (publisher->state == UPLINK_CLOSING)
        finish_farewell(publisher);
    if (is_established(publisher->state) && publisher->state != UPLINK_CLOSING &&
        awaits_answer(publisher))
        loop_arm(publisher->timer, publisher->progress_us + publisher->settings->puback_us);
}

void publisher_on_acknowledged(int message, void *userdata) {
    struct publisher *publisher = userdata;
    uint64_t number;

    publisher->progress_us = loop_now_us();
    if (message == publisher->state_message) {
        publisher->state_message = LINK_NO_MESSAGE;
        if (publisher->state == UPLINK_ANNOUNCING)
            publisher_step(publisher, UPLINK_ANNOUNCED);
        return;
    }
    if (in_flight_take(&publisher->in_flight, message, &number)) {
        spool_acknowledge(publisher->spool, number);
        publisher->has_delivered = true;
        publisher->published++;
        publisher->calls.on_progress(publisher->calls.userdata);
    }
    if (publisher->progress_us - publisher->accepted_us > publisher->settings->stable_us) {
        backoff_reset(&publisher->backoff);
        publisher->short_lives = 0;
    }
}
