/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Drains the spool over MQTT 3.1.1 and mutual TLS: QoS 1, in order, at most `window` unsettled.
 *
 * core/uplink.h is its state machine. Brokers are tried in rounds; each attempt has a handle of its
 * own (io/link.h), so the spool stays the only queue.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "core/status.h"
#include "io/publisher_settings.h"
#include "io/spool.h"

struct publisher_calls {
    /* The link's state or its cause is another. */
    void (*on_change)(void *userdata);
    /* A broker has taken a reading. */
    void (*on_progress)(void *userdata);
    /* The gateway's state as JSON, to be freed by the publisher; NULL: none. */
    char *(*render_state)(void *userdata);
    void *userdata;
};

struct publisher;

/* All but calls is borrowed and must outlive the publisher. Nothing happens before publisher_start.
 */
int publisher_new(sd_event *loop, const struct publisher_settings *settings, struct spool *spool,
                  const struct publisher_calls *calls, struct publisher **ret);
struct publisher *publisher_free(struct publisher *publisher);
DEFINE_CLEANUP(struct publisher, publisher_free);

void publisher_start(struct publisher *publisher);

/* The publisher before this one could not connect: to whoever saw that, its end is news. */
void publisher_was_failing(struct publisher *publisher, enum cause cause);

/* Ends a back-off now, gives a refused state topic another chance, and lets a connection that
 * stands be made anew where certificate files were renewed. */
void publisher_retry(struct publisher *publisher);

/*
 * Flushes for two seconds at most, says "offline" and disconnects; done is called from the loop
 * when that is over, however it went.
 */
void publisher_stop(struct publisher *publisher, void (*done)(void *userdata), void *userdata);

/* There is something new to say: publishes the state when a connection stands. */
void publisher_announce(struct publisher *publisher);

bool publisher_is_online(const struct publisher *publisher);

/* The name under which it publishes. */
const char *publisher_gateway(const struct publisher *publisher);

void publisher_describe(const struct publisher *publisher, struct link_status *ret);
