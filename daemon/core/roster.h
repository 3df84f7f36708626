/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The boards on one port, and which sensor each of them is.
 *
 *     only one number wanted    that one is the sensor; any other is wrong there
 *     boards named              each under its name; others as below
 *     neither                   number 1 is the sensor itself, number N is name-N
 *
 * Pure: the boards are the caller's array. What is not named comes in as it is heard, up to a
 * limit, because a broken board may claim 65535 numbers. Until then the sensor itself stands for
 * what the port may bring.
 */

#include <stddef.h>

#include "core/board.h"

struct roster {
    char name[NAME_MAX_LENGTH + 1];
    uint16_t only; /* 0: any number */
    uint64_t silence_us;
    const struct conditioning_rules *rules; /* borrowed; NULL: none */
    struct board *boards;
    size_t count;
    size_t unnamed;
    size_t unnamed_max;
    bool stands_in;    /* boards[0] was not heard: it stands for whichever comes */
    uint64_t unlisted; /* frames of boards that found no place */
};

/* boards has room for all that will be named and for unnamed_max more, and for one at least. */
void roster_init(struct roster *roster, const char *name, uint16_t only, uint64_t silence_us,
                 struct board *boards, size_t unnamed_max);

/* What is done to the readings of all boards, also of those that are still to come. */
void roster_condition(struct roster *roster, const struct conditioning_rules *rules);

/* Names a board; before the first frame. */
void roster_name(struct roster *roster, uint16_t number, const char *name);

/* The board of this number, new or known; NULL where it has no place: roster->unlisted counts it.
 */
struct board *roster_find(struct roster *roster, uint16_t number);

/* When the first of them, or of their readings, is due; UINT64_MAX: none is. */
uint64_t roster_due_us(const struct roster *roster);

/* Writes "name-N". Returns 0, or -ENAMETOOLONG. */
int roster_render_name(const char *name, uint16_t number, char ret[static NAME_MAX_LENGTH + 1]);
