/* SPDX-License-Identifier: MIT */
#include "check/running.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "io/report.h"

/* "1: FLOCK  ADVISORY  WRITE 812 08:01:131078 0 EOF". The device is left out: some file systems
 * show another one here than stat(2) does. */
static pid_t holder_in(const char *line, ino_t wanted) {
    uintmax_t inode;
    int pid;

    if (sscanf(line, "%*u: FLOCK ADVISORY WRITE %d %*x:%*x:%ju", &pid, &inode) != 2)
        return 0;
    return inode == wanted && pid > 0 ? pid : 0;
}

pid_t running_find(const char *spool_path) {
    char path[PATH_MAX];
    char line[256];
    struct stat status;
    pid_t pid = 0;
    FILE *locks;

    if (snprintf(path, sizeof(path), "%s.lock", spool_path) >= (int)sizeof(path) ||
        stat(path, &status) < 0)
        return 0;
    locks = fopen("/proc/locks", "re");
    if (!locks)
        return 0;
    while (pid == 0 && fgets(line, sizeof(line), locks))
        pid = holder_in(line, status.st_ino);
    (void)fclose(locks);
    return pid;
}

cJSON *running_read_state(void) {
    CLEANUP(free_stringp) char *text = NULL;
    char path[PATH_MAX];
    size_t size = 0;
    FILE *file;

    if (report_default_path(path, sizeof(path)) < 0)
        return NULL;
    file = fopen(path, "re");
    if (!file)
        return NULL;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    (void)fclose(file);
    return text ? cJSON_Parse(text) : NULL;
}
