/* SPDX-License-Identifier: MIT */
#include "io/clock.h"

#include <time.h>

#include "check/links.h"

void check_clock(const struct check *check) {
    struct clock_facts clock = clock_look();
    time_t now = time(NULL);
    char text[32] = "";
    struct tm utc;

    if (gmtime_r(&now, &utc))
        (void)strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &utc);
    if (clock.synchronised) {
        findings_add(check->findings, "clock", VERDICT_OK, CAUSE_NONE, "synchronised, %s", text);
        return;
    }
    findings_add(check->findings, "clock", VERDICT_WARNING, CAUSE_CLOCK_WRONG,
                 "not synchronised, %s: readings are marked as of uncertain time", text);
    findings_cure(check->findings,
                  "sudo timedatectl set-ntp true, then look at timedatectl timesync-status; or "
                  "install chrony");
}
