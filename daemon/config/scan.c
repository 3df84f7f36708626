/* SPDX-License-Identifier: MIT */
#include "config/scan.h"

#include <errno.h>
#include <string.h>

enum { INTEGER_DIGITS = 9 };

struct scan {
    struct config_document *document;
    const char *at;
    unsigned line;
};

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_name_character(char c) {
    return is_letter(c) || is_digit(c) || c == '*' || c == '_' || c == '-';
}

static int skip_string(struct scan *scan) {
    for (scan->at++; *scan->at != '"'; scan->at++) {
        if (*scan->at == '\\' && (scan->at[1] == '"' || scan->at[1] == '\\'))
            scan->at++;
        else if (*scan->at == '\n' || *scan->at == '\0') {
            document_error_at(scan->document, scan->line, NULL,
                              "a text is not closed: the second \" is missing in this line");
            return -EINVAL;
        }
    }
    scan->at++;
    return 0;
}

static int skip_comment(struct scan *scan) {
    unsigned line = scan->line;

    for (scan->at += 2; strncmp(scan->at, "*/", 2) != 0; scan->at++) {
        if (*scan->at == '\0') {
            document_error_at(scan->document, line, NULL,
                              "a comment begins here with /* and is never closed with */");
            return -EINVAL;
        }
        if (*scan->at == '\n')
            scan->line++;
    }
    scan->at += 2;
    return 0;
}

static bool is_exponent(const char *start, const char *at) {
    return at > start && (at[-1] == 'e' || at[-1] == 'E') && (is_digit(at[1]));
}

static const char *end_of_number(const char *start) {
    const char *at = start + (*start == '+' || *start == '-');

    while (is_digit(*at) || is_letter(*at) || *at == '.' ||
           ((*at == '+' || *at == '-') && is_exponent(start, at)))
        at++;
    return at;
}

/* What is wrong with a number as it is written, or NULL. */
static const char *check_number(const char *start, const char *end) {
    const char *at = start + (*start == '+' || *start == '-');
    size_t length = (size_t)(end - at);
    size_t digits = strspn(at, "0123456789");
    bool is_hexadecimal = length > 1 && at[0] == '0' && (at[1] == 'x' || at[1] == 'X');

    if (is_hexadecimal)
        return "is not decimal: write it without 0x";
    if (digits < length && is_letter(at[digits]) && at[digits] != 'e' && at[digits] != 'E')
        return "has letters behind it: write the number alone, its unit is in the key's name";
    if (digits > 1 && at[0] == '0')
        return "begins with a zero: write it without";
    if (digits > INTEGER_DIGITS)
        return "is larger than anything that can be set here";
    return NULL;
}

static void mark_line(struct config_document *document, unsigned line) {
    if (document->refused_count < DOCUMENT_REFUSED_LINES)
        document->refused_lines[document->refused_count++] = line;
}

static void take_number(struct scan *scan) {
    const char *end = end_of_number(scan->at);
    const char *wrong = check_number(scan->at, end);

    if (wrong) {
        size_t length = (size_t)(end - scan->at);

        document_error_at(scan->document, scan->line, NULL, "the number %.*s%s %s",
                          (int)(length < 24 ? length : 24), scan->at, length < 24 ? "" : "...",
                          wrong);
        mark_line(scan->document, scan->line);
    }
    scan->at = end > scan->at ? end : scan->at + 1;
}

static bool begins_number(const char *at) {
    return is_digit(*at) || ((*at == '+' || *at == '-' || *at == '.') && is_digit(at[1]));
}

int scan_source(struct config_document *document, const char *text) {
    struct scan scan = { .document = document, .at = text, .line = 1 };
    int r = 0;

    while (*scan.at != '\0' && r == 0) {
        if (*scan.at == '"') {
            r = skip_string(&scan);
        } else if (strncmp(scan.at, "/*", 2) == 0) {
            r = skip_comment(&scan);
        } else if (*scan.at == '#' || strncmp(scan.at, "//", 2) == 0) {
            scan.at += strcspn(scan.at, "\n");
        } else if (strncmp(scan.at, "@include", 8) == 0) {
            document_error_at(document, scan.line, NULL,
                              "@include is not accepted: it would read from the folder in which "
                              "sensorgw was started; put everything into this one file");
            r = -EINVAL;
        } else if (is_letter(*scan.at) || *scan.at == '*') {
            while (is_name_character(*scan.at))
                scan.at++;
        } else if (begins_number(scan.at)) {
            take_number(&scan);
        } else {
            scan.line += *scan.at++ == '\n';
        }
    }
    return r;
}
