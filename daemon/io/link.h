/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One connection to one address of a broker: libmosquitto on a socket that the event loop watches.
 *
 * A link lives for one attempt. libmosquitto keeps what it could not send and sends it again by
 * itself, so a handle that failed is never used again: the spool is the only queue. It has no
 * thread and no time-out of its own; deadlines are the publisher's. It gets an IP address, since
 * its own connect resolves names and waits.
 *
 * Source: mosquitto issues 2594 and 3745 (busy loops while connecting), 3054 (stale OpenSSL
 * errors), 2463 (SSL_CTX with defaults); mosquitto.h.
 */

#include <openssl/ssl.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "core/diagnosis.h"

enum link_event {
    LINK_CONNECTED, /* TCP */
    LINK_SECURED,   /* TLS, as far as we can see */
    LINK_ACCEPTED,  /* CONNACK 0 */
    LINK_LOST,      /* what is known is in the attempt; the link may only be freed */
};

struct link_settings {
    const char *client_id;
    const char *username; /* NULL: none is sent */
    const char *password;
    unsigned keepalive_s;
    unsigned window;
    const char *will_topic;
    const char *will;
};

struct link_calls {
    void (*on_event)(enum link_event event, void *userdata); /* may free the link */
    void (*on_acknowledged)(int message, void *userdata);    /* PUBACK; must not free it */
    void (*on_idle)(
        void *userdata); /* before the loop waits: the moment to publish; must not free it */
    void *userdata;
};

struct link;

/*
 * Begins to connect. Everything borrowed must outlive the link.
 *
 * Returns 0, or < 0 with what is known in attempt.
 */
int link_new(sd_event *loop, const struct link_settings *settings, const char *address,
             uint16_t port, SSL_CTX *context, struct attempt *attempt,
             const struct link_calls *calls, struct link **ret);
struct link *link_free(struct link *link);
DEFINE_CLEANUP(struct link, link_free);

enum { LINK_NO_MESSAGE = -1 }; /* the number of none */

/* QoS 1. Returns 0 and the message's number in *ret; on error the link reports LINK_LOST by itself.
 */
int link_publish(struct link *link, const char *topic, const char *payload, size_t size,
                 bool retain, int *ret);

/* Says farewell, so that the broker keeps the will to itself. */
void link_disconnect(struct link *link);
