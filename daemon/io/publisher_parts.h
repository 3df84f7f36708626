/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the two parts of the publisher share; nobody else includes this.
 *
 *   publisher.c        reaches a broker, and says why not
 *   publisher_drain.c  what goes over a connection that stands, until its end
 */

#include "core/backoff.h"
#include "core/diagnosis.h"
#include "core/in_flight.h"
#include "core/topic.h"
#include "core/uplink.h"
#include "io/attempt.h"
#include "io/credentials.h"
#include "io/link.h"
#include "io/publisher.h"
#include "io/resolver.h"

#define PUBLISHER_OFFLINE "{\"state\":\"offline\"}"

/* What is kept of a broker between attempts. */
struct memory {
    enum cause cause;  /* said last: a second broker's failures are not news of the first */
    uint64_t failures; /* in a row; only the first of a cause was said */
};

/* Of several addresses the one that got furthest counts: it has a broker behind it. */
struct failure {
    enum attempt_phase phase;
    struct diagnosis diagnosis;
};

struct publisher {
    const struct publisher_settings *settings; /* borrowed from run() */
    struct spool *spool;                       /* borrowed from run() */
    sd_event *loop;                            /* borrowed from run() */
    struct publisher_calls calls;
    enum uplink_state state;
    struct backoff backoff;
    sd_event_source *timer; /* the deadline of the state, or the end of the back-off */

    char gateway[NAME_MAX_LENGTH + 1];
    char client_id[NAME_MAX_LENGTH + 16];
    char state_topic[TOPIC_SIZE];

    /* the attempt */
    size_t broker; /* cursor of the round */
    struct addresses addresses;
    unsigned address; /* cursor of the broker's */
    struct resolver *resolver;
    struct memory *memories; /* one a broker */
    struct credentials *credentials;
    struct link *link;
    struct attempt attempt;
    struct failure furthest;    /* of the broker's addresses so far */
    struct diagnosis diagnosis; /* of the last broker, as it is shown */
    uint64_t next_attempt_us;
    uint64_t accepted_us;
    bool has_delivered; /* a reading, on this connection */
    bool wants_renewal; /* certificate files may have changed since it was begun */
    bool is_renewing;   /* it ends when all is acknowledged: they have */
    unsigned short_lives;

    /* what is out */
    struct in_flight in_flight;
    uint64_t sent; /* the last reading handed to the link */
    uint64_t progress_us;
    uint64_t published;
    int state_message;
    bool state_is_stale;
    uint64_t state_refused_until_us;

    void (*stopped)(void *userdata);
    void *stopped_userdata;
};

/* Is anything on its way that the broker has not acknowledged? */
static inline bool awaits_answer(const struct publisher *publisher) {
    return publisher->in_flight.count > 0 || publisher->state_message != LINK_NO_MESSAGE;
}

static inline bool is_established(enum uplink_state state) {
    return state == UPLINK_ANNOUNCING || state == UPLINK_ONLINE || state == UPLINK_CLOSING;
}

/* ---- publisher.c ---- */

/* Takes the step that follows the event. */
void publisher_step(struct publisher *publisher, enum uplink_event event);

/* Forgets the connection and what was on its way; the spool still has it. */
void publisher_drop_link(struct publisher *publisher);

/* ---- publisher_drain.c ---- */

/* The broker has accepted us: the state goes first. */
void publisher_greet(struct publisher *publisher);

/* New certificate files: the connection ends when all is acknowledged, or after two seconds. */
void publisher_on_renewed(void *publisher);

/* Ends it, and begins another at once. */
void publisher_renew(struct publisher *publisher);

void publisher_begin_farewell(struct publisher *publisher);
void publisher_finish(struct publisher *publisher);

/* Of the link. */
void publisher_on_acknowledged(int message, void *publisher);
void publisher_on_idle(void *publisher);
