/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Release at the end of the scope: CLEANUP(spool_freep) struct spool *spool = NULL;
 *
 * DEFINE_CLEANUP(struct spool, spool_free) stands beside spool_free and writes spool_freep.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

#define DEFINE_CLEANUP(type, function)              \
    static inline void function##p(type **object) { \
        *object = function(*object);                \
    }                                               \
    struct cleanup_needs_a_semicolon

static inline void close_fdp(int *fd) {
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void close_filep(FILE **file) {
    if (*file)
        (void)fclose(*file);
    *file = NULL;
}

static inline void close_folderp(DIR **folder) {
    if (*folder)
        (void)closedir(*folder);
    *folder = NULL;
}

static inline void free_stringp(char **string) {
    free(*string);
    *string = NULL;
}
