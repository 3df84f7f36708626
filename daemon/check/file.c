/* SPDX-License-Identifier: MIT */

/* Files: are they there, and may whoever judges read them? */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check/links.h"

/* The folder on the way to path that may not be entered. */
static bool find_closed_folder(const char *path, char folder[static PATH_MAX]) {
    (void)snprintf(folder, PATH_MAX, "%s", path);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (access(folder, X_OK) < 0)
            return true;
        *slash = '/';
    }
    return false;
}

static void tell_denied(const struct check *check, const char *link, const char *what,
                        const char *path) {
    char folder[PATH_MAX];

    if (!eyes_can_judge(&check->eyes)) {
        findings_add(check->findings, link, VERDICT_HIDDEN, CAUSE_NONE,
                     "%s %s is not visible to you", what, path);
        findings_cure(check->findings, "sudo sensorgw check looks with the service's eyes");
        return;
    }
    findings_add(check->findings, link, VERDICT_ERROR, CAUSE_UNREADABLE_FILE,
                 "%s %s cannot be read by %s", what, path, eyes_owner(&check->eyes));
    if (find_closed_folder(path, folder))
        findings_cure(check->findings,
                      "let the service in: sudo chgrp sensorgw %s && sudo chmod "
                      "g+x %s",
                      folder, folder);
    else
        findings_cure(check->findings, "sudo chgrp sensorgw %s && sudo chmod 0640 %s", path, path);
}

static void tell_missing(const struct check *check, const char *link, const char *what,
                         const char *path, int error) {
    findings_add(check->findings, link, VERDICT_ERROR, CAUSE_UNREADABLE_FILE,
                 "%s %s cannot be read: %s", what, path, strerror(error));
    findings_cure(check->findings, "put the file there, or correct %s", what);
}

bool check_file(const struct check *check, const char *link, const char *what, const char *path) {
    char cure[EYES_CURE_SIZE];
    struct stat status;

    if (access(path, R_OK) < 0) {
        if (errno == EACCES)
            tell_denied(check, link, what, path);
        else
            tell_missing(check, link, what, path, errno);
        return false;
    }
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        tell_missing(check, link, what, path, EISDIR);
        return false;
    }
    if (eyes_sandbox_hides(&check->eyes, path, cure)) {
        findings_add(check->findings, link, VERDICT_WARNING, CAUSE_UNREADABLE_FILE,
                     "%s %s: the sandbox of the service hides this folder", what, path);
        findings_cure(check->findings, "%s", cure);
    }
    return true;
}
