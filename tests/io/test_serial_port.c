/* SPDX-License-Identifier: MIT */
#include "io/serial_port.h"

#include <sys/file.h>

#include "serial_pty.h"

static struct serial_port closed_port(void) {
    struct serial_port port;

    serial_port_init(&port);
    return port;
}

Test(serial_port, is_raw_silent_and_at_its_speed) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();
    struct termios line;

    cr_assert_eq(serial_port_open(&port, pty.path, 57600), 0);
    cr_assert_eq(tcgetattr(port.fd, &line), 0);
    cr_assert_eq(cfgetispeed(&line), B57600);
    cr_assert_eq(cfgetospeed(&line), B57600);
    cr_assert_eq(line.c_lflag & (tcflag_t)(ECHO | ICANON | ISIG), 0);
    cr_assert_eq(line.c_iflag & (tcflag_t)(ICRNL | IXON | IXOFF), 0);
    cr_assert_eq(line.c_cflag & HUPCL, 0);
    cr_assert_neq(line.c_cflag & CLOCAL, 0);
    cr_assert_neq(fcntl(port.fd, F_GETFD) & FD_CLOEXEC, 0);
    serial_port_close(&port);
    cr_assert_eq(port.fd, -1);
}

Test(serial_port, empty_is_not_hung_up) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();
    char byte;

    cr_assert_eq(serial_port_open(&port, pty.path, 115200), 0);
    cr_assert_eq(serial_port_read(&port, &byte, 1), -EAGAIN);
    pty_write(&pty, "x", 1);
    cr_assert_eq(serial_port_read(&port, &byte, 1), 1);
    pty_unplug(&pty);
    cr_assert_eq(serial_port_read(&port, &byte, 1), -EPIPE);
    serial_port_ask(&port);
    serial_port_close(&port);
}

Test(serial_port, question_reaches_the_board) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();

    cr_assert_eq(serial_port_open(&port, pty.path, 115200), 0);
    serial_port_ask(&port);
    cr_assert_eq(pty_questions(&pty), 1);
    serial_port_close(&port);
}

/* More than the kernel will hold, and nobody reads. */
Test(serial_port, asking_a_deaf_board_does_not_block, .timeout = 20) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();

    cr_assert_eq(serial_port_open(&port, pty.path, 115200), 0);
    for (unsigned i = 0; i < 100000; i++)
        serial_port_ask(&port);
    serial_port_close(&port);
}

Test(serial_port, what_came_before_the_open_is_forgotten) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();
    char byte;

    pty_write(&pty, "old", 3);
    cr_assert_eq(serial_port_open(&port, pty.path, 115200), 0);
    cr_assert_eq(serial_port_read(&port, &byte, 1), -EAGAIN);
    serial_port_close(&port);
}

Test(serial_port, second_opener_finds_it_held) {
    struct serial_port first = closed_port();
    struct serial_port second = closed_port();
    struct pty pty = pty_new();

    cr_assert_eq(serial_port_open(&first, pty.path, 115200), 0);
    cr_assert_eq(serial_port_open(&second, pty.path, 115200), -EBUSY);
    cr_assert_eq(second.fd, -1);
    serial_port_close(&first);
    cr_assert_eq(serial_port_open(&second, pty.path, 115200), 0);
    serial_port_close(&second);
}

Test(serial_port, link_is_followed_at_each_open) {
    struct serial_port port = closed_port();
    struct pty first = pty_new();
    struct pty second = pty_new();
    char folder[] = "/tmp/sensorgw-port.XXXXXX";
    char link[64];
    char byte = 0;

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(link, sizeof(link), "%s/board", folder);
    cr_assert_eq(symlink(first.path, link), 0);
    cr_assert_eq(serial_port_open(&port, link, 115200), 0);
    serial_port_close(&port);
    cr_assert_eq(unlink(link), 0);
    cr_assert_eq(symlink(second.path, link), 0);
    cr_assert_eq(serial_port_open(&port, link, 115200), 0);
    pty_write(&second, "2", 1);
    cr_assert_eq(serial_port_read(&port, &byte, 1), 1);
    cr_assert_eq(byte, '2');
    serial_port_close(&port);
    (void)unlink(link);
    (void)rmdir(folder);
}

Test(serial_port, each_trouble_has_its_error) {
    struct serial_port port = closed_port();
    struct pty pty = pty_new();

    cr_assert_eq(serial_port_open(&port, "/dev/no-such-port", 115200), -ENOENT);
    cr_assert_eq(serial_port_open(&port, "/dev/null", 115200), -ENOTTY);
    cr_assert_eq(serial_port_open(&port, "usb:ffff:fffe:none", 115200), -ENODEV);
    cr_assert_eq(serial_port_open(&port, "usb:2341", 115200), -EINVAL);
    cr_assert_eq(serial_port_open(&port, pty.path, 115201), -EINVAL);
    cr_assert_eq(chmod(pty.path, 0), 0);
    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    cr_assert_eq(serial_port_open(&port, pty.path, 115200), -EACCES);
    cr_assert_eq(port.fd, -1);
}

Test(serial_port, speeds_are_those_of_termios) {
    cr_assert(serial_baud_is_supported(115200));
    cr_assert(serial_baud_is_supported(9600));
    cr_assert_not(serial_baud_is_supported(0));
    cr_assert_not(serial_baud_is_supported(115201));
}
