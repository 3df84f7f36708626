/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>

#include "folder.h"
#include "io/probe.h"
#include "source_rig.h"
#include "threads.h"

/* The kernel's folder of devices is one of the test's own, with iio:device0 in it. */
static const char *device;

static void make_device(void) {
    folder_make();
    probe_iio_devices = folder_path;
    device = folder_file("iio:device0");
    cr_assert_eq(mkdir(device, 0755), 0);
}

static void give(const char *file, const char *text) {
    const char *path = folder_file("iio:device0/x");
    char whole[FOLDER_PATH_SIZE + 64];

    (void)snprintf(whole, sizeof(whole), "%.*s%s", (int)strlen(path) - 1, path, file);
    (void)unlink(whole);
    if (text)
        folder_write(whole, text, strlen(text));
}

static struct rig new_rig(const char *name) {
    give("name", "bme280\n");
    give("in_temp_input", "21500\n");
    give("in_humidityrelative_input", "45000\n");
    return (struct rig){ .settings = { { .name = "cellar",
                                         .driver = "iio",
                                         .place = "iio:cellar",
                                         .device = name,
                                         .interval_us = 2500000 } } };
}

TestSuite(source_iio, .init = make_device, .fini = folder_remove);

static void expect_values(const char *name) {
    struct rig rig = new_rig(name ? name : device);

    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 2);
    cr_assert_str_eq(rig.readings[0].sensor, "cellar");
    cr_assert_eq(rig.readings[0].count, 2);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->scaled, 215);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->decimals, 1);
    cr_assert_eq(reading_find(&rig.readings[0], "humidity")->scaled, 450);
    cr_assert_eq(state_of(&rig, 0), SENSOR_OK);
    end(&rig);
}

Test(source_iio, is_found_by_its_chip_s_name) {
    expect_values("bme280");
}

Test(source_iio, is_found_by_its_folder_s_name) {
    expect_values("iio:device0");
}

Test(source_iio, is_found_by_its_path) {
    expect_values(NULL);
}

Test(source_iio, a_bme280_gives_pressure_too) {
    struct rig rig = new_rig("iio:device0");

    give("in_temp_input", "21540\n");
    give("in_humidityrelative_input", "45123\n");
    give("in_pressure_input", "101.325000000\n");
    begin(&rig, 1);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(rig.readings[0].count, 3);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->scaled, 2154);
    cr_assert_eq(reading_find(&rig.readings[0], "humidity")->scaled, 45123);
    cr_assert_eq(reading_find(&rig.readings[0], "pressure")->scaled, 101325);
    cr_assert_eq(reading_find(&rig.readings[0], "pressure")->decimals, 2);
    end(&rig);
}

Test(source_iio, device_that_is_not_there_is_said_once_and_looked_for) {
    struct rig rig = new_rig("iio:device1");

    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_ABSENT);
    run_for(&rig, 5000);
    cr_assert_eq(entries_with("device-absent"), 1);
    cr_assert_eq(rename(device, folder_file("iio:device1")), 0);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(rename(folder_file("iio:device1"), device), 0);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_DEVICE_LOST);
    end(&rig);
}

/* Reading the first page of one's own memory fails as a driver that cannot decode does: EIO. */
Test(source_iio, the_decimals_trap_is_named_with_its_cure) {
    struct rig rig = new_rig("iio:device0");
    const char *path = folder_file("iio:device0/in_temp_input");

    give("in_temp_input", NULL);
    cr_assert_eq(symlink("/proc/self/mem", path), 0);
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_SENSOR_FAILING);
    cr_assert_eq(rig.count, 0);
    cr_assert_eq(entries_saying("gives tenths, which the driver of Debian's kernels refuses"), 1);
    cr_assert_str_eq(status_of(&rig).sensors[0].sensor->last_error, "io");
    give("in_temp_input", "20000\n");
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_OK);
    end(&rig);
}

