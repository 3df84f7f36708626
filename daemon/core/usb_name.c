/* SPDX-License-Identifier: MIT */
#include "core/usb_name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { PREFIX_LENGTH = sizeof(USB_NAME_PREFIX) - 1, HEX_DIGITS = 4 };

bool usb_name_is(const char *text) {
    return strncmp(text, USB_NAME_PREFIX, PREFIX_LENGTH) == 0;
}

static int hex_value(char digit) {
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit == '\0' ? NULL : strchr(digits, digit);

    return at ? (int)((at - digits) % 16) : -1;
}

static bool take_hex(const char **text, uint16_t *ret) {
    unsigned number = 0;

    for (unsigned i = 0; i < HEX_DIGITS; i++) {
        int value = hex_value((*text)[i]);

        if (value < 0)
            return false;
        number = number << 4 | (unsigned)value;
    }
    *text += HEX_DIGITS;
    *ret = (uint16_t)number;
    return true;
}

int usb_name_parse(const char *text, struct usb_name *ret) {
    struct usb_name name = { .serial = "" };
    const char *at = text + PREFIX_LENGTH;

    if (!usb_name_is(text) || !take_hex(&at, &name.vendor) || *at++ != ':' ||
        !take_hex(&at, &name.product))
        return -EINVAL;
    if (*at == ':') {
        size_t length = strlen(++at);

        if (length < 1 || length > PRINTABLE_LENGTH)
            return -EINVAL;
        memcpy(name.serial, at, length + 1);
    } else if (*at != '\0') {
        return -EINVAL;
    }
    *ret = name;
    return 0;
}

bool usb_name_matches(const struct usb_name *name, uint16_t vendor, uint16_t product,
                      const char *serial) {
    return name->vendor == vendor && name->product == product &&
           (name->serial[0] == '\0' || strcmp(name->serial, serial) == 0);
}

int usb_name_render(const struct usb_name *name, char *text, size_t size) {
    int n = snprintf(text, size, USB_NAME_PREFIX "%04x:%04x%s%s", name->vendor, name->product,
                     name->serial[0] == '\0' ? "" : ":", name->serial);

    return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}
