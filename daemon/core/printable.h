/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What others sent, made fit for a terminal and the journal: printable ASCII as it is, every other
 * byte as \x1b, cut at PRINTABLE_LENGTH.
 *
 * Pure.
 */

#include <stddef.h>

enum {
    PRINTABLE_LENGTH = 128,
    PRINTABLE_SIZE = PRINTABLE_LENGTH + 1,
};

/* Returns how many of the bytes found room. */
size_t printable(const void *bytes, size_t size, char text[static PRINTABLE_SIZE]);

/* The same for a string; NULL is "". */
void printable_string(const char *string, char text[static PRINTABLE_SIZE]);
