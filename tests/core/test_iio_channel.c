/* SPDX-License-Identifier: MIT */
#include "core/iio_channel.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <string.h>

struct channel_row {
    char file[32];
    char text[32];
    int result;
    char value[16]; /* "21.5" */
};

ParameterizedTestParameters(iio_channel, reads_what_the_kernel_prints) {
    static struct channel_row rows[] = {
        { "in_temp_input", "21500\n", 0, "21.5" },
        { "in_temp_input", "21500", 0, "21.5" },
        { "in_temp_input", "-3400\n", 0, "-3.4" },
        { "in_temp_input", "0\n", 0, "0.0" },
        { "in_temp_input", "-0\n", 0, "0.0" },
        { "in_temp_input", "21543\n", 0, "21.543" },
        { "in_temp_input", "21000\n", 0, "21.0" },
        { "in_temp_input", "21500.4\n", 0, "21.5" },
        { "in_temp_input", "21500.500000000\n", 0, "21.501" },
        { "in_temp_input", "-21500.500000000\n", 0, "-21.501" },
        { "in_humidityrelative_input", "45123\n", 0, "45.123" },
        { "in_humidityrelative_input", "100000\n", 0, "100.0" },
        { "in_pressure_input", "101.325000000\n", 0, "1013.25" },
        { "in_pressure_input", "98.000000\n", 0, "980.0" },
        { "in_illuminance_input", "1234\n", 0, "1234.0" },
        { "in_illuminance_input", "0.046080\n", 0, "0.046" },
        { "in_illuminance_input", "2147483\n", 0, "2147483.0" },
        { "in_illuminance_input", "2147484\n", -ERANGE, "" },
        { "in_illuminance_input", "99999999\n", -ERANGE, "" },
        { "in_temp_input", "1234567890\n", -ERANGE, "" },
        { "in_temp_input", "", -EBADMSG, "" },
        { "in_temp_input", "\n", -EBADMSG, "" },
        { "in_temp_input", "-\n", -EBADMSG, "" },
        { "in_temp_input", "warm\n", -EBADMSG, "" },
        { "in_temp_input", "21500 \n", -EBADMSG, "" },
        { "in_temp_input", ".5\n", -EBADMSG, "" },
        { "in_temp_input", "1e3\n", -EBADMSG, "" },
    };

    return cr_make_param_array(struct channel_row, rows, sizeof(rows) / sizeof(*rows));
}

static const struct iio_channel *find(const char *file) {
    for (size_t i = 0; i < iio_channel_count; i++)
        if (strcmp(iio_channels[i].file, file) == 0)
            return &iio_channels[i];
    cr_assert_fail("%s", file);
    return NULL;
}

ParameterizedTest(struct channel_row *row, iio_channel, reads_what_the_kernel_prints) {
    const struct iio_channel *channel = find(row->file);
    struct quantity quantity = { .key = "" };
    char value[24] = "";

    cr_expect_eq(iio_channel_parse(channel, row->text, &quantity), row->result, "%s", row->text);
    if (row->result == 0)
        (void)quantity_render_value(&quantity, value, sizeof(value));
    cr_expect_str_eq(value, row->value, "%s of %s", row->text, row->file);
    cr_expect_str_eq(quantity.key, row->result == 0 ? channel->key : "");
}

Test(iio_channel, failed_reads_have_words_and_absence_has_none) {
    cr_expect_str_eq(iio_error_word(ETIMEDOUT), "timeout");
    cr_expect_str_eq(iio_error_word(EIO), "io");
    cr_expect_str_eq(iio_error_word(EAGAIN), "clock");
    cr_expect_str_eq(iio_error_word(EREMOTEIO), "io");
    cr_expect_null(iio_error_word(ENODEV));
    cr_expect_null(iio_error_word(EACCES));
}

Test(iio_channel, dht11_s_driver_that_answers_before_it_can_have_asked_repeats_itself) {
    struct reading reading = { .count = 0 };

    cr_expect_str_eq(iio_answer_fault("dht11@4", &reading, 120), "repeated");
    cr_expect_str_eq(iio_answer_fault("dht11", &reading, 14999), "repeated");
    cr_expect_null(iio_answer_fault("dht11@4", &reading, 18000));
    cr_expect_null(iio_answer_fault("bme280", &reading, 120));
    cr_expect_null(iio_answer_fault("", &reading, 120));
}

Test(iio_channel, humidity_above_saturation_is_none_of_a_dht11_s) {
    static const struct quantity full = { "rh", 1000, 1 };
    static const struct quantity more = { "rh", 1001, 1 };
    struct reading reading = { .count = 0 };

    cr_assert_eq(reading_add(&reading, &full), 0);
    cr_expect_null(iio_answer_fault("dht11", &reading, 18000));
    reading.quantities[0] = more;
    cr_expect_str_eq(iio_answer_fault("dht11", &reading, 18000), "range");
    cr_expect_null(iio_answer_fault("bme280", &reading, 18000));
}
