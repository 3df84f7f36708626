/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One attempt at a broker, from its name to its acknowledgement of a message, with the publisher's
 * own parts (io/resolver, io/tls, io/link) and under its deadlines.
 *
 * It logs in under a client id of its own and leaves no will, so a daemon that is connected goes on
 * undisturbed; its message {"check":true} is one that consumers ignore.
 */

#include "core/topic.h"
#include "io/publisher_settings.h"

struct trial_settings {
    const struct publisher_settings *publisher;
    const struct broker_settings *broker;
    const char *gateway;
    bool may_publish;
};

/*
 * topic    of the message
 * attempt  what was seen, of the address where it came furthest
 *
 * Returns 0 when all went well; < 0 when something failed, which core/diagnosis tells of attempt.
 */
int trial_make(const struct trial_settings *settings, char topic[static TOPIC_SIZE],
               struct attempt *ret);
