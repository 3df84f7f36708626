/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a broker accepts, found out by asking: version by version and cipher by cipher.
 *
 * An alert says that nothing was in common, never what would have been. So each question is a
 * handshake that ends with the broker's first answer: nothing secret is sent, no certificate is
 * believed, and there are at most OFFER_HANDSHAKES of them.
 *
 * Source: RFC 8446 section 4.1.3, RFC 5246 section 7.4.1.3: the server hello names version and
 * cipher.
 */

#include <stdbool.h>
#include <stdint.h>

#include "core/diagnosis.h"
#include "io/publisher_settings.h"

enum {
    OFFER_VERSIONS = 4, /* 1.0, 1.1, 1.2, 1.3 */
    OFFER_CIPHERS = 20,
    OFFER_SUITES = 5,
    OFFER_HANDSHAKES = OFFER_VERSIONS + OFFER_CIPHERS + OFFER_SUITES + 2,
};

/* Names are OpenSSL's, and static; in the order in which the broker prefers them. */
struct offer {
    bool versions[OFFER_VERSIONS];
    const char *ciphers[OFFER_CIPHERS]; /* for TLS 1.2 */
    size_t cipher_count;
    const char *suites[OFFER_SUITES]; /* for TLS 1.3 */
    size_t suite_count;
    unsigned handshakes;
};

struct offer_question {
    const char *address;
    uint16_t port;
    const char *name;     /* for the server name indication */
    uint64_t patience_us; /* for each handshake */
};

void offer_ask(const struct offer_question *question, struct offer *ret);

/* "TLSv1.0", ... */
const char *offer_version_name(size_t i);

/* What it accepts in words, and the line to change on either side. */
void offer_explain(const struct offer *offer, enum cause cause, const struct tls_settings *settings,
                   struct diagnosis *ret);
