/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What an attempt to reach a broker begins with, for the publisher and for `sensorgw check`: both
 * must try the same thing, and tell of its failure alike. core/diagnosis.h has the record.
 */

#include "core/diagnosis.h"
#include "io/publisher_settings.h"
#include "io/resolver.h"

/* Forgets what was seen, and fills in what is tried; gateway is borrowed. */
void attempt_begin(struct attempt *attempt, const struct publisher_settings *settings,
                   const struct broker_settings *broker, const char *gateway);

/* Records why a name has no address. */
void attempt_note_unresolved(struct attempt *attempt, const struct addresses *addresses);

enum { ATTEMPT_PASSWORD_SIZE = 16 * 1024 }; /* a signed token has some kilobytes */

/*
 * Reads the password, "" where no file is configured: at each attempt anew, so that a token can be
 * renewed. The caller wipes it.
 *
 * Returns 0, or < 0 with cause, file and error recorded in attempt.
 */
int attempt_read_password(struct attempt *attempt, const char *path,
                          char password[static ATTEMPT_PASSWORD_SIZE]);
