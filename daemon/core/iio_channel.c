/* SPDX-License-Identifier: MIT */
#include "core/iio_channel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct iio_channel iio_channels[] = {
    { "in_temp_input", "t", -3 },
    { "in_humidityrelative_input", "rh", -3 },
    { "in_pressure_input", "p", 1 },
    { "in_illuminance_input", "lx", 0 },
};

const size_t iio_channel_count = sizeof(iio_channels) / sizeof(*iio_channels);

enum { NANO_DIGITS = 9, WHOLE_DIGITS = 9 };

#define DHT11_NAME "dht11"                /* and "dht11@4" */
#define DHT11_QUESTION_US UINT64_C(15000) /* 18 ms, which it never cuts short */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* In billionths, as the kernel prints them at most. */
static int parse_nano(const char *text, int64_t *ret) {
    bool is_negative = *text == '-';
    const char *at = is_negative ? text + 1 : text;
    int64_t nano = 0;
    int digits = 0;

    for (; is_digit(*at); at++, digits++) {
        if (digits == WHOLE_DIGITS)
            return -ERANGE;
        nano = nano * 10 + (*at - '0');
    }
    if (digits == 0)
        return -EBADMSG;
    digits = 0;
    if (*at == '.')
        for (at++; is_digit(*at); at++)
            if (digits < NANO_DIGITS) {
                nano = nano * 10 + (*at - '0');
                digits++;
            }
    for (; digits < NANO_DIGITS; digits++)
        nano *= 10;
    if (*at != '\0' && *at != '\n')
        return -EBADMSG;
    *ret = is_negative ? -nano : nano;
    return 0;
}

/* The kernel adds zeros that no sensor gave; one digit stays. */
static void drop_zeros(struct quantity *quantity) {
    while (quantity->decimals > 1 && quantity->scaled % 10 == 0) {
        quantity->scaled /= 10;
        quantity->decimals--;
    }
}

int iio_channel_parse(const struct iio_channel *channel, const char *text, struct quantity *ret) {
    struct quantity quantity = { .decimals = QUANTITY_DECIMALS };
    int64_t divisor = 1;
    int64_t value = 0;
    int r = parse_nano(text, &value);

    if (r < 0)
        return r;
    for (int i = 0; i < NANO_DIGITS - QUANTITY_DECIMALS - channel->power; i++)
        divisor *= 10;
    value = (value < 0 ? value - divisor / 2 : value + divisor / 2) / divisor;
    if (value > INT32_MAX || value < -INT32_MAX)
        return -ERANGE;
    quantity.scaled = (int32_t)value;
    (void)snprintf(quantity.key, sizeof(quantity.key), "%s", channel->key);
    drop_zeros(&quantity);
    *ret = quantity;
    return 0;
}

const char *iio_error_word(int error) {
    switch (error) {
    case ETIMEDOUT:
        return "timeout";
    case EIO:
        return "io";
    case EAGAIN:
        return "clock";
    case EBADMSG:
    case ERANGE:
    case EINVAL:
        return "value";
    case ENODATA:
        return "channels";
    case ENOENT:
    case ENODEV:
    case ENXIO:
    case EACCES:
    case EPERM:
        return NULL;
    default:
        return "io";
    }
}

static bool is_more_than_saturated(const struct reading *reading) {
    const struct quantity *humidity = reading_find(reading, "humidity");
    int32_t limit = 100;

    for (unsigned i = 0; humidity && i < humidity->decimals; i++)
        limit *= 10;
    return humidity && humidity->scaled > limit;
}

const char *iio_answer_fault(const char *name, const struct reading *reading, uint64_t took_us) {
    if (strncmp(name, DHT11_NAME, strlen(DHT11_NAME)) != 0)
        return NULL;
    if (took_us < DHT11_QUESTION_US)
        return "repeated";
    return is_more_than_saturated(reading) ? "range" : NULL;
}
