/* SPDX-License-Identifier: MIT */
#include "io/clock.h"

#include <sys/timex.h>
#include <systemd/sd-id128.h>
#include <time.h>

static int64_t in_us(clockid_t clock) {
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct clock_facts clock_look(void) {
    struct timex question = { .modes = 0 };
    bool answered = adjtimex(&question) >= 0;

    return (struct clock_facts){
        .wall_offset_us = in_us(CLOCK_REALTIME) - in_us(CLOCK_BOOTTIME),
        .synchronised = answered && !(question.status & STA_UNSYNC),
    };
}

int clock_read_boot_id(char boot_id[static CLOCK_BOOT_ID_SIZE]) {
    sd_id128_t id;
    int r = sd_id128_get_boot(&id);

    if (r < 0)
        return r;
    (void)sd_id128_to_string(id, boot_id);
    return 0;
}
