/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A folder of the test's own, made before it and removed after it, and the files in it.
 *
 * Test(suite, name, .init = folder_make, .fini = folder_remove) or the same on the TestSuite.
 */

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_PATH_SIZE = 256 };

static char folder_path[128];

static inline void folder_make(void) {
    const char *parent = getenv("TMPDIR");

    (void)snprintf(folder_path, sizeof(folder_path), "%.100s/sensorgw-XXXXXX",
                   parent ? parent : "/tmp");
    cr_assert_not_null(mkdtemp(folder_path));
    cr_assert_eq(chmod(folder_path, 0755), 0);
}

static inline int folder_remove_entry(const char *path, const struct stat *status, int type,
                                      struct FTW *where) {
    return remove(path);
}

static inline void folder_remove(void) {
    (void)chmod(folder_path, 0755);
    /* A job that was let go may still make a file in it. */
    for (unsigned ms = 0; ms < 2000; ms++) {
        (void)nftw(folder_path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        if (access(folder_path, F_OK) < 0)
            return;
        (void)usleep(1000);
    }
}

/* A path in it, valid until the test ends. */
static inline const char *folder_file(const char *name) {
    static char paths[32][FOLDER_PATH_SIZE];
    static size_t next;
    char *path = paths[next];

    cr_assert_lt(++next, sizeof(paths) / sizeof(*paths));
    cr_assert_lt(snprintf(path, FOLDER_PATH_SIZE, "%s/%s", folder_path, name), FOLDER_PATH_SIZE);
    return path;
}

static inline void folder_write(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

/* Reads at most size - 1 bytes and ends them with a zero. Returns how many. */
static inline size_t folder_read(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "re");
    size_t n;

    cr_assert_not_null(file, "%s", path);
    n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    (void)fclose(file);
    return n;
}

/* Root is refused nothing: a test of permissions goes on as somebody else, who owns the folder. */
static inline void folder_leave_root(void) {
    enum { NOBODY = 65534 };

    if (geteuid() != 0)
        return;
    cr_assert_eq(chown(folder_path, NOBODY, NOBODY), 0);
    cr_assert_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
    cr_assert_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
    (void)prctl(PR_SET_DUMPABLE, 1); /* the leak checker wants to look into us */
}

/* How many file descriptors this process has. */
static inline unsigned folder_open_files(void) {
    DIR *folder = opendir("/proc/self/fd");
    unsigned count = 0;

    cr_assert_not_null(folder);
    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count - 3; /* ".", ".." and the folder itself */
}
