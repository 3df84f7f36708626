/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Asks systemd-timedated (org.freedesktop.timedate1 on the system's bus) whether the clock is
 * synchronised, and tells io/clock.
 *
 * Only where adjtimex(2) is forbidden to us, as it is under ProtectClock= in our unit: the system
 * call that tells is the one that sets, and a filter cannot tell the two apart. It asks until the
 * answer is yes, less and less often, and then no more: what was synchronised stays so for this
 * boot.
 */

#include <systemd/sd-event.h>

#include "cleanup.h"

struct timekeeper;

/* *ret is NULL where the kernel answers: nobody else is asked then. */
int timekeeper_new(sd_event *loop, struct timekeeper **ret);
struct timekeeper *timekeeper_free(struct timekeeper *timekeeper);
DEFINE_CLEANUP(struct timekeeper, timekeeper_free);
