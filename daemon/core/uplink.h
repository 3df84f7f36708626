/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The connection to the brokers, as a table: state + event -> next state + what to do.
 *
 *            start             resolved             connected            secured
 *     DOWN ---------> RESOLVING -------> CONNECTING ---------> SECURING ---------> GREETING
 *                        ^  ^                ^                                        | accepted
 *              next      |  |   next address |  (from every state on the right)       v
 *              broker    |  +----------------+                                   ANNOUNCING
 *                        |                                                            | announced
 *     WAITING -----------+    <----- lost, and the round is over -----              ONLINE
 *              timer, retry                                                           | stop
 *                                                                      STOPPED <-- CLOSING
 *
 * TLS that stands is not a connection: under TLS 1.3 a broker refuses our certificate after the
 * handshake, so only its CONNACK (accepted) counts. The gateway's state is announced alone and
 * acknowledged before any reading goes out: a refused state topic must not be blamed on a reading.
 *
 * Pure. io/publisher.c does what the table says.
 */

enum uplink_state {
    UPLINK_DOWN,
    UPLINK_RESOLVING,
    UPLINK_CONNECTING, /* TCP */
    UPLINK_SECURING,   /* TLS */
    UPLINK_GREETING,   /* CONNECT sent, CONNACK awaited */
    UPLINK_ANNOUNCING, /* state sent, its PUBACK awaited */
    UPLINK_ONLINE,
    UPLINK_WAITING, /* back-off */
    UPLINK_CLOSING, /* asked to stop: the last readings and the offline state go out */
    UPLINK_STOPPED,
};

enum uplink_event {
    UPLINK_START,
    UPLINK_RESOLVED,
    UPLINK_CONNECTED,
    UPLINK_SECURED,
    UPLINK_ACCEPTED,
    UPLINK_ANNOUNCED,
    UPLINK_LOST_ADDRESS, /* this address failed; the broker has another */
    UPLINK_LOST_BROKER,  /* this broker failed; the round has another */
    UPLINK_LOST_ROUND,   /* and it was the last one */
    UPLINK_TIMER,
    UPLINK_RETRY, /* asked for now, by SIGHUP */
    UPLINK_STOP,
    UPLINK_CLOSED, /* all said, or no time left */
    UPLINK_EVENTS,
};

enum uplink_action {
    UPLINK_NOTHING,
    UPLINK_RESOLVE, /* the broker at the cursor */
    UPLINK_CONNECT, /* the address at the cursor */
    UPLINK_AWAIT,   /* the next event, under the deadline of the new state */
    UPLINK_ANNOUNCE,
    UPLINK_DRAIN,
    UPLINK_BACK_OFF, /* arm the timer */
    UPLINK_CLOSE,    /* say farewell under a deadline */
    UPLINK_FINISH,
};

struct uplink_step {
    enum uplink_state next;
    enum uplink_action action;
};

/* What follows. An event that does not apply leaves the state and asks for UPLINK_NOTHING. */
struct uplink_step uplink_next(enum uplink_state state, enum uplink_event event);

/* "resolving", "online", ... */
const char *uplink_state_name(enum uplink_state state);
