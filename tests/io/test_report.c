/* SPDX-License-Identifier: MIT */
#include "io/report.h"

#include <cjson/cJSON.h>
#include <criterion/criterion.h>

#include "io/loop.h"

#include "folder.h"
#include "own_time.h"

static const int64_t second_us = 1000000;

static sd_event *loop;
static struct report_settings settings;
static struct report *report;
static struct status status;
static struct sensor sensor;
static unsigned published;

static void collect(struct status *ret, void *userdata) {
    *ret = status;
    ret->now_us = loop_now_us();
}

static void publish(void *userdata) {
    published++;
}

static void set_up(void) {
    folder_make();
    (void)unsetenv("NOTIFY_SOCKET");
    settings = (struct report_settings){
        .path = folder_file("state.json"),
        .interval_us = (uint64_t)(60 * second_us),
    };
    sensor_init(&sensor, "kitchen");
    status = (struct status){
        .gateway = "kitchen-pi",
        .started_us = loop_now_us(),
        .link = { .state = UPLINK_ONLINE,
                  .broker = "broker.lan:8883",
                  .tls = "TLSv1.3",
                  .cipher = "TLS_AES_256_GCM_SHA384",
                  .has_certificate = true,
                  .certificate_days_left = -3,
                  .published = 7 },
        .spool = { .accepted = 10, .waiting = 3, .dropped = 2, .clock_synchronised = true },
        .sensor_count = 1,
        .sensors = { { .sensor = &sensor, .device = "/dev/ttyACM0", .node = 5 } },
    };
    cr_assert_eq(sd_event_new(&loop), 0);
}

static void tear_down(void) {
    report = report_free(report);
    loop = sd_event_unref(loop);
    folder_remove();
}

TestSuite(report, .init = set_up, .fini = tear_down, .timeout = 30);

static void turn(void) {
    while (sd_event_run(loop, 0) > 0)
        continue;
}

static void start(void) {
    static const struct report_calls calls = { collect, publish, NULL };

    cr_assert_eq(report_new(loop, &settings, &calls, &report), 0);
    turn();
}

/* The state, to be deleted. */
static cJSON *rendered(void) {
    char *text = report_render(report);
    cJSON *state = cJSON_Parse(text);

    cr_assert_not_null(state, "%s", text);
    free(text);
    return state;
}

static cJSON *in_file(void) {
    char text[16 * 1024];
    cJSON *state;

    (void)folder_read(settings.path, text, sizeof(text));
    state = cJSON_Parse(text);
    cr_assert_not_null(state, "%s", text);
    return state;
}

static void expect_text(const cJSON *object, const char *name, const char *expected) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    cr_expect_str_eq(text ? text : "(none)", expected, "%s", name);
}

static void expect_number(const cJSON *object, const char *name, double expected) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    cr_assert(cJSON_IsNumber(item), "%s is not there", name);
    cr_expect_float_eq(item->valuedouble, expected, 0.5, "%s is %f", name, item->valuedouble);
}

static void give_reading(const char *quantities) {
    sensor.has_reading = true;
    sensor.state = SENSOR_OK;
    sensor.last = (struct reading){ .taken_us = loop_now_us() };
    cr_assert_eq(reading_parse(quantities, &sensor.last), 0);
}

/* ---- what it says ---- */

Test(report, tells_how_the_link_and_the_spool_are) {
    cJSON *state;

    start();
    state = rendered();
    expect_text(state, "state", "online");
    expect_text(state, "gateway", "kitchen-pi");
    expect_text(state, "broker", "broker.lan:8883");
    expect_text(state, "tls", "TLSv1.3");
    expect_text(state, "cipher", "TLS_AES_256_GCM_SHA384");
    expect_text(state, "clock", "synchronised");
    expect_number(state, "certificate_days_left", -3);
    expect_number(state, "accepted", 10);
    expect_number(state, "published", 7);
    expect_number(state, "waiting", 3);
    expect_number(state, "dropped", 2);
    cr_expect_null(cJSON_GetObjectItem(state, "cause"));
    cr_expect_null(cJSON_GetObjectItem(state, "pid"), "nobody else's business");
    cJSON_Delete(state);
}

Test(report, tells_why_it_is_not_online_and_when_it_tries_again) {
    cJSON *state;

    start();
    status.link.state = UPLINK_WAITING;
    status.link.cause = CAUSE_UNTRUSTED_CA;
    status.link.next_attempt_us = loop_now_us() + (uint64_t)(40 * second_us);
    (void)snprintf(status.link.sentence, sizeof(status.link.sentence), "a \"quoted\" sentence");
    state = rendered();
    expect_text(state, "cause", "untrusted-ca");
    expect_text(state, "reason", "a \"quoted\" sentence");
    expect_number(state, "next_attempt_s", 40);
    cJSON_Delete(state);
}

