/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include "config.h"
#include "config/document.h"
#include "config/schema.h"

enum { INDENT = 4 };

struct printer {
    const struct config_document *document;
    FILE *out;
    int depth;
};

static void print_group(struct printer *printer, enum group group, const char *path,
                        const char *target);

static void indent(const struct printer *printer) {
    (void)fprintf(printer->out, "%*s", printer->depth * INDENT, "");
}

/* The sentences are Markdown; here they are read as they are. */
static void print_plain(const struct printer *printer, const char *text) {
    for (; *text != '\0'; text++)
        if (*text != '`')
            (void)fputc(*text, printer->out);
}

static void print_quoted(const struct printer *printer, const char *text, size_t length) {
    (void)fputc('"', printer->out);
    for (size_t i = 0; i < length; i++)
        (void)fprintf(printer->out, "%s%c", text[i] == '"' || text[i] == '\\' ? "\\" : "", text[i]);
    (void)fputc('"', printer->out);
}

/* One to a line. */
static void print_ciphers(struct printer *printer, const char *names) {
    (void)fputs("[\n", printer->out);
    printer->depth++;
    while (*names != '\0') {
        size_t length = strcspn(names, ":");

        indent(printer);
        print_quoted(printer, names, length);
        (void)fputs(names[length] == ':' ? ",\n" : "\n", printer->out);
        names += length + (names[length] == ':');
    }
    printer->depth--;
    indent(printer);
    (void)fputc(']', printer->out);
}

static const char *text_in(const struct key *key, const char *target) {
    const char *text;

    memcpy(&text, target + key->field.offset, sizeof(text));
    return text;
}

static double number_in(const struct key *key, const char *target) {
    const char *at = target + key->field.offset;
    double scale = key->scale > 0 ? key->scale : 1;
    int64_t amount;
    uint16_t half;
    uint32_t word;
    uint64_t whole;

    if (key->form == FORM_AMOUNT) {
        memcpy(&amount, at, sizeof(amount));
        return (double)amount / scale;
    }
    if (key->field.size == sizeof(half)) {
        memcpy(&half, at, sizeof(half));
        return half / scale;
    }
    if (key->field.size == sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        return word / scale;
    }
    memcpy(&whole, at, sizeof(whole));
    return (double)whole / scale;
}

static bool is_number(const struct key *key) {
    return key->form == FORM_INTEGER || key->form == FORM_NUMBER || key->form == FORM_AMOUNT;
}

/* A number without a default is never 0 when it is set. */
static bool is_set(const struct key *key, const char *target) {
    if (key->form == FORM_AMOUNT)
        return true; /* there is none without being set */
    if (is_number(key))
        return key->fallback || number_in(key, target) > 0;
    return text_in(key, target) != NULL;
}

static void print_value(struct printer *printer, const struct key *key, const char *target) {
    if (is_number(key))
        (void)fprintf(printer->out, "%.15g", number_in(key, target));
    else if (key->form == FORM_CIPHERS || key->form == FORM_CIPHERSUITES)
        print_ciphers(printer, text_in(key, target));
    else
        print_quoted(printer, text_in(key, target), strlen(text_in(key, target)));
}

static void print_simple(struct printer *printer, const struct key *key, const char *path,
                         const char *target) {
    bool is_default = document_find(printer->document, path) == NULL;

    indent(printer);
    if (!is_set(key, target)) {
        (void)fprintf(printer->out, "# %s is not set", key->name);
        if (key->otherwise) {
            (void)fputs(": ", printer->out);
            print_plain(printer, key->otherwise);
        }
    } else {
        (void)fprintf(printer->out, "%s = ", key->name);
        print_value(printer, key, target);
        (void)fputs(is_default ? ";  # default" : ";", printer->out);
        if (is_default && key->otherwise) {
            (void)fputs(": ", printer->out);
            print_plain(printer, key->otherwise);
        }
    }
    (void)fputc('\n', printer->out);
}

static void print_list(struct printer *printer, const struct key *key, const char *path,
                       const char *target) {
    const char *elements;
    size_t count;

    memcpy(&elements, target + key->field.offset, sizeof(elements));
    memcpy(&count, target + key->count.offset, sizeof(count));
    if (count == 0)
        return;
    indent(printer);
    (void)fprintf(printer->out, "%s = (\n", key->name);
    printer->depth++;
    for (size_t i = 0; i < count; i++) {
        char element[DOCUMENT_KEY_SIZE];

        document_key_index(element, path, i);
        indent(printer);
        (void)fputs("{\n", printer->out);
        print_group(printer, key->members, element, elements + i * key->element_size);
        indent(printer);
        (void)fputs(i + 1 < count ? "},\n" : "}\n", printer->out);
    }
    printer->depth--;
    indent(printer);
    (void)fputs(");\n", printer->out);
}

static void print_key(struct printer *printer, const struct key *key, const char *path,
                      const char *target) {
    if (key->form == FORM_LIST) {
        print_list(printer, key, path, target);
    } else if (key->form == FORM_GROUP) {
        indent(printer);
        (void)fprintf(printer->out, "%s: {\n", key->name);
        print_group(printer, key->members, path, target);
        indent(printer);
        (void)fputs("};\n", printer->out);
    } else {
        print_simple(printer, key, path, target);
    }
}

static void print_group(struct printer *printer, enum group group, const char *path,
                        const char *target) {
    int depth = printer->depth;

    printer->depth += group == GROUP_ROOT ? 0 : 1;
    for (size_t i = 0; i < schema_length; i++) {
        char key_path[DOCUMENT_KEY_SIZE];

        if (schema[i].group != group || !schema_applies(&schema[i], target))
            continue;
        document_key_join(key_path, path, schema[i].name);
        print_key(printer, &schema[i], key_path, target);
    }
    printer->depth = depth;
}

void config_print(const struct config *config, FILE *out) {
    struct printer printer = { .document = config->document, .out = out };

    print_group(&printer, GROUP_ROOT, "", (const char *)config->document);
}
