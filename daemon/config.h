/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * /etc/sensorgw.conf: a libconfig file, read strictly, into each module's settings.
 *
 * docs/configuration.md lists every key. An unknown key, a wrong type, a value out of range and a
 * contradiction are errors that name file and line; all of them are told, not only the first.
 */

#include <stdio.h>

#include "cleanup.h"
#include "io/publisher.h"
#include "io/sources.h"
#include "io/spool.h"

struct config {
    const char *path;
    char hash[65];       /* SHA-256 of the file */
    const char *gateway; /* as the publisher will find it, by what can be read now */
    struct spool_settings spool;
    struct publisher_settings publisher;
    struct sources_settings sources;
    uint64_t state_interval_us;
    struct config_document *document; /* owns every string above */
};

/*
 * Logs for itself, one entry per error.
 *
 * Returns 0; -EINVAL for what editing the file mends; another error when it cannot be read.
 */
int config_load(const char *path, struct config **ret);
struct config *config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_free);

/* The exit status for an error of config_load: EXIT_CONFIG also for a file that is not there. */
int config_exit_status(int error);

/* Writes the effective configuration, with defaults filled in, as a file that reads back the same.
 */
void config_print(const struct config *config, FILE *out);
