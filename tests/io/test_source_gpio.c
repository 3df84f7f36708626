/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "core/dht11_bytes.h"
#include "folder.h"
#include "serial_pty.h"
#include "source_rig.h"

/*
 * A GPIO chip: ioctl here stands before the C library's. A line's events go through a pipe, so that
 * the daemon's read is a real one.
 */
enum { LINES = 8, LINE = 4, EVENTS = 600, US = 1000 };

static struct {
    int events_fd; /* where the kernel puts them */
    bool is_output;
    bool has_edges;
    bool is_high;
    bool is_watched;   /* a test runs: nobody may sleep */
    bool has_bias;     /* the chip can pull up */
    int request_error; /* of the next requests */
    int config_error;  /* of the next configurations */
    bool is_taken;
    bool is_dead; /* the pipe is not fed */

    /* what the sensor does when the line is let go */
    uint64_t falls_us[EVENTS];
    size_t falls;

    unsigned requests;
    unsigned pulls;
    unsigned let_goes;
    uint64_t pulled_ms;
    uint64_t least_gap_ms; /* between two questions, real time */
    uint64_t longest_pull_ms;
} kernel;

static void describe_chip(struct gpiochip_info *info) {
    *info = (struct gpiochip_info){ .name = "gpiochip0", .label = "pinctrl-test", .lines = LINES };
}

static int describe_line(struct gpio_v2_line_info *info) {
    unsigned offset = info->offset;

    *info = (struct gpio_v2_line_info){ .offset = offset };
    (void)snprintf(info->name, sizeof(info->name), "GPIO%u", offset);
    if (kernel.is_taken) {
        info->flags = GPIO_V2_LINE_FLAG_USED;
        (void)snprintf(info->consumer, sizeof(info->consumer), "button");
    }
    return 0;
}

static int refuse(int error) {
    errno = error;
    return -1;
}

static int request_line(struct gpio_v2_line_request *request) {
    int ends[2];

    if (kernel.is_taken)
        return refuse(EBUSY);
    if (kernel.request_error)
        return refuse(kernel.request_error);
    if (!kernel.has_bias && request->config.flags & GPIO_V2_LINE_FLAG_BIAS_PULL_UP)
        return refuse(EINVAL);
    cr_assert_eq(request->num_lines, 1);
    cr_assert_eq(request->offsets[0], LINE);
    cr_assert_geq(request->event_buffer_size, 128);
    cr_assert_str_eq(request->consumer, "sensorgw");
    if (kernel.events_fd >= 0)
        (void)close(kernel.events_fd);
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    request->fd = ends[0];
    kernel.events_fd = ends[1];
    kernel.requests++;
    kernel.has_edges = kernel.is_output = false;
    return 0;
}

static void put_events(void) {
    for (size_t i = 0; i < kernel.falls; i++) {
        struct gpio_v2_line_event event = { .timestamp_ns = kernel.falls_us[i] * US,
                                            .id = GPIO_V2_LINE_EVENT_FALLING_EDGE,
                                            .offset = LINE };

        cr_assert_eq(write(kernel.events_fd, &event, sizeof(event)), (ssize_t)sizeof(event));
    }
}

static void note_pull(void) {
    uint64_t now_ms = real_ms();

    if (kernel.pulls++ > 0 && now_ms - kernel.pulled_ms < kernel.least_gap_ms)
        kernel.least_gap_ms = now_ms - kernel.pulled_ms;
    kernel.pulled_ms = now_ms;
}

