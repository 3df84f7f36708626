/* SPDX-License-Identifier: MIT */

/*
 * Writes what is made of core/catalogue.c: `catalogue_pages journal` the journal's catalogue,
 * `catalogue_pages markdown` docs/causes.md. Run by the build, not installed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/catalogue.h"
#include "core/cause.h"

static bool is_cause(const char *name) {
    for (enum cause cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++)
        if (strcmp(cause_name(cause), name) == 0)
            return true;
    return false;
}

/* systemd's catalogue: "-- ID", headers, an empty line, text that is folded at about 72 columns. */
static void print_folded(const char *text) {
    size_t column = 0;

    while (*text) {
        size_t length = strcspn(text, " ");

        if (column > 0 && column + 1 + length > 72) {
            (void)putchar('\n');
            column = 0;
        } else if (column > 0) {
            (void)putchar(' ');
            column++;
        }
        (void)printf("%.*s", (int)length, text);
        column += length;
        text += length;
        text += strspn(text, " ");
    }
    (void)putchar('\n');
}

static void print_journal(void) {
    (void)puts(
        "# The journal's explanations for sensorgw: journalctl -x. Written by catalogue_pages.");
    for (size_t i = 0; catalogue_at(i); i++) {
        const struct catalogue_entry *entry = catalogue_at(i);

        (void)printf("\n-- %s\nSubject: %s (%s)\nDefined-By: sensorgw\n"
                     "Documentation: man:sensorgw(1)\n\n",
                     entry->message_id, entry->subject, entry->name);
        print_folded(entry->meaning);
        if (!entry->cure)
            continue;
        (void)puts("\nWhat to do:");
        print_folded(entry->cure);
    }
}

static void print_table_text(const char *text) {
    for (; *text; text++) {
        if (*text == '|')
            (void)putchar('\\');
        (void)putchar(*text);
    }
}

static void print_row(const struct catalogue_entry *entry) {
    (void)printf("| `%s` | **%s.** ", entry->name, entry->subject);
    print_table_text(entry->meaning);
    (void)fputs(" | ", stdout);
    if (entry->cure)
        print_table_text(entry->cure);
    (void)printf(" | `%s` |\n", entry->message_id);
}

static void print_rows(bool of_causes) {
    (void)puts("| name | what it means | what to do | MESSAGE_ID |\n| --- | --- | --- | --- |");
    for (size_t i = 0; catalogue_at(i); i++)
        if (is_cause(catalogue_at(i)->name) == of_causes)
            print_row(catalogue_at(i));
}

static void print_markdown(void) {
    (void)puts(
        "# Causes and events\n\n"
        "One vocabulary, used in the journal (`SENSORGW_CAUSE`), in the gateway's state, by "
        "`sensorgw status` and by\n`sensorgw check --json`. An entry is written when a cause "
        "changes, not at every attempt; `journalctl -x -u sensorgw`\nshows these texts beside "
        "it, and `journalctl MESSAGE_ID=...` finds one kind.\n\n"
        "This page is written from `daemon/core/catalogue.c`, as the journal's catalogue is.\n\n"
        "## Causes\n");
    print_rows(true);
    (void)puts("\n## Events (`SENSORGW_EVENT`)\n");
    print_rows(false);
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "journal") == 0)
        print_journal();
    else if (argc == 2 && strcmp(argv[1], "markdown") == 0)
        print_markdown();
    else
        return EXIT_FAILURE;
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
