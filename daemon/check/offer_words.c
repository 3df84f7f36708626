/* SPDX-License-Identifier: MIT */

/* What a broker accepts, in words, and the one line that would make the two sides meet. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "check/offer.h"

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...) {
    size_t length = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text + length, size - length, format, arguments);
    va_end(arguments);
}

static void say_names(char *text, size_t size, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        append(text, size, "%s%s", i == 0 ? " with " : ", ", names[i]);
}

static void say_offer(const struct offer *offer, char *text, size_t size) {
    bool is_first = true;

    (void)snprintf(text, size, "%s", "asked version by version, it accepts ");
    for (size_t i = 0; i < OFFER_VERSIONS; i++) {
        if (!offer->versions[i])
            continue;
        append(text, size, "%s%s", is_first ? "" : "; ", offer_version_name(i));
        if (i == 2)
            say_names(text, size, offer->ciphers, offer->cipher_count);
        if (i == 3)
            say_names(text, size, offer->suites, offer->suite_count);
        is_first = false;
    }
    if (is_first)
        append(text, size, "none that this machine knows");
}

/* The first of the broker's that may be configured here. */
static const char *first_usable(const char *const *names, size_t count, int version) {
    for (size_t i = 0; i < count; i++)
        if (tls_cipher_name(names[i], version))
            return names[i];
    return NULL;
}

static void cure_version(const struct offer *offer, const struct tls_settings *settings, char *text,
                         size_t size) {
    if (offer->versions[2] || offer->versions[3])
        append(text, size, "here: tls.version = \"1.2-1.3\"; or ");
    append(text, size, "on the broker add ssl_options.versions.N = %s, N the next free number",
           settings->max_version == TLS1_3_VERSION ? "tlsv1.3" : "tlsv1.2");
}

/* An ECDSA cipher needs a broker with an EC key, and the broker has shown which it has. */
static bool is_for_another_key(const char *ours, const char *theirs) {
    return theirs && (strstr(ours, "-ECDSA-") != NULL) != (strstr(theirs, "-ECDSA-") != NULL);
}

static void cure_cipher(const struct offer *offer, const struct tls_settings *settings, char *text,
                        size_t size) {
    const char *ours = settings->ciphers ? settings->ciphers : TLS_DEFAULT_CIPHERS;
    int length = (int)strcspn(ours, ":");
    char first[128];
    const char *theirs = first_usable(offer->ciphers, offer->cipher_count, TLS1_2_VERSION);

    (void)snprintf(first, sizeof(first), "%.*s", length, ours);
    if (theirs)
        append(text, size, "here: tls.ciphers = [ \"%s\" ]; or ", theirs);
    if (is_for_another_key(first, theirs))
        append(text, size, "give the broker a certificate with an %s key",
               strstr(first, "-ECDSA-") ? "EC" : "RSA");
    else
        append(text, size, "on the broker add ssl_options.ciphers.N = %s, N the next free number",
               first);
}

static void cure_suite(const struct offer *offer, const struct tls_settings *settings, char *text,
                       size_t size) {
    const char *ours = settings->ciphersuites ? settings->ciphersuites : "TLS_AES_256_GCM_SHA384";
    const char *theirs = first_usable(offer->suites, offer->suite_count, TLS1_3_VERSION);

    if (theirs)
        append(text, size, "here: tls.ciphersuites = [ \"%s\" ]; or ", theirs);
    append(text, size, "on the broker add ssl_options.ciphers.N = %.*s, N the next free number",
           (int)strcspn(ours, ":"), ours);
}

/* The newest version that both sides speak is the one where they must meet. */
static bool meet_at_new(const struct offer *offer, const struct tls_settings *settings) {
    return settings->max_version == TLS1_3_VERSION && offer->versions[3];
}

void offer_explain(const struct offer *offer, enum cause cause, const struct tls_settings *settings,
                   struct diagnosis *ret) {
    size_t size = sizeof(ret->cure);

    ret->cause = cause;
    ret->cure[0] = '\0';
    say_offer(offer, ret->sentence, sizeof(ret->sentence));
    if (cause == CAUSE_PROTOCOL_VERSION)
        cure_version(offer, settings, ret->cure, size);
    else if (meet_at_new(offer, settings))
        cure_suite(offer, settings, ret->cure, size);
    else
        cure_cipher(offer, settings, ret->cure, size);
}
