/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What every cause and every event means, in full sentences: the text behind `journalctl -x`, and
 * docs/causes.md.
 *
 * Both are written from this table by catalogue_pages, so they cannot drift. A MESSAGE_ID is for
 * ever: it is what people filter by.
 */

#include <stddef.h>

struct catalogue_entry {
    const char *name;       /* of a cause (core/cause.h), or of an event below */
    const char *message_id; /* 32 hex digits */
    const char *subject;
    const char *meaning;
    const char *cure; /* NULL: none is needed */
};

/* What can happen beside the causes. */
#define EVENT_STARTED "started"
#define EVENT_STOPPED "stopped"
#define EVENT_CONNECTED "connected"
#define EVENT_CONFIGURATION_APPLIED "configuration-applied"
#define EVENT_CONFIGURATION_REFUSED "configuration-refused"
#define EVENT_CERTIFICATE_REPLACED "certificate-replaced"
#define EVENT_CA_REPLACED "ca-replaced"
#define EVENT_CERTIFICATE_REFUSED "certificate-refused"
#define EVENT_CERTIFICATE_EXPIRES "certificate-expires"
#define EVENT_CLOCK_STEPPED "clock-stepped"
#define EVENT_READINGS_DROPPED "readings-dropped"

/* In the order in which they are best read; NULL after the last. */
const struct catalogue_entry *catalogue_at(size_t index);

/* NULL: no cause or event has this name. */
const struct catalogue_entry *catalogue_find(const char *name);
