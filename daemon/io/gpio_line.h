/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One GPIO line through the kernel's character device: pulled low, let go, and its falling edges
 * stamped by the kernel's interrupt.
 *
 * Falling edges only, because the kernel has one slot for the time of an edge and reads its
 * direction later: pulses of 26 us would merge and lie. One request, reconfigured, because the line
 * must not be anybody else's between the pulse and the answer. Nothing here waits.
 *
 * Source: linux/gpio.h, uAPI v2 (kernel 5.10); libgpiod 1.6 keeps 16 of an answer's edges.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cleanup.h"

enum {
    GPIO_LINE_EVENTS = 256, /* what the kernel keeps until they are read; the oldest go first */
    GPIO_PATH_SIZE = 256,
    GPIO_NAME_SIZE = 33, /* GPIO_MAX_NAME_SIZE, and a zero */
};

/* Where a line is, and who has it. */
struct gpio_place {
    char path[GPIO_PATH_SIZE]; /* "/dev/gpiochip0" */
    char label[GPIO_NAME_SIZE];
    unsigned offset;
    char name[GPIO_NAME_SIZE];     /* "GPIO4"; "": it has none */
    char consumer[GPIO_NAME_SIZE]; /* "": nobody says */
    bool is_used;
};

/*
 * Looks for a line without requesting it.
 *
 * chip  a path, "gpiochip0", or a chip's label ("pinctrl-bcm2711")
 * line  a number, or a line's name ("GPIO4")
 *
 * Returns 0; -ENODEV without such a chip, -ENXIO without such a line; -EACCES when there are chips
 * that may not be opened; -ENOTTY for a path that is no GPIO chip.
 */
int gpio_line_find(const char *chip, const char *line, struct gpio_place *ret);

struct gpio_line;

/* Requests it as an input. Returns 0, as gpio_line_find, or -EBUSY when somebody has it. */
int gpio_line_new(const char *chip, const char *line, struct gpio_line **ret);
struct gpio_line *gpio_line_free(struct gpio_line *line);
DEFINE_CLEANUP(struct gpio_line, gpio_line_free);

/* 1, 0, or < 0. */
int gpio_line_is_high(const struct gpio_line *line);

/* These return 0 or < 0; the last: back to an input whose edges do not matter. */
int gpio_line_pull_low(const struct gpio_line *line);
int gpio_line_let_go(const struct gpio_line *line);
int gpio_line_rest(const struct gpio_line *line);

/* Takes the times at which it fell since it was let go, in CLOCK_MONOTONIC. Returns how many, or <
 * 0. */
int gpio_line_take(const struct gpio_line *line, uint64_t *falling_ns, size_t max);
