/* SPDX-License-Identifier: MIT */
#include "core/frame_crc.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char frame_body[] = "SGW1,R,1,1,1524,rh=45.0,t=21.5";

static FILE *open_vectors(void) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/frames.txt", getenv("SENSORGW_VECTORS"));
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    return file;
}

/* Takes `crc 29B1 "123456789"` and `frame $123456789*29B1`; returns false for other lines. */
static bool read_vector(const char *line, char *ret_text, unsigned *ret_crc) {
    *ret_text = '\0';
    return sscanf(line, "crc %4X \"%99[^\"]\"", ret_crc, ret_text) >= 1 ||
           sscanf(line, "frame $%99[^*]*%4X", ret_text, ret_crc) == 2;
}

Test(frame_crc, agrees_with_every_vector) {
    FILE *file = open_vectors();
    char line[256];
    char text[100];
    unsigned crc;
    int n = 0;

    while (fgets(line, sizeof(line), file)) {
        if (!read_vector(line, text, &crc))
            continue;
        n++;
        cr_expect_eq(frame_crc(text, strlen(text)), crc, "%s", line);
    }
    cr_expect_gt(n, 10, "only %d vectors", n);
    fclose(file);
}

Test(frame_crc, notices_every_single_bit_flip) {
    char damaged[sizeof(frame_body)];
    size_t size = strlen(frame_body);
    uint16_t crc = frame_crc(frame_body, size);

    for (size_t bit = 0; bit < size * 8; bit++) {
        memcpy(damaged, frame_body, sizeof(damaged));
        damaged[bit / 8] = (char)(damaged[bit / 8] ^ 1 << bit % 8);
        cr_expect_neq(frame_crc(damaged, size), crc, "bit %zu", bit);
    }
}

/* An exclusive or of all bytes, as NMEA has it, would notice none of these. */
Test(frame_crc, notices_the_same_bit_flipped_in_two_bytes) {
    char damaged[sizeof(frame_body)];
    size_t size = strlen(frame_body);
    uint16_t crc = frame_crc(frame_body, size);

    for (size_t one = 0; one < size; one++) {
        for (size_t other = one + 1; other < size; other++) {
            memcpy(damaged, frame_body, sizeof(damaged));
            damaged[one] ^= 1;
            damaged[other] ^= 1;
            cr_expect_neq(frame_crc(damaged, size), crc, "bytes %zu and %zu", one, other);
        }
    }
}

Test(frame_crc, notices_every_swap_of_neighbours) {
    char damaged[sizeof(frame_body)];
    size_t size = strlen(frame_body);
    uint16_t crc = frame_crc(frame_body, size);

    for (size_t i = 0; i + 1 < size; i++) {
        memcpy(damaged, frame_body, sizeof(damaged));
        damaged[i] = frame_body[i + 1];
        damaged[i + 1] = frame_body[i];
        if (frame_body[i] != frame_body[i + 1])
            cr_expect_neq(frame_crc(damaged, size), crc, "byte %zu", i);
    }
}
