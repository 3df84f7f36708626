/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

static char folder[64];

/* Each test is a process of its own, and leaves its folder behind when it fails. */
static void remove_folder(void) {
    char command[128];

    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    (void)!system(command);
}

const char *harness_folder(void) {
    if (folder[0] == '\0') {
        strcpy(folder, "/tmp/sensorgw-config-XXXXXX");
        cr_assert_not_null(mkdtemp(folder));
        (void)atexit(remove_folder);
    }
    return folder;
}

const char *harness_write(const char *name, const char *text, size_t length) {
    static char path[PATH_MAX];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", harness_folder(), name);
    file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, length, file), length);
    cr_assert_eq(fclose(file), 0);
    return path;
}

static unsigned count(const char *text, const char *mark) {
    unsigned n = 0;

    while ((text = strstr(text, mark)) != NULL) {
        n++;
        text += strlen(mark);
    }
    return n;
}

void harness_load_file(const char *path, struct outcome *ret) {
    int before = dup(STDERR_FILENO);
    int said = memfd_create("stderr", MFD_CLOEXEC);
    ssize_t n;

    cr_assert_geq(before, 0);
    cr_assert_geq(said, 0);
    *ret = (struct outcome){ .result = 1 };
    (void)dup2(said, STDERR_FILENO);
    ret->result = config_load(path, &ret->config);
    (void)dup2(before, STDERR_FILENO);
    n = pread(said, ret->log, sizeof(ret->log) - 1, 0);
    cr_assert_geq(n, 0);
    (void)close(said);
    (void)close(before);
    ret->errors = count(ret->log, "<3>");
    ret->warnings = count(ret->log, "<4>");
}

void harness_load(const char *text, struct outcome *ret) {
    harness_load_file(harness_write("sensorgw.conf", text, strlen(text)), ret);
}

void outcome_clear(struct outcome *outcome) {
    outcome->config = config_free(outcome->config);
}

struct config *harness_sound(const char *text) {
    static struct outcome outcome;

    harness_load(text, &outcome);
    cr_assert_eq(outcome.result, 0, "%s", outcome.log);
    cr_assert_eq(outcome.errors, 0, "%s", outcome.log);
    return outcome.config;
}

char *harness_printed(const struct config *config) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    cr_assert_not_null(out);
    config_print(config, out);
    cr_assert_eq(fclose(out), 0);
    return text;
}

/* No value in these tests holds a '#'. */
char *harness_printed_values(const struct config *config) {
    char *text = harness_printed(config);
    char *to = text;

    for (const char *from = text; *from != '\0';) {
        if (*from == '#')
            from += strcspn(from, "\n");
        else if (*from == ' ')
            from++;
        else
            *to++ = *from++;
    }
    *to = '\0';
    return text;
}

char *harness_read(const char *path) {
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    cr_assert_not_null(file, "%s", path);
    cr_assert_gt(getdelim(&text, &size, '\0', file), 0, "%s", path);
    (void)fclose(file);
    return text;
}
