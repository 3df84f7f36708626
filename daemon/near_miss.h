/* SPDX-License-Identifier: MIT */
#pragma once

/* How far a word that somebody typed is from one that exists: "did you mean keepalive_s?" */

enum { NEAR_MISS_NONE = 1000 };

/*
 * Returns how many letters were added, left out, changed or swapped with their neighbour; for a
 * beginning of the word, 3; NEAR_MISS_NONE when it is too far for a slip.
 */
unsigned near_miss(const char *typed, const char *meant);
