/* SPDX-License-Identifier: MIT */
#include "check/findings.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

enum {
    LINK_WIDTH_MIN = 13, /* "configuration" */
    LINK_WIDTH_MAX = 32,
    VERDICT_WIDTH = 7, /* "warning" */
    GAP = 2,
    TEXT_SIZE = 2048,
};

struct findings {
    struct findings_style style;
    size_t link_width;
    enum verdict worst;
    cJSON *links; /* with as_json */
    cJSON *last;  /* its member that was added last */
};

const char *verdict_name(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_OK:
        return "ok";
    case VERDICT_HIDDEN:
        return "hidden";
    case VERDICT_WARNING:
        return "warning";
    case VERDICT_ERROR:
        return "error";
    }
    return "";
}

static const char *colour_of(enum verdict verdict) {
    switch (verdict) {
    case VERDICT_OK:
        return "\033[32m";
    case VERDICT_HIDDEN:
        return "\033[36m";
    case VERDICT_WARNING:
        return "\033[33m";
    case VERDICT_ERROR:
        return "\033[31m";
    }
    return "";
}

int findings_new(const struct findings_style *style, struct findings **ret) {
    CLEANUP(findings_freep) struct findings *findings = calloc(1, sizeof(*findings));

    if (!findings)
        return -ENOMEM;
    findings->style = *style;
    findings->link_width = LINK_WIDTH_MIN;
    if (style->as_json) {
        findings->links = cJSON_CreateArray();
        if (!findings->links)
            return -ENOMEM;
    }
    *ret = findings;
    findings = NULL;
    return 0;
}

struct findings *findings_free(struct findings *findings) {
    if (!findings)
        return NULL;
    cJSON_Delete(findings->links);
    free(findings);
    return NULL;
}

void findings_expect(struct findings *findings, const char *link) {
    size_t width = strlen(link);

    if (width > LINK_WIDTH_MAX)
        width = LINK_WIDTH_MAX;
    if (width > findings->link_width)
        findings->link_width = width;
}

static size_t text_column(const struct findings *findings) {
    return findings->link_width + GAP + VERDICT_WIDTH + GAP;
}

/* Breaks at blanks only: what is to be copied stays in one piece. */
static void print_wrapped(const struct findings *findings, const char *text) {
    FILE *out = findings->style.out;
    size_t margin = text_column(findings);
    size_t columns = findings->style.columns;
    size_t at = margin;

    while (*text != '\0') {
        size_t length = strcspn(text, " ");

        if (at > margin && columns > margin && at + 1 + length > columns) {
            (void)fprintf(out, "\n%*s", (int)margin, "");
            at = margin;
        } else if (at > margin) {
            (void)fputc(' ', out);
            at++;
        }
        (void)fprintf(out, "%.*s", (int)length, text);
        at += length;
        text += length;
        text += strspn(text, " ");
    }
    (void)fputc('\n', out);
}

static void print_finding(const struct findings *findings, const char *link, enum verdict verdict,
                          const char *text) {
    const struct findings_style *style = &findings->style;

    (void)fprintf(style->out, "%-*s%*s%s%-*s%s%*s", (int)findings->link_width, link, GAP, "",
                  style->has_colour ? colour_of(verdict) : "", VERDICT_WIDTH, verdict_name(verdict),
                  style->has_colour ? "\033[0m" : "", GAP, "");
    print_wrapped(findings, text);
    (void)fflush(style->out); /* what follows may take seconds */
}

static void add_object(struct findings *findings, const char *link, enum verdict verdict,
                       enum cause cause, const char *text) {
    cJSON *object = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(object, "link", link);
    (void)cJSON_AddStringToObject(object, "verdict", verdict_name(verdict));
    (void)cJSON_AddStringToObject(object, "cause", cause_name(cause));
    (void)cJSON_AddStringToObject(object, "text", text);
    (void)cJSON_AddStringToObject(object, "cure", "");
    (void)cJSON_AddItemToArray(findings->links, object);
    findings->last = object;
}

void findings_add(struct findings *findings, const char *link, enum verdict verdict,
                  enum cause cause, const char *format, ...) {
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (verdict > findings->worst)
        findings->worst = verdict;
    if (findings->style.as_json)
        add_object(findings, link, verdict, cause, text);
    else
        print_finding(findings, link, verdict, text);
}

void findings_cure(struct findings *findings, const char *format, ...) {
    char text[TEXT_SIZE];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (text[0] == '\0')
        return;
    if (findings->style.as_json) {
        (void)cJSON_ReplaceItemInObject(findings->last, "cure", cJSON_CreateString(text));
        return;
    }
    (void)fprintf(findings->style.out, "%*s", (int)text_column(findings), "");
    print_wrapped(findings, text);
    (void)fflush(findings->style.out);
}

enum verdict findings_worst(const struct findings *findings) {
    return findings->worst;
}

static int print_json(struct findings *findings) {
    CLEANUP(free_stringp) char *text = NULL;
    cJSON *report = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(report, "verdict", verdict_name(findings->worst));
    (void)cJSON_AddItemToObject(report, "links", findings->links);
    findings->links = NULL;
    text = cJSON_Print(report);
    cJSON_Delete(report);
    if (!text)
        return -ENOMEM;
    return fprintf(findings->style.out, "%s\n", text) < 0 ? -EIO : 0;
}

int findings_conclude(struct findings *findings) {
    int r = findings->style.as_json ? print_json(findings) : 0;

    return r == 0 && fflush(findings->style.out) != 0 ? -EIO : r;
}
