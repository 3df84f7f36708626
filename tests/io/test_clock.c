/* SPDX-License-Identifier: MIT */
#include "io/clock.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

#include "folder.h"

static int64_t now_us(clockid_t clock) {
    struct timespec now;

    cr_assert_eq(clock_gettime(clock, &now), 0);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

Test(clock, the_offset_leads_from_boot_time_to_the_wall_clock) {
    struct clock_facts facts = clock_look();
    int64_t wall_us = now_us(CLOCK_BOOTTIME) + facts.wall_offset_us;

    cr_expect_leq(llabs(wall_us - now_us(CLOCK_REALTIME)), 100000);
}

Test(clock, the_kernel_says_whether_it_is_synchronised) {
    struct timex question = { .modes = 0 };
    int state = adjtimex(&question);

    cr_expect_eq(clock_look().synchronised, state >= 0 && !(question.status & STA_UNSYNC));
}

Test(clock, a_boot_has_one_id) {
    char one[CLOCK_BOOT_ID_SIZE];
    char two[CLOCK_BOOT_ID_SIZE];

    cr_assert_eq(clock_read_boot_id(one), 0);
    cr_assert_eq(clock_read_boot_id(two), 0);
    cr_expect_str_eq(one, two);
    cr_expect_eq(strlen(one), CLOCK_BOOT_ID_SIZE - 1);
    for (const char *digit = one; *digit; digit++)
        cr_expect(isxdigit((unsigned char)*digit));
}

Test(clock, the_id_of_the_boot_is_the_kernels) {
    char ours[CLOCK_BOOT_ID_SIZE];
    char kernels[64];
    size_t used = 0;

    cr_assert_eq(clock_read_boot_id(ours), 0);
    (void)folder_read("/proc/sys/kernel/random/boot_id", kernels, sizeof(kernels));
    for (const char *at = kernels; *at; at++)
        if (isxdigit((unsigned char)*at))
            kernels[used++] = *at;
    kernels[used] = '\0';
    cr_expect_str_eq(ours, kernels);
}
