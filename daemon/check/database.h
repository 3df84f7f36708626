/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A look into a spool that no daemon holds, which leaves nothing behind. For other processes than
 * the daemon only: closing the file drops the locks of whoever has it open in the same one.
 *
 * Source: sqlite.org, "Uniform Resource Identifiers" (immutable), "Write-Ahead Logging" section 5.
 */

#include <stdint.h>

/* How many readings wait in it. Returns 0; -ENOENT; -EUCLEAN when it is no sound spool; another
 * error. */
int database_count(const char *path, uint64_t *ret);
