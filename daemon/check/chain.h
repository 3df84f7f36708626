/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Certificate files, as far as they can be judged without anyone at the other end.
 *
 * Source: X509_STORE_CTX_new(3), X509_VERIFY_PARAM_set_flags(3).
 */

#include <stdbool.h>
#include <stddef.h>

#include "core/diagnosis.h"

enum { CHAIN_REASON_SIZE = 128 };

/*
 * Was the first certificate of the file at path issued by one in the file at ca, through the others
 * beside it? Dates are left out: they are judged by themselves.
 *
 * Returns 1; 0 with OpenSSL's reason; < 0 when a file cannot be used.
 */
int chain_verify(const char *path, const char *ca, char reason[static CHAIN_REASON_SIZE]);

/* Calls for each certificate in the file. Returns how many there were, or < 0. */
int chain_each(const char *path,
               void (*call)(const struct certificate_facts *facts, void *userdata), void *userdata);
