/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The links of the chain from sensor to broker, in the order in which `sensorgw check` looks at
 * them. Each adds its findings; none returns an error, because what cannot be looked at is a
 * finding as well.
 */

#include "check/eyes.h"
#include "check/findings.h"
#include "check/running.h"
#include "config.h"
#include "io/holder.h"
#include "io/serial_port.h"

/* A sensor's port, as it was found while we could still see everyone in /proc. */
struct found_port {
    struct serial_port port; /* never open */
    int found;               /* as serial_port_find returned it */
    int held;                /* as holder_find returned it */
    struct holder holder;
};

struct check {
    const struct config *config; /* borrowed, as all that is pointed to */
    struct findings *findings;
    struct eyes eyes;
    pid_t daemon;             /* runs on this configuration's spool; 0: none */
    const cJSON *state;       /* its word on how it is; NULL: none */
    struct found_port *ports; /* one a sensor */
    bool may_open;            /* ports and connections */
    bool may_publish;
};

void check_configuration(const struct check *check);
void check_certificates(const struct check *check);
void check_clock(const struct check *check);
void check_spool(const struct check *check);
void check_sensors(const struct check *check);
void check_brokers(const struct check *check);

/* Looks for the sensors' ports and who has them. Wants to be root; ports has room for them all. */
void check_find_ports(const struct config *config, struct found_port *ports);

/* Can the file be read? A finding says so if not. what: "tls.ca" */
bool check_file(const struct check *check, const char *link, const char *what, const char *path);
