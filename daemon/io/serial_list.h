/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The serial ports of this machine, and the board behind each.
 *
 * What devices say of themselves is escaped and cut (core/printable). None is opened.
 * Source: /sys/class/tty, and libserialport for what a port says of itself.
 */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"
#include "core/printable.h"
#include "core/usb_name.h"

enum { SERIAL_PATH_SIZE = 256 };

struct serial_device {
    char path[SERIAL_PATH_SIZE]; /* "/dev/ttyACM0" */
    char description[PRINTABLE_SIZE];
    bool is_usb; /* the rest is from its USB descriptors; "" where it has none */
    uint16_t vendor_id;
    uint16_t product_id;
    char manufacturer[PRINTABLE_SIZE];
    char product[PRINTABLE_SIZE];
    char serial[PRINTABLE_SIZE];
};

struct serial_list;

int serial_list_new(struct serial_list **ret);
struct serial_list *serial_list_free(struct serial_list *list);
DEFINE_CLEANUP(struct serial_list, serial_list_free);

size_t serial_list_count(const struct serial_list *list);
const struct serial_device *serial_list_get(const struct serial_list *list, size_t index);

/*
 * Looks for a board by name.
 *
 * Returns how many match, 0 for none; the first of them, by path, is written to ret.
 */
size_t serial_list_find(const struct serial_list *list, const struct usb_name *name,
                        const struct serial_device **ret);

/*
 * The name to put in the configuration: usb:VID:PID:SERIAL where it has a serial number, else its
 * link in /dev/serial/by-path, else its path. text has SERIAL_PATH_SIZE bytes.
 */
void serial_device_stable_name(const struct serial_device *device, char *text);
