/* SPDX-License-Identifier: MIT */
#include "io/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    PAGE_SIZE_BYTES = 512, /* a reading costs a page of log: half of it is half the wear */
    CACHE_KIB = 256,
    FORMAT = 1,               /* user_version */
    APPLICATION = 0x53475731, /* "SGW1" */
};

static const char schema[] = "CREATE TABLE IF NOT EXISTS reading ("
                             " number INTEGER PRIMARY KEY,"
                             " prefix INTEGER NOT NULL,"
                             " boot INTEGER NOT NULL,"
                             " taken_us INTEGER NOT NULL,"
                             " sensor TEXT NOT NULL," /* empty: buried */
                             " quantities TEXT NOT NULL);"
                             "CREATE TABLE IF NOT EXISTS boot ("
                             " key INTEGER PRIMARY KEY,"
                             " boot_id TEXT NOT NULL UNIQUE,"
                             " wall_offset_us INTEGER NOT NULL,"
                             " synchronised INTEGER NOT NULL);"
                             "CREATE TABLE IF NOT EXISTS counter ("
                             " name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
                             "INSERT OR IGNORE INTO counter VALUES ('dropped', 0), ('certain', 0);";

enum statement {
    BEGIN,
    COMMIT,
    ADD,
    ADD_MISSING,
    REMOVE,
    BURY,
    READ,
    READ_BACK,
    OLDEST,
    COUNT_DROPPED,
    SET_COUNTER,
    SET_BOOT,
    FIND_BOOT,
    GET_BOOT,
    PAGES,
    FREE_PAGES,
    STATEMENTS,
};

static const char *const statements[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ADD] = "INSERT INTO reading VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ADD_MISSING] = "INSERT OR IGNORE INTO reading VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [REMOVE] = "DELETE FROM reading WHERE number = ?1",
    [BURY] = "UPDATE reading SET sensor = '', quantities = '' WHERE number = ?1",
    [READ] = "SELECT number, prefix, boot, taken_us, sensor, quantities FROM reading"
             " WHERE number > ?1 AND number < ?2 AND sensor <> '' ORDER BY number LIMIT ?3",
    [READ_BACK] = "SELECT number, prefix, boot, taken_us, sensor, quantities FROM reading"
                  " WHERE number > ?1 AND number < ?2 AND sensor <> ''"
                  " ORDER BY number DESC LIMIT ?3",
    [OLDEST] = "DELETE FROM reading WHERE number IN"
               " (SELECT number FROM reading WHERE sensor <> '' ORDER BY number LIMIT ?1)",
    [COUNT_DROPPED] = "UPDATE counter SET value = value + ?1 WHERE name = 'dropped'",
    [SET_COUNTER] = "INSERT OR REPLACE INTO counter VALUES (?1, ?2)",
    [SET_BOOT] = "INSERT INTO boot (boot_id, wall_offset_us, synchronised) VALUES (?1, ?2, ?3)"
                 " ON CONFLICT (boot_id) DO UPDATE SET wall_offset_us = ?2, synchronised = ?3",
    [FIND_BOOT] = "SELECT key FROM boot WHERE boot_id = ?1",
    [GET_BOOT] = "SELECT key, boot_id, wall_offset_us, synchronised FROM boot WHERE key = ?1",
    [PAGES] = "PRAGMA page_count",
    [FREE_PAGES] = "PRAGMA freelist_count",
};

struct spool_file {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    int log_pages;
};

/* SQLite's codes are mapped here and nowhere else. */
static int error_of(sqlite3 *database, int code) {
    int system_error = database ? sqlite3_system_errno(database) : 0;

    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CONSTRAINT: /* two readings of one number: the file lies */
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: /* a table that is not as we made it */
        return -EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return -EACCES;
    case SQLITE_CANTOPEN:
        return system_error > 0 ? -system_error : -ENOENT;
    default:
        return system_error > 0 ? -system_error : -EIO;
    }
}

static int result_of(struct spool_file *file, int code) {
    return error_of(file->database, code);
}

static sqlite3_stmt *bound(struct spool_file *file, enum statement which) {
    (void)sqlite3_reset(file->statements[which]);
    return file->statements[which];
}

