/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The board's end of a serial line: a pty, and the frames that a board would write.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "core/frame_crc.h"

struct pty {
    int master; /* -1: unplugged */
    char path[64];
};

/* Raw from the start: a fresh tty would echo what the board writes. */
static inline struct pty pty_new(void) {
    struct pty pty;
    struct termios line;
    int slave;

    cr_assert_eq(openpty(&pty.master, &slave, pty.path, NULL, NULL), 0);
    cr_assert_eq(tcgetattr(slave, &line), 0);
    cfmakeraw(&line);
    cr_assert_eq(tcsetattr(slave, TCSANOW, &line), 0);
    cr_assert_eq(fcntl(pty.master, F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(fcntl(pty.master, F_SETFD, FD_CLOEXEC), 0);
    (void)close(slave);
    return pty;
}

static inline void pty_unplug(struct pty *pty) {
    if (pty->master >= 0)
        (void)close(pty->master);
    pty->master = -1;
}

static inline void pty_write(const struct pty *pty, const void *bytes, size_t size) {
    cr_assert_eq(write(pty->master, bytes, size), (ssize_t)size);
}

/* Writes "$body*crc\r\n". */
__attribute__((format(printf, 2, 3))) static inline void pty_send(const struct pty *pty,
                                                                  const char *format, ...) {
    char body[128];
    char line[160];
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(body, sizeof(body), format, arguments);
    va_end(arguments);
    n = snprintf(line, sizeof(line), "$%s*%04X\r\n", body, frame_crc(body, (size_t)n));
    pty_write(pty, line, (size_t)n);
}

/* What the host has written by now: how many '?'. */
static inline unsigned pty_questions(const struct pty *pty) {
    unsigned questions = 0;
    char byte;

    while (read(pty->master, &byte, 1) == 1)
        questions += byte == '?';
    return questions;
}
