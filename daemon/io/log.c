/* SPDX-License-Identifier: MIT */
#include "io/log.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "core/catalogue.h"

enum { ENTRY_FIELDS = 24, FIELD_SIZE = 2048 };

static bool to_journal;
static int least_urgent = LOG_INFO;

/* sd-journal(3): JOURNAL_STREAM holds device and inode of the journal's end of stderr. */
static bool stderr_is_the_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_init(void) {
    to_journal = stderr_is_the_journal();
    least_urgent = getenv("SENSORGW_DEBUG") ? LOG_DEBUG : LOG_INFO;
}

/* One entry under construction: its fields, each "KEY=value". */
struct entry {
    char text[ENTRY_FIELDS][FIELD_SIZE];
    struct iovec vectors[ENTRY_FIELDS];
    int count;
};

static void add(struct entry *entry, const char *prefix, const char *key, const char *value) {
    char *text = entry->text[entry->count];
    int n;

    if (entry->count == ENTRY_FIELDS)
        return;
    n = snprintf(text, FIELD_SIZE, "%s%s=%s", prefix, key, value);
    if (n < 0)
        return;
    entry->vectors[entry->count++] = (struct iovec){
        .iov_base = text,
        .iov_len = (size_t)(n < FIELD_SIZE ? n : FIELD_SIZE - 1),
    };
}

/* A cause or an event has its text in the journal's catalogue. */
static const char *message_id_of(const struct log_field *field) {
    const struct catalogue_entry *entry = NULL;

    if (strcmp(field->key, "CAUSE") == 0 || strcmp(field->key, "EVENT") == 0)
        entry = catalogue_find(field->value);
    return entry ? entry->message_id : NULL;
}

static void send_to_journal(int priority, int error, const char *message,
                            const struct log_field *fields) {
    struct entry entry = { .count = 0 };
    const char *id = NULL;
    char number[24];

    add(&entry, "", "MESSAGE", message);
    add(&entry, "", "PRIORITY", log_number(priority, number));
    add(&entry, "", "SYSLOG_IDENTIFIER", "sensorgw");
    if (error < 0)
        add(&entry, "", "ERRNO", log_number(-error, number));
    for (const struct log_field *field = fields; field->key; field++) {
        add(&entry, "SENSORGW_", field->key, field->value);
        if (!id)
            id = message_id_of(field);
    }
    if (id)
        add(&entry, "", "MESSAGE_ID", id);
    (void)sd_journal_sendv(entry.vectors, entry.count);
}

/* One entry is one line, whatever is in it. */
static void print_text(FILE *out, const char *text, const char *escaped) {
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f')
            (void)fprintf(out, "\\x%02x", (unsigned char)*at);
        else if (strchr(escaped, *at))
            (void)fprintf(out, "\\%c", *at);
        else
            (void)fputc(*at, out);
    }
}

static void print_field(FILE *out, const char *key, const char *value) {
    bool needs_quotes = value[0] == '\0' || strpbrk(value, " \t\n\"=\\") != NULL;

    (void)fprintf(out, needs_quotes ? " %s=\"" : " %s=", key);
    print_text(out, value, needs_quotes ? "\"\\" : "");
    if (needs_quotes)
        (void)fputc('"', out);
}

static void print(int priority, int error, const char *message, const struct log_field *fields) {
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);

    if (!out)
        return;
    if (!isatty(STDERR_FILENO))
        (void)fprintf(out, "<%d>", priority);
    print_text(out, message, "");
    for (const struct log_field *field = fields; field->key; field++)
        print_field(out, field->key, field->value);
    if (error < 0)
        print_field(out, "ERROR", strerror(-error));
    (void)fputc('\n', out);
    (void)fclose(out);
    if (line)
        (void)fputs(line, stderr);
    free(line);
}

int log_emit(int priority, int error, const char *message, const struct log_field *fields) {
    if (priority > least_urgent)
        return error;
    if (to_journal)
        send_to_journal(priority, error, message, fields);
    else
        print(priority, error, message, fields);
    return error;
}

const char *log_number(long long number, char text[static 24]) {
    (void)snprintf(text, 24, "%lld", number);
    return text;
}
