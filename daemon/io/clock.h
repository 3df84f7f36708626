/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What this machine knows of the time: which boot this is, how far the wall clock is from
 * CLOCK_BOOTTIME, and whether anything has set it right. A Raspberry Pi has no clock when it boots.
 */

#include <stdbool.h>
#include <stdint.h>

enum { CLOCK_BOOT_ID_SIZE = 33 };

struct clock_facts {
    int64_t wall_offset_us; /* CLOCK_REALTIME minus CLOCK_BOOTTIME */
    bool synchronised;      /* the kernel was told so: adjtimex(2) without STA_UNSYNC */
};

struct clock_facts clock_look(void);

/*
 * Where the sandbox keeps adjtimex(2) from us, systemd-timesyncd's mark counts, or the word of
 * somebody who may ask: io/timekeeper.
 */
bool clock_is_kept_from_us(void);
void clock_believe_synchronised(void);

/* The kernel's id of this boot, 32 hex digits. Returns 0 or < 0. */
int clock_read_boot_id(char boot_id[static CLOCK_BOOT_ID_SIZE]);