/* Runs a statement that returns no rows. */
static int run(struct spool_file *file, enum statement which) {
    int code = sqlite3_step(file->statements[which]);
    int r = result_of(file, code);

    (void)sqlite3_reset(file->statements[which]);
    return r;
}

static int on_commit(void *userdata, sqlite3 *database, const char *name, int pages) {
    struct spool_file *file = userdata;

    file->log_pages = pages;
    return SQLITE_OK;
}

static int execute(struct spool_file *file, const char *sql) {
    return result_of(file, sqlite3_exec(file->database, sql, NULL, NULL, NULL));
}

static int read_integer(struct spool_file *file, const char *sql, int64_t *ret) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->database, sql, -1, &statement, NULL);
    int r = result_of(file, code);

    if (r < 0)
        return r;
    code = sqlite3_step(statement);
    r = result_of(file, code);
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return r;
}

/* 0: nobody has written to it yet. */
static int read_format(struct spool_file *file, int64_t *ret) {
    int r = read_integer(file, "PRAGMA user_version", ret);

    return r == 0 && *ret > FORMAT ? -EPROTONOSUPPORT : r;
}

static int set_up(struct spool_file *file) {
    char pragmas[256];
    int64_t format = 0;
    int r;

    (void)snprintf(pragmas, sizeof(pragmas),
                   "PRAGMA page_size=%d; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                   "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=-%d; PRAGMA trusted_schema=OFF;"
                   "PRAGMA cell_size_check=ON;",
                   PAGE_SIZE_BYTES, CACHE_KIB);
    r = execute(file, pragmas);
    if (r < 0)
        return r;
    r = read_format(file, &format);
    if (r < 0)
        return r;
    if (format == FORMAT)
        return 0;
    (void)snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
                   APPLICATION, FORMAT);
    r = execute(file, "BEGIN IMMEDIATE");
    if (r < 0)
        return r;
    r = execute(file, schema);
    if (r == 0)
        r = execute(file, pragmas);
    if (r == 0)
        r = execute(file, "COMMIT");
    if (r < 0)
        (void)execute(file, "ROLLBACK");
    return r;
}

static int prepare(struct spool_file *file, enum statement which) {
    int code = sqlite3_prepare_v3(file->database, statements[which], -1, SQLITE_PREPARE_PERSISTENT,
                                  &file->statements[which], NULL);

    return result_of(file, code);
}

