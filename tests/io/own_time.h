/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Clocks of the test's own, so that minutes pass at once, the wall clock is set, somebody
 * synchronises it and the machine boots, in the very code that ships: these stand before the C
 * library's and libsystemd's.
 *
 * Timers are looked at in every turn of an sd_event, so a skip is felt in the next one; nothing
 * wakes a loop that sleeps.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

static int64_t own_time_skipped_us;
static int64_t own_time_wall_set_us;
static bool own_time_synchronised = true;
static uint8_t own_time_boot = 1;

static inline long own_time_read(clockid_t clock, struct timespec *ret) {
#ifdef SYS_clock_gettime64
    if (sizeof(time_t) > sizeof(long))
        return syscall(SYS_clock_gettime64, clock, ret);
#endif
    return syscall(SYS_clock_gettime, clock, ret);
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
    enum { NS = 1000 * 1000 * 1000 };
    int64_t later_us = own_time_skipped_us;
    int64_t ns;

    if (own_time_read(clock, ret) < 0)
        return -1;
    if (clock == CLOCK_REALTIME)
        later_us += own_time_wall_set_us;
    else if (clock != CLOCK_BOOTTIME && clock != CLOCK_MONOTONIC)
        return 0;
    ns = ret->tv_nsec + later_us % 1000000 * 1000;
    ret->tv_sec += (time_t)(later_us / 1000000);
    if (ns < 0) {
        ret->tv_sec--;
        ns += NS;
    } else if (ns >= NS) {
        ret->tv_sec++;
        ns -= NS;
    }
    ret->tv_nsec = (long)ns;
    return 0;
}

int adjtimex(struct timex *ret) {
    ret->status = own_time_synchronised ? 0 : STA_UNSYNC;
    return own_time_synchronised ? TIME_OK : TIME_ERROR;
}

int sd_id128_get_boot(sd_id128_t *ret) {
    *ret = (sd_id128_t){ .bytes = { own_time_boot, 0xb0, 0x07 } };
    return 0;
}

/* Time passes. */
static inline void own_time_skip(int64_t us) {
    own_time_skipped_us += us;
}

/* Somebody sets the wall clock. */
static inline void own_time_set_wall(int64_t later_us) {
    own_time_wall_set_us += later_us;
}
