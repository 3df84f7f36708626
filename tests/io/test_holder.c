/* SPDX-License-Identifier: MIT */
#include "io/holder.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "serial_pty.h"

/* A child with a name holds the pty. */
static pid_t hold(const char *path) {
    int ready[2];
    char byte;
    pid_t child;

    cr_assert_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (prctl(PR_SET_NAME, "screen \x1b[1m") < 0 || open(path, O_RDWR | O_NOCTTY) < 0 ||
            write(ready[1], "", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    return child;
}

static void release(pid_t child) {
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
}

Test(holder, is_named_with_what_it_calls_itself_made_printable) {
    struct pty pty = pty_new();
    struct holder holder = { 0 };
    pid_t child = hold(pty.path);

    cr_assert_eq(holder_find(pty.path, &holder), 1);
    cr_assert_eq(holder.pid, child);
    cr_assert_str_eq(holder.command, "screen \\x1b[1m");
    release(child);
    cr_assert_neq(holder_find(pty.path, &holder), 1);
}

Test(holder, is_found_through_a_link) {
    struct pty pty = pty_new();
    struct holder holder;
    char folder[] = "/tmp/sensorgw-holder.XXXXXX";
    char link[64];
    pid_t child = hold(pty.path);

    cr_assert_not_null(mkdtemp(folder));
    (void)snprintf(link, sizeof(link), "%s/board", folder);
    cr_assert_eq(symlink(pty.path, link), 0);
    cr_assert_eq(holder_find(link, &holder), 1);
    cr_assert_eq(holder.pid, child);
    release(child);
    (void)unlink(link);
    (void)rmdir(folder);
}

Test(holder, is_never_ourselves) {
    struct pty pty = pty_new();
    struct holder holder;
    int fd = open(pty.path, O_RDWR | O_NOCTTY);

    cr_assert_leq(holder_find(pty.path, &holder), 0);
    (void)close(fd);
}

/* What a process without privilege finds. */
static int find_as_nobody(const char *path) {
    int result = 0;
    int answer[2];
    pid_t child;

    cr_assert_eq(pipe(answer), 0);
    child = fork();
    if (child == 0) {
        struct holder holder;

        if (setresuid(65534, 65534, 65534) == 0)
            result = holder_find(path, &holder);
        _exit(write(answer[1], &result, sizeof(result)) < 0);
    }
    cr_assert_eq(read(answer[0], &result, sizeof(result)), sizeof(result));
    (void)waitpid(child, NULL, 0);
    return result;
}

/* Nothing found is no proof then. */
Test(holder, of_others_is_not_visible_to_everyone) {
    struct pty pty = pty_new();
    pid_t child;

    if (geteuid() != 0)
        cr_skip_test("only root can hold a port as somebody else");
    child = hold(pty.path);
    cr_expect_eq(find_as_nobody(pty.path), -EPERM);
    release(child);
}

/* Opens the pseudo terminal of this number in a /dev/pts of our own. */
static int open_elsewhere(int number) {
    char path[32];

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/dev/pts", NULL, MS_PRIVATE, NULL) < 0 ||
        mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") < 0)
        return -errno;
    for (int opened = -1; opened < number;) {
        int master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);
        int locked = 0;

        if (master < 0 || ioctl(master, TIOCGPTN, &opened) < 0 ||
            ioctl(master, TIOCSPTLCK, &locked) < 0)
            return -errno;
    }
    (void)snprintf(path, sizeof(path), "/dev/pts/%d", number);
    return open(path, O_RDWR | O_NOCTTY);
}

/* A container's pts/3 has the device number of ours. */
Test(holder, of_a_container_s_pseudo_terminal_does_not_hold_ours) {
    struct pty pty = pty_new();
    struct holder holder;
    int ready[2];
    int result = -1;
    pid_t child;

    if (geteuid() != 0)
        cr_skip_test("only root can have another /dev/pts");
    cr_assert_eq(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        result = open_elsewhere(atoi(pty.path + strlen("/dev/pts/")));
        (void)!write(ready[1], &result, sizeof(result));
        for (;;)
            (void)pause();
    }
    cr_assert_eq(read(ready[0], &result, sizeof(result)), sizeof(result));
    cr_assert_geq(result, 0, "%s", strerror(-result));
    cr_expect_leq(holder_find(pty.path, &holder), 0);
    release(child);
}

Test(holder, of_what_is_no_device_is_an_error) {
    struct holder holder;

    cr_assert_eq(holder_find("/dev/no-such-port", &holder), -ENOENT);
    cr_assert_eq(holder_find("/etc/passwd", &holder), -ENOTTY);
}
