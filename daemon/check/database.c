/* SPDX-License-Identifier: MIT */
#include "check/database.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool has_log(const char *path) {
    char log[PATH_MAX];
    struct stat status;

    return snprintf(log, sizeof(log), "%s-wal", path) < (int)sizeof(log) &&
           stat(log, &status) == 0 && status.st_size > 0;
}

/* The characters that mean something in a URI. */
static int escape(const char *path, char *uri, size_t size) {
    size_t length = strlen(uri);

    for (; *path != '\0'; path++) {
        int n = snprintf(uri + length, size - length, strchr("%?#", *path) ? "%%%02X" : "%c",
                         (unsigned char)*path);

        if (n < 0 || (size_t)n >= size - length)
            return -ENAMETOOLONG;
        length += (size_t)n;
    }
    return 0;
}

/* Without a log nothing needs to be shared with a writer: immutable makes no files beside it. */
static int open_database(const char *path, sqlite3 **ret) {
    char uri[3 * PATH_MAX] = "file:";
    const char *options = has_log(path) ? "?mode=ro" : "?mode=ro&immutable=1";
    int r = escape(path, uri, sizeof(uri) - strlen(options));

    if (r < 0)
        return r;
    (void)strcat(uri, options);
    return sqlite3_open_v2(uri, ret, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) == SQLITE_OK
               ? 0
               : -EIO;
}

static int error_of(int code) {
    switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* another's tables */
        return -EUCLEAN;
    case SQLITE_BUSY:
        return -EBUSY;
    default:
        return -EIO;
    }
}

static int count(sqlite3 *database, uint64_t *ret) {
    static const char question[] = "SELECT count(*) FROM reading WHERE sensor <> ''";
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(database, question, -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return code == SQLITE_ROW ? 0 : error_of(code);
}

int database_count(const char *path, uint64_t *ret) {
    sqlite3 *database = NULL;
    struct stat status;
    int r;

    if (stat(path, &status) < 0)
        return -errno;
    if (status.st_size == 0)
        return -ENOENT; /* made, and not yet filled */
    r = open_database(path, &database);
    if (r == 0)
        r = count(database, ret);
    (void)sqlite3_close(database);
    return r;
}
