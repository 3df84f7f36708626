/* SPDX-License-Identifier: MIT */
#include "core/payload.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "seed.h"

#define SECOND INT64_C(1000000)

struct time_row {
    char name[32];
    int64_t wall_us;
    char text[32];
};

ParameterizedTestParameters(payload, writes_a_time) {
    static struct time_row rows[] = {
        { "the design's example", 1795370852 * SECOND + 123000, "2026-11-22T18:07:32.123Z" },
        { "1970", 0, "1970-01-01T00:00:00.000Z" },
        { "a millisecond later", 1000, "1970-01-01T00:00:00.001Z" },
        { "microseconds are cut", 1999, "1970-01-01T00:00:00.001Z" },
        { "a microsecond before", -1, "1969-12-31T23:59:59.999Z" },
        { "a millisecond before", -1000, "1969-12-31T23:59:59.999Z" },
        { "a millisecond and a bit before", -1001, "1969-12-31T23:59:59.998Z" },
        { "a second before", -1 * SECOND, "1969-12-31T23:59:59.000Z" },
        { "a day before", -86400 * SECOND, "1969-12-31T00:00:00.000Z" },
        { "end of a day", 86399 * SECOND + 999999, "1970-01-01T23:59:59.999Z" },
        { "leap day 2000", 951782400 * SECOND, "2000-02-29T00:00:00.000Z" },
        { "end of leap day 2000", 951868800 * SECOND - 1, "2000-02-29T23:59:59.999Z" },
        { "after leap day 2000", 951868800 * SECOND, "2000-03-01T00:00:00.000Z" },
        { "end of 2000", 978307200 * SECOND - 1, "2000-12-31T23:59:59.999Z" },
        { "leap day 2024", 1709164800 * SECOND, "2024-02-29T00:00:00.000Z" },
        { "after leap day 2024", 1709251200 * SECOND, "2024-03-01T00:00:00.000Z" },
        { "after 32 bits of seconds", 2147483648 * SECOND, "2038-01-19T03:14:08.000Z" },
        { "2100 has none", 4107456000 * SECOND, "2100-02-28T00:00:00.000Z" },
        { "2100 goes on in March", 4107542400 * SECOND, "2100-03-01T00:00:00.000Z" },
        { "leap day 2400", 13574563200 * SECOND, "2400-02-29T00:00:00.000Z" },
        { "1900 has none", -2203977600 * SECOND, "1900-02-28T00:00:00.000Z" },
        { "1900 goes on in March", -2203891200 * SECOND, "1900-03-01T00:00:00.000Z" },
        { "leap day 1600", -11670998400 * SECOND, "1600-02-29T00:00:00.000Z" },
        { "year 1", -62135596800 * SECOND, "0001-01-01T00:00:00.000Z" },
        { "end of year 0", -62135596800 * SECOND - 1, "0000-12-31T23:59:59.999Z" },
        { "leap day of year 0", -62162121600 * SECOND, "0000-02-29T00:00:00.000Z" },
        { "the first", -62167219200 * SECOND, "0000-01-01T00:00:00.000Z" },
        { "before the first", -62167219200 * SECOND - 1, "0000-01-01T00:00:00.000Z" },
        { "long before the first", INT64_MIN, "0000-01-01T00:00:00.000Z" },
        { "the last", 253402300800 * SECOND - 1, "9999-12-31T23:59:59.999Z" },
        { "after the last", 253402300800 * SECOND, "9999-12-31T23:59:59.999Z" },
        { "long after the last", INT64_MAX, "9999-12-31T23:59:59.999Z" },
    };

    return cr_make_param_array(struct time_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct time_row *row, payload, writes_a_time) {
    char text[PAYLOAD_TIME_SIZE];

    cr_expect_eq(payload_render_time(row->wall_us, text, sizeof(text)), 24, "%s", row->name);
    cr_expect_str_eq(text, row->text, "%s", row->name);
}

/* The C library's word for the same moment; years of four digits. */
static void expect_as_the_library(int64_t second, unsigned ms) {
    time_t when = (time_t)second;
    char date[24];
    char expected[32];
    char text[PAYLOAD_TIME_SIZE];
    struct tm tm;

    cr_assert_not_null(gmtime_r(&when, &tm));
    cr_assert_gt(strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm), 0);
    (void)snprintf(expected, sizeof(expected), "%s.%03uZ", date, ms);
    cr_assert_eq(payload_render_time(second * SECOND + ms * 1000, text, sizeof(text)), 24);
    cr_assert_str_eq(text, expected);
}

