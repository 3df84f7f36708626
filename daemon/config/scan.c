/* SPDX-License-Identifier: MIT */
#include "config/scan.h"

#include <errno.h>
#include <string.h>

enum { INTEGER_DIGITS = 9, DEPTH = 16 };

struct bracket {
    char closing;
    unsigned line;
};

struct scan {
    struct config_document *document;
    char *at;
    unsigned line;
    char before; /* the token before this one: its first character */
    struct bracket open[DEPTH];
    size_t depth;
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

/* Behind a key's =, as an element, or as the second part of a text. */
static bool may_begin_string(const struct scan *scan) {
    bool is_in_list = scan->depth > 0 && scan->open[scan->depth - 1].closing != '}';

    return scan->before != '\0' && strchr(is_in_list ? "=:([\"," : "=:\"", scan->before) != NULL;
}

static int skip_string(struct scan *scan) {
    if (!may_begin_string(scan)) {
        document_error_at(scan->document, scan->line, NULL,
                          "a text stands where there can be none: keys have no quotes, and before "
                          "a value there is a key and =");
        return -EINVAL;
    }
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

static char *end_of_number(char *start) {
    char *at = start + (*start == '+' || *start == '-');

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

/* A refused number gives way to 0, so that libconfig, which may refuse it too, finds the rest. */
static void take_number(struct scan *scan) {
    char *end = end_of_number(scan->at);
    const char *wrong = check_number(scan->at, end);
    size_t length = (size_t)(end - scan->at);

    if (wrong) {
        document_error_at(scan->document, scan->line, NULL, "the number %.*s%s %s",
                          (int)(length < 24 ? length : 24), scan->at, length < 24 ? "" : "...",
                          wrong);
        mark_line(scan->document, scan->line);
        memset(scan->at, ' ', length);
        scan->at[0] = '0';
    }
    scan->at = end;
}

static bool begins_number(const char *at) {
    return is_digit(*at) || ((*at == '+' || *at == '-' || *at == '.') && is_digit(at[1]));
}

static int open_bracket(struct scan *scan) {
    char closing = *scan->at == '{' ? '}' : *scan->at == '(' ? ')' : ']';

    if (scan->depth == DEPTH) {
        document_error_at(scan->document, scan->line, NULL, "%c is nested deeper than any key is",
                          *scan->at);
        return -EINVAL;
    }
    scan->open[scan->depth++] = (struct bracket){ .closing = closing, .line = scan->line };
    scan->at++;
    return 0;
}

static int close_bracket(struct scan *scan) {
    const struct bracket *innermost = scan->depth > 0 ? &scan->open[scan->depth - 1] : NULL;

    if (!innermost)
        document_error_at(scan->document, scan->line, NULL, "%c closes nothing", *scan->at);
    else if (innermost->closing != *scan->at)
        document_error_at(scan->document, scan->line, NULL,
                          "%c where %c of line %u must come first", *scan->at, innermost->closing,
                          innermost->line);
    if (!innermost || innermost->closing != *scan->at)
        return -EINVAL;
    scan->depth--;
    scan->at++;
    return 0;
}

static int conclude(const struct scan *scan) {
    if (scan->depth == 0)
        return 0;
    document_error_at(scan->document, scan->open[scan->depth - 1].line, NULL,
                      "what is opened here is never closed with %c",
                      scan->open[scan->depth - 1].closing);
    return -EINVAL;
}

static int refuse_include(struct scan *scan) {
    document_error_at(scan->document, scan->line, NULL,
                      "@include is not accepted: it would read from the folder in which sensorgw "
                      "was started; put everything into this one file");
    return -EINVAL;
}

static int take_token(struct scan *scan) {
    char first = *scan->at;
    int r = 0;

    if (first == '"') {
        r = skip_string(scan);
    } else if (strchr("{([", first)) {
        r = open_bracket(scan);
    } else if (strchr("})]", first)) {
        r = close_bracket(scan);
    } else if (strncmp(scan->at, "@include", 8) == 0) {
        r = refuse_include(scan);
    } else if (begins_number(scan->at)) {
        take_number(scan);
    } else if (is_name_character(first)) {
        while (is_name_character(*scan->at))
            scan->at++;
    } else {
        scan->at++;
    }
    scan->before = first;
    return r;
}

int scan_source(struct config_document *document, char *text) {
    struct scan scan = { .document = document, .at = text, .line = 1 };
    int r = 0;

    while (*scan.at != '\0' && r == 0) {
        if (*scan.at == '\n') {
            scan.line++;
            scan.at++;
        } else if (strchr(" \t\r\f", *scan.at)) {
            scan.at++;
        } else if (strncmp(scan.at, "/*", 2) == 0) {
            r = skip_comment(&scan);
        } else if (*scan.at == '#' || strncmp(scan.at, "//", 2) == 0) {
            scan.at += strcspn(scan.at, "\n");
        } else {
            r = take_token(&scan);
        }
    }
    return r < 0 ? r : conclude(&scan);
}
