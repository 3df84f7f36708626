/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The TLS contexts of all brokers through the life of their files: renewed files are taken, unsound
 * ones are not while there are others, and what is about to run out is said.
 *
 * A certificate and its key are two files, and somebody replaces them one after the other. So files
 * that do not fit together are given five seconds before it is said; meanwhile the old pair is
 * used.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "io/tls.h"

struct credentials_settings {
    const struct tls_settings *tls; /* borrowed */
    size_t broker_count;
};

struct credentials_calls {
    /* Files that were asked for by credentials_renew have become sound. */
    void (*on_renewed)(void *userdata);
    void *userdata;
};

struct credentials;

int credentials_new(sd_event *loop, const struct credentials_settings *settings,
                    const struct credentials_calls *calls, struct credentials **ret);
struct credentials *credentials_free(struct credentials *credentials);
DEFINE_CLEANUP(struct credentials, credentials_free);

/*
 * The context for an attempt at a broker that must prove to be `name`; it records in attempt.
 *
 * Returns 0, and a context that is borrowed until the next call; or < 0 with cause, file and error
 * recorded in attempt.
 */
int credentials_take(struct credentials *credentials, size_t broker, const char *name,
                     struct attempt *attempt, struct tls **ret);

/*
 * Looks at the files now, for a connection that was made already.
 *
 * Returns whether there are new ones that are sound: a new connection would be made with them. If
 * not, on_renewed may tell later.
 */
bool credentials_renew(struct credentials *credentials, size_t broker);

/* A broker has accepted us: are its certificate and those above it good for long? */
void credentials_note_session(struct credentials *credentials, size_t broker,
                              const struct attempt *attempt);

/* Days until our certificate runs out, negative when it has. false without a certificate. */
bool credentials_days_left(const struct credentials *credentials, size_t broker, int *ret);
