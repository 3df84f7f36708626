/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the spool must wait for the disk for, as jobs beside the loop: syncing the log,
 * checkpointing it. One at a time.
 */

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "cleanup.h"

/* A checkpoint syncs the log as well. */
enum spool_disk_task { SPOOL_DISK_SYNC, SPOOL_DISK_CHECKPOINT };

struct spool_disk;

/*
 * done  called from the loop; mark is what spool_disk_start was given, result 0 or a negative
 * errno; may start the next
 */
int spool_disk_new(sd_event *loop, const char *path,
                   void (*done)(enum spool_disk_task task, uint64_t mark, int result,
                                void *userdata),
                   void *userdata, struct spool_disk **ret);
struct spool_disk *spool_disk_free(struct spool_disk *disk);
DEFINE_CLEANUP(struct spool_disk, spool_disk_free);

/* Lets a task under way end by itself: nobody is told of it. */
void spool_disk_forget(struct spool_disk *disk);

bool spool_disk_is_busy(const struct spool_disk *disk);

/* Returns 0; -EBUSY while another runs; or why the thread cannot be made. */
int spool_disk_start(struct spool_disk *disk, enum spool_disk_task task, uint64_t mark);
