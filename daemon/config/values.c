/* SPDX-License-Identifier: MIT */
#include "config/values.h"

#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "config/forms.h"
#include "config/schema.h"
#include "io/tls.h"

/* A key on its way: which row, what it is called here, and what its group is read into. */
struct place {
    struct config_document *document;
    const struct key *key;
    char path[DOCUMENT_KEY_SIZE]; /* "sensors[2].device" */
    char *target;
};

static void read_group(struct config_document *document, enum group group, const char *path,
                       const config_setting_t *setting, void *target);

static void store_text(const struct place *place, const char *text) {
    memcpy(place->target + place->key->field.offset, &text, sizeof(text));
}

static void store_number(const struct place *place, double value) {
    double scale = place->key->scale > 0 ? place->key->scale : 1;
    double scaled = value * scale + (value < 0 ? -0.5 : 0.5);
    uint64_t whole = scaled < 0 ? 0 : (uint64_t)scaled;
    char *target = place->target + place->key->field.offset;

    if (place->key->form == FORM_AMOUNT) {
        memcpy(target, &(int64_t){ (int64_t)scaled }, sizeof(int64_t));
        return;
    }
    if (place->key->field.size == sizeof(uint16_t))
        memcpy(target, &(uint16_t){ (uint16_t)whole }, sizeof(uint16_t));
    else if (place->key->field.size == sizeof(uint32_t))
        memcpy(target, &(uint32_t){ (uint32_t)whole }, sizeof(uint32_t));
    else
        memcpy(target, &whole, sizeof(whole));
}

static void refuse_type(const struct place *place, const config_setting_t *setting) {
    const char *refusal = schema_refusal(place->key->group, place->key->name);

    if (refusal && !config_setting_is_aggregate(setting))
        document_error(place->document, place->path, "%s: %s", place->path, refusal);
    else
        document_error(place->document, place->path, "%s must be %s", place->path,
                       form_name(place->key->form));
}

/* { "a", "b", NULL } as "a", "b" */
static const char *list_words(const char *const *words, char *text, size_t size) {
    size_t length = 0;

    text[0] = '\0';
    for (; *words && length < size; words++)
        length += (size_t)snprintf(text + length, size - length, "%s\"%s\"", length > 0 ? ", " : "",
                                   *words);
    return text;
}

static void read_text(const struct place *place, const config_setting_t *setting) {
    const char *text = config_setting_get_string(setting);
    const char *wrong;
    char words[64];

    if (!text) {
        refuse_type(place, setting);
        return;
    }
    wrong = form_check(place->key, text);
    if (!wrong && place->key->form == FORM_PATH && text[0] != '/')
        text = document_text(place->document, "%s/%s", place->document->folder, text);
    if (!wrong)
        store_text(place, text);
    else if (text[0] == '\0')
        document_error(place->document, place->path, "%s %s", place->path, wrong);
    else if (place->key->form == FORM_WORD)
        document_error(place->document, place->path, "%s must be one of %s, is \"%s\"", place->path,
                       list_words(place->key->words, words, sizeof(words)), FORM_SHOW(text));
    else
        document_error(place->document, place->path, "%s %s, is \"%s\"", place->path, wrong,
                       FORM_SHOW(text));
}

/* A number is as good as a text here. */
static void read_line(const struct place *place, const config_setting_t *setting) {
    int type = config_setting_type(setting);
    int number;

    if (document_line_is_refused(place->document, config_setting_source_line(setting)))
        return;
    if (type != CONFIG_TYPE_INT) {
        read_text(place, setting);
        return;
    }
    number = config_setting_get_int(setting);
    if (number >= 0)
        store_text(place, document_text(place->document, "%d", number));
    else
        document_error(place->document, place->path, "%s must be a number of 0 or more, is %d",
                       place->path, number);
}

