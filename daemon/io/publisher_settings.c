/* SPDX-License-Identifier: MIT */
#include "io/publisher_settings.h"

#include <string.h>

static bool texts_agree(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool brokers_agree(const struct publisher_settings *a, const struct publisher_settings *b) {
    if (a->broker_count != b->broker_count)
        return false;
    for (size_t i = 0; i < a->broker_count; i++)
        if (!texts_agree(a->brokers[i].host, b->brokers[i].host) ||
            a->brokers[i].port != b->brokers[i].port ||
            !texts_agree(a->brokers[i].name, b->brokers[i].name))
            return false;
    return true;
}

static bool tls_agrees(const struct tls_settings *a, const struct tls_settings *b) {
    return texts_agree(a->ca, b->ca) && texts_agree(a->certificate, b->certificate) &&
           texts_agree(a->key, b->key) && texts_agree(a->passphrase_file, b->passphrase_file) &&
           texts_agree(a->crl, b->crl) && a->min_version == b->min_version &&
           a->max_version == b->max_version && texts_agree(a->ciphers, b->ciphers) &&
           texts_agree(a->ciphersuites, b->ciphersuites) &&
           a->expiry_warning_days == b->expiry_warning_days;
}

bool publisher_settings_agree(const struct publisher_settings *a,
                              const struct publisher_settings *b) {
    return texts_agree(a->gateway, b->gateway) &&
           texts_agree(a->fallback_gateway, b->fallback_gateway) &&
           texts_agree(a->topic, b->topic) && brokers_agree(a, b) &&
           a->keepalive_s == b->keepalive_s && a->window == b->window &&
           texts_agree(a->username, b->username) &&
           texts_agree(a->password_file, b->password_file) && tls_agrees(&a->tls, &b->tls) &&
           a->reconnect_min_ms == b->reconnect_min_ms &&
           a->reconnect_max_ms == b->reconnect_max_ms && a->stable_us == b->stable_us &&
           a->resolve_us == b->resolve_us && a->connect_us == b->connect_us &&
           a->tls_us == b->tls_us && a->connack_us == b->connack_us && a->puback_us == b->puback_us;
}
