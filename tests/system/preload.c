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
#include <sys/syscall.h>
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

/* Not by dlsym(), which uses malloc(): sanitizers ask for the time inside that. */
static long ask_kernel(clockid_t clock, struct timespec *now) {
#ifdef SYS_clock_gettime64
    if (sizeof(time_t) > sizeof(long))
        return syscall(SYS_clock_gettime64, clock, now);
#endif
    return syscall(SYS_clock_gettime, clock, now);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static __thread int is_inside;

    if (ask_kernel(clock, now) < 0)
        return -1;
    if (clock == CLOCK_REALTIME && !is_inside) {
        is_inside = 1;
        now->tv_sec += told("wall_s");
        is_inside = 0;
    }
    return 0;
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
