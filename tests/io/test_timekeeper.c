/* SPDX-License-Identifier: MIT */
#include "io/timekeeper.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
/* after the C library's */
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "folder.h"
#include "io/clock.h"
#include "io/loop.h"

/* A system bus with a timedated on it, both ours: what it answers, and how often it was asked. */
static struct {
    sd_event *loop;
    int listener;
    sd_bus *bus;
    int is_synchronised;
    unsigned questions;
    unsigned wanted;
} timedated;

static int on_hello(sd_bus_message *message, void *userdata, sd_bus_error *error) {
    return sd_bus_reply_method_return(message, "s", ":1.1");
}

static int on_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
    int r = sd_bus_message_append(reply, "b", timedated.is_synchronised);

    timedated.questions++;
    if (timedated.questions == timedated.wanted)
        (void)sd_event_exit(timedated.loop, 0);
    return r;
}

static const sd_bus_vtable bus_driver[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Hello", "", "s", on_hello, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static const sd_bus_vtable timedate[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_PROPERTY("NTPSynchronized", "b", on_get, 0, 0),
    SD_BUS_VTABLE_END,
};

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
    sd_id128_t id = { 0 };
    sd_bus *bus;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    cr_assert_geq(connection, 0);
    timedated.bus = sd_bus_flush_close_unref(timedated.bus);
    cr_assert_geq(sd_bus_new(&bus), 0);
    cr_assert_geq(sd_bus_set_fd(bus, connection, connection), 0);
    cr_assert_geq(sd_bus_set_server(bus, true, id), 0);
    cr_assert_geq(sd_bus_start(bus), 0);
    cr_assert_geq(sd_bus_attach_event(bus, timedated.loop, 0), 0);
    cr_assert_geq(sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/DBus",
                                           "org.freedesktop.DBus", bus_driver, NULL),
                  0);
    cr_assert_geq(sd_bus_add_object_vtable(bus, NULL, "/org/freedesktop/timedate1",
                                           "org.freedesktop.timedate1", timedate, NULL),
                  0);
    timedated.bus = bus;
    return 0;
}

static void begin(void) {
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char bus_address[sizeof(address.sun_path) + 16];

    folder_make();
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/bus", folder_path);
    (void)snprintf(bus_address, sizeof(bus_address), "unix:path=%s", address.sun_path);
    cr_assert_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", bus_address, 1), 0);
    cr_assert_geq(sd_event_new(&timedated.loop), 0);
    timedated.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(timedated.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(timedated.listener, 4), 0);
    cr_assert_geq(
        sd_event_add_io(timedated.loop, NULL, timedated.listener, EPOLLIN, on_connection, NULL), 0);
}

static void end(void) {
    timedated.bus = sd_bus_flush_close_unref(timedated.bus);
    timedated.loop = sd_event_unref(timedated.loop);
    (void)close(timedated.listener);
    folder_remove();
}

TestSuite(timekeeper, .init = begin, .fini = end, .timeout = 60);

/* As ProtectClock= does. */
static void forbid_adjtimex(void) {
    struct sock_filter instructions[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_adjtimex, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_adjtime, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog filter = { sizeof(instructions) / sizeof(*instructions), instructions };

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
        cr_skip_test("no system call filters here");
    if (access("/run/systemd/timesync/synchronized", F_OK) == 0)
        cr_skip_test("systemd-timesyncd has set this machine's clock");
}

/* Turns the loop until so many questions were answered, and then what came of the last. */
static void run_until_asked(unsigned questions) {
    timedated.wanted = questions;
    cr_assert_geq(sd_event_loop(timedated.loop), 0);
}

Test(timekeeper, asks_nobody_where_the_kernel_answers) {
    struct timekeeper *timekeeper = NULL;

    cr_assert_eq(timekeeper_new(timedated.loop, &timekeeper), 0);
    if (clock_is_kept_from_us())
        cr_skip_test("the kernel does not answer here");
    cr_expect_null(timekeeper);
}

Test(timekeeper, believes_a_yes_and_asks_no_more) {
    CLEANUP(timekeeper_freep) struct timekeeper *timekeeper = NULL;
    forbid_adjtimex();
    timedated.is_synchronised = true;
    cr_assert_eq(timekeeper_new(timedated.loop, &timekeeper), 0);
    cr_assert_not_null(timekeeper);
    cr_expect_not(clock_look().synchronised);
    while (!clock_look().synchronised)
        cr_assert_geq(sd_event_run(timedated.loop, UINT64_MAX), 0);
    for (unsigned i = 0; i < 20; i++)
        cr_assert_geq(sd_event_run(timedated.loop, 10000), 0);
    cr_expect_eq(timedated.questions, 1);
}

Test(timekeeper, asks_again_after_a_no) {
    CLEANUP(timekeeper_freep) struct timekeeper *timekeeper = NULL;

    forbid_adjtimex();
    cr_assert_eq(timekeeper_new(timedated.loop, &timekeeper), 0);
    cr_assert_not_null(timekeeper);
    run_until_asked(2); /* after 5 s */
    cr_expect_not(clock_look().synchronised);
    cr_expect_eq(timedated.questions, 2);
}

Test(timekeeper, lives_without_a_bus) {
    CLEANUP(timekeeper_freep) struct timekeeper *timekeeper = NULL;

    forbid_adjtimex();
    cr_assert_eq(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent/bus", 1), 0);
    cr_assert_eq(timekeeper_new(timedated.loop, &timekeeper), 0);
    cr_assert_not_null(timekeeper);
    for (unsigned i = 0; i < 5; i++)
        cr_assert_geq(sd_event_run(timedated.loop, 10000), 0);
    cr_expect_not(clock_look().synchronised);
}
