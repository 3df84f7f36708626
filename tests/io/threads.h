/* SPDX-License-Identifier: MIT */
#pragma once

/* How many threads this process has: a job that was let go ends by itself. */

#include <criterion/criterion.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/stat.h>

static inline unsigned threads_count(void) {
    struct stat tasks;

    cr_assert_eq(stat("/proc/self/task", &tasks), 0);
    return (unsigned)tasks.st_nlink - 2; /* . and .. */
}

/* Waits until there are no more than that. Returns false when that takes longer than 5 s. */
static inline bool threads_wait_for(unsigned count) {
    for (unsigned ms = 0; ms < 5000 && threads_count() > count; ms++)
        (void)poll(NULL, 0, 1);
    return threads_count() <= count;
}
