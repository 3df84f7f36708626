/* SPDX-License-Identifier: MIT */
#include "core/reading.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *key;
    const char *name;
} published[] = {
    { "t", "temperature" },  { "rh", "humidity" }, { "p", "pressure" },
    { "lx", "illuminance" }, { "v", "voltage" },
};

/* Fields of the published object, and raw, which a frame carries for the log. */
static const char *const reserved[] = {
    "id", "time", "gateway", "sensor", "late", "clock", "check", "raw",
};

enum { INTEGER_DIGITS = 7 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_name_start(char c) {
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool name_is_valid(const char *name) {
    size_t length = 0;

    if (!is_name_start(name[0]))
        return false;
    while (name[length] != '\0') {
        char c = name[length++];

        if (length > NAME_MAX_LENGTH || !(is_name_start(c) || c == '_' || c == '-'))
            return false;
    }
    return true;
}

const char *quantity_name(const char *key) {
    for (size_t i = 0; i < sizeof(published) / sizeof(*published); i++)
        if (strcmp(key, published[i].key) == 0)
            return published[i].name;
    return key;
}

bool quantity_is_published(const char *name) {
    for (size_t i = 0; i < sizeof(published) / sizeof(*published); i++)
        if (strcmp(name, published[i].name) == 0)
            return true;
    return false;
}

static bool is_word(const char *text, size_t length, const char *word) {
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

static bool key_is_reserved(const char *text, size_t length) {
    for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
        if (is_word(text, length, reserved[i]))
            return true;
    for (size_t i = 0; i < sizeof(published) / sizeof(*published); i++)
        if (is_word(text, length, published[i].name))
            return true;
    return false;
}

static int parse_key(const char *text, size_t length, char key[QUANTITY_KEY_LENGTH + 1]) {
    if (length < 1 || length > QUANTITY_KEY_LENGTH || key_is_reserved(text, length))
        return -EBADMSG;
    for (size_t i = 0; i < length; i++)
        if (!is_digit(text[i]) && !is_lower(text[i]))
            return -EBADMSG;
    memcpy(key, text, length);
    key[length] = '\0';
    return 0;
}

static int parse_value(const char *text, size_t length, struct quantity *quantity) {
    bool negative = length > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    size_t first = at;
    int64_t scaled = 0;
    size_t decimals = 0;

    for (; at < length && is_digit(text[at]); at++) {
        if (at - first == INTEGER_DIGITS)
            return -EBADMSG;
        scaled = scaled * 10 + (text[at] - '0');
    }
    if (at == first)
        return -EBADMSG;
    if (at < length) {
        if (text[at++] != '.')
            return -EBADMSG;
        decimals = length - at;
        if (decimals < 1 || decimals > QUANTITY_DECIMALS)
            return -EBADMSG;
        for (; at < length; at++) {
            if (!is_digit(text[at]))
                return -EBADMSG;
            scaled = scaled * 10 + (text[at] - '0');
        }
    }
    if (scaled > INT32_MAX || (negative && scaled == 0))
        return -EBADMSG;
    quantity->scaled = (int32_t)(negative ? -scaled : scaled);
    quantity->decimals = (uint8_t)decimals;
    return 0;
}

int quantity_parse(const char *text, size_t length, struct quantity *ret) {
    const char *equals = memchr(text, '=', length);
    struct quantity quantity;
    size_t key_length;
    int r;

    if (!equals)
        return -EBADMSG;
    key_length = (size_t)(equals - text);
    r = parse_key(text, key_length, quantity.key);
    if (r < 0)
        return r;
    r = parse_value(equals + 1, length - key_length - 1, &quantity);
    if (r < 0)
        return r;
    *ret = quantity;
    return 0;
}

int reading_add(struct reading *reading, const struct quantity *quantity) {
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(reading->quantities[i].key, quantity->key) == 0)
            return -EEXIST;
    if (reading->count == READING_QUANTITIES)
        return -ENOSPC;
    reading->quantities[reading->count++] = *quantity;
    return 0;
}

const struct quantity *reading_find(const struct reading *reading, const char *name) {
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(quantity_name(reading->quantities[i].key), name) == 0)
            return &reading->quantities[i];
    return NULL;
}

int quantity_render_value(const struct quantity *quantity, char *text, size_t size) {
    const char *sign = quantity->scaled < 0 ? "-" : "";
    int64_t magnitude = quantity->scaled < 0 ? -(int64_t)quantity->scaled : quantity->scaled;
    int64_t scale = 1;
    int n;

    for (unsigned i = 0; i < quantity->decimals; i++)
        scale *= 10;
    if (quantity->decimals == 0)
        n = snprintf(text, size, "%s%lld", sign, (long long)magnitude);
    else
        n = snprintf(text, size, "%s%lld.%0*lld", sign, (long long)(magnitude / scale),
                     (int)quantity->decimals, (long long)(magnitude % scale));
    return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}

int reading_render(const struct reading *reading, char *text, size_t size) {
    size_t length = 0;

    if (size == 0)
        return -ENOSPC;
    text[0] = '\0';
    for (size_t i = 0; i < reading->count; i++) {
        const struct quantity *quantity = &reading->quantities[i];
        int n = snprintf(text + length, size - length, "%s%s=", i > 0 ? "," : "", quantity->key);

        if (n < 0 || (size_t)n >= size - length)
            return -ENOSPC;
        length += (size_t)n;
        n = quantity_render_value(quantity, text + length, size - length);
        if (n < 0)
            return n;
        length += (size_t)n;
    }
    return (int)length;
}

int reading_parse(const char *text, struct reading *reading) {
    for (;;) {
        const char *comma = strchr(text, ',');
        size_t length = comma ? (size_t)(comma - text) : strlen(text);
        struct quantity quantity;
        int r = quantity_parse(text, length, &quantity);

        if (r < 0)
            return r;
        r = reading_add(reading, &quantity);
        if (r < 0 || !comma)
            return r;
        text = comma + 1;
    }
}
