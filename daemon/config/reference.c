/* SPDX-License-Identifier: MIT */

/*
 * Writes the tables of docs/configuration.md and the keys of sensorgw.conf(5) from the schema,
 * between two marks in the page:
 *
 *     config_reference --check PAGE...    exit status 1 when they are not what the schema says
 *     config_reference --write PAGE...
 *
 * A page whose name ends in .md is Markdown, another one is for man(1).
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "config/schema.h"

/* What a page is written in. */
struct form_of_page {
    const char *begin;
    const char *end; /* NULL: the end of the page */
    void (*print_group)(FILE *out, enum group group);
};

/* A bar would end the cell. */
static void print_cell(FILE *out, const char *text) {
    for (; *text != '\0'; text++)
        (void)fprintf(out, "%s%c", *text == '|' ? "\\" : "", *text);
}

static void print_words(FILE *out, const char *const *words) {
    for (const char *const *word = words; *word; word++)
        (void)fprintf(out, "%s`\"%s\"`", word == words ? "" : ", ", *word);
}

static void print_value(FILE *out, const struct key *key) {
    switch (key->form) {
    case FORM_GROUP:
        (void)fputs("group", out);
        break;
    case FORM_LIST:
        (void)fprintf(out, "list of %.0f to %.0f groups", key->minimum, key->maximum);
        break;
    case FORM_INTEGER:
        (void)fprintf(out, "whole number, %.10g to %.10g%s%s", key->minimum, key->maximum,
                      key->unit ? " " : "", key->unit ? key->unit : "");
        break;
    case FORM_NUMBER:
    case FORM_AMOUNT:
        (void)fprintf(out, "number, %.10g to %.10g%s%s", key->minimum, key->maximum,
                      key->unit ? " " : "", key->unit ? key->unit : "");
        break;
    case FORM_WORD:
        print_words(out, key->words);
        break;
    case FORM_TEXT:
        (void)fputs("text", out);
        break;
    case FORM_NAME:
        (void)fputs("name", out);
        break;
    case FORM_HOST:
        (void)fputs("host name or IP address", out);
        break;
    case FORM_TOPIC:
        (void)fputs("topic", out);
        break;
    case FORM_PATH:
        (void)fputs("path", out);
        break;
    case FORM_ABSOLUTE_PATH:
        (void)fputs("absolute path", out);
        break;
    case FORM_DEVICE:
        (void)fputs("path or name", out);
        break;
    case FORM_LINE:
        (void)fputs("number or name", out);
        break;
    case FORM_QUANTITY:
        (void)fputs("quantity", out);
        break;
    case FORM_CIPHERS:
    case FORM_CIPHERSUITES:
        (void)fputs("names", out);
        break;
    }
}

static void print_default(FILE *out, const struct key *key) {
    if (key->is_required)
        (void)fputs("**to be set**", out);
    else if (key->fallback)
        (void)fprintf(out, "`%s`", key->fallback);
    else if (key->otherwise)
        print_cell(out, key->otherwise);
    else
        (void)fputs("not set", out);
}

static void print_drivers(FILE *out, const struct key *key) {
    for (const char *const *driver = key->drivers; driver && *driver; driver++)
        (void)fprintf(out, "%s`%s`%s", driver == key->drivers ? "" : ", ", *driver,
                      driver[1] ? "" : ": ");
}

static void print_row(FILE *out, const struct key *key) {
    (void)fprintf(out, "| `%s` | ", key->name);
    print_value(out, key);
    (void)fputs(" | ", out);
    print_default(out, key);
    (void)fputs(" | ", out);
    print_drivers(out, key);
    print_cell(out, key->about);
    (void)fputs(" |\n", out);
}

/* Groups have tables of their own: in that of the file they would only say so. */
static void print_group(FILE *out, enum group group) {
    const char *path = schema_group_path(group);

    if (group == GROUP_ROOT)
        (void)fputs("\n## The file\n", out);
    else
        (void)fprintf(out, "\n## `%s`\n", path);
    (void)fprintf(out, "\n%s\n\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n",
                  schema_group_about(group));
    for (size_t i = 0; i < schema_length; i++)
        if (schema[i].group == group && schema[i].form != FORM_GROUP)
            print_row(out, &schema[i]);
}

/* ---- for man(1) ---- */

/* The schema's texts are Markdown with `code` and **strong** words. */
static void print_roff(FILE *out, const char *text) {
    bool is_bold = false;

    for (; *text != '\0'; text++) {
        if (*text == '`' || strncmp(text, "**", 2) == 0) {
            is_bold = !is_bold;
            (void)fputs(is_bold ? "\\fB" : "\\fR", out);
            text += *text == '*';
        } else if (*text == '-' || *text == '\\') {
            (void)fputs(*text == '-' ? "\\-" : "\\e", out);
        } else {
            (void)putc(*text, out);
        }
    }
}

