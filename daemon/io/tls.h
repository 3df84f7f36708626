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

#include <sys/types.h>
#include <time.h>

#include "cleanup.h"
#include "core/diagnosis.h"
#include "io/certificate.h"

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

/* What stat says of them: a file that was replaced has another inode, size or time. */
enum { TLS_FILES = 5 };

struct tls_files {
    struct tls_file {
        dev_t device; /* all zero: not there, or not configured */
        ino_t inode;
        off_t size;
        mode_t mode;
        struct timespec modified;
        struct timespec changed; /* of the inode: nobody can set it back */
    } file[TLS_FILES];
};

void tls_files_look(const struct tls_settings *settings, struct tls_files *ret);
bool tls_files_agree(const struct tls_files *a, const struct tls_files *b);

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

/* From now on it records in another attempt; its own certificate's facts at once. */
void tls_record_in(struct tls *tls, struct attempt *attempt);

/* Have any of its files changed since it was built? */
bool tls_is_stale(const struct tls *tls);

/* SHA-256: of our certificate, "" without one; of all that tls.ca holds, blanks between. */
void tls_fingerprint_own(const struct tls *tls, char text[static CERTIFICATE_FINGERPRINT_SIZE]);
void tls_fingerprint_ca(const struct tls *tls, char *text, size_t size);
