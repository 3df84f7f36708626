/* SPDX-License-Identifier: MIT */
#include "io/link.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>

#include "io/loop.h"
#include "io/tls.h"

#include "authority.h"
#include "broker.h"
#include "folder.h"
#include "own_time.h"

static struct authority authority;
static struct tls_settings tls_settings;
static struct tls *tls;
static struct broker_plan plan;
static struct broker *broker;
static struct attempt attempt;
static sd_event *loop;
static struct link *link_of_test;
static struct link_settings settings;

/* What the link told. */
static char events[16]; /* C, S, A, L in their order */
static int acknowledged;
static unsigned idles;

static void on_event(enum link_event event, void *userdata) {
    static const char letters[] = {
        [LINK_CONNECTED] = 'C', [LINK_SECURED] = 'S', [LINK_ACCEPTED] = 'A', [LINK_LOST] = 'L'
    };
    size_t n = strlen(events);

    cr_assert_lt(n, sizeof(events) - 1);
    events[n] = letters[event];
    if (event == LINK_LOST)
        link_of_test = link_free(link_of_test);
}

static void on_acknowledged(int message, void *userdata) {
    acknowledged = message;
}

static void on_idle(void *userdata) {
    idles++;
}

/* A broker and a gateway as they should be; a test changes what it is about. */
static void set_up(void) {
    folder_make();
    authority_make("our CA", &authority);
    tls_settings = (struct tls_settings){
        .ca = folder_file("ca.pem"),
        .certificate = folder_file("gateway.pem"),
        .key = folder_file("gateway.key"),
        .min_version = TLS1_2_VERSION,
        .max_version = TLS1_3_VERSION,
    };
    plan = (struct broker_plan){
        .certificate = folder_file("broker.pem"),
        .key = folder_file("broker.key"),
        .client_ca = tls_settings.ca,
    };
    settings = (struct link_settings){
        .client_id = "sensorgw-kitchen-pi",
        .keepalive_s = 30,
        .window = 100,
    };
    authority_write(&authority, tls_settings.ca);
    authority_issue(&authority,
                    &(struct request){ .common_name = "kitchen-pi", .purpose = "clientAuth" },
                    tls_settings.certificate, tls_settings.key);
    authority_issue(&authority,
                    &(struct request){ .common_name = "broker", .names = "DNS:broker.test" },
                    plan.certificate, plan.key);
    attempt = (struct attempt){
        .broker = "broker.test:8883",
        .name = "broker.test",
        .address = "127.0.0.1",
        .versions = "TLSv1.2 to TLSv1.3",
        .gateway = "kitchen-pi",
        .now = (int64_t)time(NULL),
        .clock_synchronised = true,
    };
    attempt_reset(&attempt);
    cr_assert_eq(sd_event_new(&loop), 0);
}

static void tear_down(void) {
    link_of_test = link_free(link_of_test);
    tls = tls_free(tls);
    broker = broker_stop(broker);
    loop = sd_event_unref(loop);
    authority_clear(&authority);
    folder_remove();
}

TestSuite(link, .init = set_up, .fini = tear_down, .timeout = 30);

static void begin_at(uint16_t port) {
    static const struct link_calls calls = { on_event, on_acknowledged, on_idle, NULL };

    events[0] = '\0';
    memset(events, 0, sizeof(events));
    if (!tls)
        cr_assert_eq(tls_new(&tls_settings, "broker.test", &attempt, &tls), 0);
    if (link_new(loop, &settings, "127.0.0.1", port, tls_context(tls), &attempt, &calls,
                 &link_of_test) < 0)
        events[0] = 'L';
}

static void begin(void) {
    broker = broker_start(&plan);
    begin_at(broker_port(broker));
}

