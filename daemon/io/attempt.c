/* SPDX-License-Identifier: MIT */
#include "io/attempt.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "io/clock.h"

static const char *describe_versions(const struct tls_settings *settings) {
    if (settings->min_version != settings->max_version)
        return "TLSv1.2 to TLSv1.3";
    return settings->max_version == TLS1_3_VERSION ? "TLSv1.3 only" : "TLSv1.2 only";
}

void attempt_begin(struct attempt *attempt, const struct publisher_settings *settings,
                   const struct broker_settings *broker, const char *gateway) {
    const struct tls_settings *tls = &settings->tls;

    attempt_reset(attempt);
    (void)snprintf(attempt->broker, sizeof(attempt->broker),
                   strchr(broker->host, ':') ? "[%s]:%u" : "%s:%u", broker->host, broker->port);
    (void)snprintf(attempt->name, sizeof(attempt->name), "%s", broker->name);
    attempt->address[0] = '\0';
    attempt->versions = describe_versions(tls);
    attempt->ciphers = tls->ciphers;
    attempt->ciphersuites = tls->ciphersuites;
    attempt->gateway = gateway;
    attempt->username = settings->username;
    attempt->ca = tls->ca;
    attempt->now = (int64_t)time(NULL);
    attempt->clock_synchronised = clock_look().synchronised;
}

void attempt_note_unresolved(struct attempt *attempt, const struct addresses *addresses) {
    attempt->phase = ATTEMPT_RESOLVE;
    attempt->resolve_error = addresses->error;
    (void)snprintf(attempt->detail, sizeof(attempt->detail), "%s",
                   addresses->error == EAI_SYSTEM ? strerror(addresses->system_error)
                                                  : gai_strerror(addresses->error));
}

static int refuse(struct attempt *attempt, enum cause cause, const char *path, const char *detail) {
    attempt->local = cause;
    (void)snprintf(attempt->file, sizeof(attempt->file), "%s", path);
    (void)snprintf(attempt->detail, sizeof(attempt->detail), "%s", detail);
    return -EACCES;
}

/* What is wrong with the password as it was read; NULL: nothing. */
static const char *fault_of(const char *password) {
    if (password[strcspn(password, "\r\n")] == '\0' &&
        strlen(password) + 1 == ATTEMPT_PASSWORD_SIZE)
        return "its first line is too long";
    return strcspn(password, "\r\n") == 0 ? "its first line is empty" : NULL;
}

int attempt_read_password(struct attempt *attempt, const char *path,
                          char password[static ATTEMPT_PASSWORD_SIZE]) {
    CLEANUP(close_filep) FILE *file = NULL;
    struct stat status;
    char mode[16];
    const char *fault;

    password[0] = '\0';
    if (!path)
        return 0;
    file = fopen(path, "re");
    if (!file || fstat(fileno(file), &status) < 0) {
        attempt->error = errno;
        return refuse(attempt, CAUSE_UNREADABLE_FILE, path, strerror(attempt->error));
    }
    (void)snprintf(mode, sizeof(mode), "mode %04o", status.st_mode & 07777);
    if (status.st_mode & 0027)
        return refuse(attempt, CAUSE_KEY_PERMISSIONS, path, mode);
    (void)!fgets(password, ATTEMPT_PASSWORD_SIZE, file);
    fault = fault_of(password);
    attempt->file_is_password = fault != NULL;
    if (fault)
        return refuse(attempt, CAUSE_UNREADABLE_FILE, path, fault);
    password[strcspn(password, "\r\n")] = '\0';
    return 0;
}
