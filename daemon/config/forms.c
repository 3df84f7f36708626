/* SPDX-License-Identifier: MIT */
#include "config/forms.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "config/document.h"
#include "core/reading.h"
#include "core/topic.h"
#include "core/usb_name.h"

enum { LABEL_LENGTH = 63, IPV6_SIZE = 16 };

static const char digits[] = "0123456789";
static const char host_characters[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

/* Length of the UTF-8 sequence of one printable character; 0 when it is none. RFC 3629. */
static size_t character_length(const unsigned char *at) {
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;

    if (at[0] < 0x20 || at[0] == 0x7f || (at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    if ((at[0] == 0xc2 && at[1] < 0xa0) || (at[0] == 0xe0 && at[1] < 0xa0) ||
        (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf0 && at[1] < 0x90) ||
        (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return length;
}

static bool is_printable(const char *text) {
    const unsigned char *at = (const unsigned char *)text;

    while (*at != '\0') {
        size_t length = character_length(at);

        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

static bool is_host_name(const char *text) {
    for (;;) {
        size_t length = strspn(text, host_characters);

        if (length == 0 || length > LABEL_LENGTH || text[0] == '-')
            return false;
        if (text[length] == '\0')
            return true;
        if (text[length] != '.')
            return false;
        text += length + 1;
    }
}

static const char *check_host(const char *text) {
    const char *colon = strchr(text, ':');
    unsigned char address[IPV6_SIZE];

    if (strstr(text, "://"))
        return "must be the host alone, without mqtt:// or mqtts://";
    if (text[0] == '[')
        return "must be the address alone: an IPv6 address without brackets, its port in port";
    if (inet_pton(AF_INET6, text, address) == 1)
        return NULL;
    if (colon && colon[1] != '\0' && colon[1 + strspn(colon + 1, digits)] == '\0')
        return "must be the host alone: its port goes into port";
    return is_host_name(text) ? NULL : "must be a host name or an IP address";
}

const char *form_check_port(const char *text) {
    struct usb_name name;

    if (usb_name_parse(text, &name) == 0)
        return NULL;
    if (usb_name_is(text))
        return "must be usb:VID:PID or usb:VID:PID:SERIAL, VID and PID with four hex digits each: "
               "`sensorgw ports` shows them";
    if (text[0] != '/')
        return "must be a whole path such as /dev/ttyACM0, or usb:VID:PID as `sensorgw ports` "
               "shows it";
    return NULL;
}

static bool is_driver_name(const char *text) {
    return text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             ":@._-")] == '\0';
}

const char *form_check_iio(const char *text) {
    return text[0] == '/' || is_driver_name(text)
               ? NULL
               : "must be the sensor's name as /sys/bus/iio/devices/*/name has it, iio:device0, or "
                 "a whole path";
}

static const char *check_quantity(const char *text) {
    struct quantity quantity;
    char assignment[QUANTITY_KEY_LENGTH + sizeof("=0")];
    int n = snprintf(assignment, sizeof(assignment), "%s=0", text);

    if (quantity_is_published(text))
        return NULL;
    if (n < 0 || (size_t)n >= sizeof(assignment) ||
        quantity_parse(assignment, (size_t)n, &quantity) < 0)
        return "must be a quantity: temperature, humidity, pressure, illuminance, voltage, or the "
               "key in the board's frame (1 to 8 of a-z 0-9)";
    return strcmp(quantity_name(text), text) == 0
               ? NULL
               : "must be called as it is published: temperature, humidity, pressure, illuminance, "
                 "voltage";
}

static const char *check_path(const char *text) {
    return text[strlen(text) - 1] == '/' ? "must be a file, not a folder" : NULL;
}

static const char *check_absolute_path(const char *text) {
    return text[0] == '/' ? check_path(text) : "must be a whole path, one that begins with /";
}

static const char *check_name(const char *text) {
    return name_is_valid(text) ? NULL
                               : "must be 1 to 64 of A-Z a-z 0-9 _ -, the first one a letter or a "
                                 "digit: it becomes part of a topic";
}

static const char *check_topic(const char *text) {
    return topic_template_is_valid(text)
               ? NULL
               : "must hold {sensor} once, {gateway} at most once, and otherwise only letters, "
                 "digits, _, - and single slashes between";
}

static const char *check_word(const struct key *key, const char *text) {
    for (const char *const *word = key->words; *word; word++)
        if (strcmp(*word, text) == 0)
            return NULL;
    return "is none of the words for it";
}

static const char *check_form(const struct key *key, const char *text) {
    switch (key->form) {
    case FORM_WORD:
        return check_word(key, text);
    case FORM_NAME:
        return check_name(text);
    case FORM_HOST:
        return check_host(text);
    case FORM_TOPIC:
        return check_topic(text);
    case FORM_PATH:
        return check_path(text);
    case FORM_ABSOLUTE_PATH:
        return check_absolute_path(text);
    case FORM_QUANTITY:
        return check_quantity(text);
    case FORM_TEXT:
    case FORM_DEVICE:
    case FORM_LINE:
    case FORM_AMOUNT:
    case FORM_GROUP:
    case FORM_LIST:
    case FORM_INTEGER:
    case FORM_NUMBER:
    case FORM_CIPHERS:
    case FORM_CIPHERSUITES:
        break;
    }
    return NULL;
}

const char *form_check(const struct key *key, const char *text) {
    if (text[0] == '\0')
        return DOCUMENT_UNFILLED;
    if (!is_printable(text))
        return "holds a control character, or is not UTF-8";
    if (key->maximum > 0 && (double)strlen(text) > key->maximum)
        return "is too long";
    return check_form(key, text);
}

const char *form_name(enum form form) {
    switch (form) {
    case FORM_GROUP:
        return "a group { ... }";
    case FORM_LIST:
        return "a list of groups ( { ... }, { ... } )";
    case FORM_INTEGER:
        return "a whole number";
    case FORM_NUMBER:
    case FORM_AMOUNT:
        return "a number";
    case FORM_LINE:
        return "a line's number, or its name in quotes";
    case FORM_CIPHERS:
    case FORM_CIPHERSUITES:
        return "names: [ \"...\", \"...\" ], or one text with colons between";
    case FORM_TEXT:
    case FORM_WORD:
    case FORM_NAME:
    case FORM_HOST:
    case FORM_TOPIC:
    case FORM_PATH:
    case FORM_ABSOLUTE_PATH:
    case FORM_DEVICE:
    case FORM_QUANTITY:
        break;
    }
    return "a text in quotes";
}

const char *form_show(const char *text, char shown[static PRINTABLE_SIZE]) {
    printable_string(text, shown);
    return shown;
}