static void print_roff_by(FILE *out, void (*print)(FILE *out, const struct key *key),
                          const struct key *key) {
    char *text = NULL;
    size_t size = 0;
    FILE *copy = open_memstream(&text, &size);

    if (!copy)
        return;
    print(copy, key);
    (void)fclose(copy);
    print_roff(out, text);
    free(text);
}

static void print_entry(FILE *out, const struct key *key) {
    (void)fprintf(out, ".TP\n\\fB%s\\fR: ", key->name);
    print_roff_by(out, print_value, key);
    (void)fputs("\n", out);
    print_roff_by(out, print_drivers, key);
    if (key->is_required)
        (void)fputs("To be set. ", out);
    print_roff(out, key->about);
    if (!key->is_required) {
        (void)fputs("\n.br\nDefault: ", out);
        print_roff_by(out, print_default, key);
    }
    (void)fputs("\n", out);
}

static void print_entries(FILE *out, enum group group) {
    const char *path = schema_group_path(group);

    if (group == GROUP_ROOT)
        (void)fputs(".SH KEYS\n", out);
    else
        (void)fprintf(out, ".SS %s\n", path);
    print_roff(out, schema_group_about(group));
    (void)fputs("\n", out);
    for (size_t i = 0; i < schema_length; i++)
        if (schema[i].group == group && schema[i].form != FORM_GROUP)
            print_entry(out, &schema[i]);
}

/* ---- the page ---- */

static const struct form_of_page markdown = {
    .begin = "<!-- The tables down to the end are written by `ninja configuration-page`. -->\n",
    .print_group = print_group,
};

static const struct form_of_page manual = {
    .begin = ".\\\" The keys are written by `ninja configuration-page`.\n",
    .end = ".\\\" The end of the keys.\n",
    .print_group = print_entries,
};

static const struct form_of_page *form_of(const char *path) {
    size_t length = strlen(path);

    return length > 3 && strcmp(path + length - 3, ".md") == 0 ? &markdown : &manual;
}

static int read_page(const char *path, char **ret) {
    CLEANUP(close_filep) FILE *file = fopen(path, "r");
    size_t size = 0;
    FILE *copy;
    int c;

    if (!file)
        return -errno;
    copy = open_memstream(ret, &size);
    if (!copy)
        return -errno;
    while ((c = getc(file)) != EOF)
        (void)putc(c, copy);
    (void)fclose(copy);
    return ferror(file) ? -EIO : 0;
}

/* The page with the part between the marks made anew. */
static int renew(const char *page, const struct form_of_page *form, char **ret) {
    const char *mark = strstr(page, form->begin);
    const char *rest = form->end ? strstr(page, form->end) : "";
    size_t size = 0;
    FILE *out;

    if (!mark || !rest)
        return -EBADMSG;
    out = open_memstream(ret, &size);
    if (!out)
        return -errno;
    (void)fwrite(page, 1, (size_t)(mark - page) + strlen(form->begin), out);
    for (int group = 0; group < GROUP_COUNT; group++)
        form->print_group(out, (enum group)group);
    (void)fputs(rest, out);
    (void)fclose(out);
    return 0;
}

static int write_page(const char *path, const char *text) {
    FILE *file = fopen(path, "w");

    if (!file)
        return -errno;
    (void)fputs(text, file);
    return fclose(file) == 0 ? 0 : -errno;
}

static int run(const char *mode, const char *path) {
    CLEANUP(free_stringp) char *page = NULL;
    CLEANUP(free_stringp) char *renewed = NULL;
    int r;

    r = read_page(path, &page);
    if (r < 0)
        return r;
    r = renew(page, form_of(path), &renewed);
    if (r < 0)
        return r;
    if (strcmp(mode, "--write") == 0)
        return write_page(path, renewed);
    if (strcmp(page, renewed) == 0)
        return 0;
    (void)fprintf(stderr, "%s is not what the schema says: run `ninja configuration-page`\n", path);
    return -ESTALE;
}

int main(int argc, char **argv) {
    int status = EXIT_SUCCESS;

    if (argc < 3 || (strcmp(argv[1], "--check") != 0 && strcmp(argv[1], "--write") != 0)) {
        (void)fprintf(stderr, "usage: %s --check|--write PAGE...\n", argv[0]);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        int r = run(argv[1], argv[i]);

        if (r < 0 && r != -ESTALE)
            (void)fprintf(stderr, "%s: %s\n", argv[i], strerror(-r));
        if (r < 0)
            status = EXIT_FAILURE;
    }
    return status;
}
