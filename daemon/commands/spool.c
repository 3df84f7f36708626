/* SPDX-License-Identifier: MIT */

/* What waits on disk. Reads the database beside a running daemon, in pages, so that its log can go
 * on. */

#include "commands/commands.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "core/payload.h"
#include "io/clock.h"
#include "io/spool_file.h"
#include "io/spool_salvage.h"

enum { PAGE_ROWS = 1000 };

/* A boot's row is looked up once for the many readings of that boot. */
struct export {
    struct spool_file *file;
    const char *gateway;
    struct spool_boot boot;
    char boot_id[CLOCK_BOOT_ID_SIZE]; /* of the running boot */
};

/* A row's time by what is known of its boot, as the daemon would tell it now. */
static void find_boot(struct export *export, int64_t key) {
    struct clock_facts clock = clock_look();

    if (export->boot.key == key)
        return;
    export->boot = (struct spool_boot){ .key = key };
    if (spool_file_get_boot(export->file, key, &export->boot) < 0)
        export->boot = (struct spool_boot){ .key = key };
    if (strcmp(export->boot.boot_id, export->boot_id) == 0) {
        export->boot.wall_offset_us = clock.wall_offset_us;
        export->boot.synchronised |= clock.synchronised;
    }
}

static int print_row(struct export *export, const struct spool_row *row) {
    char prefix[ID_PREFIX_LENGTH + 1];
    char payload[PAYLOAD_SIZE];
    struct envelope envelope = {
        .gateway = export->gateway,
        .prefix = prefix,
        .number = row->number,
        .late = true,
    };

    if (row->reading.count == 0)
        return 0; /* damaged */
    find_boot(export, row->boot);
    (void)snprintf(prefix, sizeof(prefix), "%08x", row->prefix);
    envelope.wall_us = (int64_t)row->reading.taken_us + export->boot.wall_offset_us;
    envelope.synchronised = export->boot.synchronised;
    if (payload_render(&envelope, &row->reading, payload, sizeof(payload)) < 0)
        return -ENOSPC;
    return puts(payload) < 0 ? -EIO : 0;
}

static int export_all(struct export *export) {
    struct spool_row *rows = calloc(PAGE_ROWS, sizeof(*rows));
    uint64_t after = 0;
    int n = -ENOMEM;

    while (rows && (n = spool_file_read(export->file, after, INT64_MAX, rows, PAGE_ROWS)) > 0) {
        for (int i = 0; i < n; i++)
            if (print_row(export, &rows[i]) < 0) {
                free(rows);
                return -EIO;
            }
        after = rows[n - 1].number;
    }
    free(rows);
    return n;
}

static void print_oldest(struct export *export) {
    struct spool_row oldest;
    char time[PAYLOAD_TIME_SIZE];

    if (spool_file_read(export->file, 0, INT64_MAX, &oldest, 1) != 1)
        return;
    find_boot(export, oldest.boot);
    if (payload_render_time((int64_t)oldest.reading.taken_us + export->boot.wall_offset_us, time,
                            sizeof(time)) > 0)
        (void)printf("oldest    %s of sensor %s%s\n", time, oldest.reading.sensor,
                     export->boot.synchronised ? "" : " (clock not synchronised)");
}

static long long size_of(const char *path, const char *suffix) {
    char name[4096];
    struct stat status;

    if (snprintf(name, sizeof(name), "%s%s", path, suffix) >= (int)sizeof(name))
        return 0;
    return stat(name, &status) == 0 ? (long long)status.st_size : 0;
}

static void print_aside(const char *path) {
    char pattern[4096];
    glob_t found;

    if (spool_salvage_is_due(path))
        (void)printf("set aside %s.salvage, %lld bytes: was corrupt, and is being salvaged\n", path,
                     size_of(path, ".salvage"));
    if (snprintf(pattern, sizeof(pattern), "%s.corrupt-[0-9]", path) >= (int)sizeof(pattern) ||
        glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        (void)printf("set aside %s, %lld bytes: was corrupt; the journal says what was salvaged\n",
                     found.gl_pathv[i], size_of(found.gl_pathv[i], ""));
    globfree(&found);
}

static void print_summary(struct export *export, const struct config *config,
                          const struct spool_summary *summary) {
    const char *path = config->spool.path;

    (void)printf("spool     %s, %lld bytes and %lld in its log, of %llu MiB at most\n", path,
                 size_of(path, ""), size_of(path, "-wal"),
                 (unsigned long long)(config->spool.max_bytes >> 20));
    (void)printf("waiting   %llu readings\n", (unsigned long long)summary->waiting);
    print_oldest(export);
    (void)printf("dropped   %llu readings, ever\n", (unsigned long long)summary->dropped);
    print_aside(path);
}

static int explain(const char *path, int error) {
    if (error == -ENOENT)
        (void)fprintf(stderr, "sensorgw: there is no spool at %s yet\n", path);
    else if (error == -EUCLEAN)
        (void)fprintf(stderr, "sensorgw: %s is corrupt; the daemon will set it aside\n", path);
    else if (error == -EPROTONOSUPPORT)
        (void)fprintf(stderr, "sensorgw: a newer sensorgw wrote %s\n", path);
    else
        (void)fprintf(stderr, "sensorgw: cannot read %s: %s%s\n", path, strerror(-error),
                      error == -EACCES ? " (sudo sensorgw spool)" : "");
    return EXIT_FAILED;
}

static int look(const struct config *config, bool wants_export) {
    CLEANUP(spool_file_closep) struct spool_file *file = NULL;
    struct export export = { .gateway = config->gateway };
    struct spool_summary summary;
    int r = spool_file_look(config->spool.path, &file, &summary);

    if (r == 0)
        r = clock_read_boot_id(export.boot_id);
    if (r < 0)
        return explain(config->spool.path, r);
    export.file = file;
    if (wants_export)
        r = export_all(&export);
    else
        print_summary(&export, config, &summary);
    if (r < 0)
        return explain(config->spool.path, r);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

static int usage(void) {
    (void)fputs("usage: sensorgw spool [--export] [-c FILE]\n", stderr);
    return EXIT_USAGE;
}

int command_spool(int argc, char **argv) {
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "export", no_argument, NULL, 'e' },
        { 0 },
    };
    CLEANUP(config_freep) struct config *config = NULL;
    const char *path = DEFAULT_CONFIG_PATH;
    bool wants_export = false;
    int option;
    int r;

    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c')
            path = optarg;
        else if (option == 'e')
            wants_export = true;
        else
            return usage();
    }
    if (optind < argc)
        return usage();
    r = config_load(path, &config); /* logs for itself: file and line */
    return r < 0 ? config_exit_status(r) : look(config, wants_export);
}
