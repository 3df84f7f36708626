/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A host name's addresses, as texts to connect to, without holding up the loop.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"

enum {
    RESOLVER_ADDRESSES = 8,
    RESOLVER_ADDRESS_SIZE = 64, /* "fe80::1%wlan0" and the like */
};

struct addresses {
    int error;        /* EAI_*, 0: none */
    int system_error; /* errno where error is EAI_SYSTEM */
    unsigned count;
    char text[RESOLVER_ADDRESSES][RESOLVER_ADDRESS_SIZE];
};

struct resolver;

/*
 * Asks. done is called from the loop, once, never before this returns, and may free the resolver;
 * freed earlier, it is not called.
 */
int resolver_new(sd_event *loop, const char *host,
                 void (*done)(const struct addresses *addresses, void *userdata), void *userdata,
                 struct resolver **ret);
struct resolver *resolver_free(struct resolver *resolver);
DEFINE_CLEANUP(struct resolver, resolver_free);