static int configure_line(const struct gpio_v2_line_config *config) {
    bool was_output = kernel.is_output;

    if (kernel.config_error)
        return refuse(kernel.config_error);
    kernel.is_output = config->flags & GPIO_V2_LINE_FLAG_OUTPUT;
    kernel.has_edges = config->flags & GPIO_V2_LINE_FLAG_EDGE_FALLING;
    cr_assert_not(config->flags & GPIO_V2_LINE_FLAG_EDGE_RISING);
    if (kernel.is_output)
        note_pull();
    if (was_output && kernel.has_edges) {
        kernel.let_goes++;
        if (real_ms() - kernel.pulled_ms > kernel.longest_pull_ms)
            kernel.longest_pull_ms = real_ms() - kernel.pulled_ms;
        if (!kernel.is_dead)
            put_events();
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    void *argument;

    va_start(arguments, request);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    switch (request) {
    case GPIO_GET_CHIPINFO_IOCTL:
        describe_chip(argument);
        return 0;
    case GPIO_V2_GET_LINEINFO_IOCTL:
        return describe_line(argument);
    case GPIO_V2_GET_LINE_IOCTL:
        return request_line(argument);
    case GPIO_V2_LINE_GET_VALUES_IOCTL:
        ((struct gpio_v2_line_values *)argument)->bits = kernel.is_high;
        return 0;
    case GPIO_V2_LINE_SET_CONFIG_IOCTL:
        return configure_line(argument);
    default:
        return (int)syscall(SYS_ioctl, fd, request, argument);
    }
}

/* Nobody sleeps on the loop; what runs the tests may. */
static bool has_begun;

int nanosleep(const struct timespec *time, struct timespec *rest) {
    if (has_begun)
        abort();
    return (int)syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, time, rest);
}

int usleep(useconds_t us) {
    const struct timespec time = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };

    return nanosleep(&time, NULL);
}

/* ---- the sensor ---- */

static void answer_with(const uint8_t raw[DHT11_BYTES]) {
    uint64_t at_us = 1000000;

    kernel.falls = 0;
    kernel.falls_us[kernel.falls++] = at_us;
    at_us += 160;
    kernel.falls_us[kernel.falls++] = at_us;
    for (size_t bit = 0; bit < DHT11_BITS; bit++) {
        at_us += raw[bit / 8] & 0x80 >> bit % 8 ? 120 : 76;
        kernel.falls_us[kernel.falls++] = at_us;
    }
}

static const uint8_t warm[DHT11_BYTES] = { 0x2d, 0x00, 0x15, 0x05, 0x47 };
static const uint8_t garbled[DHT11_BYTES] = { 0x2d, 0x00, 0x15, 0x05, 0x48 };
static const uint8_t dht22[DHT11_BYTES] = { 0x02, 0x8c, 0x01, 0x5f, 0xee };

static struct rig rig_on_line(const char *line) {
    const char *chip = folder_file("gpiochip0");

    folder_write(chip, "", 0);
    memset(&kernel, 0, sizeof(kernel));
    kernel.events_fd = -1;
    kernel.is_high = kernel.has_bias = kernel.is_watched = true;
    kernel.least_gap_ms = UINT64_MAX;
    answer_with(warm);
    return (struct rig){ .settings = { { .name = "kitchen",
                                         .driver = "gpio",
                                         .place = "gpio:pinctrl-test:4",
                                         .chip = chip,
                                         .line = line,
                                         .model = "dht11",
                                         .interval_us = 2500000 } } };
}

static struct rig new_rig(void) {
    return rig_on_line("4");
}

static void make_folder(void) {
    folder_make();
    has_begun = true;
}

TestSuite(source_gpio, .init = make_folder, .fini = folder_remove);

Test(source_gpio, readings_arrive_with_name_and_time) {
    struct rig rig = new_rig();
    uint64_t before_us;

    begin(&rig, 1);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &before_us);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_str_eq(rig.readings[0].sensor, "kitchen");
    cr_assert_geq(rig.readings[0].taken_us, before_us);
    cr_assert_gt(rig.readings[1].taken_us, rig.readings[0].taken_us + 1500000);
    cr_assert_eq(rig.readings[0].count, 2);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->scaled, 215);
    cr_assert_eq(reading_find(&rig.readings[0], "humidity")->scaled, 450);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    cr_assert_str_eq(status_of(&rig).sensors[0].device, "gpio:pinctrl-test:4");
    end(&rig);
}

/* It answers with what it measured when it was asked before. */
Test(source_gpio, first_answer_after_a_pause_is_thrown_away) {
    struct rig rig = new_rig();

    rig.settings[0].interval_us = 20000000;
    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(kernel.pulls, 2);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_eq(kernel.pulls, 4);
    cr_assert_geq(kernel.least_gap_ms, 2000 / FAST - 5);
    end(&rig);
}

Test(source_gpio, line_is_one_request_and_rests_between_questions) {
    struct rig rig = new_rig();

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 3);
    cr_assert_eq(kernel.requests, 1);
    cr_assert_eq(kernel.pulls, kernel.let_goes);
    cr_assert_not(kernel.is_output);
    cr_assert_not(kernel.has_edges);
    end(&rig);
}

