/* SPDX-License-Identifier: MIT */
#include "check/eyes.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SERVICE "sensorgw"
#define STATE_FOLDER "/var/lib/sensorgw"

static bool unit_is_installed(void) {
    static const char *const paths[] = {
        "/etc/systemd/system/sensorgw.service",
        "/run/systemd/system/sensorgw.service",
        "/usr/local/lib/systemd/system/sensorgw.service",
        "/usr/lib/systemd/system/sensorgw.service",
        "/lib/systemd/system/sensorgw.service",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
        if (access(paths[i], F_OK) == 0)
            return true;
    return false;
}

void eyes_init(struct eyes *eyes) {
    const struct passwd *user = getpwnam(SERVICE);

    *eyes = (struct eyes){
        .began_as_root = geteuid() == 0,
        .is_service = user && geteuid() == user->pw_uid,
        .has_unit = unit_is_installed(),
    };
}

int eyes_become_service(struct eyes *eyes) {
    const struct passwd *user = getpwnam(SERVICE);

    if (!eyes->began_as_root || !user)
        return 0;
    if (initgroups(user->pw_name, user->pw_gid) < 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
        return -errno;
    eyes->is_service = true;
    return 0;
}

bool eyes_can_judge(const struct eyes *eyes) {
    return eyes->began_as_root || eyes->is_service;
}

const char *eyes_owner(const struct eyes *eyes) {
    return eyes->is_service ? "user " SERVICE : "you";
}

static bool is_under(const char *path, const char *folder) {
    size_t length = strlen(folder);

    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool has_sandbox(const struct eyes *eyes) {
    return eyes->began_as_root && eyes->has_unit;
}

static void advise(const char *setting, const char *path, const char *mode, char *cure) {
    (void)snprintf(cure, EYES_CURE_SIZE,
                   "sudo systemctl edit sensorgw, and add under [Service]: %s%s%s", setting, path,
                   mode);
}

bool eyes_sandbox_hides(const struct eyes *eyes, const char *path, char *cure) {
    if (!has_sandbox(eyes))
        return false;
    if (is_under(path, "/home") || is_under(path, "/root")) {
        advise("ProtectHome=read-only", "", "", cure);
        return true;
    }
    if (is_under(path, "/tmp") || is_under(path, "/var/tmp")) {
        advise("BindReadOnlyPaths=", path, "", cure);
        return true;
    }
    return false;
}

bool eyes_sandbox_protects(const struct eyes *eyes, const char *folder, char *cure) {
    if (!has_sandbox(eyes) || is_under(folder, STATE_FOLDER))
        return false;
    if (is_under(folder, "/home") || is_under(folder, "/root") || is_under(folder, "/tmp") ||
        is_under(folder, "/var/tmp"))
        (void)snprintf(cure, EYES_CURE_SIZE,
                       "leave spool.path at its default: the service does not see %s", folder);
    else
        advise("ReadWritePaths=", folder, "", cure);
    return true;
}

/* Boards on USB and pseudo-terminals are open to the unit. */
bool eyes_sandbox_denies(const struct eyes *eyes, const char *device, char *cure) {
    static const char *const open[] = { "/dev/ttyACM", "/dev/ttyUSB", "/dev/pts/" };
    if (!has_sandbox(eyes))
        return false;
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
        if (strncmp(device, open[i], strlen(open[i])) == 0)
            return false;
    advise("DeviceAllow=", device, " rw", cure);
    return true;
}
