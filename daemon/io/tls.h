/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The SSL_CTX of one broker: pinned, verified, and watched for what a diagnosis needs.
 *
 * libmosquitto's own TLS options cannot pin: "tlsv1.2" is a minimum, and the cipher list says
 * nothing about TLS 1.3. So the context is ours, with the host name in its verification parameters,
 * and every configured name is looked for after it was set, because OpenSSL drops unknown ones in
 * silence.
 *
 * Source: SSL_CTX_set_cipher_list(3), X509_VERIFY_PARAM_set_flags(3), mosquitto issue 3330.
 */

#include <openssl/ssl.h>

#include "cleanup.h"
#include "core/diagnosis.h"

struct tls_settings {
    const char *ca;              /* PEM, several allowed; NULL: the system's store */
    const char *certificate;     /* PEM, chain; NULL with key: none */
    const char *key;             /* PEM */
    const char *passphrase_file; /* NULL: the key is not encrypted */
    const char *crl;             /* PEM; NULL: none */
    int min_version;             /* TLS1_2_VERSION or TLS1_3_VERSION */
    int max_version;
    const char *ciphers; /* for TLS 1.2, OpenSSL's names, colons between; NULL: the default list */
    const char *ciphersuites; /* for TLS 1.3; NULL: OpenSSL's */
    unsigned expiry_warning_days;
};

/* The default for tls.ciphers: forward secrecy and authenticated encryption, nothing else. */
#define TLS_DEFAULT_CIPHERS                                                                    \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:" \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/*
 * OpenSSL's name of a cipher that may be configured for the version (TLS1_2_VERSION,
 * TLS1_3_VERSION), given its OpenSSL or IANA name; NULL when it is unknown, of the other version or
 * disabled here. The string is static.
 */
const char *tls_cipher_name(const char *name, int version);

/* Reads the subject's common name of a certificate file. Returns 0; -ENOENT without one; or the
 * file's error. */
int tls_read_common_name(const char *path, char *name, size_t size);

struct tls;

/*
 * Reads all files and builds the context for a broker that must prove to be `name` (a DNS name or
 * an IP address).
 *
 * attempt  where callbacks record what they see; must outlive the context; reset by the caller
 *
 * Returns 0, or < 0 with cause, file and error recorded in attempt.
 */
int tls_new(const struct tls_settings *settings, const char *name, struct attempt *attempt,
            struct tls **ret);
struct tls *tls_free(struct tls *tls);
DEFINE_CLEANUP(struct tls, tls_free);

SSL_CTX *tls_context(struct tls *tls); /* borrowed */

/* Have any of its files changed since it was built? */
bool tls_is_stale(const struct tls *tls);

/* Days until our certificate runs out, negative when it has. false without a certificate. */
bool tls_days_left(const struct tls *tls, int *ret);
