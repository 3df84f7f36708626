/* SPDX-License-Identifier: MIT */

/* The running daemon's own view, from the file that it keeps: works while the broker is away. */

#include "commands/commands.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cleanup.h"
#include "io/report.h"

static inline cJSON *json_free(cJSON *json) {
    cJSON_Delete(json);
    return NULL;
}
DEFINE_CLEANUP(cJSON, json_free);

/* How old the daemon's word is: what it tells of "ago" was true then. */
static double age_of(FILE *file) {
    struct stat status;

    return fstat(fileno(file), &status) == 0 ? difftime(time(NULL), status.st_mtime) : 0;
}

static char *read_file(const char *path, double *ret_age_s) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;

    if (!file)
        return NULL;
    *ret_age_s = age_of(file);
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    (void)fclose(file);
    return text;
}

static const char *text_of(const cJSON *object, const char *name) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

    return text ? text : "";
}

static double number_of(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItem(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* "75 s", "12 min", "3 h", "5 days": as people count. */
static const char *span(double seconds, char text[static 32]) {
    if (seconds < 120)
        (void)snprintf(text, 32, "%.0f s", seconds);
    else if (seconds < 2 * 3600)
        (void)snprintf(text, 32, "%.0f min", seconds / 60);
    else if (seconds < 48 * 3600)
        (void)snprintf(text, 32, "%.0f h", seconds / 3600);
    else
        (void)snprintf(text, 32, "%.0f days", seconds / 86400);
    return text;
}

static void print_link(const cJSON *state) {
    if (strcmp(text_of(state, "link"), "online") == 0) {
        (void)printf("broker    online   %s, %s %s\n", text_of(state, "broker"),
                     text_of(state, "tls"), text_of(state, "cipher"));
        return;
    }
    (void)printf("broker    %-8s %s", text_of(state, "link"), text_of(state, "broker"));
    if (text_of(state, "cause")[0])
        (void)printf(", %s", text_of(state, "cause"));
    if (number_of(state, "next_attempt_s") > 0)
        (void)printf(", next attempt in %.0f s", number_of(state, "next_attempt_s"));
    (void)putchar('\n');
    if (text_of(state, "reason")[0])
        (void)printf("                   %s\n", text_of(state, "reason"));
}

static void print_readings(const cJSON *state) {
    (void)printf("readings           %.0f accepted, %.0f published, %.0f waiting, %.0f dropped\n",
                 number_of(state, "accepted"), number_of(state, "published"),
                 number_of(state, "waiting"), number_of(state, "dropped"));
    if (text_of(state, "spool")[0])
        (void)printf("spool     %s\n", text_of(state, "spool"));
    if (strcmp(text_of(state, "clock"), "synchronised") != 0)
        (void)printf("clock              not synchronised\n");
}

static const char *unit_of(const char *quantity) {
    static const struct {
        const char *quantity;
        const char *unit;
    } units[] = {
        { "temperature", " °C" }, { "humidity", " %" }, { "pressure", " hPa" },
        { "illuminance", " lx" }, { "voltage", " V" },
    };

    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (strcmp(units[i].quantity, quantity) == 0)
            return units[i].unit;
    return "";
}

static void print_sensor(const cJSON *sensor, double word_age_s) {
    const cJSON *last = cJSON_GetObjectItem(sensor, "last");
    const cJSON *value;
    char age[32];

    (void)printf("%-9s %-8s", sensor->string, text_of(sensor, "state"));
    if (text_of(sensor, "cause")[0])
        (void)printf(" %s,", text_of(sensor, "cause"));
    cJSON_ArrayForEach(value, last)(void)
        printf(" %.1f%s,", value->valuedouble, unit_of(value->string));
    if (last)
        (void)printf(" %s ago,", span(number_of(sensor, "age_s") + word_age_s, age));
    (void)printf(" %s", text_of(sensor, "device"));
    if (number_of(sensor, "errors") > 0)
        (void)printf(", %.0f failed reads (%s)", number_of(sensor, "errors"),
                     text_of(sensor, "last_error"));
    if (number_of(sensor, "out_of_range") > 0)
        (void)printf(", %.0f out of range", number_of(sensor, "out_of_range"));
    if (number_of(sensor, "thinned") > 0)
        (void)printf(", %.0f thinned", number_of(sensor, "thinned"));
    if (number_of(sensor, "damaged") > 0)
        (void)printf(", %.0f frames damaged", number_of(sensor, "damaged"));
    (void)putchar('\n');
}

static void print(const cJSON *state, double age_s) {
    const cJSON *sensor;
    char uptime[32];

    (void)printf("gateway            %s, sensorgw %s, up %s", text_of(state, "gateway"),
                 text_of(state, "version"), span(number_of(state, "uptime_s") + age_s, uptime));
    if (cJSON_HasObjectItem(state, "certificate_days_left"))
        (void)printf(", certificate good for %.0f days", number_of(state, "certificate_days_left"));
    (void)putchar('\n');
    print_link(state);
    print_readings(state);
    cJSON_ArrayForEach(sensor, cJSON_GetObjectItem(state, "sensors")) print_sensor(sensor, age_s);
}

/* A daemon that was killed had no time to take its word away. */
static bool is_orphaned(const cJSON *state) {
    double pid = number_of(state, "pid");

    return pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static int usage(void) {
    (void)fputs("usage: sensorgw status [--json]\n", stderr);
    return EXIT_USAGE;
}

int command_status(int argc, char **argv) {
    static const struct option options[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
    CLEANUP(free_stringp) char *text = NULL;
    CLEANUP(json_freep) cJSON *state = NULL;
    char path[4096];
    double age_s = 0;
    int option;
    int wants_json = 0;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option != 'j')
            return usage();
        wants_json = 1;
    }
    if (optind < argc || report_default_path(path, sizeof(path)) < 0)
        return usage();
    text = read_file(path, &age_s);
    if (!text) {
        (void)fprintf(stderr, "sensorgw: no daemon is running here (%s: %s)\n", path,
                      strerror(errno));
        return EXIT_FAILED;
    }
    state = cJSON_Parse(text);
    if (!state) {
        (void)fprintf(stderr, "sensorgw: %s holds no state\n", path);
        return EXIT_FAILED;
    }
    if (is_orphaned(state)) {
        (void)fprintf(stderr,
                      "sensorgw: no daemon is running here: process %.0f ended without a goodbye "
                      "(%s is left of it)\n",
                      number_of(state, "pid"), path);
        return EXIT_FAILED;
    }
    if (wants_json)
        return puts(text) < 0 ? EXIT_FAILED : EXIT_DONE;
    print(state, age_s);
    return EXIT_DONE;
}
