/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon that runs on a configuration, and its own word on how it is.
 *
 * It is found by its lock on the spool in /proc/locks: trying the lock could make a daemon that
 * starts at that moment believe in another. Source: proc(5), core/status.h.
 */

#include <cjson/cJSON.h>
#include <sys/types.h>

/* Returns the process that holds the spool at path, 0 where none is seen. */
pid_t running_find(const char *spool_path);

/* Its state.json, to be freed by cJSON_Delete; NULL when there is none. */
cJSON *running_read_state(void);