static int prepare_all(struct spool_file *file) {
    for (enum statement which = 0; which < STATEMENTS; which++) {
        int r = prepare(file, which);

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_counter(struct spool_file *file, const char *name, uint64_t *ret) {
    char sql[96];

    (void)snprintf(sql, sizeof(sql), "SELECT value FROM counter WHERE name = '%s'", name);
    return read_integer(file, sql, (int64_t *)ret);
}

/* One that nobody has set is 0. */
static int read_counters(struct spool_file *file, struct spool_summary *summary) {
    uint64_t certain = 0;
    int r = read_counter(file, "dropped", &summary->dropped);

    if (r == 0)
        r = read_counter(file, "certain", &certain);
    if (r == 0)
        r = read_counter(file, "unsalvaged_after", &summary->unsalvaged.after);
    if (r == 0)
        r = read_counter(file, "unsalvaged_before", &summary->unsalvaged.before);
    summary->is_certain = certain != 0;
    return r;
}

static int summarise(struct spool_file *file, struct spool_summary *ret) {
    struct spool_summary summary = { 0 };
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(file->database,
                                  "SELECT number, prefix, boot, sensor = '' FROM reading"
                                  " ORDER BY number DESC LIMIT 1",
                                  -1, &statement, NULL);
    int r = result_of(file, code);

    if (r < 0)
        return r;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        summary.last_number = (uint64_t)sqlite3_column_int64(statement, 0);
        summary.last_prefix = (uint32_t)sqlite3_column_int64(statement, 1);
        summary.last_boot = sqlite3_column_int64(statement, 2);
        summary.last_is_buried = sqlite3_column_int(statement, 3) != 0;
    }
    r = result_of(file, code);
    (void)sqlite3_finalize(statement);
    if (r == 0)
        r = read_integer(file, "SELECT count(*) FROM reading WHERE sensor <> ''",
                         (int64_t *)&summary.waiting);
    if (r == 0)
        r = read_counters(file, &summary);
    if (r < 0)
        return r;
    *ret = summary;
    return 0;
}

int spool_file_open(const char *path, struct spool_file **ret, struct spool_summary *ret_summary) {
    CLEANUP(spool_file_closep) struct spool_file *file = calloc(1, sizeof(*file));
    int code;
    int r;

    if (!file)
        return -ENOMEM;
    code = sqlite3_open_v2(path, &file->database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (code != SQLITE_OK)
        return result_of(file, code);
    (void)sqlite3_extended_result_codes(file->database, 1);
    if (sqlite3_db_readonly(file->database, "main") == 1)
        return -EROFS;
    r = set_up(file);
    if (r < 0)
        return r;
    (void)sqlite3_wal_hook(file->database, on_commit, file); /* wal_autocheckpoint takes it away */
    r = prepare_all(file);
    if (r < 0)
        return r;
    r = summarise(file, ret_summary);
    if (r < 0)
        return r;
    *ret = file;
    file = NULL;
    return 0;
}

static bool has_log(const char *path) {
    char log[PATH_MAX];
    struct stat status;

    return snprintf(log, sizeof(log), "%s-wal", path) < (int)sizeof(log) &&
           stat(log, &status) == 0 && status.st_size > 0;
}

/* The path as a URI, with the characters escaped that mean something there. */
static int render_uri(const char *path, const char *options, char *uri, size_t size) {
    size_t length = (size_t)snprintf(uri, size, "file:");

    for (; *path != '\0'; path++) {
        int n = snprintf(uri + length, size - length, strchr("%?#", *path) ? "%%%02X" : "%c",
                         (unsigned char)*path);

        if (n < 0 || (size_t)n >= size - length)
            return -ENAMETOOLONG;
        length += (size_t)n;
    }
    return snprintf(uri + length, size - length, "%s", options) < (int)(size - length)
               ? 0
               : -ENAMETOOLONG;
}

/* Without a log nothing needs to be shared with a writer: immutable makes no files beside it. */
int spool_file_look(const char *path, struct spool_file **ret, struct spool_summary *ret_summary) {
    CLEANUP(spool_file_closep) struct spool_file *file = calloc(1, sizeof(*file));
    char uri[3 * PATH_MAX];
    struct stat status;
    int64_t format = 0;
    int code;
    int r;

    if (!file)
        return -ENOMEM;
    if (stat(path, &status) < 0)
        return -errno;
    if (status.st_size == 0)
        return -ENOENT; /* made, and not yet filled */
    r = render_uri(path, has_log(path) ? "?mode=ro" : "?mode=ro&immutable=1", uri, sizeof(uri));
    if (r < 0)
        return r;
    code = sqlite3_open_v2(uri, &file->database, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
    if (code != SQLITE_OK)
        return result_of(file, code);
    r = read_format(file, &format);
    if (r == 0)
        r = prepare_all(file);
    if (r == 0)
        r = summarise(file, ret_summary);
    if (r < 0)
        return r;
    *ret = file;
    file = NULL;
    return 0;
}

int spool_file_open_damaged(const char *path, struct spool_file **ret) {
    CLEANUP(spool_file_closep) struct spool_file *file = calloc(1, sizeof(*file));
    int code;
    int r;

    if (!file)
        return -ENOMEM;
    code = sqlite3_open_v2(path, &file->database, SQLITE_OPEN_READWRITE, NULL);
    if (code != SQLITE_OK)
        return result_of(file, code);
    r = execute(file, "PRAGMA writable_schema=ON"); /* else a file that was cut off is refused */
    if (r == 0)
        r = prepare(file, READ);
    if (r == 0)
        r = prepare(file, READ_BACK);
    if (r < 0)
        return r;
    (void)prepare(file, GET_BOOT); /* readings without their time are better than none */
    *ret = file;
    file = NULL;
    return 0;
}

struct spool_file *spool_file_close(struct spool_file *file) {
    if (!file)
        return NULL;
    for (int i = 0; i < STATEMENTS; i++)
        (void)sqlite3_finalize(file->statements[i]);
    (void)sqlite3_close(file->database);
    free(file);
    return NULL;
}

int spool_file_begin(struct spool_file *file) {
    return run(file, BEGIN);
}

int spool_file_commit(struct spool_file *file) {
    return run(file, COMMIT);
}

void spool_file_roll_back(struct spool_file *file) {
    if (!sqlite3_get_autocommit(file->database))
        (void)execute(file, "ROLLBACK");
}

static int add(struct spool_file *file, enum statement which, const struct spool_row *row) {
    sqlite3_stmt *statement = bound(file, which);
    char quantities[READING_TEXT_SIZE];
    int n = reading_render(&row->reading, quantities, sizeof(quantities));

    if (n < 0)
        return n;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)row->number);
    (void)sqlite3_bind_int64(statement, 2, row->prefix);
    (void)sqlite3_bind_int64(statement, 3, row->boot);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)row->reading.taken_us);
    (void)sqlite3_bind_text(statement, 5, row->reading.sensor, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 6, quantities, n, SQLITE_STATIC);
    return run(file, which);
}