Test(source_gpio, a_question_wakes_the_loop_three_times) {
    struct rig rig = new_rig();
    uint64_t before;
    uint64_t after;

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_geq(sd_event_get_iteration(rig.loop, &before), 0);
    while (rig.count < 11)
        cr_assert_geq(sd_event_run(rig.loop, 10000000), 0);
    cr_assert_geq(sd_event_get_iteration(rig.loop, &after), 0);
    cr_assert_leq(after - before, 45, "%u turns for ten", (unsigned)(after - before));
    end(&rig);
}

Test(source_gpio, line_is_found_by_its_name) {
    struct rig rig = rig_on_line("GPIO4");

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    end(&rig);
}

Test(source_gpio, chip_without_pull_ups_does) {
    struct rig rig = new_rig();

    kernel.has_bias = false;
    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    end(&rig);
}

Test(source_gpio, dht22_is_read_where_it_is_expected) {
    struct rig rig = new_rig();

    rig.settings[0].model = "dht22";
    answer_with(dht22);
    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->scaled, 351);
    cr_assert_eq(reading_find(&rig.readings[0], "humidity")->scaled, 652);
    end(&rig);
}

/* ---- failed reads ---- */

static uint64_t failures_of(const struct rig *rig, const char *word) {
    const struct status status = status_of(rig);
    const struct sensor *sensor = status.sensors[0].sensor;

    for (size_t i = 0; i < SENSOR_FAILURES; i++)
        if (strcmp(sensor->failures[i].word, word) == 0)
            return sensor->failures[i].count;
    return 0;
}

/* Three in a row are said, once, and the first good one ends it as loudly. */
static void expect_failure(struct rig *rig, const char *word, const char *said) {
    begin(rig, 1);
    WAIT_FOR(rig, state_of(rig, 0) == SENSOR_FAILING);
    cr_assert_eq(cause_of(rig, 0), CAUSE_SENSOR_FAILING);
    cr_assert_eq(failures_of(rig, word), SENSOR_PATIENCE, "%s", word);
    run_for(rig, 10000);
    cr_assert_eq(rig->count, 0);
    cr_assert_eq(entries_with("sensor-failing"), 1);
    cr_assert_eq(entries_saying(said), 1, "%s", entries[0].message);
    kernel.is_dead = false;
    kernel.is_high = true;
    answer_with(warm);
    WAIT_FOR(rig, state_of(rig, 0) == SENSOR_OK);
    cr_assert_eq(entries[entry_count - 1].priority, LOG_WARNING);
    end(rig);
}

Test(source_gpio, sensor_that_says_nothing) {
    struct rig rig = new_rig();

    kernel.is_dead = true;
    expect_failure(&rig, "noresp", "does not answer");
}

Test(source_gpio, answer_that_breaks_off) {
    struct rig rig = new_rig();

    kernel.falls = 17;
    expect_failure(&rig, "short", "17 of 42 edges");
}

Test(source_gpio, answer_that_is_garbled) {
    struct rig rig = new_rig();

    answer_with(garbled);
    expect_failure(&rig, "cksum", "garbled");
}

Test(source_gpio, dht22_in_a_dht11_s_place_is_recognised) {
    struct rig rig = new_rig();

    answer_with(dht22);
    expect_failure(&rig, "range", "as a DHT22 gives them");
}

Test(source_gpio, line_that_is_held_low_is_not_asked) {
    struct rig rig = new_rig();

    kernel.is_high = false;
    expect_failure(&rig, "stuck", "held low");
}

Test(source_gpio, more_edges_than_the_kernel_keeps_are_no_reading) {
    struct rig rig = new_rig();

    for (kernel.falls = 0; kernel.falls < EVENTS; kernel.falls++)
        kernel.falls_us[kernel.falls] = 1000 + 31 * kernel.falls;
    expect_failure(&rig, "cksum", "256 of 42 edges");
}

Test(source_gpio, failed_read_is_tried_again_and_then_waits_for_its_turn) {
    struct rig rig = new_rig();

    rig.settings[0].interval_us = 60000000;
    kernel.is_dead = true;
    begin(&rig, 1);
    run_for(&rig, 40000);
    cr_assert_eq(kernel.pulls, 4);
    WAIT_FOR(&rig, kernel.pulls == 8);
    cr_assert_geq(kernel.least_gap_ms, 2000 / FAST - 5);
    end(&rig);
}