static void read_number(const struct place *place, const config_setting_t *setting) {
    const struct key *key = place->key;
    int type = config_setting_type(setting);
    double value;

    if (document_line_is_refused(place->document, config_setting_source_line(setting)))
        return;
    if (type == CONFIG_TYPE_INT) {
        value = config_setting_get_int(setting);
    } else if (type == CONFIG_TYPE_FLOAT && key->form != FORM_INTEGER) {
        value = config_setting_get_float(setting);
    } else {
        refuse_type(place, setting);
        return;
    }
    if (value >= key->minimum && value <= key->maximum)
        store_number(place, value);
    else
        document_error(place->document, place->path,
                       "%s must be between %.10g and %.10g%s%s, is %.10g", place->path,
                       key->minimum, key->maximum, key->unit ? " " : "", key->unit ? key->unit : "",
                       value);
}

/* Returns OpenSSL's name of the cipher, or NULL after it has told why there is none. */
static const char *cipher_name(const struct place *place, const char *name) {
    bool is_suite = place->key->form == FORM_CIPHERSUITES;
    const char *known = tls_cipher_name(name, is_suite ? TLS1_3_VERSION : TLS1_2_VERSION);

    if (known)
        return known;
    if (tls_cipher_name(name, is_suite ? TLS1_2_VERSION : TLS1_3_VERSION))
        document_error(place->document, place->path, "%s: \"%s\" is for TLS %s, it goes into %s",
                       place->path, FORM_SHOW(name), is_suite ? "1.2" : "1.3",
                       is_suite ? "tls.ciphers" : "tls.ciphersuites");
    else
        document_error(place->document, place->path,
                       "%s: \"%s\" is no cipher that OpenSSL has and allows here; exact names are "
                       "wanted, `openssl ciphers -s -%s` lists them",
                       place->path, FORM_SHOW(name), is_suite ? "tls1_3" : "tls1_2 -v");
    return NULL;
}

/* Adds the ciphers of a text with colons. Returns all so far; NULL when one was refused. */
static const char *add_ciphers(const struct place *place, const char *joined, const char *text) {
    while (joined && *text != '\0') {
        size_t length = strcspn(text, ":");
        const char *name =
            cipher_name(place, document_text(place->document, "%.*s", (int)length, text));

        if (!name)
            return NULL;
        joined =
            document_text(place->document, "%s%s%s", joined, joined[0] != '\0' ? ":" : "", name);
        text += length + (text[length] == ':');
    }
    return joined;
}

static void read_ciphers(const struct place *place, const config_setting_t *setting) {
    bool is_text = config_setting_type(setting) == CONFIG_TYPE_STRING;
    int n = is_text ? 1 : config_setting_length(setting);
    const char *joined = "";

    if (!is_text && !config_setting_is_array(setting) && !config_setting_is_list(setting)) {
        refuse_type(place, setting);
        return;
    }
    for (int i = 0; i < n && joined; i++) {
        const char *text = is_text ? config_setting_get_string(setting)
                                   : config_setting_get_string_elem(setting, i);

        if (!text) {
            refuse_type(place, setting);
            return;
        }
        joined = add_ciphers(place, joined, text);
    }
    if (!joined)
        return;
    if (joined[0] != '\0')
        store_text(place, joined);
    else
        document_error(place->document, place->path,
                       "%s names no cipher: leave it out for the default", place->path);
}

static bool check_length(const struct place *place, int length) {
    const struct key *key = place->key;

    if (length >= key->minimum && length <= key->maximum)
        return true;
    if (length == 0)
        document_error(place->document, place->path, "%s is empty: %s", place->path,
                       key->is_required ? "at least one is needed" : "leave it out");
    else
        document_error(place->document, place->path, "%s holds %d, %.0f at most are accepted",
                       place->path, length, key->maximum);
    return false;
}

