/* SPDX-License-Identifier: MIT */
#include "io/serial_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "core/frame_format.h"
#include "core/usb_name.h"
#include "io/serial_list.h"

static const struct {
    unsigned baud;
    speed_t speed;
} speeds[] = {
    { 300, B300 },         { 600, B600 },         { 1200, B1200 },       { 1800, B1800 },
    { 2400, B2400 },       { 4800, B4800 },       { 9600, B9600 },       { 19200, B19200 },
    { 38400, B38400 },     { 57600, B57600 },     { 115200, B115200 },   { 230400, B230400 },
    { 460800, B460800 },   { 500000, B500000 },   { 576000, B576000 },   { 921600, B921600 },
    { 1000000, B1000000 }, { 1152000, B1152000 }, { 1500000, B1500000 }, { 2000000, B2000000 },
    { 2500000, B2500000 }, { 3000000, B3000000 }, { 3500000, B3500000 }, { 4000000, B4000000 },
};

static bool find_speed(unsigned baud, speed_t *ret) {
    for (size_t i = 0; i < sizeof(speeds) / sizeof(*speeds); i++)
        if (speeds[i].baud == baud) {
            *ret = speeds[i].speed;
            return true;
        }
    return false;
}

bool serial_baud_is_supported(unsigned baud) {
    speed_t speed;

    return find_speed(baud, &speed);
}

void serial_port_init(struct serial_port *port) {
    *port = (struct serial_port){ .fd = -1 };
}

static int find_usb(struct serial_port *port, const char *device) {
    CLEANUP(serial_list_freep) struct serial_list *list = NULL;
    const struct serial_device *found;
    struct usb_name name;
    int r;

    r = usb_name_parse(device, &name);
    if (r < 0)
        return r;
    r = serial_list_new(&list);
    if (r < 0)
        return r;
    port->matches = serial_list_find(list, &name, &found);
    if (port->matches == 0)
        return -ENODEV;
    (void)snprintf(port->path, sizeof(port->path), "%s", found->path);
    return 0;
}

int serial_port_find(struct serial_port *port, const char *device) {
    int n;

    if (usb_name_is(device))
        return find_usb(port, device);
    port->matches = 1;
    n = snprintf(port->path, sizeof(port->path), "%s", device);
    return n < 0 || (size_t)n >= sizeof(port->path) ? -ENAMETOOLONG : 0;
}

/* A unit's device policy says EPERM; a pty whose other end is gone says EIO. */
static int errno_of_open(int error) {
    switch (error) {
    case EPERM:
        return -EACCES;
    case ENXIO:
    case EIO:
        return -ENODEV;
    default:
        return -error;
    }
}

/*
 * CLOCAL: a board drives no carrier line. Without HUPCL closing leaves DTR alone, so the next open
 * does not reset an Arduino that has no reason to start anew.
 */
static int set_line(int fd, speed_t speed) {
    struct termios line;

    if (tcgetattr(fd, &line) < 0)
        return errno_of_open(errno);
    cfmakeraw(&line);
    line.c_cflag |= CREAD | CLOCAL;
    line.c_cflag &= ~(tcflag_t)(HUPCL | CSTOPB | CRTSCTS);
    line.c_iflag &= ~(tcflag_t)(IXOFF | INPCK);
    line.c_cc[VMIN] = 1; /* with 0 an empty port would read 0 bytes, as a hung-up one does */
    line.c_cc[VTIME] = 0;
    if (cfsetispeed(&line, speed) < 0 || cfsetospeed(&line, speed) < 0 ||
        tcsetattr(fd, TCSANOW, &line) < 0)
        return errno_of_open(errno);
    (void)tcflush(fd, TCIOFLUSH);
    return 0;
}

/* The lock first: who loses it must not touch the line. */
static int take(int fd, speed_t speed) {
    if (!isatty(fd))
        return errno == ENOTTY ? -ENOTTY : errno_of_open(errno);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    (void)ioctl(fd, TIOCEXCL);
    return set_line(fd, speed);
}

int serial_port_open(struct serial_port *port, const char *device, unsigned baud) {
    CLEANUP(close_fdp) int fd = -1;
    speed_t speed;
    int r;

    if (!find_speed(baud, &speed))
        return -EINVAL;
    r = serial_port_find(port, device);
    if (r < 0)
        return r;
    fd = open(port->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno_of_open(errno);
    r = take(fd, speed);
    if (r < 0)
        return r;
    port->fd = fd;
    fd = -1;
    return 0;
}

/* Output nobody takes would hold close() for up to 30 s (closing_wait). And a pseudo-terminal,
 * unlike a port, remembers TIOCEXCL for as long as its other end is open. */
void serial_port_close(struct serial_port *port) {
    if (port->fd >= 0) {
        (void)tcflush(port->fd, TCOFLUSH);
        (void)ioctl(port->fd, TIOCNXCL);
    }
    close_fdp(&port->fd);
}

void serial_port_ask(const struct serial_port *port) {
    static const char question = FRAME_ASK_HELLO;
    ssize_t n = write(port->fd, &question, sizeof(question));

    (void)n;
}

int serial_port_read(const struct serial_port *port, void *bytes, size_t size) {
    ssize_t n = read(port->fd, bytes, size);

    if (n > 0)
        return (int)n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPIPE;
}