Test(source_gpio, what_was_lost_before_a_question_does_not_mix_with_its_answer) {
    struct rig rig = new_rig();

    kernel.falls = 17;
    begin(&rig, 1);
    WAIT_FOR(&rig, failures_of(&rig, "short") == 1);
    answer_with(warm);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(failures_of(&rig, "short"), 1);
    end(&rig);
}

/* ---- lines that are not to be had ---- */

Test(source_gpio, chip_that_is_not_there_is_said_once_and_looked_for) {
    struct rig rig = new_rig();

    rig.settings[0].chip = folder_file("gpiochip9");
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    run_for(&rig, 5000);
    cr_assert_eq(entries_with("device-absent"), 1);
    folder_write(rig.settings[0].chip, "", 0);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    end(&rig);
}

Test(source_gpio, label_that_no_chip_bears) {
    struct rig rig = new_rig();

    rig.settings[0].chip = "pinctrl-nobody";
    begin(&rig, 1);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_ABSENT);
    end(&rig);
}

Test(source_gpio, line_that_the_chip_has_not) {
    struct rig rig = rig_on_line("8");

    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    end(&rig);
    rig = rig_on_line("GPIO8");
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    end(&rig);
}

Test(source_gpio, line_that_another_has_is_busy_until_it_is_let_go) {
    struct rig rig = new_rig();

    kernel.is_taken = true;
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_BUSY);
    run_for(&rig, 3000);
    cr_assert_eq(entries_with("device-busy"), 1);
    kernel.is_taken = false;
    WAIT_FOR(&rig, rig.count == 1);
    end(&rig);
}

Test(source_gpio, denied_chip_is_said_after_five_seconds) {
    struct rig rig = new_rig();
    uint64_t begun_us;
    uint64_t said_us;

    kernel.request_error = EPERM;
    begin(&rig, 1);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &begun_us);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_DENIED);
    (void)sd_event_now(rig.loop, CLOCK_BOOTTIME, &said_us);
    cr_assert_geq(said_us - begun_us, 5000000);
    run_for(&rig, 3000);
    cr_assert_eq(entry_count, 1);
    end(&rig);
}

Test(source_gpio, chip_that_goes_away_is_lost_and_found_again) {
    struct rig rig = new_rig();
    unsigned requests;

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    kernel.config_error = kernel.request_error = ENODEV;
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_ABSENT);
    cr_assert_eq(cause_of(&rig, 0), CAUSE_DEVICE_LOST);
    run_for(&rig, 5000);
    cr_assert_eq(cause_of(&rig, 0), CAUSE_DEVICE_LOST);
    cr_assert_eq(entries_with("device-lost"), 1);
    requests = kernel.requests;
    kernel.config_error = kernel.request_error = 0;
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_OK);
    cr_assert_eq(kernel.requests, requests + 1);
    end(&rig);
}

/* ---- its life ---- */

Test(source_gpio, equal_settings_keep_the_line_and_others_do_not) {
    struct rig rig = new_rig();
    struct source_settings again = rig.settings[0];
    struct sources_settings settings = { &again, 1 };
    unsigned files;

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    files = folder_open_files();
    cr_assert_eq(sources_reload(rig.sources, &settings), 0);
    memset(&rig.settings[0], 0, sizeof(rig.settings[0]));
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_eq(kernel.requests, 1);

    rig.settings[0] = again;
    rig.settings[0].interval_us = 3000000;
    settings.sources = rig.settings;
    cr_assert_eq(sources_reload(rig.sources, &settings), 0);
    WAIT_FOR(&rig, rig.count == 3);
    cr_assert_eq(kernel.requests, 2);
    cr_assert_eq(folder_open_files(), files);
    end(&rig);
}

Test(source_gpio, may_be_ended_in_the_middle_of_a_question) {
    for (unsigned wanted = 1; wanted <= 3; wanted++) {
        struct rig rig = new_rig();

        begin(&rig, 1);
        WAIT_FOR(&rig, kernel.pulls + kernel.let_goes == wanted);
        end(&rig);
    }
}

