/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The board's USB serial port, as a pseudo-terminal.
 *
 * It behaves as the real one does: what is sent while nobody has it open is lost, so is what was
 * not read when it was closed or unplugged; unplugging hangs it up, and plugging it in may give it
 * another number behind the same link.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"

struct port_settings {
    const char *link;    /* symbolic link to keep pointing at the port, or NULL */
    bool checks_baud;    /* garble bytes unless both ends have the same speed */
    bool waits_for_room; /* rather than drop: where time is not real, a slow reader is not late */
};

struct port {
    struct port_settings settings;
    struct ledger *ledger; /* borrowed from main(); may be NULL */
    int master;            /* -1: unplugged */
    char path[64];         /* of the terminal that a reader opens */
    unsigned board_baud;   /* the speed of the board's end */
    bool is_open;          /* by anybody */
    uint8_t queue[8192];
    size_t queued_bytes;
    unsigned long sent_bytes;
    unsigned long dropped_bytes;
    unsigned long n_opens;
};

enum port_event {
    PORT_UNCHANGED,
    PORT_OPENED,
    PORT_CLOSED,
};

void port_init(struct port *port, const struct port_settings *settings, struct ledger *ledger);

/* Return 0 or a negative errno. */
int port_plug(struct port *port);
int port_unplug(struct port *port);

/* Queues bytes for the reader, or drops them if there is none. */
void port_send(struct port *port, const uint8_t *bytes, size_t size_bytes);

/* Looks who is there and hands over what is queued. `revents` is what poll() said of master. */
enum port_event port_update(struct port *port, short revents);

/* Takes up to `size` bytes that the reader has written. Returns how many. */
size_t port_receive(struct port *port, uint8_t *ret, size_t size);
