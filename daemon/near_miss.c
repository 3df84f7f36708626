/* SPDX-License-Identifier: MIT */
#include "near_miss.h"

#include <stddef.h>
#include <string.h>

enum { WORD_SIZE = 32, SHORT_WORD = 4, SHORTEST_BEGINNING = 3, BEGINNING = 3 };

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* Optimal string alignment: the Levenshtein distance, with a swap counted as one. */
static unsigned distance_of(const char *a, size_t a_length, const char *b, size_t b_length) {
    unsigned cost[WORD_SIZE + 1][WORD_SIZE + 1];

    for (size_t i = 0; i <= a_length; i++)
        cost[i][0] = (unsigned)i;
    for (size_t j = 0; j <= b_length; j++)
        cost[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        for (size_t j = 1; j <= b_length; j++) {
            unsigned changed = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

            cost[i][j] = least(changed, least(cost[i - 1][j], cost[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a_length][b_length];
}

unsigned near_miss(const char *typed, const char *meant) {
    size_t typed_length = strlen(typed);
    size_t meant_length = strlen(meant);
    unsigned limit = typed_length < SHORT_WORD ? 1 : 2;
    unsigned distance;

    if (typed_length > WORD_SIZE || meant_length > WORD_SIZE)
        return NEAR_MISS_NONE;
    distance = distance_of(typed, typed_length, meant, meant_length);
    if (distance <= limit)
        return distance;
    if (typed_length >= SHORTEST_BEGINNING && strncmp(typed, meant, typed_length) == 0)
        return BEGINNING;
    return NEAR_MISS_NONE;
}