Test(report, tells_the_last_values_with_the_digits_that_the_sensor_gave) {
    cJSON *state;
    char *text;

    start();
    give_reading("t=-0.5,rh=45.0,x9=3");
    text = report_render(report);
    cr_expect_not_null(strstr(text, "\"temperature\":-0.5,\"humidity\":45.0,\"x9\":3}"), "%s",
                       text);
    free(text);
    own_time_skip(90 * second_us);
    state = rendered();
    expect_number(cJSON_GetObjectItem(cJSON_GetObjectItem(state, "sensors"), "kitchen"), "age_s",
                  90);
    cJSON_Delete(state);
}

Test(report, tells_of_each_sensor) {
    cJSON *state;
    const cJSON *kitchen;

    start();
    sensor.state = SENSOR_ABSENT;
    sensor.cause = CAUSE_DEVICE_ABSENT;
    state = rendered();
    kitchen = cJSON_GetObjectItem(cJSON_GetObjectItem(state, "sensors"), "kitchen");
    expect_text(kitchen, "state", "absent");
    expect_text(kitchen, "cause", "device-absent");
    expect_text(kitchen, "device", "/dev/ttyACM0");
    expect_number(kitchen, "node", 5);
    cr_expect_null(cJSON_GetObjectItem(kitchen, "last"));
    cJSON_Delete(state);
}

/* ---- the file ---- */

Test(report, writes_its_file_at_once_and_takes_it_away) {
    cJSON *state;

    start();
    state = in_file();
    expect_text(state, "gateway", "kitchen-pi");
    expect_number(state, "pid", getpid());
    cJSON_Delete(state);
    report = report_free(report);
    cr_expect_neq(access(settings.path, F_OK), 0);
    cr_expect_neq(access(folder_file("state.json.new"), F_OK), 0);
}

Test(report, goes_on_without_a_file_that_it_cannot_write) {
    settings.path = folder_file("absent/state.json");
    start();
    cr_expect_eq(published, 1);
    report_changed(report);
    own_time_skip(2 * second_us);
    turn();
    cr_expect_eq(published, 2);
}

Test(report, a_reader_never_finds_half_of_it) {
    start();
    for (unsigned i = 0; i < 50; i++) {
        cJSON *state;

        status.spool.waiting = i;
        own_time_skip(2 * second_us);
        report_refresh(report);
        state = in_file();
        expect_number(state, "waiting", i);
        cJSON_Delete(state);
    }
    cr_expect_eq(published, 1, "a reading is no news for the state topic");
}

/* ---- when ---- */

Test(report, tells_everyone_in_each_interval) {
    start();
    cr_expect_eq(published, 1);
    for (unsigned i = 0; i < 5; i++) {
        own_time_skip(60 * second_us);
        turn();
    }
    cr_expect_eq(published, 6);
}

Test(report, a_change_is_told_soon_and_many_are_told_once) {
    start();
    for (unsigned i = 0; i < 100; i++)
        report_changed(report);
    turn();
    cr_expect_eq(published, 1, "at most once a second");
    own_time_skip(1100 * 1000);
    turn();
    cr_expect_eq(published, 2);
    own_time_skip(10 * second_us);
    turn();
    cr_expect_eq(published, 2, "and no more than that");
    report_changed(report);
    turn();
    cr_expect_eq(published, 3, "after a rest it is told at once");
}

Test(report, takes_another_interval) {
    start();
    report_change(report, (uint64_t)(5 * second_us));
    own_time_skip(2 * second_us);
    turn();
    published = 0;
    own_time_skip(5 * second_us + 100000);
    turn();
    cr_expect_eq(published, 1);
}

Test(report, its_file_is_where_systemd_made_room) {
    char path[64];

    (void)setenv("RUNTIME_DIRECTORY", "/run/other", 1);
    cr_expect_eq(report_default_path(path, sizeof(path)), (int)strlen("/run/other/state.json"));
    cr_expect_str_eq(path, "/run/other/state.json");
    (void)unsetenv("RUNTIME_DIRECTORY");
    cr_expect_gt(report_default_path(path, sizeof(path)), 0);
    cr_expect_str_eq(path, "/run/sensorgw/state.json");
    cr_expect_lt(report_default_path(path, 10), 0);
}
