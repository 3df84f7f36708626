/* SPDX-License-Identifier: MIT */
#pragma once

/* Whom to reach, how, and how patiently: what a publisher and `sensorgw check` are told. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/tls.h"

struct broker_settings {
    const char *host;
    uint16_t port;
    const char *name; /* to verify */
};

struct publisher_settings {
    const char
        *gateway; /* configured; NULL: the certificate's common name, else fallback_gateway */
    const char *fallback_gateway;
    const char *topic; /* template */
    const struct broker_settings *brokers;
    size_t broker_count;
    unsigned keepalive_s;
    unsigned window;
    const char *username; /* NULL: the certificate is the login */
    const char *password_file;
    struct tls_settings tls;
    uint64_t reconnect_min_ms;
    uint64_t reconnect_max_ms;
    uint64_t stable_us;
    uint64_t resolve_us;
    uint64_t connect_us;
    uint64_t tls_us;
    uint64_t connack_us;
    uint64_t puback_us;
};

/* Would a publisher with the one do all that a publisher with the other does? */
bool publisher_settings_agree(const struct publisher_settings *a,
                              const struct publisher_settings *b);
