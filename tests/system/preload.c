/* SPDX-License-Identifier: MIT */

/*
 * A sick machine, by LD_PRELOAD: what the file $SICK says, read anew at every call.
 *
 *     sync_ms 3000      fdatasync and fsync take so long
 *     wall_s -86400     the wall clock is so far from the truth
 *     unsynchronised 1  and the kernel has not been told of a better one
 *
 * CLOCK_BOOTTIME and CLOCK_MONOTONIC stay honest, as they do when a real clock is set.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static long long told(const char *key) {
    const char *path = getenv("SICK");
    FILE *file = path ? fopen(path, "re") : NULL;
    long long value = 0;
    char name[32];
    long long number;

    while (file && fscanf(file, "%31s %lld", name, &number) == 2)
        if (strcmp(name, key) == 0)
            value = number;
    if (file)
        (void)fclose(file);
    return value;
}

static void be_slow(void) {
    long long ms = told("sync_ms");
    struct timespec pause = { ms / 1000, ms % 1000 * 1000000 };

    if (ms > 0)
        (void)nanosleep(&pause, NULL);
}

int fdatasync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");

    be_slow();
    return next(fd);
}

int fsync(int fd) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");

    be_slow();
    return next(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __thread int is_inside;
    static int (*next)(clockid_t, struct timespec *);
    int r;

    if (!next)
        next = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    r = next(clock, now);
    if (r == 0 && clock == CLOCK_REALTIME && !is_inside) {
        is_inside = 1;
        now->tv_sec += told("wall_s");
        is_inside = 0;
    }
    return r;
}

time_t time(time_t *ret) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (ret)
        *ret = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

int adjtimex(struct timex *question) {
    int (*next)(struct timex *) = (int (*)(struct timex *))dlsym(RTLD_NEXT, "adjtimex");
    int r = next(question);

    if (told("unsynchronised"))
        question->status |= STA_UNSYNC;
    else
        question->status &= ~STA_UNSYNC;
    return r;
}
