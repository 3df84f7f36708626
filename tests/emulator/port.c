/* SPDX-License-Identifier: MIT */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { ROOM_WAIT_MS = 100 };

/* Raw, as a driver of the reader's would set it: a fresh terminal echoes. */
static void set_raw(int terminal) {
    struct termios settings;

    tcgetattr(terminal, &settings);
    cfmakeraw(&settings);
    cfsetspeed(&settings, B9600);
    tcsetattr(terminal, TCSANOW, &settings);
}

static int point_link(const struct port *port) {
    char temporary[512];
    int n;

    if (!port->settings.link)
        return 0;
    n = snprintf(temporary, sizeof(temporary), "%s.%d", port->settings.link, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(temporary))
        return -ENAMETOOLONG;

    (void)unlink(temporary);
    if (symlink(port->path, temporary) < 0 || rename(temporary, port->settings.link) < 0)
        return -errno;
    return 0;
}

/* Leaves a link alone that has been pointed elsewhere since. */
static void remove_link(const struct port *port) {
    char target[sizeof(port->path)];
    ssize_t n;

    if (!port->settings.link)
        return;
    n = readlink(port->settings.link, target, sizeof(target));
    if (n == (ssize_t)strlen(port->path) && memcmp(target, port->path, (size_t)n) == 0)
        (void)unlink(port->settings.link);
}

/* The terminal is closed here at once: from then on POLLHUP on the master means that nobody has
 * it open. */
static int open_terminal(struct port *port) {
    int terminal;

    if (openpty(&port->master, &terminal, port->path, NULL, NULL) < 0) {
        port->master = -1;
        return -errno;
    }
    set_raw(terminal);
    close(terminal);
    fcntl(port->master, F_SETFL, O_NONBLOCK);
    fcntl(port->master, F_SETFD, FD_CLOEXEC);
    return 0;
}

static void close_terminal(struct port *port) {
    close(port->master);
    port->master = -1;
    port->is_open = false;
}

static unsigned baud_of(speed_t speed) {
    static const struct {
        speed_t speed;
        unsigned baud;
    } known[] = {
        { B9600, 9600 },   { B19200, 19200 },   { B38400, 38400 },
        { B57600, 57600 }, { B115200, 115200 },
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].speed == speed)
            return known[i].baud;
    return 0;
}

/* A receiver stands 4 % of difference; an ATmega328P at 16 MHz makes 117647 of 115200. */
static bool baud_is_right(const struct port *port) {
    struct termios settings;
    unsigned baud;

    if (tcgetattr(port->master, &settings) < 0)
        return true;
    baud = baud_of(cfgetospeed(&settings));
    return 100 * baud > 96 * port->board_baud && 100 * baud < 104 * port->board_baud;
}

static void garble(uint8_t *bytes, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (uint8_t)(bytes[i] * 0x35 + 0x80);
}

static void drop_queue(struct port *port) {
    port->dropped_bytes += port->queued_bytes;
    port->queued_bytes = 0;
    if (port->ledger)
        ledger_cut(port->ledger);
}

static void flush_queue(struct port *port) {
    ssize_t n = write(port->master, port->queue, port->queued_bytes);

    if (n <= 0)
        return;
    for (ssize_t i = 0; port->ledger && i < n; i++)
        ledger_push(port->ledger, port->queue[i]);
    port->sent_bytes += (unsigned long)n;
    port->queued_bytes -= (size_t)n;
    memmove(port->queue, port->queue + n, port->queued_bytes);
}

/* Not for ever: commands are to be heard meanwhile. */
static void wait_for_room(struct port *port) {
    struct pollfd master = { .fd = port->master, .events = POLLOUT };

    if (port->queued_bytes < sizeof(port->queue) / 2)
        return;
    if (poll(&master, 1, ROOM_WAIT_MS) > 0 && !(master.revents & POLLHUP))
        flush_queue(port);
}

/*
 * A real terminal is gone with its last reader: what it had not read is lost, and so is its claim
 * to have it alone (TIOCEXCL). A pseudo-terminal lives on while we hold its other end, so this is
 * done by hand; where the old claim keeps us out, only a new terminal helps.
 */
static void forget_reader(struct port *port) {
    int terminal = open(port->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (terminal >= 0) {
        tcflush(terminal, TCIOFLUSH);
        (void)ioctl(terminal, TIOCNXCL); /* as root we are let in, but the next user is not */
        close(terminal);
    } else if (errno == EBUSY) {
        close_terminal(port);
        (void)port_plug(port);
    }
}

static enum port_event on_opened(struct port *port) {
    port->is_open = true;
    port->n_opens++;
    port->queued_bytes = 0;
    return PORT_OPENED;
}

static enum port_event on_closed(struct port *port) {
    port->is_open = false;
    drop_queue(port);
    forget_reader(port);
    return PORT_CLOSED;
}

void port_init(struct port *port, const struct port_settings *settings, struct ledger *ledger) {
    *port = (struct port){ .settings = *settings, .ledger = ledger, .master = -1 };
}

int port_plug(struct port *port) {
    int r;

    if (port->master >= 0)
        return -EALREADY;

    r = open_terminal(port);
    if (r < 0)
        return r;
    r = point_link(port);
    if (r < 0)
        close_terminal(port);
    return r;
}

int port_unplug(struct port *port) {
    if (port->master < 0)
        return -EALREADY;

    drop_queue(port);
    remove_link(port);
    close_terminal(port);
    return 0;
}

void port_send(struct port *port, const uint8_t *bytes, size_t size_bytes) {
    if (!port->is_open || size_bytes > sizeof(port->queue) - port->queued_bytes) {
        port->dropped_bytes += size_bytes;
        return;
    }
    memcpy(port->queue + port->queued_bytes, bytes, size_bytes);
    if (port->settings.checks_baud && !baud_is_right(port))
        garble(port->queue + port->queued_bytes, size_bytes);
    port->queued_bytes += size_bytes;
}

enum port_event port_update(struct port *port, short revents) {
    bool is_open = port->master >= 0 && !(revents & POLLHUP);

    if (is_open && !port->is_open)
        return on_opened(port);
    if (!is_open && port->is_open)
        return on_closed(port);
    if (port->queued_bytes > 0)
        flush_queue(port);
    if (port->settings.waits_for_room)
        wait_for_room(port);
    return PORT_UNCHANGED;
}

size_t port_receive(struct port *port, uint8_t *ret, size_t size) {
    ssize_t n = read(port->master, ret, size);

    if (n <= 0)
        return 0;
    if (port->settings.checks_baud && !baud_is_right(port))
        garble(ret, (size_t)n);
    return (size_t)n;
}
