/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Out of a corrupt spool what can still be read: rows from the front until the damage, then from
 * the back.
 *
 * Reading is a job of its own, page by page, so that a large file holds up nobody. The file itself
 * stays under the name that it was set aside by.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"
#include "io/spool_file.h"

enum {
    SPOOL_ASIDE_MAX = 3, /* files kept; the oldest is replaced by a fourth */
    SPOOL_ASIDE_SIZE = 4096,
};

/* Renames the database and its log to "<path>.corrupt-N". Returns 0 or what the disk said. */
int spool_rescue_set_aside(const char *path, char *aside, size_t size);

struct spool_rescue;

/*
 * before  rows of this number and above are left out: they are not the old daemon's
 * found   takes each row, without quantities if it is damaged, and its boot, without an id if that
 *         could not be read
 * over    called once, when there is nothing more; may free the rescue
 */
int spool_rescue_new(sd_event *loop, const char *aside, uint64_t before,
                     void (*found)(const struct spool_row *row, const struct spool_boot *boot,
                                   void *userdata),
                     void (*over)(uint64_t rescued, const char *aside, void *userdata),
                     void *userdata, struct spool_rescue **ret);
struct spool_rescue *spool_rescue_free(struct spool_rescue *rescue);
DEFINE_CLEANUP(struct spool_rescue, spool_rescue_free);
