/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One serial port, opened for us alone: raw, without echo, never blocking.
 *
 * termios, so that real ports, links to them and the ptys of the tests run through the same lines.
 * Whoever opens a port takes TIOCEXCL and a lock: the first keeps other users out, the second also
 * another sensorgw that runs as root.
 */

#include <stdbool.h>

#include "cleanup.h"

enum { SERIAL_PORT_PATH_SIZE = 256 };

struct serial_port {
    int fd;                           /* -1: closed */
    char path[SERIAL_PORT_PATH_SIZE]; /* where the device was found */
    size_t matches; /* boards to which a usb: name applies: more than one is a guess */
};

/* Can a port be set to this speed? */
bool serial_baud_is_supported(unsigned baud);

void serial_port_init(struct serial_port *port);

/* Says in port->path where the device is now; as serial_port_open, without opening it. */
int serial_port_find(struct serial_port *port, const char *device);

/*
 * Opens a device: a path, with all links followed anew, or usb:VID:PID[:SERIAL].
 *
 * Returns 0; -ENOENT or -ENODEV where there is none; -EACCES when it is denied; -EBUSY when it is
 * held; -ENOTTY where it is no serial port; -EINVAL for a speed or a name that cannot be.
 */
int serial_port_open(struct serial_port *port, const char *device, unsigned baud);
void serial_port_close(struct serial_port *port);

/* Asks whoever is there for a hello. Does not block, and a board that is deaf is no error. */
void serial_port_ask(const struct serial_port *port);

/*
 * Reads what is there. Returns the number of bytes; -EAGAIN for none yet; -EPIPE when the port hung
 * up, whichever way the kernel says it.
 */
int serial_port_read(const struct serial_port *port, void *bytes, size_t size);
