/* SPDX-License-Identifier: MIT */
#include "core/direct_words.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sensor sensor_in(enum sensor_state state, enum cause cause) {
    struct sensor sensor;

    sensor_init(&sensor, "kitchen");
    sensor.state = state;
    sensor.cause = cause;
    return sensor;
}

static const char *explain(const struct sensor *sensor, struct direct_place place) {
    static char text[DIRECT_WORDS_SIZE];

    place.error = place.error ? place.error : "";
    place.detail = place.detail ? place.detail : "";
    memset(text, 'x', sizeof(text));
    cr_assert_eq(direct_explain(sensor, &place, text, sizeof(text)), (int)strlen(text));
    return text;
}

#define GPIO ((struct direct_place){ .kind = DIRECT_GPIO, .name = "gpio:pinctrl-bcm2711:4" })
#define IIO ((struct direct_place){ .kind = DIRECT_IIO, .name = "iio:dht11@4" })

/* A Raspberry Pi's pin does not survive 5 V. */
Test(direct_words, never_advise_five_volts) {
    static const char *const words[] = { "stuck", "noresp", "short", "cksum", "range", "another" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        cr_expect_null(strstr(direct_error_cure(DIRECT_GPIO, words[i]), "5 V"), "%s", words[i]);
        cr_expect_null(strstr(direct_error_cure(DIRECT_IIO, words[i]), "5 V"), "%s", words[i]);
    }
}

Test(direct_words, a_failure_names_word_detail_and_cure) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);
    struct direct_place place = GPIO;

    (void)strcpy(sensor.last_error, "short");
    place.detail = "17 of 42 edges";
    cr_expect_str_eq(explain(&sensor, place),
                     "kitchen: edges of the sensor's answer are missing (short on "
                     "gpio:pinctrl-bcm2711:4, 17 of 42 edges), three times running. What to do: a "
                     "loose wire, or a machine too busy to see them all: there the kernel's driver "
                     "does better (docs/gpio.md).");
}

Test(direct_words, a_place_that_is_not_to_be_had_names_error_and_cure) {
    struct sensor sensor = sensor_in(SENSOR_ABSENT, CAUSE_DEVICE_BUSY);
    struct direct_place place = GPIO;

    place.error = "Device or resource busy";
    cr_expect_not_null(strstr(explain(&sensor, place), "is in use: Device or resource busy"));
    sensor.cause = CAUSE_DEVICE_DENIED;
    cr_expect_not_null(strstr(explain(&sensor, place), "/dev/gpiochip*"));
    sensor.cause = CAUSE_DEVICE_ABSENT;
    cr_expect_not_null(strstr(explain(&sensor, place), "correct `chip` and `line`"));
    cr_expect_not_null(strstr(explain(&sensor, IIO), "dtoverlay="));
    sensor.cause = CAUSE_DEVICE_LOST;
    cr_expect_not_null(strstr(explain(&sensor, IIO), "went away"));
}

Test(direct_words, values_that_are_not_believed_are_named_with_their_limits) {
    struct sensor sensor = sensor_in(SENSOR_FAILING, CAUSE_SENSOR_RANGE);
    static const struct conditioning_rules rules = { .frozen_us = UINT64_C(5400000000) };

    sensor.conditioning.stray = (struct quantity){ "t", 612, 1 };
    sensor.conditioning.stray_limits = (struct quantity_limits){ "temperature", -20000, 60500 };
    cr_expect_not_null(
        strstr(explain(&sensor, GPIO), "temperature 61.2 is outside its limits, -20 to 60.5"));

    sensor.cause = CAUSE_SENSOR_FROZEN;
    sensor.conditioning.frozen = (struct quantity){ "rh", 950, 1 };
    sensor.conditioning.rules = &rules;
    cr_expect_not_null(
        strstr(explain(&sensor, GPIO), "humidity has been 95.0 for more than 1 h 30 min"));
}

Test(direct_words, every_state_has_a_sentence_and_a_small_buffer_cuts_it) {
    for (int state = SENSOR_STARTING; state <= SENSOR_WRONG_BOARD; state++) {
        struct sensor sensor = sensor_in((enum sensor_state)state, CAUSE_NONE);
        const struct direct_place place = { DIRECT_IIO, "iio:x", "", "" };
        char text[16];

        cr_expect_eq(strncmp(explain(&sensor, place), "kitchen: ", 9), 0, "%d", state);
        cr_expect_eq(direct_explain(&sensor, &place, text, sizeof(text)), 15);
        cr_expect_eq(strlen(text), 15);
    }
}
