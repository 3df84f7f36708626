/* SPDX-License-Identifier: MIT */
#include "core/payload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SECONDS_PER_DAY = 86400 };

static const int64_t first_ms = -62167219200000; /* 0000-01-01T00:00:00.000Z */
static const int64_t last_ms = 253402300799999;  /* 9999-12-31T23:59:59.999Z */

/* Quantities in a fixed order first, so that the same sensor always reads the same. */
static const char *const order[] = { "temperature", "humidity", "pressure", "illuminance",
                                     "voltage" };

/* A text that grows; full says that something did not fit. */
struct text {
    char *at;
    size_t size;
    size_t length;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format,
                                                         ...) {
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(text->at + text->length, text->size - text->length, format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= text->size - text->length)
        text->full = true;
    else
        text->length += (size_t)n;
}

/* Days since 1970 to the proleptic Gregorian date, counted in eras of 400 years that begin on 1
 * March. */
static void date_from_days(int64_t days, int *year, int *month, int *day) {
    enum { DAYS_PER_ERA = 146097, DAYS_FROM_0000_03_01 = 719468 };
    int64_t shifted = days + DAYS_FROM_0000_03_01;
    int64_t era = (shifted >= 0 ? shifted : shifted - (DAYS_PER_ERA - 1)) / DAYS_PER_ERA;
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t months_from_march = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * months_from_march + 2) / 5 + 1);
    *month = (int)(months_from_march < 10 ? months_from_march + 3 : months_from_march - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static int64_t floor_divide(int64_t dividend, int64_t divisor) {
    int64_t quotient = dividend / divisor;

    return dividend % divisor < 0 ? quotient - 1 : quotient;
}

static void append_time(struct text *text, int64_t wall_us) {
    int64_t ms = floor_divide(wall_us, 1000);
    int64_t seconds;
    int64_t days;
    int second_of_day;
    int year, month, day;

    ms = ms < first_ms ? first_ms : ms > last_ms ? last_ms : ms;
    seconds = floor_divide(ms, 1000);
    days = floor_divide(seconds, SECONDS_PER_DAY);
    second_of_day = (int)(seconds - days * SECONDS_PER_DAY);
    date_from_days(days, &year, &month, &day);
    append(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", year, month, day, second_of_day / 3600,
           second_of_day / 60 % 60, second_of_day % 60, (int)(ms - seconds * 1000));
}

static void append_quantity(struct text *text, const struct quantity *quantity) {
    char value[16];

    if (quantity_render_value(quantity, value, sizeof(value)) < 0)
        text->full = true;
    append(text, ",\"%s\":%s", quantity_name(quantity->key), value);
}

static bool is_ordered(const char *name) {
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
        if (strcmp(name, order[i]) == 0)
            return true;
    return false;
}

static void append_quantities(struct text *text, const struct reading *reading) {
    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        const struct quantity *quantity = reading_find(reading, order[i]);

        if (quantity)
            append_quantity(text, quantity);
    }
    for (size_t i = 0; i < reading->count; i++)
        if (!is_ordered(quantity_name(reading->quantities[i].key)))
            append_quantity(text, &reading->quantities[i]);
}

static int result(const struct text *text) {
    return text->full ? -ENOSPC : (int)text->length;
}

int payload_render_time(int64_t wall_us, char *text, size_t size) {
    struct text time = { .at = text, .size = size };

    append_time(&time, wall_us);
    return result(&time);
}

int payload_render(const struct envelope *envelope, const struct reading *reading, char *text,
                   size_t size) {
    struct text payload = { .at = text, .size = size };

    append(&payload, "{\"id\":\"%s-%llu\",\"time\":\"", envelope->prefix,
           (unsigned long long)envelope->number);
    append_time(&payload, envelope->wall_us);
    append(&payload, "\",\"gateway\":\"%s\",\"sensor\":\"%s\"", envelope->gateway, reading->sensor);
    append_quantities(&payload, reading);
    if (envelope->late)
        append(&payload, ",\"late\":true");
    if (!envelope->synchronised)
        append(&payload, ",\"clock\":\"unsynchronised\"");
    append(&payload, "}");
    return result(&payload);
}
