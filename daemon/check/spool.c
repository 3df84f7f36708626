/* SPDX-License-Identifier: MIT */

/* The spool: its folder, its disk, its database, and who has it. */

#include "io/spool.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "check/links.h"
#include "io/spool_file.h"

static const char link_name[] = "spool";
static const char state_folder[] = "/var/lib/sensorgw";

static void folder_of(const char *path, char folder[static PATH_MAX]) {
    const char *slash = strrchr(path, '/');

    if (slash && slash > path)
        (void)snprintf(folder, PATH_MAX, "%.*s", (int)(slash - path), path);
    else
        (void)snprintf(folder, PATH_MAX, "%s", slash ? "/" : ".");
}

/* The unit makes its own folder before each start. */
static bool will_be_made(const struct check *check, const char *folder) {
    return check->eyes.has_unit && strcmp(folder, state_folder) == 0;
}

static bool folder_is_there(const struct check *check, const char *folder) {
    struct stat status;
    int error = stat(folder, &status) < 0 ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;

    if (error == 0)
        return true;
    if (error == EACCES && !eyes_can_judge(&check->eyes)) {
        findings_add(check->findings, link_name, VERDICT_HIDDEN, CAUSE_NONE,
                     "%s is not visible to you", folder);
        findings_cure(check->findings, "sudo sensorgw check looks with the service's eyes");
    } else if (error == ENOENT && will_be_made(check, folder)) {
        findings_add(check->findings, link_name, VERDICT_OK, CAUSE_NONE,
                     "%s is made when the service starts", folder);
    } else {
        findings_add(check->findings, link_name, VERDICT_ERROR, CAUSE_SPOOL_READONLY,
                     "the folder %s cannot be used: %s", folder, strerror(error));
        findings_cure(check->findings,
                      "sudo install -d -m 0750 -o sensorgw -g sensorgw %s, or correct spool.path",
                      folder);
    }
    return false;
}

static bool is_writable(const struct check *check, const char *path, int mode) {
    int error = access(path, mode) < 0 ? errno : 0;

    if (error == 0 || error == ENOENT)
        return true;
    if (error == EACCES && !eyes_can_judge(&check->eyes)) {
        findings_add(check->findings, link_name, VERDICT_HIDDEN, CAUSE_NONE,
                     "whether the service can write %s is not visible to you", path);
        findings_cure(check->findings, "sudo sensorgw check looks with the service's eyes");
        return false;
    }
    findings_add(check->findings, link_name, VERDICT_ERROR, CAUSE_SPOOL_READONLY,
                 "%s cannot be written by %s: %s", path, eyes_owner(&check->eyes), strerror(error));
    findings_cure(check->findings,
                  error == EROFS ? "mount %s for writing" : "sudo chown -R sensorgw:sensorgw %s",
                  path);
    return false;
}

static bool all_is_writable(const struct check *check, const char *folder) {
    static const char *const endings[] = { "", "-wal", "-shm", ".lock" };
    char path[PATH_MAX];

    if (!is_writable(check, folder, W_OK | X_OK))
        return false;
    for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++)
        if (snprintf(path, sizeof(path), "%s%s", check->config->spool.path, endings[i]) <
                (int)sizeof(path) &&
            !is_writable(check, path, R_OK | W_OK))
            return false;
    return true;
}

static void check_sandbox(const struct check *check, const char *folder) {
    char cure[EYES_CURE_SIZE];

    if (!eyes_sandbox_protects(&check->eyes, folder, cure))
        return;
    findings_add(check->findings, link_name, VERDICT_WARNING, CAUSE_SPOOL_READONLY,
                 "%s: the sandbox of the service lets it write to %s only", folder, state_folder);
    findings_cure(check->findings, "%s", cure);
}

/* Returns the free bytes; what the database has already taken counts towards max_mb. */
static uint64_t check_room(const struct check *check, const char *folder) {
    const struct spool_settings *settings = &check->config->spool;
    struct statvfs disk;
    struct stat file;
    uint64_t free_bytes;
    uint64_t used_bytes = 0;

    if (statvfs(folder, &disk) < 0)
        return 0;
    free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (stat(settings->path, &file) == 0)
        used_bytes = (uint64_t)file.st_size;
    if (free_bytes + used_bytes < settings->max_bytes) {
        findings_add(check->findings, link_name, VERDICT_WARNING, CAUSE_SPOOL_FULL,
                     "only %.1f MB are free in %s, and spool.max_mb allows for %.0f",
                     (double)free_bytes / 1e6, folder, (double)settings->max_bytes / 1e6);
        findings_cure(check->findings, "make room there, or lower spool.max_mb");
    }
    return free_bytes;
}

/* "..., 12 readings wait"; "" when nothing is known of it. Returns whether the spool is sound. */
static bool count_waiting(const struct check *check, char *text, size_t size) {
    CLEANUP(spool_file_closep) struct spool_file *file = NULL;
    const cJSON *waiting = cJSON_GetObjectItem(check->state, "waiting");
    struct spool_summary summary;
    int r;

    text[0] = '\0';
    if (check->daemon > 0) {
        if (cJSON_IsNumber(waiting))
            (void)snprintf(text, size, ", %.0f readings wait", waiting->valuedouble);
        return true;
    }
    r = spool_file_look(check->config->spool.path, &file, &summary);
    if (r == 0)
        (void)snprintf(text, size, ", %llu readings wait", (unsigned long long)summary.waiting);
    if (r == -EPROTONOSUPPORT) {
        findings_add(check->findings, link_name, VERDICT_ERROR, CAUSE_SPOOL_READONLY,
                     "a newer sensorgw wrote %s", check->config->spool.path);
        findings_cure(check->findings, "install that version again, or move the file away");
        return false;
    }
    if (r != -EUCLEAN)
        return true;
    findings_add(check->findings, link_name, VERDICT_ERROR, CAUSE_SPOOL_CORRUPT,
                 "%s is damaged, or no spool at all", check->config->spool.path);
    findings_cure(check->findings,
                  "nothing need be done: at its start the daemon saves what it can from it, and "
                  "sets it aside");
    return false;
}

void check_spool(const struct check *check) {
    const char *path = check->config->spool.path;
    char folder[PATH_MAX];
    char waiting[64];
    char holder[64] = "held by nobody";
    uint64_t free_bytes;

    folder_of(path, folder);
    check_sandbox(check, folder);
    if (!folder_is_there(check, folder) || !all_is_writable(check, folder))
        return;
    free_bytes = check_room(check, folder);
    if (!count_waiting(check, waiting, sizeof(waiting)))
        return;
    if (check->daemon > 0)
        (void)snprintf(holder, sizeof(holder), "held by the daemon (pid %d)", (int)check->daemon);
    findings_add(check->findings, link_name, VERDICT_OK, CAUSE_NONE, "%s, %s%s, %.1f GB free", path,
                 holder, waiting, (double)free_bytes / 1e9);
}
