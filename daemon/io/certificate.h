/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What an X.509 certificate says of itself, in words that can be shown: names from others have
 * their control characters escaped.
 */

#include <openssl/x509.h>

#include "cleanup.h"
#include "core/diagnosis.h"

enum { CERTIFICATE_FINGERPRINT_SIZE = 65 };

void certificate_describe(X509 *certificate, struct certificate_facts *ret);

/* The subject's common name. Returns 0; -ENOENT without one; -ENAMETOOLONG. */
int certificate_common_name(X509 *certificate, char *name, size_t size);

/* SHA-256 of the whole in lower-case hex; "" for NULL. */
void certificate_fingerprint(const X509 *certificate,
                             char text[static CERTIFICATE_FINGERPRINT_SIZE]);

static inline X509 *certificate_free(X509 *certificate) {
    X509_free(certificate);
    return NULL;
}
DEFINE_CLEANUP(X509, certificate_free);

/* Reads the first certificate of a PEM file. Returns 0; an errno of the file; -EBADMSG when it
 * holds none. */
int certificate_read(const char *path, X509 **ret);
