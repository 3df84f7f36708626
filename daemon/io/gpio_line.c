/* SPDX-License-Identifier: MIT */
#include "io/gpio_line.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#define CONSUMER "sensorgw"
#define DEVICES "/dev"
#define CHIP_NAME "gpiochip"

struct gpio_line {
    int fd;
    uint64_t bias; /* a flag; 0: the chip has none */
};

/* ---- finding it ---- */

static int open_chip(const char *path, struct gpiochip_info *ret) {
    CLEANUP(close_fdp) int fd = open(path, O_RDWR | O_CLOEXEC);
    int r;

    if (fd < 0)
        return errno == ENOENT || errno == ENXIO ? -ENODEV : -errno;
    memset(ret, 0, sizeof(*ret));
    if (ioctl(fd, GPIO_GET_CHIPINFO_IOCTL, ret) < 0)
        return errno == ENODEV ? -ENODEV : -ENOTTY;
    r = fd;
    fd = -1;
    return r;
}

static int open_path(const char *path, struct gpio_place *place, struct gpiochip_info *ret) {
    if (snprintf(place->path, sizeof(place->path), "%s", path) >= (int)sizeof(place->path))
        return -ENODEV;
    return open_chip(path, ret);
}

/* The first that bears the label, for a number says little: it moved on a Pi 5. */
static int open_label(const char *label, struct gpio_place *place, struct gpiochip_info *ret) {
    DIR *devices = opendir(DEVICES);
    struct dirent *entry;
    int found = -ENODEV;

    while (devices && found < 0 && (entry = readdir(devices))) {
        CLEANUP(close_fdp) int fd = -1;
        int r;

        if (strncmp(entry->d_name, CHIP_NAME, strlen(CHIP_NAME)) != 0)
            continue;
        (void)snprintf(place->path, sizeof(place->path), DEVICES "/%.64s", entry->d_name);
        r = open_chip(place->path, ret);
        fd = r;
        if (r == -EACCES || r == -EPERM)
            found = -EACCES;
        if (r < 0 || (strcmp(ret->label, label) != 0 && strcmp(ret->name, label) != 0))
            continue;
        found = fd;
        fd = -1;
    }
    if (devices)
        (void)closedir(devices);
    return found;
}

static int look_at_line(int fd, unsigned offset, struct gpio_v2_line_info *ret) {
    *ret = (struct gpio_v2_line_info){ .offset = offset };
    return ioctl(fd, GPIO_V2_GET_LINEINFO_IOCTL, ret) < 0 ? -errno : 0;
}

static bool parse_offset(const char *line, unsigned *ret) {
    char *end;
    unsigned long offset;

    errno = 0;
    offset = strtoul(line, &end, 10);
    if (line[0] < '0' || line[0] > '9' || *end != '\0' || errno != 0 || offset > UINT32_MAX)
        return false;
    *ret = (unsigned)offset;
    return true;
}

static int find_offset(int fd, const char *line, unsigned lines, struct gpio_v2_line_info *ret) {
    unsigned offset;

    if (parse_offset(line, &offset))
        return offset < lines ? look_at_line(fd, offset, ret) : -ENXIO;
    for (offset = 0; offset < lines; offset++) {
        int r = look_at_line(fd, offset, ret);

        if (r < 0)
            return r;
        if (strcmp(ret->name, line) == 0)
            return 0;
    }
    return -ENXIO;
}

static int open_place(const char *chip, const char *line, struct gpio_place *place, int *ret) {
    CLEANUP(close_fdp) int fd = -1;
    struct gpiochip_info chip_info;
    struct gpio_v2_line_info info;
    int r;

    r = chip[0] == '/' ? open_path(chip, place, &chip_info) : open_label(chip, place, &chip_info);
    if (r < 0)
        return r;
    fd = r;
    r = find_offset(fd, line, chip_info.lines, &info);
    if (r < 0)
        return r;
    (void)snprintf(place->label, sizeof(place->label), "%s", chip_info.label);
    (void)snprintf(place->name, sizeof(place->name), "%s", info.name);
    (void)snprintf(place->consumer, sizeof(place->consumer), "%s", info.consumer);
    place->offset = info.offset;
    place->is_used = info.flags & GPIO_V2_LINE_FLAG_USED;
    *ret = fd;
    fd = -1;
    return 0;
}