int spool_file_add(struct spool_file *file, const struct spool_row *row) {
    return add(file, ADD, row);
}

int spool_file_add_missing(struct spool_file *file, const struct spool_row *row) {
    int r = add(file, ADD_MISSING, row);

    return r < 0 ? r : sqlite3_changes(file->database);
}

int spool_file_remove(struct spool_file *file, uint64_t number) {
    (void)sqlite3_bind_int64(bound(file, REMOVE), 1, (int64_t)number);
    return run(file, REMOVE);
}

int spool_file_bury(struct spool_file *file, uint64_t number) {
    (void)sqlite3_bind_int64(bound(file, BURY), 1, (int64_t)number);
    return run(file, BURY);
}

int spool_file_drop_oldest(struct spool_file *file, unsigned count) {
    int dropped;
    int r;

    (void)sqlite3_bind_int64(bound(file, OLDEST), 1, count);
    r = run(file, OLDEST);
    if (r < 0)
        return r;
    dropped = sqlite3_changes(file->database);
    r = spool_file_count_dropped(file, (uint64_t)dropped);
    return r < 0 ? r : dropped;
}

int spool_file_count_dropped(struct spool_file *file, uint64_t count) {
    (void)sqlite3_bind_int64(bound(file, COUNT_DROPPED), 1, (int64_t)count);
    return run(file, COUNT_DROPPED);
}

static int set_counter(struct spool_file *file, const char *name, int64_t value) {
    sqlite3_stmt *statement = bound(file, SET_COUNTER);

    (void)sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, value);
    return run(file, SET_COUNTER);
}

int spool_file_mark_certain(struct spool_file *file, bool is_certain) {
    return set_counter(file, "certain", is_certain);
}

int spool_file_note_unsalvaged(struct spool_file *file, const struct spool_span *span) {
    int r = set_counter(file, "unsalvaged_after", (int64_t)span->after);

    return r < 0 ? r : set_counter(file, "unsalvaged_before", (int64_t)span->before);
}

/* A row whose text is not what we write is a damaged one: it comes without quantities. */
static void row_from(sqlite3_stmt *statement, struct spool_row *row) {
    const char *sensor = (const char *)sqlite3_column_text(statement, 4);
    const char *quantities = (const char *)sqlite3_column_text(statement, 5);

    *row = (struct spool_row){
        .number = (uint64_t)sqlite3_column_int64(statement, 0),
        .prefix = (uint32_t)sqlite3_column_int64(statement, 1),
        .boot = sqlite3_column_int64(statement, 2),
        .reading.taken_us = (uint64_t)sqlite3_column_int64(statement, 3),
    };
    if (!sensor || !quantities || !name_is_valid(sensor))
        return;
    (void)snprintf(row->reading.sensor, sizeof(row->reading.sensor), "%s", sensor);
    if (reading_parse(quantities, &row->reading) < 0)
        row->reading.count = 0;
}

