/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Makes the event loop's clock run FAST times as fast: these stand before libsystemd's own, so what
 * takes seconds in the daemon takes milliseconds here, in the very code that ships.
 */

#include <dlfcn.h>
#include <systemd/sd-event.h>
#include <time.h>

enum { FAST = 20 };

static uint64_t fast_base_us(void) {
    static uint64_t base_us;
    struct timespec now;

    if (base_us == 0) {
        (void)clock_gettime(CLOCK_BOOTTIME, &now);
        base_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    }
    return base_us;
}

static uint64_t fast_to_real(uint64_t fast_us) {
    return fast_us <= fast_base_us() ? fast_us : fast_base_us() + (fast_us - fast_base_us()) / FAST;
}

static inline void *fast_original(const char *name) {
    return dlsym(RTLD_NEXT, name);
}

int sd_event_now(sd_event *e, clockid_t clock, uint64_t *usec) {
    int (*original)(sd_event *, clockid_t, uint64_t *);
    uint64_t base_us = fast_base_us();
    int r;

    *(void **)&original = fast_original("sd_event_now");
    r = original(e, clock, usec);
    if (r >= 0 && *usec > base_us)
        *usec = base_us + (*usec - base_us) * FAST;
    return r;
}

int sd_event_add_time(sd_event *e, sd_event_source **s, clockid_t clock, uint64_t usec,
                      uint64_t accuracy, sd_event_time_handler_t callback, void *userdata) {
    int (*original)(sd_event *, sd_event_source **, clockid_t, uint64_t, uint64_t,
                    sd_event_time_handler_t, void *);

    *(void **)&original = fast_original("sd_event_add_time");
    return original(e, s, clock, fast_to_real(usec), 1, callback, userdata);
}

int sd_event_source_set_time(sd_event_source *s, uint64_t usec) {
    int (*original)(sd_event_source *, uint64_t);

    *(void **)&original = fast_original("sd_event_source_set_time");
    return original(s, fast_to_real(usec));
}
