/* SPDX-License-Identifier: MIT */
#include "io/clock.h"

#include <errno.h>
#include <sys/timex.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

/* systemd-timesyncd makes it when it has set the clock; it is gone with the boot. */
#define SET_BY_TIMESYNCD "/run/systemd/timesync/synchronized"

static bool is_believed_synchronised; /* where the kernel may not be asked */

static int64_t in_us(clockid_t clock) {
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Returns 0 or < 0: under ProtectClock= the question is refused as setting the clock would be. */
static int ask_kernel(bool *ret) {
    struct timex question = { .modes = 0 };

    if (adjtimex(&question) < 0)
        return -errno;
    *ret = !(question.status & STA_UNSYNC);
    return 0;
}

static bool is_synchronised(void) {
    bool answer = false;

    if (ask_kernel(&answer) == 0)
        return answer;
    if (!is_believed_synchronised)
        is_believed_synchronised = access(SET_BY_TIMESYNCD, F_OK) == 0;
    return is_believed_synchronised;
}

struct clock_facts clock_look(void) {
    return (struct clock_facts){
        .wall_offset_us = in_us(CLOCK_REALTIME) - in_us(CLOCK_BOOTTIME),
        .synchronised = is_synchronised(),
    };
}

bool clock_is_kept_from_us(void) {
    bool answer;

    return ask_kernel(&answer) < 0;
}

void clock_believe_synchronised(void) {
    is_believed_synchronised = true;
}

int clock_read_boot_id(char boot_id[static CLOCK_BOOT_ID_SIZE]) {
    sd_id128_t id;
    int r = sd_id128_get_boot(&id);

    if (r < 0)
        return r;
    (void)sd_id128_to_string(id, boot_id);
    return 0;
}
