/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The daemon's end of a serial line: sources on a bench (source_rig.h), and a board on a pty.
 */

#include <stdlib.h>

#include "serial_pty.h"
#include "source_rig.h"

#define HELLO "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=P"

static struct source_settings kitchen_on(const char *device) {
    return (struct source_settings){
        .name = "kitchen", .driver = "serial", .device = device, .baud = 115200
    };
}

/* The question tells that the port is open. */
static void wait_for_question(const struct rig *rig, const struct pty *pty) {
    WAIT_FOR(rig, pty_questions(pty) > 0);
}

static struct rig rig_on(struct pty *pty) {
    *pty = pty_new();
    return (struct rig){ .settings = { kitchen_on(pty->path) } };
}

static void send_reading(const struct pty *pty, unsigned node, unsigned sequence) {
    pty_send(pty, "SGW1,R,%u,%u,%u,rh=45.0,t=21.5", node, sequence, sequence * 2000);
}

/* A link to the pty, as udev makes one, in a folder of its own. */
struct link {
    char folder[64];
    char path[80];
};

static void link_to(struct link *link, const char *target) {
    if (link->folder[0] == '\0') {
        (void)snprintf(link->folder, sizeof(link->folder), "/tmp/sensorgw-serial.XXXXXX");
        cr_assert_not_null(mkdtemp(link->folder));
        (void)snprintf(link->path, sizeof(link->path), "%s/board", link->folder);
    }
    (void)unlink(link->path);
    if (target)
        cr_assert_eq(symlink(target, link->path), 0);
}

static void remove_link(struct link *link) {
    (void)unlink(link->path);
    (void)rmdir(link->folder);
}
