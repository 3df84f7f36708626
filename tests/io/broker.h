/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A broker on a thread of the test: a loopback socket, OpenSSL's server, as much of MQTT as a
 * publisher needs, and each way of not being one.
 */

#include <stdbool.h>
#include <stdint.h>

enum broker_conduct {
    BROKER_SERVES,
    BROKER_CLOSES,          /* as soon as somebody connects */
    BROKER_CLOSES_AT_HELLO, /* when it has heard the ClientHello */
    BROKER_KEEPS_SILENT,    /* takes the connection, says nothing */
    BROKER_SPEAKS_PLAIN,    /* "HTTP/1.1 400 Bad Request" */
    BROKER_IGNORES_CONNECT, /* TLS, and then nothing */
    BROKER_CLOSES_AT_CONNECT,
    BROKER_CLOSES_AT_PUBLISH,
    BROKER_NEVER_ACKNOWLEDGES,
    BROKER_TAKES_ONLY_STATES, /* acknowledges what goes to gateways/ */
    BROKER_DIES_SILENTLY,     /* after CONNACK no answer to anything, not even a ping */
};

struct broker_plan {
    enum broker_conduct conduct;
    const char *certificate; /* NULL: no TLS is needed for this conduct */
    const char *key;
    const char *client_ca; /* NULL: it asks for no certificate */
    int min_version;       /* 0: any */
    int max_version;
    const char *ciphers;
    const char *ciphersuites;
    int connack;
    uint16_t port; /* 0: any */
};

enum { BROKER_TOPIC_SIZE = 256 };

struct broker_seen {
    unsigned connections;
    unsigned handshakes;
    bool has_server_name; /* SNI, of the last ClientHello */
    char server_name[256];
    unsigned publishes;
    char first_topic[BROKER_TOPIC_SIZE];
    char topic[BROKER_TOPIC_SIZE];   /* of the last */
    char payload[BROKER_TOPIC_SIZE]; /* of the last, as much as fits */
    bool said_goodbye;
};

struct broker;

struct broker *broker_start(const struct broker_plan *settings);
struct broker *broker_stop(struct broker *broker);
uint16_t broker_port(const struct broker *broker);

/* What it has seen so far. */
struct broker_seen broker_seen(struct broker *broker);

/* A port that nobody listens on. */
uint16_t broker_closed_port(void);
