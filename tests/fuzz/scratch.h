/* SPDX-License-Identifier: MIT */
#pragma once

/* A file in memory for code that wants a path. */

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline const char *scratch_folder(void) {
    static char folder[] = "/dev/shm/sensorgw-fuzz-XXXXXX";
    static int made;

    if (!made) {
        made = mkdtemp(folder) != NULL;
        assert(made);
    }
    return folder;
}

static inline void scratch_write(const char *path, const uint8_t *data, size_t size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert(fd >= 0);
    assert(write(fd, data, size) == (ssize_t)size);
    (void)close(fd);
}
