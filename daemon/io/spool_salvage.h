/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What can still be read of a corrupt spool: rows from the front until the damage, then from the
 * back.
 *
 * The file is called "<path>.salvage" until all of that is in the new one, so that a restart goes
 * on with it; then it is kept as "<path>.corrupt-N". Reading is a job of its own, page by page, so
 * that a large file holds up nobody.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "cleanup.h"
#include "io/spool_file.h"

enum {
    SPOOL_KEPT_MAX = 3, /* corrupt files; the oldest is replaced by a fourth */
    SPOOL_PATH_SIZE = 4096,
};

/* Is there something to salvage? */
bool spool_salvage_is_due(const char *path);

/* Renames the database and its log to what is to be salvaged. Returns 0 or what the disk said. */
int spool_salvage_set_aside(const char *path);

/* Before a new one is made under that name: if a kill came between the two. Errors as above. */
int spool_salvage_finish_setting_aside(const char *path);

/* Renames what was to be salvaged to the name that it is kept under, of SPOOL_PATH_SIZE bytes.
 * Errors as above. */
int spool_salvage_keep(const char *path, char *name);

/* What one look gave. */
struct spool_find {
    const struct spool_row *rows;   /* without quantities: damaged */
    const struct spool_boot *boots; /* of each row; without an id: it could not be read */
    int count;
    struct spool_span left; /* where there may be more */
};

struct spool_salvage;

/*
 * found  takes what was read. Returns 0; or a negative errno, and has freed the salvage
 * over   there is nothing more, or it cannot go on (result); may free the salvage
 */
struct spool_salvage_calls {
    int (*found)(const struct spool_find *find, void *userdata);
    void (*over)(int result, void *userdata);
};

/* Salvages the numbers in `span`. */
int spool_salvage_new(sd_event *loop, const char *path, const struct spool_span *span,
                      const struct spool_salvage_calls *calls, void *userdata,
                      struct spool_salvage **ret);
struct spool_salvage *spool_salvage_free(struct spool_salvage *salvage);
DEFINE_CLEANUP(struct spool_salvage, spool_salvage_free);
