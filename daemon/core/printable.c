/* SPDX-License-Identifier: MIT */
#include "core/printable.h"

#include <stdint.h>
#include <string.h>

enum { ESCAPE_LENGTH = 4 };

/* The backslash too: what reads like an escape must be one. */
static size_t width(uint8_t byte) {
    return byte >= 0x20 && byte <= 0x7e && byte != '\\' ? 1 : ESCAPE_LENGTH;
}

static void put_escape(uint8_t byte, char *text) {
    static const char hex[] = "0123456789abcdef";

    text[0] = '\\';
    text[1] = 'x';
    text[2] = hex[byte >> 4];
    text[3] = hex[byte & 15];
}

size_t printable(const void *bytes, size_t size, char text[static PRINTABLE_SIZE]) {
    const uint8_t *byte = bytes;
    size_t length = 0;
    size_t i;

    for (i = 0; i < size && length + width(byte[i]) <= PRINTABLE_LENGTH; i++) {
        if (width(byte[i]) == 1)
            text[length] = (char)byte[i];
        else
            put_escape(byte[i], text + length);
        length += width(byte[i]);
    }
    text[length] = '\0';
    return i;
}

void printable_string(const char *string, char text[static PRINTABLE_SIZE]) {
    (void)printable(string, string ? strlen(string) : 0, text);
}
