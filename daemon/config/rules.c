/* SPDX-License-Identifier: MIT */
#include "config/rules.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config/forms.h"
#include "config/sensor_rules.h"
#include "core/reading.h"

static bool has(const struct config_document *document, const char *key) {
    return document_find(document, key) != NULL;
}

static void settle_brokers(struct config_document *document) {
    for (size_t i = 0; i < document->broker_count; i++) {
        struct broker_settings *broker = &document->brokers[i];
        char key[DOCUMENT_KEY_SIZE];

        if (!broker->name)
            broker->name = broker->host;
        (void)snprintf(key, sizeof(key), "brokers[%zu].port", i);
        if (broker->port == 1883)
            document_warning(document, key,
                             "%s is 1883, as a rule the port without TLS: it is spoken to with TLS "
                             "all the same, which usually is on 8883",
                             key);
    }
    document->config.publisher.brokers = document->brokers;
    document->config.publisher.broker_count = document->broker_count;
}

static void settle_tls_version(struct config_document *document) {
    struct tls_settings *tls = &document->config.publisher.tls;
    const char *version = document->tls_version;

    if (!version)
        return;
    tls->min_version = strcmp(version, "1.3") == 0 ? TLS1_3_VERSION : TLS1_2_VERSION;
    tls->max_version = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
    if (tls->min_version == TLS1_3_VERSION && has(document, "tls.ciphers"))
        document_error(document, "tls.ciphers",
                       "tls.ciphers are for TLS 1.2, which tls.version = \"1.3\" excludes: use "
                       "tls.ciphersuites");
    if (tls->max_version == TLS1_2_VERSION && has(document, "tls.ciphersuites"))
        document_error(document, "tls.ciphersuites",
                       "tls.ciphersuites are for TLS 1.3, which tls.version = \"1.2\" excludes: "
                       "use tls.ciphers");
}

static void check_login(struct config_document *document) {
    bool has_certificate = has(document, "tls.certificate");
    bool has_key = has(document, "tls.key");

    if (has_certificate && !has_key)
        document_error(document, "tls.certificate", "tls.certificate is set without tls.key");
    if (has_key && !has_certificate)
        document_error(document, "tls.key", "tls.key is set without tls.certificate");
    if (has(document, "tls.passphrase_file") && !has_key)
        document_error(document, "tls.passphrase_file",
                       "tls.passphrase_file is set without tls.key");
    if (has(document, "mqtt.password_file") && !has(document, "mqtt.username"))
        document_error(document, "mqtt.password_file",
                       "mqtt.password_file is set without mqtt.username");
    if (!has_certificate && !has_key && !has(document, "mqtt.username"))
        document_error(document, "tls.certificate",
                       "the broker could not know us: set tls.certificate and tls.key, or "
                       "mqtt.username and mqtt.password_file");
}

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* systemd hands credentials over in a folder: both files from there, or none. */
static void use_credentials(struct config_document *document) {
    struct tls_settings *tls = &document->config.publisher.tls;
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    const char *certificate;
    const char *key;

    if (!folder || folder[0] == '\0' || !tls->certificate || !tls->key)
        return;
    certificate = document_text(document, "%s/%s", folder, base_name(tls->certificate));
    key = document_text(document, "%s/%s", folder, base_name(tls->key));
    if (access(certificate, F_OK) == 0 && access(key, F_OK) == 0) {
        tls->certificate = certificate;
        tls->key = key;
    }
}

static void check_reconnect(struct config_document *document) {
    const struct publisher_settings *publisher = &document->config.publisher;

    if (publisher->reconnect_max_ms > 0 &&
        publisher->reconnect_min_ms > publisher->reconnect_max_ms)
        document_error(
            document, has(document, "reconnect.min_s") ? "reconnect.min_s" : "reconnect.max_s",
            "reconnect.min_s (%g s) is more than reconnect.max_s (%g s)",
            (double)publisher->reconnect_min_ms / 1e3, (double)publisher->reconnect_max_ms / 1e3);
}

static void settle_durability(struct config_document *document) {
    const char *durability = document->durability;

    if (!durability)
        return;
    if (strcmp(durability, "power") == 0)
        document->config.spool.durability = SPOOL_POWER;
    else if (strcmp(durability, "crash") == 0)
        document->config.spool.durability = SPOOL_CRASH;
    else
        document->config.spool.durability = SPOOL_OUTAGE;
}

/* The certificate's common name if it can be read now and used, or NULL. */
static const char *usable_common_name(struct config_document *document) {
    const char *certificate = document->config.publisher.tls.certificate;
    char name[256];

    if (!certificate || tls_read_common_name(certificate, name, sizeof(name)) < 0)
        return NULL;
    if (name_is_valid(name))
        return document_text(document, "%s", name);
    document_warning(document, "tls.certificate",
                     "the certificate's common name \"%s\" cannot be part of a topic and so not "
                     "name the gateway: issue another one, or set gateway",
                     FORM_SHOW(name));
    return NULL;
}

/* Up to its first dot. */
static const char *usable_host_name(struct config_document *document) {
    char name[HOST_NAME_MAX + 1] = { 0 };

    if (gethostname(name, sizeof(name) - 1) < 0)
        return NULL;
    name[strcspn(name, ".")] = '\0';
    return name_is_valid(name) ? document_text(document, "%s", name) : NULL;
}

static const char *usable_username(const struct config_document *document) {
    const char *username = document->config.publisher.username;

    return username && name_is_valid(username) ? username : NULL;
}

static void settle_gateway(struct config_document *document) {
    struct publisher_settings *publisher = &document->config.publisher;
    const char *configured = document->config.gateway;
    const char *common_name;

    publisher->gateway = configured;
    publisher->fallback_gateway = configured;
    if (has(document, "gateway"))
        return;
    common_name = usable_common_name(document);
    publisher->fallback_gateway = usable_username(document);
    if (publisher->username && !publisher->fallback_gateway && !has(document, "tls.certificate")) {
        document_error(document, "mqtt.username",
                       "gateway is not set, and mqtt.username cannot stand in for it: a gateway is "
                       "named with 1 to 64 of A-Z a-z 0-9 _ -");
        return;
    }
    if (!publisher->fallback_gateway)
        publisher->fallback_gateway = usable_host_name(document);
    if (!publisher->fallback_gateway)
        publisher->fallback_gateway = common_name;
    if (!publisher->fallback_gateway)
        document_error(document, "gateway",
                       "gateway is not set, and this machine's name cannot stand in for it: a "
                       "gateway is named with 1 to 64 of A-Z a-z 0-9 _ -");
    document->config.gateway = common_name ? common_name : publisher->fallback_gateway;
}

void rules_apply(struct config_document *document) {
    settle_brokers(document);
    settle_tls_version(document);
    check_login(document);
    use_credentials(document);
    check_reconnect(document);
    settle_durability(document);
    settle_gateway(document);
    sensor_rules_apply(document);
}