/* Turns the loop until the link told this, or the time is up. */
static void turn_until(const char *expected) {
    for (unsigned i = 0; i < 500 && strcmp(events, expected) != 0; i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
    cr_assert_str_eq(events, expected, "it told %s", events);
}

/* Until it is lost. What fails at once on a fast machine may not have been told to be connected. */
static void turn_until_lost(const char *expected) {
    for (unsigned i = 0; i < 500 && !strchr(events, 'L'); i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
    cr_assert(strcmp(events, expected) == 0 || strcmp(events, expected + 1) == 0, "it told %s",
              events);
}

/* Turns it for so long. Returns how often it turned. */
static unsigned turn_for(unsigned ms) {
    uint64_t end_us = loop_now_us() + ms * 1000;
    unsigned turns = 0;

    while (loop_now_us() < end_us) {
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
        turns++;
    }
    return turns;
}

static enum cause cause_found(void) {
    struct diagnosis diagnosis;

    diagnose(&attempt, &diagnosis);
    return diagnosis.cause;
}

static void expect_cause(enum cause cause) {
    cr_expect_eq(cause_found(), cause, "%s, not %s", cause_name(cause_found()), cause_name(cause));
}

/* ---- a connection that stands ---- */

Test(link, tells_of_each_step) {
    begin();
    turn_until("CSA");
    cr_expect_eq(attempt.phase, ATTEMPT_ANNOUNCE);
    cr_expect_str_eq(attempt.version, "TLSv1.3");
    (void)turn_for(20);
    cr_expect_gt(idles, 0, "the moment to publish");
}

Test(link, publishes_and_tells_of_the_acknowledgement) {
    int message = -1;

    begin();
    turn_until("CSA");
    cr_assert_eq(link_publish(link_of_test, "sensors/kitchen-pi/kitchen", "{}", 2, false, &message),
                 0);
    for (unsigned i = 0; i < 500 && acknowledged == 0; i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
    cr_expect_eq(acknowledged, message);
    cr_expect_eq(broker_seen(broker).publishes, 1);
    cr_expect_str_eq(broker_seen(broker).topic, "sensors/kitchen-pi/kitchen");
}

Test(link, says_goodbye) {
    begin();
    turn_until("CSA");
    link_disconnect(link_of_test);
    for (unsigned i = 0; i < 500 && !broker_seen(broker).said_goodbye; i++)
        (void)poll(NULL, 0, 10);
    cr_expect(broker_seen(broker).said_goodbye);
}

Test(link, rests_while_there_is_nothing_to_do) {
    begin();
    turn_until("CSA");
    (void)turn_for(50);
    cr_expect_leq(turn_for(500), 100, "ten milliseconds a turn");
}

Test(link, sends_a_name_and_a_password) {
    plan.client_ca = NULL;
    settings.username = "otto";
    settings.password = "secret";
    begin();
    turn_until("CSA");
}

Test(link, works_with_either_version_of_tls) {
    tls_settings.max_version = TLS1_2_VERSION;
    begin();
    turn_until("CSA");
    cr_expect_str_eq(attempt.version, "TLSv1.2");
}

/* ---- nobody, or nobody who speaks TLS ---- */

Test(link, a_closed_port_is_refused) {
    begin_at(broker_closed_port());
    turn_until("L");
    cr_expect_eq(attempt.error, ECONNREFUSED);
    expect_cause(CAUSE_REFUSED);
}

Test(link, a_broker_that_closes_at_once_is_told) {
    plan = (struct broker_plan){ .conduct = BROKER_CLOSES };
    begin();
    turn_until_lost("CL");
    expect_cause(CAUSE_CLOSED_IN_HANDSHAKE);
}

Test(link, a_broker_that_closes_in_the_handshake_is_told) {
    plan = (struct broker_plan){ .conduct = BROKER_CLOSES_AT_HELLO };
    begin();
    turn_until_lost("CL");
    cr_expect_not(attempt.plain_text);
    expect_cause(CAUSE_CLOSED_IN_HANDSHAKE);
}

Test(link, a_silent_broker_costs_nothing_while_it_is_waited_for) {
    unsigned turns;

    plan = (struct broker_plan){ .conduct = BROKER_KEEPS_SILENT };
    begin();
    turn_until("C");
    (void)turn_for(50);
    turns = turn_for(1000);
    cr_expect_leq(turns, 150, "%u turns in a second", turns);
    cr_expect_str_eq(events, "C");
    attempt.timed_out = true;
    expect_cause(CAUSE_TLS_TIMEOUT);
}

Test(link, plain_text_is_known_for_what_it_is) {
    plan = (struct broker_plan){ .conduct = BROKER_SPEAKS_PLAIN };
    begin();
    turn_until_lost("CL");
    cr_expect(attempt.plain_text);
    expect_cause(CAUSE_NOT_TLS);
}

/* ---- trust ---- */

Test(link, a_broker_of_another_name_is_told_with_its_names) {
    authority_issue(&authority, &(struct request){ .common_name = "b", .names = "DNS:other.test" },
                    plan.certificate, plan.key);
    begin();
    turn_until_lost("CL");
    expect_cause(CAUSE_NAME_MISMATCH);
    cr_expect_str_eq(attempt.refused.names, "other.test");
}

static void be_of_another_ca(void) {
    struct authority other;

    authority_make("another CA", &other);
    authority_issue(&other, &(struct request){ .common_name = "kitchen-pi" },
                    tls_settings.certificate, tls_settings.key);
    authority_clear(&other);
}

Test(link, a_refusal_of_our_certificate_is_heard_under_1_2) {
    be_of_another_ca();
    tls_settings.max_version = TLS1_2_VERSION;
    begin();
    turn_until_lost("CL");
    cr_expect_eq(attempt.alert_received, ALERT_UNKNOWN_CA);
    expect_cause(CAUSE_OWN_CERTIFICATE_UNKNOWN_CA);
}

/* It comes after our side of the handshake has finished, together with an end of the connection. */
Test(link, a_refusal_of_our_certificate_is_heard_under_1_3) {
    be_of_another_ca();
    begin();
    for (unsigned i = 0; i < 500 && !strchr(events, 'L'); i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
    cr_expect_eq(attempt.alert_received, ALERT_UNKNOWN_CA);
    cr_expect_eq(attempt.phase, ATTEMPT_CONNACK);
    expect_cause(CAUSE_OWN_CERTIFICATE_UNKNOWN_CA);
}

Test(link, a_certificate_that_is_wanted_is_told_under_1_3) {
    tls_settings.certificate = tls_settings.key = NULL;
    begin();
    for (unsigned i = 0; i < 500 && !strchr(events, 'L'); i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
    expect_cause(CAUSE_CERTIFICATE_REQUIRED);
}

Test(link, no_version_in_common_is_told) {
    tls_settings.max_version = TLS1_2_VERSION;
    plan.min_version = TLS1_3_VERSION;
    begin();
    turn_until_lost("CL");
    expect_cause(CAUSE_PROTOCOL_VERSION);
}

Test(link, no_cipher_in_common_is_told) {
    tls_settings.max_version = TLS1_2_VERSION;
    tls_settings.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"; /* and the broker's key is EC */
    begin();
    turn_until_lost("CL");
    expect_cause(CAUSE_NO_SHARED_CIPHER);
}

/* ---- MQTT says no, or nothing ---- */

Test(link, the_brokers_answer_to_connect_is_told) {
    static const enum cause causes[] = {
        [1] = CAUSE_PROTOCOL_UNSUPPORTED, [2] = CAUSE_CLIENT_ID_TAKEN,
        [3] = CAUSE_BROKER_UNAVAILABLE,   [4] = CAUSE_UNKNOWN_USER,
        [5] = CAUSE_NOT_AUTHORISED,
    };

    for (int code = 1; code <= 5; code++) {
        plan.connack = code;
        attempt_reset(&attempt);
        begin();
        turn_until("CSL");
        cr_expect_eq(attempt.connack, code);
        expect_cause(causes[code]);
        broker = broker_stop(broker);
    }
}

Test(link, a_broker_that_ignores_connect_costs_nothing) {
    plan.conduct = BROKER_IGNORES_CONNECT;
    begin();
    turn_until("CS");
    (void)turn_for(50);
    cr_expect_leq(turn_for(500), 100);
    cr_expect_str_eq(events, "CS");
    attempt.timed_out = true;
    expect_cause(CAUSE_BROKER_SILENT);
}

Test(link, a_broker_that_closes_at_connect_is_told) {
    tls_settings.max_version = TLS1_2_VERSION;
    plan.conduct = BROKER_CLOSES_AT_CONNECT;
    begin();
    for (unsigned i = 0; i < 500 && !strchr(events, 'L'); i++)
        cr_assert_geq(sd_event_run(loop, 10 * 1000), 0); /* its end may come with that of TLS */
    cr_expect_eq(attempt.phase, ATTEMPT_CONNACK);
    expect_cause(CAUSE_BROKER_SILENT);
}

Test(link, a_broker_that_closes_at_a_publish_is_told) {
    int message;

    plan.conduct = BROKER_CLOSES_AT_PUBLISH;
    begin();
    turn_until("CSA");
    cr_assert_eq(link_publish(link_of_test, "t", "{}", 2, false, &message), 0);
    turn_until("CSAL");
    cr_expect_eq(attempt.alert_received, ALERT_NONE, "a goodbye is no alert");
    expect_cause(CAUSE_CONNECTION_LOST);
}

Test(link, a_broker_that_died_is_found_by_its_missing_pong) {
    plan.conduct = BROKER_DIES_SILENTLY;
    settings.keepalive_s = 10;
    begin();
    turn_until("CSA");
    for (unsigned i = 0; i < 12 && strcmp(events, "CSA") == 0; i++) {
        own_time_skip(2500 * 1000);
        (void)turn_for(20);
    }
    cr_assert_str_eq(events, "CSAL");
    cr_expect(attempt.keepalive_failed);
    expect_cause(CAUSE_BROKER_SILENT);
}

Test(link, a_broker_that_lives_answers_pings_for_ever) {
    settings.keepalive_s = 10;
    begin();
    turn_until("CSA");
    for (unsigned i = 0; i < 40; i++) {
        own_time_skip(2500 * 1000);
        (void)turn_for(20);
    }
    cr_expect_str_eq(events, "CSA");
}

/* ---- what is left behind ---- */

static void try_often(unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        attempt_reset(&attempt);
        begin_at(broker_port(broker));
        for (unsigned k = 0; k < 500 && !strchr(events, 'L') && !strchr(events, 'A'); k++)
            cr_assert_geq(sd_event_run(loop, 10 * 1000), 0);
        link_of_test = link_free(link_of_test);
    }
}

Test(link, many_attempts_leave_nothing_open) {
    static const struct {
        enum broker_conduct conduct;
        bool speaks_tls;
    } cases[] = {
        { BROKER_SERVES, true },
        { BROKER_CLOSES, false },
        { BROKER_CLOSES_AT_HELLO, false },
        { BROKER_SPEAKS_PLAIN, false },
        { BROKER_CLOSES_AT_CONNECT, true },
    };
    struct broker_plan sound = plan;

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        unsigned files;

        plan = cases[i].speaks_tls ? sound : (struct broker_plan){ 0 };
        plan.conduct = cases[i].conduct;
        broker = broker_start(&plan);
        try_often(2);
        (void)poll(NULL, 0, 20); /* for the broker's end of the last one */
        files = folder_open_files();
        try_often(25);
        for (unsigned ms = 0; ms < 1000 && folder_open_files() > files; ms++)
            (void)poll(NULL, 0, 1);
        cr_expect_leq(folder_open_files(), files, "conduct %d", cases[i].conduct);
        broker = broker_stop(broker);
    }
}

Test(link, a_closed_port_leaves_nothing_open) {
    uint16_t port = broker_closed_port();
    unsigned files = 0;

    for (unsigned i = 0; i < 102; i++) {
        attempt_reset(&attempt);
        begin_at(port);
        turn_until("L");
        if (i == 1)
            files = folder_open_files();
    }
    cr_expect_eq(folder_open_files(), files);
}
