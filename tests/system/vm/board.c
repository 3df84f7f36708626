/* SPDX-License-Identifier: MIT */

/*
 * A board at the far end of a USB port: says hello when it gets power and whenever it is asked, and
 * gives a reading each second.
 *
 *     board TTY TEMPERATURE [STATE-FILE]     STATE-FILE holds "configured" while it is plugged in
 *
 * A gadget's TTY keeps what is written to it without a plug, so nothing is.
 */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, INTERVAL_MS = 1000 };

static int64_t now_ms(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool has_power(const char *state_file) {
    char state[32] = "";
    int fd;

    if (!state_file)
        return true;
    fd = open(state_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (read(fd, state, sizeof(state) - 1) < 0)
        state[0] = '\0';
    (void)close(fd);
    return strncmp(state, "configured", strlen("configured")) == 0;
}

/* Raw: a terminal would echo the questions. */
static int open_port(const char *path) {
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    struct termios line;

    if (fd < 0)
        return -1;
    if (tcgetattr(fd, &line) == 0) {
        cfmakeraw(&line);
        line.c_cflag |= CLOCAL;
        (void)cfsetspeed(&line, B115200);
        (void)tcsetattr(fd, TCSANOW, &line);
    }
    return fd;
}

static uint16_t crc_of(const char *text) {
    uint16_t crc = 0xffff;

    for (; *text; text++) {
        crc ^= (uint16_t)((uint8_t)*text << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

static void say(int fd, char type, unsigned sequence, int64_t up_ms, const char *fields) {
    char body[96];
    char frame[112];
    int n;

    (void)snprintf(body, sizeof(body), "SGW1,%c,1,%u,%" PRId64 ",%s", type, sequence, up_ms,
                   fields);
    n = snprintf(frame, sizeof(frame), "$%s*%04X\r\n", body, crc_of(body));
    if (write(fd, frame, (size_t)n) != n)
        (void)fprintf(stderr, "board: a frame was lost\n");
}

static bool is_asked(int fd) {
    char bytes[64];
    ssize_t n = read(fd, bytes, sizeof(bytes));

    return n > 0 && memchr(bytes, '?', (size_t)n);
}

/* Until it has no power any more. */
static void live(int fd, const char *temperature, const char *state_file) {
    const char *hello = "fw=0.1.0,sens=dht11,int=1000,rst=P";
    int64_t begun_ms = now_ms();
    int64_t next_ms = begun_ms + INTERVAL_MS;
    unsigned sequence = 0;
    char reading[64];

    (void)snprintf(reading, sizeof(reading), "rh=45.0,t=%s", temperature);
    say(fd, 'H', sequence++, 0, hello);
    while (has_power(state_file)) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };

        (void)poll(&wait, 1, TICK_MS);
        if (wait.revents & POLLHUP)
            return;
        if (is_asked(fd))
            say(fd, 'H', sequence++, now_ms() - begun_ms, hello);
        if (now_ms() < next_ms)
            continue;
        say(fd, 'R', sequence++, now_ms() - begun_ms, reading);
        next_ms += INTERVAL_MS;
    }
}

int main(int argc, char **argv) {
    const char *state_file = argc == 4 ? argv[3] : NULL;

    if (argc != 3 && argc != 4)
        return 2;
    for (;;) {
        int fd = has_power(state_file) ? open_port(argv[1]) : -1;

        if (fd < 0) {
            (void)usleep(TICK_MS * 1000);
            continue;
        }
        live(fd, argv[2], state_file);
        (void)close(fd);
    }
}
