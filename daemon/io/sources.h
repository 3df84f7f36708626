/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The table of source drivers, and all sources of one configuration.
 *
 * Adding a kind of sensor is one driver file and one row in sources.c.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "io/source.h"

struct sources_settings {
    const struct source_settings *sources;
    size_t count;
};

struct sources;

/*
 * Starts all. A device that is not there is no error: it is looked for.
 *
 * sink     takes each reading
 * changed  told when a sensor's state or cause changes; may be NULL
 */
int sources_new(sd_event *loop, const struct sources_settings *settings, reading_sink sink,
                void (*changed)(void *userdata), void *userdata, struct sources **ret);
struct sources *sources_free(struct sources *sources);
DEFINE_CLEANUP(struct sources, sources_free);

/*
 * Changes to other settings: a source whose settings are equal goes on undisturbed, its port stays
 * open. The old settings are borrowed no longer when this returns 0.
 */
int sources_reload(struct sources *sources, const struct sources_settings *settings);

/* Fills in the sensors and the counters of their lines. */
void sources_describe(const struct sources *sources, struct status *status);

/* Is there a driver of this name? */
bool source_driver_exists(const char *name);
