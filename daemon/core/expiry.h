/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * When a certificate that runs out is worth an entry, and its words.
 *
 * One warning when `expiry_warning_days` are left, one at seven days, one at one, and one when it
 * has run out: each certificate goes down these steps once.
 *
 * Pure. io/credentials.c knows the certificates and the day.
 */

#include "core/diagnosis.h"

enum {
    EXPIRY_NONE = -1, /* not worth a word yet */
    EXPIRY_SENTENCE_SIZE = 1024,
};

/* Whose certificate it is. */
enum expiry_owner {
    EXPIRY_OURS,
    EXPIRY_BROKER,
    EXPIRY_AUTHORITY, /* a CA that vouches for a broker */
};

/* What was said last of one certificate; a renewed one is another and starts anew. Begins zeroed.
 */
struct expiry_memory {
    int64_t not_after;
    int step;
};

/* The step that has been reached: first_days, 7, 1, 0 (it has run out), or EXPIRY_NONE. */
int expiry_step(int64_t left_s, unsigned first_days);

/* Is there something new to say of it? Then it counts as said. */
bool expiry_is_news(struct expiry_memory *memory, const struct certificate_facts *facts,
                    int64_t now, unsigned first_days);

/* Whole days, rounded towards the end; negative when it has run out. */
int expiry_days_left(const struct certificate_facts *facts, int64_t now);

/*
 * "our certificate CN=kitchen-pi expires in 6 days, on 2026-12-04. Renew it: ..."
 *
 * name    how sensorgw-pki knows our certificate
 * broker  "host:port"; not used of ours
 */
void expiry_describe(enum expiry_owner owner, const struct certificate_facts *facts, int64_t now,
                     const char *name, const char *broker, char text[static EXPIRY_SENTENCE_SIZE]);
