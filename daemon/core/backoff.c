/* SPDX-License-Identifier: MIT */
#include "core/backoff.h"

/* SplitMix64 (Steele, Lea, Flood, 2014): every seed will do, zero too. */
static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static uint64_t ceiling_ms(const struct backoff *backoff) {
    uint64_t ceiling = backoff->base_ms;

    for (unsigned i = 0; i < backoff->failures && ceiling < backoff->cap_ms; i++)
        ceiling *= 2;
    return ceiling < backoff->cap_ms ? ceiling : backoff->cap_ms;
}

uint64_t backoff_next_ms(struct backoff *backoff) {
    uint64_t delay_ms = random_next(&backoff->random) % (ceiling_ms(backoff) + 1);

    if (backoff->failures < UINT32_MAX)
        backoff->failures++;
    return delay_ms > BACKOFF_FLOOR_MS ? delay_ms : BACKOFF_FLOOR_MS;
}

void backoff_reset(struct backoff *backoff) {
    backoff->failures = 0;
}
