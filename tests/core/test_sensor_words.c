/* SPDX-License-Identifier: MIT */
#include "core/sensor_words.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <string.h>

static const struct sensor_place place = { .device = "/dev/ttyACM0", .baud = 115200 };

static struct board board_in(enum sensor_state state, enum cause cause) {
    struct board board;

    board_init(&board, 3, "kitchen", 0);
    board.sensor.state = state;
    board.sensor.cause = cause;
    return board;
}

struct row {
    char name[32];
    enum cause cause;
    char says[48];
    char cures[48];
};

ParameterizedTestParameters(sensor_words, port) {
    static struct row rows[] = {
        { "absent", CAUSE_DEVICE_ABSENT, "is not there", "sensorgw ports" },
        { "lost", CAUSE_DEVICE_LOST, "went away", "Plug it in" },
        { "denied", CAUSE_DEVICE_DENIED, "no permission", "dialout" },
        { "busy", CAUSE_DEVICE_BUSY, "another program holds", "sudo sensorgw ports" },
        { "open", CAUSE_NONE, "is open at 115200 baud", "" },
    };

    return cr_make_param_array(struct row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct row *row, sensor_words, port) {
    char text[SENSOR_WORDS_SIZE];
    int n = port_explain(row->cause, "kitchen", &place, text, sizeof(text));

    cr_assert_eq((size_t)n, strlen(text));
    cr_assert_not_null(strstr(text, "kitchen: "), "%s: %s", row->name, text);
    cr_assert_not_null(strstr(text, "/dev/ttyACM0"), "%s: %s", row->name, text);
    cr_assert_not_null(strstr(text, row->says), "%s: %s", row->name, text);
    cr_assert_not_null(strstr(text, row->cures), "%s: %s", row->name, text);
}

Test(sensor_words, silence_names_the_board_and_how_long) {
    struct board board = board_in(SENSOR_SILENT, CAUSE_NODE_SILENT);
    char text[SENSOR_WORDS_SIZE];

    board.hello.interval_ms = 2500;
    (void)board_explain(&board, &place, text, sizeof(text));
    cr_assert_not_null(strstr(text, "board 3"));
    cr_assert_not_null(strstr(text, "for 7.5 s"));
}

Test(sensor_words, silence_with_noise_asks_for_the_speed) {
    const struct sensor_place noisy = { .device = "usb:2341:0043",
                                        .baud = 9600,
                                        .has_noise = true };
    struct board board = board_in(SENSOR_SILENT, CAUSE_NODE_SILENT);
    char text[SENSOR_WORDS_SIZE];

    (void)board_explain(&board, &noisy, text, sizeof(text));
    cr_assert_not_null(strstr(text, "`baud` (9600)"));
}

Test(sensor_words, a_later_format_asks_for_an_upgrade) {
    const struct sensor_place later = { .device = "usb:2341:0043",
                                        .has_noise = true,
                                        .is_later = true };
    struct board board = board_in(SENSOR_SILENT, CAUSE_NODE_SILENT);
    char text[SENSOR_WORDS_SIZE];

    (void)board_explain(&board, &later, text, sizeof(text));
    cr_assert_not_null(strstr(text, "Upgrade sensorgw"));
    cr_assert_null(strstr(text, "baud"));
}

Test(sensor_words, wrong_board_names_both_numbers) {
    struct board board = board_in(SENSOR_WRONG_BOARD, CAUSE_WRONG_BOARD);
    char text[SENSOR_WORDS_SIZE];

    board.another = 7;
    (void)board_explain(&board, &place, text, sizeof(text));
    cr_assert_not_null(strstr(text, "number 7, and number 3 is wanted"));
    cr_assert_not_null(strstr(text, "!node=3"));
}

Test(sensor_words, failing_sensor_is_told_by_its_error) {
    static const char *const errors[] = { "stuck", "noresp", "short", "cksum", "range", "odd" };

    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct board board = board_in(SENSOR_FAILING, CAUSE_SENSOR_FAILING);
        char text[SENSOR_WORDS_SIZE];

        (void)strcpy(board.sensor.last_error, errors[i]);
        (void)board_explain(&board, &place, text, sizeof(text));
        cr_assert_not_null(strstr(text, sensor_error_meaning(errors[i])));
        cr_assert_not_null(strstr(text, sensor_error_cure(errors[i])));
    }
}

Test(sensor_words, longest_names_fit_or_are_cut_with_their_length_right) {
    char device[300];
    char text[SENSOR_WORDS_SIZE];
    const struct sensor_place far = { .device = device, .baud = 115200 };
    struct board board = board_in(SENSOR_DAMAGED, CAUSE_FRAMES_DAMAGED);
    int n;

    memset(device, 'd', sizeof(device) - 1);
    device[sizeof(device) - 1] = '\0';
    n = board_explain(&board, &far, text, sizeof(text));
    cr_assert_eq((size_t)n, strlen(text));
    n = board_explain(&board, &far, text, 16);
    cr_assert_eq(n, 15);
    cr_assert_eq(strlen(text), 15);
}
