/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * usb:2341:0043 or usb:2341:0043:75330303035351F0B1A1: a board by what it is, wherever it is
 * plugged in.
 *
 * Pure. io/serial_list finds the port that belongs to it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/printable.h"

#define USB_NAME_PREFIX "usb:"

enum { USB_NAME_SIZE = sizeof("usb:VVVV:PPPP:") + PRINTABLE_LENGTH };

struct usb_name {
    uint16_t vendor;
    uint16_t product;
    char serial[PRINTABLE_SIZE]; /* "": any */
};

/* Does it begin like one? */
bool usb_name_is(const char *text);

/* Returns 0, or -EINVAL. Numbers are four hex digits of either case. */
int usb_name_parse(const char *text, struct usb_name *ret);

/* serial is compared as printable_string() writes it. */
bool usb_name_matches(const struct usb_name *name, uint16_t vendor, uint16_t product,
                      const char *serial);

/* Returns the length, or -ENOSPC. */
int usb_name_render(const struct usb_name *name, char *text, size_t size);
