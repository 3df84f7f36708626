/* SPDX-License-Identifier: MIT */
#pragma once

/* A disk as slow and as bad as the test wants it: its fdatasync stands before the C library's. */

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

static atomic_uint own_sync_count;
static atomic_bool own_sync_hangs;
static atomic_bool own_sync_fails;

int fdatasync(int fd) {
    atomic_fetch_add(&own_sync_count, 1);
    while (atomic_load(&own_sync_hangs))
        (void)poll(NULL, 0, 1);
    if (!atomic_load(&own_sync_fails))
        return 0;
    errno = EIO;
    return -1;
}
