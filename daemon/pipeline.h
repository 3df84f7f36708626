/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * source -> frame -> reading -> spool -> publisher: the parts of the daemon, who tells whom, and
 * what SIGTERM and SIGHUP mean to them. commands/run.c builds it.
 */

#include "config.h"
#include "io/report.h"

struct pipeline {
    const char *path; /* of the configuration; borrowed from run() */
    struct config *config;
    struct config *publisher_config; /* what the publisher borrows from; often the same */
    sd_event *loop;
    struct spool *spool;
    struct publisher *publisher;
    struct report *report;
    struct sources *sources; /* NULL: on the way out */
    uint64_t started_us;
};

/* Each returns 0, or an error that it has logged. From the sink up: no reading arrives before it
 * has somewhere to go. */
int pipeline_open_spool(struct pipeline *pipeline);
int pipeline_build_publisher(struct pipeline *pipeline, struct config *config);
int pipeline_build_report(struct pipeline *pipeline);
int pipeline_start_sources(struct pipeline *pipeline);

/* SIGTERM: stops the sources, flushes, and ends the loop. */
void pipeline_stop(void *pipeline);

/* SIGHUP: reads the configuration anew; a sound one is applied, and what did not change goes on
 * undisturbed. */
void pipeline_reload(void *pipeline);

/* The reverse of building it; copes with a half-built one. */
void pipeline_take_down(struct pipeline *pipeline);
