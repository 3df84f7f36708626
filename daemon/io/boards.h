/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The boards behind one serial port: its bytes in, readings out, silence noticed, the journal told.
 *
 * core/roster.h says which sensor a frame belongs to, core/board.h what it means.
 */

#include <stdbool.h>

#include "cleanup.h"
#include "core/sensor_words.h"
#include "io/source.h"

struct boards;

/* settings are borrowed until boards_adopt brings equal ones. */
int boards_new(sd_event *loop, const struct source_settings *settings,
               const struct source_output *output, struct boards **ret);
struct boards *boards_free(struct boards *boards);
DEFINE_CLEANUP(struct boards, boards_free);

void boards_adopt(struct boards *boards, const struct source_settings *settings);

/* The port was opened; or it is not to be had, for the cause. */
int boards_come(struct boards *boards);
void boards_go(struct boards *boards, enum cause cause);

/* Takes what the port brought. */
int boards_take(struct boards *boards, const void *bytes, size_t size);

/* Has everyone said hello since the port was opened? */
bool boards_are_known(const struct boards *boards);

void boards_describe(const struct boards *boards, struct status *status);
