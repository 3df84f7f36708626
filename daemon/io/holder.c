/* SPDX-License-Identifier: MIT */
#include "io/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cleanup.h"

/* Only what lies in /dev is looked at closer: to stat a file on a dead network mount blocks. */
static bool is_in_dev(int folder, const char *name) {
    static const char dev[] = "/dev/";
    char target[sizeof(dev)];
    ssize_t n = readlinkat(folder, name, target, sizeof(target));

    return n >= (ssize_t)sizeof(dev) - 1 && memcmp(target, dev, sizeof(dev) - 1) == 0;
}

/* Every container counts its pseudo terminals from 0: these are one device in one /dev/pts only. */
static bool is_same_device(const struct stat *a, const struct stat *b) {
    bool is_pty = major(a->st_rdev) >= UNIX98_PTY_SLAVE_MAJOR &&
                  major(a->st_rdev) < UNIX98_PTY_SLAVE_MAJOR + UNIX98_PTY_MAJOR_COUNT;

    return a->st_rdev == b->st_rdev && (!is_pty || a->st_dev == b->st_dev);
}

/* Returns 1, 0, or -EPERM where we may not look. */
static int process_holds(const char *pid, const struct stat *device) {
    CLEANUP(close_folderp) DIR *files = NULL;
    char path[64];
    struct dirent *entry;
    struct stat status;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
    files = opendir(path);
    if (!files)
        return errno == EACCES || errno == EPERM ? -EPERM : 0;
    while ((entry = readdir(files)))
        if (is_in_dev(dirfd(files), entry->d_name) &&
            fstatat(dirfd(files), entry->d_name, &status, 0) == 0 && S_ISCHR(status.st_mode) &&
            is_same_device(&status, device))
            return 1;
    return 0;
}

static void read_command(const char *pid, char command[static PRINTABLE_SIZE]) {
    CLEANUP(close_fdp) int fd = -1;
    char path[64];
    char name[64];
    ssize_t n = -1;

    (void)snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        n = read(fd, name, sizeof(name));
    if (n > 0 && name[n - 1] == '\n')
        n--;
    (void)printable(name, n > 0 ? (size_t)n : 0, command);
}

/* hidepid= and ProtectProc= leave others out of /proc altogether: there must be a process 1. */
static bool everyone_is_listed(void) {
    return access("/proc/1/stat", F_OK) == 0;
}

int holder_find(const char *path, struct holder *ret) {
    CLEANUP(close_folderp) DIR *processes = NULL;
    bool sees_all = everyone_is_listed();
    struct dirent *entry;
    struct stat status;

    if (stat(path, &status) < 0)
        return -errno;
    if (!S_ISCHR(status.st_mode))
        return -ENOTTY;
    processes = opendir("/proc");
    if (!processes)
        return -EPERM;
    while ((entry = readdir(processes))) {
        pid_t pid = isdigit((unsigned char)entry->d_name[0]) ? (pid_t)atoi(entry->d_name) : 0;
        int r = pid > 0 && pid != getpid() ? process_holds(entry->d_name, &status) : 0;

        if (r > 0) {
            ret->pid = pid;
            read_command(entry->d_name, ret->command);
            return 1;
        }
        sees_all = sees_all && r == 0;
    }
    return sees_all ? 0 : -EPERM;
}
