/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Every key of the configuration, once: the reader, the effective configuration that
 * `sensorgw config` prints and the tables of docs/configuration.md all go through these rows.
 *
 * What concerns several keys together is in rules.c.
 */

#include <stdbool.h>
#include <stddef.h>

/* What a key stands in. */
enum group {
    GROUP_ROOT,
    GROUP_BROKER,
    GROUP_MQTT,
    GROUP_TLS,
    GROUP_RECONNECT,
    GROUP_TIMEOUTS,
    GROUP_SPOOL,
    GROUP_STATE,
    GROUP_SENSOR,
    GROUP_NODE,
    GROUP_LIMITS,
    GROUP_OFFSET,
    GROUP_PUBLISH,
    GROUP_CHANGE,
    GROUP_COUNT,
};

enum form {
    FORM_GROUP,   /* { keys of members } */
    FORM_LIST,    /* ( { keys of members }, ... ) */
    FORM_INTEGER, /* minimum to maximum */
    FORM_NUMBER,  /* the same; a fraction is welcome */
    FORM_AMOUNT,  /* the same, below zero as well; stored as int64_t */
    FORM_TEXT,    /* printable UTF-8 */
    FORM_WORD,    /* one of words */
    FORM_NAME,    /* a gateway, a sensor: name_is_valid() */
    FORM_HOST,    /* a host name or an IP address */
    FORM_TOPIC,   /* topic_template_is_valid() */
    FORM_PATH,    /* made absolute */
    FORM_ABSOLUTE_PATH,
    FORM_DEVICE,       /* what it must look like depends on the driver */
    FORM_LINE,         /* a number, or a name */
    FORM_QUANTITY,     /* "temperature": as it is published */
    FORM_CIPHERS,      /* of TLS 1.2: text with colons, array or list */
    FORM_CIPHERSUITES, /* of TLS 1.3, the same way */
};

/* A place in what the group is read into: the document, a broker, a sensor or a node. */
struct field {
    size_t offset;
    size_t size;
};

struct key {
    enum group group;
    const char *name;
    enum form form;
    enum group members;
    double minimum; /* of a number; of a list's length */
    double maximum; /* also of a text's length */
    const char *const *words;
    const char *const *drivers; /* of a sensor's key: those that have it; NULL: all */
    bool is_required;
    const char *fallback;  /* the value when it is not set, as it would be written */
    const char *otherwise; /* what happens then, where no value can say it */
    const char *unit;
    const char *about; /* Markdown; a group has its own */
    struct field field;
    double scale;        /* what is stored = what is written * scale */
    struct field count;  /* FORM_LIST */
    size_t element_size; /* FORM_LIST */
};

extern const struct key schema[];
extern const size_t schema_length;

/* Does it concern the sensor, by its driver? True for every other group. */
bool schema_applies(const struct key *key, const void *target);

/* The path of a group: "", "brokers[]", "tls". */
const char *schema_group_path(enum group group);

/* What the group is about, for the reference. */
const char *schema_group_about(enum group group);

/* The key of this name in the group, or NULL. */
const struct key *schema_find(enum group group, const char *name);

/* The key that was probably meant by a name unknown in the group, of this or any group; or NULL. */
const struct key *schema_suggest(enum group group, const char *name);

/* Why the name, or a switch in a group's place, is refused here although others know it; or NULL.
 */
const char *schema_refusal(enum group group, const char *name);
