/* SPDX-License-Identifier: MIT */
#include "core/dht11_bytes.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct answer_row {
    char name[32];
    uint8_t raw[DHT11_BYTES];
    enum dht11_status status;
    int16_t humidity_tenths;
    int16_t temperature_tenths;
};

ParameterizedTestParameters(dht11_bytes, decodes_or_refuses) {
    static struct answer_row rows[] = {
        { "data sheet", { 0x35, 0x00, 0x18, 0x04, 0x51 }, DHT11_OK, 530, 244 },
        { "lowest humidity", { 4, 0, 20, 0, 24 }, DHT11_OK, 40, 200 },
        { "just below it", { 3, 9, 20, 0, 32 }, DHT11_RANGE, 0, 0 },
        { "saturated", { 100, 0, 20, 0, 120 }, DHT11_OK, 1000, 200 },
        { "more than saturated", { 100, 1, 20, 0, 121 }, DHT11_RANGE, 0, 0 },
        { "hottest", { 50, 0, 60, 0, 110 }, DHT11_OK, 500, 600 },
        { "hotter", { 50, 0, 60, 1, 111 }, DHT11_RANGE, 0, 0 },
        { "coldest", { 50, 0, 60, 0x80, 238 }, DHT11_OK, 500, -600 },
        { "colder", { 50, 0, 60, 0x81, 239 }, DHT11_RANGE, 0, 0 },
        { "a half below zero", { 50, 0, 0, 0x85, 183 }, DHT11_OK, 500, -5 },
        { "zero with a sign is plain zero", { 50, 0, 0, 0x80, 178 }, DHT11_OK, 500, 0 },
        { "ten tenths of humidity", { 50, 10, 20, 0, 80 }, DHT11_RANGE, 0, 0 },
        { "ten tenths of a degree", { 50, 0, 20, 10, 80 }, DHT11_RANGE, 0, 0 },
        { "ten tenths below zero", { 50, 0, 20, 0x8a, 208 }, DHT11_RANGE, 0, 0 },
        { "DHT22, 64.7 % 23.0 C", { 0x02, 0x87, 0x00, 0xe6, 0x6f }, DHT11_RANGE, 0, 0 },
        { "the sum wraps", { 100, 0, 60, 0x89, 0x29 }, DHT11_RANGE, 0, 0 },
        { "damaged before out of range", { 0, 0, 0, 0, 1 }, DHT11_CHECKSUM, 0, 0 },
    };

    return cr_make_param_array(struct answer_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct answer_row *row, dht11_bytes, decodes_or_refuses) {
    struct climate climate = { .temperature_tenths = 0, .humidity_tenths = 0 };

    cr_expect_eq(dht11_bytes_decode(row->raw, &climate), row->status, "%s", row->name);
    cr_expect_eq(climate.humidity_tenths, row->humidity_tenths, "%s", row->name);
    cr_expect_eq(climate.temperature_tenths, row->temperature_tenths, "%s", row->name);
}

static FILE *open_vectors(void) {
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/dht11.txt", getenv("SENSORGW_VECTORS"));
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    return file;
}

/* Takes `2d00150547 ok 45.0 21.5`; returns how many fields the line has. */
static int read_vector(const char *line, uint8_t raw[DHT11_BYTES], char status[8],
                       double *ret_humidity, double *ret_temperature) {
    int n = sscanf(line, "%2hhx%2hhx%2hhx%2hhx%2hhx %7s %lf %lf", &raw[0], &raw[1], &raw[2],
                   &raw[3], &raw[4], status, ret_humidity, ret_temperature);

    return n < DHT11_BYTES + 1 ? 0 : n - DHT11_BYTES;
}

static int tenths(double value) {
    return (int)(value * 10 + (value < 0 ? -0.5 : 0.5));
}

Test(dht11_bytes, agrees_with_every_vector) {
    FILE *file = open_vectors();
    char line[256];
    int n = 0;

    while (fgets(line, sizeof(line), file)) {
        struct climate climate;
        uint8_t raw[DHT11_BYTES];
        char status[8];
        double humidity;
        double temperature;
        int fields = read_vector(line, raw, status, &humidity, &temperature);

        if (fields == 0)
            continue;
        n++;
        cr_expect_str_eq(dht11_status_name(dht11_bytes_decode(raw, &climate)), status, "%s", line);
        cr_expect_eq(fields, strcmp(status, "ok") == 0 ? 3 : 1, "%s", line);
        if (fields < 3)
            continue;
        cr_expect_eq(climate.humidity_tenths, tenths(humidity), "%s", line);
        cr_expect_eq(climate.temperature_tenths, tenths(temperature), "%s", line);
    }
    cr_expect_gt(n, 10, "only %d vectors", n);
    fclose(file);
}

Test(dht11_bytes, notices_every_single_bit_flip) {
    static const uint8_t answers[][DHT11_BYTES] = {
        { 0x2d, 0x00, 0x15, 0x05, 0x47 },
        { 0x2c, 0x08, 0x16, 0x03, 0x4d },
        { 0x3d, 0x00, 0x03, 0x84, 0xc4 },
    };
    struct climate climate;
    uint8_t raw[DHT11_BYTES];

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        for (size_t bit = 0; bit < DHT11_BITS; bit++) {
            memcpy(raw, answers[i], sizeof(raw));
            raw[bit / 8] = (uint8_t)(raw[bit / 8] ^ 1U << bit % 8);
            cr_expect_eq(dht11_bytes_decode(raw, &climate), DHT11_CHECKSUM, "answer %zu, bit %zu",
                         i, bit);
        }
    }
}