static int read_rows(struct spool_file *file, enum statement which, uint64_t after, uint64_t before,
                     struct spool_row *rows, size_t max) {
    sqlite3_stmt *statement = bound(file, which);
    size_t count = 0;
    int code = SQLITE_OK;

    (void)sqlite3_bind_int64(statement, 1, (int64_t)after);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)before);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)max);
    while (count < max && (code = sqlite3_step(statement)) == SQLITE_ROW)
        row_from(statement, &rows[count++]);
    (void)sqlite3_reset(statement);
    return count > 0 ? (int)count : result_of(file, code);
}

int spool_file_read(struct spool_file *file, uint64_t after, uint64_t before,
                    struct spool_row *rows, size_t max) {
    return read_rows(file, READ, after, before, rows, max);
}

int spool_file_read_back(struct spool_file *file, uint64_t after, uint64_t before,
                         struct spool_row *rows, size_t max) {
    return read_rows(file, READ_BACK, after, before, rows, max);
}

int spool_file_set_boot(struct spool_file *file, struct spool_boot *boot) {
    sqlite3_stmt *statement = bound(file, SET_BOOT);
    int code;
    int r;

    (void)sqlite3_bind_text(statement, 1, boot->boot_id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, boot->wall_offset_us);
    (void)sqlite3_bind_int64(statement, 3, boot->synchronised);
    r = run(file, SET_BOOT);
    if (r < 0)
        return r;
    statement = bound(file, FIND_BOOT);
    (void)sqlite3_bind_text(statement, 1, boot->boot_id, -1, SQLITE_STATIC);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        boot->key = sqlite3_column_int64(statement, 0);
    (void)sqlite3_reset(statement);
    return code == SQLITE_ROW ? 0 : -EUCLEAN;
}

int spool_file_get_boot(struct spool_file *file, int64_t key, struct spool_boot *ret) {
    sqlite3_stmt *statement = bound(file, GET_BOOT);
    int code;
    int r;

    (void)sqlite3_bind_int64(statement, 1, key);
    code = sqlite3_step(statement);
    r = code == SQLITE_DONE ? -ENOENT : result_of(file, code);
    if (code == SQLITE_ROW) {
        const char *boot_id = (const char *)sqlite3_column_text(statement, 1);

        *ret = (struct spool_boot){
            .key = key,
            .wall_offset_us = sqlite3_column_int64(statement, 2),
            .synchronised = sqlite3_column_int(statement, 3) != 0,
        };
        (void)snprintf(ret->boot_id, sizeof(ret->boot_id), "%s", boot_id ? boot_id : "");
    }
    (void)sqlite3_reset(statement);
    return r;
}

static int64_t number_of(struct spool_file *file, enum statement which) {
    sqlite3_stmt *statement = bound(file, which);
    int64_t number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;

    (void)sqlite3_reset(statement);
    return number;
}

int64_t spool_file_size(struct spool_file *file) {
    return (number_of(file, PAGES) - number_of(file, FREE_PAGES)) * PAGE_SIZE_BYTES;
}

int64_t spool_file_log_size(const struct spool_file *file) {
    enum { FRAME_HEADER = 24 };

    return (int64_t)file->log_pages * (PAGE_SIZE_BYTES + FRAME_HEADER);
}

int spool_file_checkpoint(struct spool_file *file) {
    int code =
        sqlite3_wal_checkpoint_v2(file->database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    return result_of(file, code);
}

int spool_file_sync_log(const char *path) {
    char log[4096];
    int fd;
    int r;

    if (snprintf(log, sizeof(log), "%s-wal", path) >= (int)sizeof(log))
        return -ENAMETOOLONG;
    fd = open(log, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = fdatasync(fd) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

int spool_file_checkpoint_aside(const char *path) {
    sqlite3 *database = NULL;
    int code = sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL);
    int r;

    if (code == SQLITE_OK) /* a connection that has read nothing knows of no log to checkpoint */
        code = sqlite3_exec(database, "PRAGMA wal_autocheckpoint=0; PRAGMA schema_version", NULL,
                            NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_wal_checkpoint_v2(database, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    r = error_of(database, code);
    (void)sqlite3_close(database);
    return r;
}
