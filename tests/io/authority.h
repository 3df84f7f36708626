/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A certificate authority in memory, and what it issues as PEM files: sound ones, and each kind of
 * unsound one. Nothing of it is kept.
 */

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

struct authority {
    EVP_PKEY *key;
    X509 *certificate;
};

/* What to issue; zero is a sound certificate of no purpose in particular, with an EC key. */
struct request {
    const char *common_name; /* NULL: none */
    const char *names;       /* "DNS:localhost,IP:127.0.0.1"; NULL: no subjectAltName */
    const char *purpose;     /* "serverAuth"; NULL: any */
    const char *passphrase;  /* of the key file; NULL: not encrypted */
    int64_t begins_s;        /* from now; 0: a day ago */
    int64_t ends_s;          /* from now; 0: in 30 days */
    int rsa_bits;            /* 0: EC P-256 */
};

void authority_make(const char *name, struct authority *ret);
void authority_clear(struct authority *authority);

/* Writes its own certificate. */
void authority_write(const struct authority *authority, const char *path);

/* Writes a certificate, and its key with mode 0600. */
void authority_issue(const struct authority *authority, const struct request *request,
                     const char *certificate_path, const char *key_path);

/* The same certificate in memory, to be freed. */
X509 *authority_issue_x509(const struct authority *authority, const struct request *request);

/* Writes its list of what it revoked: the certificate at this path, NULL: nothing. ends_s as above:
 * 0 is in 30 days. */
void authority_revoke(const struct authority *authority, const char *certificate_path,
                      int64_t ends_s, const char *crl_path);
