/* SPDX-License-Identifier: MIT */

/*
 * A DHT11 on a simulated GPIO line (gpio-sim), at its true speed: waits to be asked, answers with
 * other values each time, and writes down what it answered.
 *
 *     dht11_sensor CHIP OFFSET PULL-FILE     one line of ten hex digits for each answer
 *
 * gpio-sim keeps the level of an output when that becomes an input, so the line is let rise here.
 * That happens when the line's direction changes, not when its edges are watched: a sensor does not
 * wait until somebody listens. Needs a clock that does not stall: QEMU with -icount.
 */

#include <fcntl.h>
#include <linux/gpio.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { US = 1000, SHORTEST_PULL_US = 18000, POLL_NS = 10000, BYTES = 5 };

static int chip;
static unsigned offset;
static int pull;

static void fail(const char *what) {
    perror(what);
    exit(EXIT_FAILURE);
}

static int64_t now_ns(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    struct timespec at = { at_ns / 1000000000, at_ns % 1000000000 };

    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static void set_level(bool is_high) {
    const char *word = is_high ? "pull-up" : "pull-down";

    if (pwrite(pull, word, strlen(word), 0) < 0)
        fail("pull");
}

/* Somebody makes it an output: that is always low. */
static bool is_pulled_low(void) {
    struct gpio_v2_line_info info = { .offset = offset };

    if (ioctl(chip, GPIO_V2_GET_LINEINFO_IOCTL, &info) < 0)
        fail("line info");
    return info.flags & GPIO_V2_LINE_FLAG_OUTPUT;
}

static void wait_for_change(void) {
    struct gpio_v2_line_info_changed change;

    if (read(chip, &change, sizeof(change)) != (ssize_t)sizeof(change))
        fail("changes");
}

/* Returns when the line was let go after a pull that was long enough. */
static int64_t wait_for_question(void) {
    for (;;) {
        int64_t since_ns;

        while (!is_pulled_low())
            wait_for_change();
        since_ns = now_ns();
        while (is_pulled_low())
            sleep_until(now_ns() + POLL_NS);
        if (now_ns() - since_ns >= SHORTEST_PULL_US * US)
            return now_ns();
    }
}

static void answer(const uint8_t raw[BYTES], int64_t at_ns) {
    bool is_high = true;

    set_level(true);
#define EDGE_AFTER(us)             \
    do {                           \
        at_ns += (int64_t)(us)*US; \
        sleep_until(at_ns);        \
        is_high = !is_high;        \
        set_level(is_high);        \
    } while (0)
    EDGE_AFTER(30);
    EDGE_AFTER(80);
    EDGE_AFTER(80);
    for (unsigned bit = 0; bit < 8 * BYTES; bit++) {
        EDGE_AFTER(50);
        EDGE_AFTER(raw[bit / 8] & 0x80 >> bit % 8 ? 70 : 26);
    }
    EDGE_AFTER(50);
}

int main(int argc, char **argv) {
    struct sched_param first = { .sched_priority = 80 };
    struct gpio_v2_line_info watched = { 0 };

    if (argc != 4)
        return 2;
    chip = open(argv[1], O_RDWR | O_CLOEXEC);
    offset = (unsigned)strtoul(argv[2], NULL, 10);
    pull = open(argv[3], O_WRONLY | O_CLOEXEC);
    if (chip < 0 || pull < 0)
        fail("open");
    watched.offset = offset;
    if (ioctl(chip, GPIO_V2_GET_LINEINFO_WATCH_IOCTL, &watched) < 0)
        fail("watch");
    (void)prctl(PR_SET_TIMERSLACK, 1);
    if (sched_setscheduler(0, SCHED_FIFO, &first) < 0)
        fail("scheduler");
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    set_level(true);
    for (unsigned i = 0;; i++) {
        uint8_t raw[BYTES] = { (uint8_t)(20 + i * 7 % 71), (uint8_t)(i % 10), (uint8_t)(i * 3 % 51),
                               (uint8_t)(i * 7 % 10), 0 };
        int64_t at_ns;

        raw[4] = (uint8_t)(raw[0] + raw[1] + raw[2] + raw[3]);
        at_ns = wait_for_question();
        answer(raw, at_ns);
        (void)printf("%02x%02x%02x%02x%02x\n", raw[0], raw[1], raw[2], raw[3], raw[4]);
    }
}
