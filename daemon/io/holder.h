/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who has a device open.
 *
 * Source: proc(5), /proc/PID/fd. Only root sees everyone's, and a service with ProtectProc= nobody
 * else's.
 */

#include <sys/types.h>

#include "core/printable.h"

struct holder {
    pid_t pid;
    char command[PRINTABLE_SIZE];
};

/*
 * Looks for another process that has the device at path open, links followed.
 *
 * Returns 1 when there is one; 0 when there is none; -EPERM when none was found and some processes
 * are not visible to us; another error when the device cannot be looked at.
 */
int holder_find(const char *path, struct holder *ret);