/* The kernel's driver asks a DHT11 for 18 ms: these files answer at once. */
Test(source_iio, what_the_driver_of_the_dht11_repeats_is_a_failed_read) {
    struct rig rig = new_rig("iio:device0");

    give("name", "dht11@4\n");
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_SENSOR_FAILING);
    cr_assert_eq(rig.count, 0);
    cr_assert_str_eq(status_of(&rig).sensors[0].sensor->last_error, "repeated");
    cr_assert_eq(entries_saying("repeated an answer"), 1);
    cr_assert_eq(entries_saying("(repeated on iio:cellar, 45.0 % after "), 1);
    end(&rig);
}

/* Some answer with what they measured when they were asked before. */
Test(source_iio, first_answer_after_a_pause_is_thrown_away) {
    struct rig rig = new_rig("iio:device0");
    const char *path = folder_file("iio:device0/in_temp_input");
    int first = -1;

    rig.settings[0].interval_us = 20000000;
    give("in_temp_input", NULL);
    cr_assert_eq(mkfifo(path, 0644), 0);
    begin(&rig, 1);
    WAIT_FOR(&rig, (first = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) >= 0);
    give("in_temp_input", "21500\n"); /* whatever is asked after this one */
    cr_assert_eq(write(first, "10000\n", 6), 6);
    (void)close(first);
    WAIT_FOR(&rig, rig.count == 1);
    cr_assert_eq(reading_find(&rig.readings[0], "temperature")->scaled, 215);
    end(&rig);
}

Test(source_iio, what_is_no_value_is_a_failed_read) {
    struct rig rig = new_rig("iio:device0");

    give("in_temp_input", "warm\n");
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_SENSOR_FAILING);
    cr_assert_str_eq(status_of(&rig).sensors[0].sensor->last_error, "value");
    end(&rig);
}

Test(source_iio, device_without_any_channel_is_named_so) {
    struct rig rig = new_rig("iio:device0");

    give("in_temp_input", NULL);
    give("in_humidityrelative_input", NULL);
    begin(&rig, 1);
    WAIT_FOR(&rig, cause_of(&rig, 0) == CAUSE_SENSOR_FAILING);
    cr_assert_eq(entries_saying("measures nothing that is published"), 1);
    end(&rig);
}

/* A driver may hang with its bus: the loop turns, it is said, and nobody asks again meanwhile. */
Test(source_iio, driver_that_hangs_holds_up_nobody) {
    struct rig rig = new_rig("iio:device0");
    const char *path = folder_file("iio:device0/in_temp_input");
    uint64_t longest_ms = 0;
    int end_of_it;

    give("in_temp_input", NULL);
    cr_assert_eq(mkfifo(path, 0644), 0);
    begin(&rig, 1);
    for (uint64_t until_ms = real_ms() + 15000 / FAST; real_ms() < until_ms;) {
        uint64_t before_ms = real_ms();

        cr_assert_geq(sd_event_run(rig.loop, 1000), 0);
        if (real_ms() - before_ms > longest_ms)
            longest_ms = real_ms() - before_ms;
    }
    cr_assert_lt(longest_ms, 500);
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_SILENT);
    run_for(&rig, 30000);
    cr_assert_eq(entries_with("node-silent"), 1);
    end_of_it = open(path, O_RDWR | O_CLOEXEC);
    cr_assert_eq(write(end_of_it, "20000\n", 6), 6);
    give("in_temp_input", "20000\n");
    WAIT_FOR(&rig, state_of(&rig, 0) == SENSOR_OK);
    (void)close(end_of_it);
    end(&rig);
}

Test(source_iio, ending_does_not_wait_for_a_driver_that_hangs) {
    struct rig rig = new_rig("iio:device0");
    const char *path = folder_file("iio:device0/in_temp_input");
    unsigned threads = threads_count();
    uint64_t before_ms;
    int end_of_it;

    give("in_temp_input", NULL);
    cr_assert_eq(mkfifo(path, 0644), 0);
    begin(&rig, 1);
    run_for(&rig, 1000);
    before_ms = real_ms();
    end(&rig);
    cr_assert_lt(real_ms() - before_ms, 500);
    end_of_it = open(path, O_RDWR | O_CLOEXEC); /* lets the thread go */
    cr_assert_eq(write(end_of_it, "20000\n", 6), 6);
    cr_assert(threads_wait_for(threads));
    (void)close(end_of_it);
}