Test(payload, every_day_of_nine_hundred_years_is_the_library_s) {
    const int64_t first = -11676096000; /* 1600-01-01 */

    if (sizeof(time_t) < sizeof(int64_t))
        cr_skip_test("time_t ends in 2038");
    for (int64_t day = 0; day < 900 * 366; day++)
        expect_as_the_library(first + day * 86400, 0);
}

Test(payload, any_time_is_the_library_s) {
    const int64_t first = -30610224000; /* 1000-01-01: below, %Y has fewer digits */
    const int64_t after_last = 253402300800;
    struct dice dice = dice_from_seed("payload time");

    if (sizeof(time_t) < sizeof(int64_t))
        cr_skip_test("time_t ends in 2038");
    for (unsigned round = 0; round < 20000; round++) {
        uint64_t span = (uint64_t)(after_last - first);
        unsigned ms = (unsigned)dice_roll(&dice, 1000);

        expect_as_the_library(first + (int64_t)(dice_next(&dice) % span), ms);
    }
}

Test(payload, a_time_does_not_overrun_a_buffer_too_small) {
    for (size_t size = 0; size <= 25; size++) {
        char *text = malloc(size); /* its exact size, for the address sanitizer */

        cr_expect_eq(payload_render_time(0, text, size), size < 25 ? -ENOSPC : 24, "%zu bytes",
                     size);
        free(text);
    }
}

static const struct envelope envelope = {
    .gateway = "kitchen-pi",
    .prefix = "5f3a9c12",
    .number = 12345,
    .wall_us = 1795370852 * SECOND + 123000,
    .synchronised = true,
};

static struct reading reading_of(const char *quantities) {
    struct reading reading = { .sensor = "kitchen" };

    cr_assert_eq(reading_parse(quantities, &reading), 0, "%s", quantities);
    return reading;
}

#define HEAD                                                                                       \
    "{\"id\":\"5f3a9c12-12345\",\"time\":\"2026-11-22T18:07:32.123Z\",\"gateway\":\"kitchen-pi\"," \
    "\"sensor\":\"kitchen\""

Test(payload, is_the_object_of_the_documentation) {
    struct reading reading = reading_of("rh=45.0,t=21.5");
    char text[PAYLOAD_SIZE];
    int length = payload_render(&envelope, &reading, text, sizeof(text));

    cr_assert_str_eq(text, "{\"id\":\"5f3a9c12-12345\",\"time\":\"2026-11-22T18:07:32.123Z\","
                           "\"gateway\":\"kitchen-pi\",\"sensor\":\"kitchen\","
                           "\"temperature\":21.5,\"humidity\":45.0}");
    cr_expect_eq(length, (int)strlen(text));
}

struct quantities_row {
    char name[32];
    char quantities[80];
    char rendered[160];
};