Test(source_gpio, thinned_readings_are_counted_and_the_last_is_published_at_the_end) {
    struct rig rig = new_rig();

    rig.settings[0].rules.publish_us = 3600000000;
    begin(&rig, 1);
    WAIT_FOR(&rig, status_of(&rig).sensors[0].sensor->conditioning.thinned == 3);
    cr_assert_eq(rig.count, 1);
    end(&rig);
    cr_assert_eq(rig.count, 2);
    cr_assert_gt(rig.readings[1].taken_us, rig.readings[0].taken_us + 7000000);
}

Test(source_gpio, readings_outside_their_limits_are_not_published) {
    static const uint8_t hot[DHT11_BYTES] = { 0x2d, 0x00, 0x3c, 0x00, 0x69 };
    static const struct quantity_limits limits[] = { { "temperature", -10000, 59900 } };
    struct rig rig = new_rig();

    rig.settings[0].rules = (struct conditioning_rules){ .limits = limits, .limit_count = 1 };
    answer_with(hot);
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_SENSOR_RANGE);
    cr_assert_eq(rig.count, 0);
    cr_assert_eq(status_of(&rig).sensors[0].sensor->out_of_range, 3);
    cr_assert_eq(entries_saying("temperature 60.0 is outside its limits, -10 to 59.9"), 1);
    answer_with(warm);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_OK);
    end(&rig);
}

/* ---- beside others ---- */

static void make_device(const char *folder) {
    cr_assert_eq(mkdir(folder, 0755), 0);
    folder_write(folder_file("iio/in_temp_input"), "19000\n", 6);
}

static size_t readings_of(const struct rig *rig, const char *name) {
    size_t count = 0;

    for (size_t i = 0; i < rig->count && i < READINGS; i++)
        count += strcmp(rig->readings[i].sensor, name) == 0;
    return count;
}

/* Each fails alone, in its own way, while the other two are published. */
Test(source_gpio, board_line_and_kernel_s_sensor_are_read_side_by_side, .timeout = 60) {
    struct rig rig = new_rig();
    struct pty pty = pty_new();
    const char *folder = folder_file("iio");
    unsigned sequence = 0;

#define GOES_ON(condition)                                                                  \
    do {                                                                                    \
        uint64_t until_ms_ = real_ms() + PATIENCE_MS;                                       \
        rig.count = 0;                                                                      \
        while (!(condition)) {                                                              \
            if (pty.master >= 0 && sequence++ % 20 == 0)                                    \
                pty_send(&pty, "SGW1,R,1,%u,%u,rh=45.0,t=21.5", sequence, sequence * 2000); \
            turn(&rig);                                                                     \
            cr_assert_lt(real_ms(), until_ms_, "waited in vain for " #condition);           \
        }                                                                                   \
    } while (0)

    make_device(folder);
    rig.settings[1] = (struct source_settings){
        .name = "cellar", .driver = "serial", .device = pty.path, .baud = 115200
    };
    rig.settings[2] = (struct source_settings){
        .name = "loft", .driver = "iio", .place = folder, .device = folder, .interval_us = 2500000
    };
    begin(&rig, 3);
    GOES_ON(readings_of(&rig, "kitchen") && readings_of(&rig, "cellar") &&
            readings_of(&rig, "loft"));
    for (size_t i = 0; i < 3; i++)
        cr_assert_eq(state_of(&rig, i), SENSOR_OK);

    kernel.is_dead = true;
    GOES_ON(state_of(&rig, 0) == SENSOR_FAILING);
    GOES_ON(readings_of(&rig, "cellar") && readings_of(&rig, "loft"));
    cr_assert_eq(readings_of(&rig, "kitchen"), 0);
    kernel.is_dead = false;

    cr_assert_eq(rename(folder, folder_file("gone")), 0);
    GOES_ON(cause_of(&rig, 2) == CAUSE_DEVICE_LOST);
    GOES_ON(readings_of(&rig, "cellar") && readings_of(&rig, "kitchen"));
    cr_assert_eq(readings_of(&rig, "loft"), 0);
    cr_assert_eq(rename(folder_file("gone"), folder), 0);

    pty_unplug(&pty);
    GOES_ON(cause_of(&rig, 1) == CAUSE_DEVICE_LOST);
    GOES_ON(readings_of(&rig, "kitchen") && readings_of(&rig, "loft"));
    GOES_ON(state_of(&rig, 0) == SENSOR_OK && state_of(&rig, 2) == SENSOR_OK);
    end(&rig);
}
