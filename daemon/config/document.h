/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One configuration file while it is read, and afterwards the owner of all that was read from it.
 *
 * Errors are gathered, so that one reading finds all of them, and told in the order of their lines:
 * "/etc/sensorgw.conf:12: sentence". Source: the libconfig manual, 1.5 and 1.7.
 */

#include <libconfig.h>
#include <stdbool.h>

#include "cleanup.h"
#include "config.h"

enum {
    DOCUMENT_SIZE_MAX = 1 << 20,
    DOCUMENT_FINDINGS = 100, /* told at most; more are counted */
    DOCUMENT_KEY_SIZE = 128, /* "sensors[12].nodes[3].name" */
    DOCUMENT_REFUSED_LINES = 64,
};

struct config_document {
    struct config config; /* config.document is this document */

    /* What the file says where the settings hold it in another shape. */
    const char *tls_version;
    const char *durability;
    struct broker_settings *brokers;
    size_t broker_count;
    struct source_settings *sensors;
    size_t sensor_count;

    const char *folder; /* relative paths start here */
    config_t parsed;
    unsigned errors;
    unsigned findings;
    struct document_finding *first;                 /* by line */
    unsigned refused_lines[DOCUMENT_REFUSED_LINES]; /* hold a number that was refused already */
    size_t refused_count;
    bool out_of_memory;
    struct document_block *blocks; /* freed with the document */
};

/* How the sentence about an empty text ends. Several of these become one entry. */
#define DOCUMENT_UNFILLED "is not filled in"

/*
 * Reads and parses the file.
 *
 * Returns 0; -EINVAL when it cannot be parsed; another error when it cannot be read. All are told.
 */
int document_new(const char *path, struct config_document **ret);

/* Tells all findings. Returns 0 when there was no error among them, -EINVAL, or -ENOMEM. */
int document_conclude(struct config_document *document);
struct config_document *document_free(struct config_document *document);
DEFINE_CLEANUP(struct config_document, document_free);

/* Zeroed memory that lives as long as the document; NULL sets out_of_memory. */
void *document_allocate(struct config_document *document, size_t size_bytes);

/* A text that lives as long as the document; never NULL. */
const char *document_text(struct config_document *document, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Keys as they are shown: "tls" and "key" make "tls.key", "sensors" and 2 "sensors[2]". */
void document_key_join(char key[static DOCUMENT_KEY_SIZE], const char *group, const char *name);
void document_key_index(char key[static DOCUMENT_KEY_SIZE], const char *list, size_t i);

/* The setting named "sensors[2].device", or NULL. */
const config_setting_t *document_find(const struct config_document *document, const char *key);

/*
 * Notes an error about a key, at its line or, where it is missing, at the line of what should hold
 * it.
 */
void document_error(struct config_document *document, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void document_warning(struct config_document *document, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* line 0: none; key may be NULL */
void document_error_at(struct config_document *document, unsigned line, const char *key,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Has a number in this line been refused before it was parsed? */
bool document_line_is_refused(const struct config_document *document, unsigned line);