/* Whatever is accepted can be published: every combination of the four bytes near the limits. */
Test(dht11_bytes, accepts_nothing_outside_its_limits) {
    static const uint8_t edges[] = { 0,  1,   3,   4,   9,   10,  59,   60,   61,
                                     99, 100, 101, 127, 128, 137, 0x8a, 0xfe, 0xff };
    enum { N = sizeof(edges) };

    for (size_t i = 0; i < N * N * N * N; i++) {
        uint8_t raw[DHT11_BYTES] = { edges[i % N], edges[i / N % N], edges[i / N / N % N],
                                     edges[i / N / N / N] };
        struct climate climate;

        raw[4] = (uint8_t)(raw[0] + raw[1] + raw[2] + raw[3]);
        if (dht11_bytes_decode(raw, &climate) != DHT11_OK)
            continue;
        cr_expect(climate.humidity_tenths >= 40 && climate.humidity_tenths <= 1000);
        cr_expect(climate.temperature_tenths >= -600 && climate.temperature_tenths <= 600);
    }
}

Test(dht11_bytes, writes_nothing_unless_it_accepts) {
    static const uint8_t damaged[DHT11_BYTES] = { 0x2d, 0x00, 0x15, 0x05, 0x48 };
    static const uint8_t zeros[DHT11_BYTES] = { 0 };
    struct climate climate = { .temperature_tenths = 7, .humidity_tenths = 8 };

    (void)dht11_bytes_decode(damaged, &climate);
    (void)dht11_bytes_decode(zeros, &climate);
    cr_expect_eq(climate.temperature_tenths, 7);
    cr_expect_eq(climate.humidity_tenths, 8);
}

Test(dht11_bytes, tells_which_answers_claim_a_temperature_below_zero) {
    static const uint8_t below[DHT11_BYTES] = { 0x3d, 0x00, 0x03, 0x84, 0xc4 };
    static const uint8_t zero_with_a_sign[DHT11_BYTES] = { 0x32, 0x00, 0x00, 0x80, 0xb2 };
    static const uint8_t above[DHT11_BYTES] = { 0x2d, 0x00, 0x15, 0x05, 0x47 };

    cr_expect(dht11_bytes_are_negative(below));
    cr_expect(dht11_bytes_are_negative(zero_with_a_sign));
    cr_expect_not(dht11_bytes_are_negative(above));
}

Test(dht11_bytes, names_every_status_as_the_frames_do) {
    cr_expect_str_eq(dht11_status_name(DHT11_OK), "ok");
    cr_expect_str_eq(dht11_status_name(DHT11_STUCK), "stuck");
    cr_expect_str_eq(dht11_status_name(DHT11_NO_RESPONSE), "noresp");
    cr_expect_str_eq(dht11_status_name(DHT11_SHORT), "short");
    cr_expect_str_eq(dht11_status_name(DHT11_CHECKSUM), "cksum");
    cr_expect_str_eq(dht11_status_name(DHT11_RANGE), "range");
}
