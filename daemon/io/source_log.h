/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the journal hears of a source, of a port and of its boards or of a sensor: one entry per
 * change, a recovery at the level of what it ends.
 *
 * Sentences are core/sensor_words.h's and core/direct_words.h's. A board that restarts or changes
 * its hello all the time is told SOURCE_LOG_HELLOS times a minute, with the restarts since the last
 * time.
 */

#include "core/direct_words.h"
#include "core/sensor_words.h"
#include "io/source.h"

enum { SOURCE_LOG_HELLOS = 4 };

/* What has been said of a port or a board. */
struct source_log {
    int priority;       /* of the trouble said last, 0: none */
    uint64_t minute_us; /* when the present minute began */
    unsigned hellos;    /* said in it */
    uint64_t restarts;  /* of the board, said so far */
};

void source_log_port(struct source_log *log, const struct source_settings *settings,
                     const struct sensor_place *place, enum cause cause);

/* More boards than one carry the configured name. */
void source_log_ambiguous(const struct source_settings *settings, const char *path, size_t matches);

void source_log_board(struct source_log *log, const struct board *board,
                      const struct sensor_place *place);

/* The same for a sensor without a board. */
void source_log_direct(struct source_log *log, const struct sensor *sensor,
                       const struct direct_place *place);

/* news: as board_take returned it. */
void source_log_hello(struct source_log *log, const struct board *board, unsigned news,
                      const char *device, uint64_t now_us);

/* A board for which the port has no place. */
void source_log_unlisted(const struct source_settings *settings, uint16_t number);