static void read_list(const struct place *place, const config_setting_t *setting) {
    const struct key *key = place->key;
    int n = config_setting_length(setting);
    size_t count = (size_t)n;
    char *elements;

    if (!config_setting_is_list(setting)) {
        refuse_type(place, setting);
        return;
    }
    if (!check_length(place, n))
        return;
    elements = document_allocate(place->document, count * key->element_size);
    if (!elements)
        return;
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);
        char path[DOCUMENT_KEY_SIZE];

        document_key_index(path, place->path, i);
        if (config_setting_is_group(element))
            read_group(place->document, key->members, path, element,
                       elements + i * key->element_size);
        else
            document_error_at(place->document, config_setting_source_line(element), path,
                              "%s must be a group { ... }", path);
    }
    memcpy(place->target + key->field.offset, &elements, sizeof(elements));
    memcpy(place->target + key->count.offset, &count, sizeof(count));
}

/* A default as the file would have it: 30 or "crash". */
static void use_fallback(const struct place *place) {
    const char *fallback = place->key->fallback;

    if (place->key->form == FORM_INTEGER || place->key->form == FORM_NUMBER)
        store_number(place, strtod(fallback, NULL));
    else
        store_text(place,
                   document_text(place->document, "%.*s", (int)strlen(fallback) - 2, fallback + 1));
}

static void read_missing(const struct place *place) {
    if (!schema_applies(place->key, place->target))
        return;
    if (place->key->form == FORM_GROUP)
        read_group(place->document, place->key->members, place->path, NULL, place->target);
    else if (place->key->is_required)
        document_error(place->document, place->path, "%s is not set%s", place->path,
                       place->key->form == FORM_LIST ? ": at least one is needed" : "");
    else if (place->key->fallback)
        use_fallback(place);
}

static void read_key(const struct place *place, const config_setting_t *setting) {
    if (!setting) {
        read_missing(place);
        return;
    }
    switch (place->key->form) {
    case FORM_GROUP:
        if (config_setting_is_group(setting))
            read_group(place->document, place->key->members, place->path, setting, place->target);
        else
            refuse_type(place, setting);
        break;
    case FORM_LIST:
        read_list(place, setting);
        break;
    case FORM_INTEGER:
    case FORM_NUMBER:
    case FORM_AMOUNT:
        read_number(place, setting);
        break;
    case FORM_LINE:
        read_line(place, setting);
        break;
    case FORM_CIPHERS:
    case FORM_CIPHERSUITES:
        read_ciphers(place, setting);
        break;
    case FORM_TEXT:
    case FORM_WORD:
    case FORM_NAME:
    case FORM_HOST:
    case FORM_TOPIC:
    case FORM_PATH:
    case FORM_ABSOLUTE_PATH:
    case FORM_DEVICE:
    case FORM_QUANTITY:
        read_text(place, setting);
        break;
    }
}

static void refuse_unknown(struct config_document *document, enum group group, const char *path,
                           const config_setting_t *setting) {
    unsigned line = config_setting_source_line(setting);
    const char *name = config_setting_name(setting);
    const char *refusal = schema_refusal(group, name);
    const struct key *meant = schema_suggest(group, name);
    char here[DOCUMENT_KEY_SIZE];
    char there[DOCUMENT_KEY_SIZE];

    document_key_join(here, path, name);
    if (refusal) {
        document_error_at(document, line, here, "%s: %s", here, refusal);
    } else if (meant) {
        document_key_join(there, meant->group == group ? path : schema_group_path(meant->group),
                          meant->name);
        document_error_at(document, line, here, "unknown key %s, did you mean %s?", here, there);
    } else {
        document_error_at(document, line, here, "unknown key %s", here);
    }
}

static void read_group(struct config_document *document, enum group group, const char *path,
                       const config_setting_t *setting, void *target) {
    int n = setting ? config_setting_length(setting) : 0;

    for (int i = 0; i < n; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);

        if (!schema_find(group, config_setting_name(member)))
            refuse_unknown(document, group, path, member);
    }
    for (size_t i = 0; i < schema_length; i++) {
        struct place place = { .document = document, .key = &schema[i], .target = target };

        if (schema[i].group != group)
            continue;
        document_key_join(place.path, path, schema[i].name);
        read_key(&place, setting ? config_setting_get_member(setting, schema[i].name) : NULL);
    }
}

void values_read(struct config_document *document) {
    read_group(document, GROUP_ROOT, "", config_root_setting(&document->parsed), document);
}