int gpio_line_find(const char *chip, const char *line, struct gpio_place *ret) {
    CLEANUP(close_fdp) int fd = -1;
    struct gpio_place place = { .path = "" };
    int r = open_place(chip, line, &place, &fd);

    if (r == 0)
        *ret = place;
    return r;
}

/* ---- having it ---- */

static int request(int chip_fd, unsigned offset, uint64_t bias) {
    struct gpio_v2_line_request request = {
        .offsets = { offset },
        .consumer = CONSUMER,
        .config = { .flags = GPIO_V2_LINE_FLAG_INPUT | bias },
        .num_lines = 1,
        .event_buffer_size = GPIO_LINE_EVENTS,
    };

    return ioctl(chip_fd, GPIO_V2_GET_LINE_IOCTL, &request) < 0 ? -errno : request.fd;
}

/* The pull-up inside helps the one outside; not every chip has one. */
static int request_with_bias(int chip_fd, unsigned offset, uint64_t *ret_bias) {
    int fd = request(chip_fd, offset, GPIO_V2_LINE_FLAG_BIAS_PULL_UP);

    *ret_bias = GPIO_V2_LINE_FLAG_BIAS_PULL_UP;
    if (fd != -EINVAL && fd != -ENOTSUP && fd != -EIO)
        return fd;
    *ret_bias = 0;
    return request(chip_fd, offset, 0);
}

int gpio_line_new(const char *chip, const char *name, struct gpio_line **ret) {
    CLEANUP(gpio_line_freep) struct gpio_line *line = calloc(1, sizeof(*line));
    CLEANUP(close_fdp) int chip_fd = -1;
    struct gpio_place place = { .path = "" };
    int r;

    if (!line)
        return -ENOMEM;
    line->fd = -1;
    r = open_place(chip, name, &place, &chip_fd);
    if (r < 0)
        return r;
    r = request_with_bias(chip_fd, place.offset, &line->bias);
    if (r < 0)
        return r;
    line->fd = r;
    if (fcntl(line->fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    *ret = line;
    line = NULL;
    return 0;
}

struct gpio_line *gpio_line_free(struct gpio_line *line) {
    if (!line)
        return NULL;
    close_fdp(&line->fd);
    free(line);
    return NULL;
}

int gpio_line_is_high(const struct gpio_line *line) {
    struct gpio_v2_line_values values = { .mask = 1 };

    if (ioctl(line->fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
        return -errno;
    return values.bits & 1;
}

static int configure(const struct gpio_line *line, uint64_t flags) {
    struct gpio_v2_line_config config = { .flags = flags };

    return ioctl(line->fd, GPIO_V2_LINE_SET_CONFIG_IOCTL, &config) < 0 ? -errno : 0;
}

/* The kernel keeps what was not read when the line was let go the last time: there may have been
 * more edges than anybody wanted. */
static int drop_edges(const struct gpio_line *line) {
    uint64_t falling_ns[64];
    int n;

    do
        n = gpio_line_take(line, falling_ns, sizeof(falling_ns) / sizeof(*falling_ns));
    while (n > 0);
    return n;
}

/* An output is low where nothing else is said. */
int gpio_line_pull_low(const struct gpio_line *line) {
    int r = drop_edges(line);

    if (r < 0)
        return r;
    return configure(line, GPIO_V2_LINE_FLAG_OUTPUT);
}

int gpio_line_let_go(const struct gpio_line *line) {
    return configure(line, GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_FALLING | line->bias);
}

int gpio_line_rest(const struct gpio_line *line) {
    return configure(line, GPIO_V2_LINE_FLAG_INPUT | line->bias);
}

int gpio_line_take(const struct gpio_line *line, uint64_t *falling_ns, size_t max) {
    size_t count = 0;

    while (count < max) {
        struct gpio_v2_line_event events[16];
        size_t room = max - count < 16 ? max - count : 16;
        ssize_t n = read(line->fd, events, room * sizeof(*events));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -errno;
        if (n <= 0)
            break;
        for (size_t i = 0; i < (size_t)n / sizeof(*events); i++)
            falling_ns[count++] = events[i].timestamp_ns;
    }
    return (int)count;
}