ParameterizedTestParameters(payload, writes_quantities) {
    static struct quantities_row rows[] = {
        { "one", "t=21.5", ",\"temperature\":21.5" },
        { "below zero", "t=-3.4", ",\"temperature\":-3.4" },
        { "just below zero", "t=-0.5", ",\"temperature\":-0.5" },
        { "zero", "rh=0.0", ",\"humidity\":0.0" },
        { "digits that are kept", "t=21.50,p=1013,v=3.300",
          ",\"temperature\":21.50,\"pressure\":1013,\"voltage\":3.300" },
        { "known ones in their order", "v=3.3,lx=120.0,p=1013.2,rh=45.0,t=21.5",
          ",\"temperature\":21.5,\"humidity\":45.0,\"pressure\":1013.2,\"illuminance\":120.0,"
          "\"voltage\":3.3" },
        { "others after them, as they came", "pm25=7.0,t=21.5,co2=400.0",
          ",\"temperature\":21.5,\"pm25\":7.0,\"co2\":400.0" },
        { "only others", "b=2.0,a=1.0", ",\"b\":2.0,\"a\":1.0" },
        { "eight", "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8",
          ",\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8" },
    };

    return cr_make_param_array(struct quantities_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct quantities_row *row, payload, writes_quantities) {
    struct reading reading = reading_of(row->quantities);
    char expected[PAYLOAD_SIZE];
    char text[PAYLOAD_SIZE];

    (void)snprintf(expected, sizeof(expected), HEAD "%s}", row->rendered);
    cr_expect_gt(payload_render(&envelope, &reading, text, sizeof(text)), 0, "%s", row->name);
    cr_expect_str_eq(text, expected, "%s", row->name);
}

struct mark_row {
    char name[32];
    bool late;
    bool synchronised;
    char rendered[64];
};

ParameterizedTestParameters(payload, says_late_and_clock_only_when_they_matter) {
    static struct mark_row rows[] = {
        { "neither", false, true, "" },
        { "late", true, true, ",\"late\":true" },
        { "clock", false, false, ",\"clock\":\"unsynchronised\"" },
        { "both", true, false, ",\"late\":true,\"clock\":\"unsynchronised\"" },
    };

    return cr_make_param_array(struct mark_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct mark_row *row, payload, says_late_and_clock_only_when_they_matter) {
    struct reading reading = reading_of("t=21.5");
    struct envelope marked = envelope;
    char expected[PAYLOAD_SIZE];
    char text[PAYLOAD_SIZE];

    marked.late = row->late;
    marked.synchronised = row->synchronised;
    (void)snprintf(expected, sizeof(expected), HEAD ",\"temperature\":21.5%s}", row->rendered);
    cr_expect_gt(payload_render(&marked, &reading, text, sizeof(text)), 0, "%s", row->name);
    cr_expect_str_eq(text, expected, "%s", row->name);
}

Test(payload, numbers_go_up_to_64_bits) {
    struct reading reading = reading_of("t=21.5");
    struct envelope numbered = envelope;
    char text[PAYLOAD_SIZE];

    numbered.number = UINT64_MAX;
    cr_expect_gt(payload_render(&numbered, &reading, text, sizeof(text)), 0);
    cr_expect_not_null(strstr(text, "{\"id\":\"5f3a9c12-18446744073709551615\","));
    numbered.number = 0;
    cr_expect_gt(payload_render(&numbered, &reading, text, sizeof(text)), 0);
    cr_expect_not_null(strstr(text, "{\"id\":\"5f3a9c12-0\","));
}

/* The longest of everything: names, number, quantities with the longest names and values. */
static int render_the_biggest(char *text, size_t size) {
    static const char *const keys[] = { "t", "rh",       "p",        "lx",
                                        "v", "aaaaaaaa", "bbbbbbbb", "cccccccc" };
    char gateway[NAME_MAX_LENGTH + 1] = { 0 };
    struct reading reading = { 0 };
    struct envelope biggest = {
        .gateway = gateway,
        .prefix = "5f3a9c12",
        .number = UINT64_MAX,
        .wall_us = INT64_MAX,
        .late = true,
    };

    memset(gateway, 'g', NAME_MAX_LENGTH);
    memset(reading.sensor, 's', NAME_MAX_LENGTH);
    for (size_t i = 0; i < READING_QUANTITIES; i++) {
        struct quantity quantity = { .scaled = INT32_MIN, .decimals = QUANTITY_DECIMALS };

        (void)snprintf(quantity.key, sizeof(quantity.key), "%s", keys[i]);
        cr_assert_eq(reading_add(&reading, &quantity), 0);
    }
    return payload_render(&biggest, &reading, text, size);
}

Test(payload, the_size_suffices_for_the_biggest) {
    char text[PAYLOAD_SIZE];
    int length = render_the_biggest(text, sizeof(text));

    cr_assert_gt(length, 0);
    cr_expect_eq(length, (int)strlen(text));
    cr_expect_eq(text[length - 1], '}');
}

Test(payload, a_buffer_too_small_by_any_number_of_bytes_is_not_overrun) {
    char whole[PAYLOAD_SIZE];
    size_t needed = (size_t)render_the_biggest(whole, sizeof(whole)) + 1;

    for (size_t size = 0; size <= needed; size++) {
        char *text = malloc(size); /* its exact size, for the address sanitizer */
        int r = render_the_biggest(text, size);

        cr_expect_eq(r, size < needed ? -ENOSPC : (int)needed - 1, "%zu of %zu bytes: %d", size,
                     needed, r);
        free(text);
    }
}

Test(payload, a_small_reading_does_not_overrun_either) {
    struct reading reading = reading_of("rh=45.0,t=21.5");
    char whole[PAYLOAD_SIZE];
    size_t needed = (size_t)payload_render(&envelope, &reading, whole, sizeof(whole)) + 1;

    for (size_t size = 0; size <= needed; size++) {
        char *text = malloc(size);

        cr_expect_eq(payload_render(&envelope, &reading, text, size),
                     size < needed ? -ENOSPC : (int)needed - 1, "%zu of %zu bytes", size, needed);
        free(text);
    }
}

/* One flat object: braces, strings, numbers, commas and colons where JSON has them. */
static bool is_flat_object(const char *text) {
    const char *at = text;

    if (*at++ != '{')
        return false;
    for (;;) {
        size_t length;

        if (*at++ != '"')
            return false;
        at += strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (*at++ != '"' || *at++ != ':')
            return false;
        if (*at == '"') {
            at++;
            at += strcspn(at, "\"\\");
            if (*at++ != '"')
                return false;
        } else if (strncmp(at, "true", 4) == 0) {
            at += 4;
        } else {
            at += *at == '-';
            length = strspn(at, "0123456789");
            if (length == 0 || (length > 1 && *at == '0'))
                return false;
            at += length;
            if (*at == '.') {
                at++;
                length = strspn(at, "0123456789");
                if (length == 0)
                    return false;
                at += length;
            }
        }
        if (*at == '}')
            return at[1] == '\0';
        if (*at++ != ',')
            return false;
    }
}

Test(payload, is_json_for_any_reading) {
    struct dice dice = dice_from_seed("payload json");

    for (unsigned round = 0; round < 5000; round++) {
        struct reading reading = { .sensor = "s-1_X" };
        struct envelope any = envelope;
        size_t count = 1 + dice_roll(&dice, READING_QUANTITIES);
        char text[PAYLOAD_SIZE];

        any.number = dice_next(&dice);
        any.wall_us = (int64_t)dice_next(&dice);
        any.late = dice_roll(&dice, 2) == 0;
        any.synchronised = dice_roll(&dice, 2) == 0;
        for (size_t i = 0; i < count; i++) {
            struct quantity quantity = {
                .scaled = (int32_t)(int64_t)dice_next(&dice),
                .decimals = (uint8_t)dice_roll(&dice, QUANTITY_DECIMALS + 1),
            };

            (void)snprintf(quantity.key, sizeof(quantity.key), "q%zu", i);
            if (i == 0 && dice_roll(&dice, 2) == 0)
                (void)snprintf(quantity.key, sizeof(quantity.key), "t");
            if (dice_roll(&dice, 3) == 0)
                quantity.scaled %= 20;
            cr_assert_eq(reading_add(&reading, &quantity), 0);
        }
        cr_assert_gt(payload_render(&any, &reading, text, sizeof(text)), 0);
        cr_assert(is_flat_object(text), "%s", text);
        cr_assert_null(strstr(text, "\":-0,"), "%s", text);
        cr_assert_null(strchr(text, ' '), "%s", text);
    }
}
