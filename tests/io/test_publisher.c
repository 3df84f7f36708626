/* SPDX-License-Identifier: MIT */
#include "io/publisher.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <netdb.h>

#include "authority.h"
#include "broker.h"
#include "spool_bench.h"

/* Stands before the C library's: three.test is 127.0.0.1 between two where nobody listens. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret) {
    static const char *const addresses[] = { "127.0.0.2", "127.0.0.1", "127.0.0.3" };
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo **end = ret;
    int r = 0;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strcmp(node, "three.test") != 0)
        return real(node, service, hints, ret);
    for (size_t i = 0; r == 0 && i < sizeof(addresses) / sizeof(*addresses); i++) {
        r = real(addresses[i], service, hints, end);
        end = &(*end)->ai_next;
    }
    return r;
}

static struct authority authority;
static struct broker_plan plan;
static struct broker *broker;
static struct broker_settings brokers[2];
static struct publisher_settings settings;
static struct publisher *publisher;
static unsigned changes;
static bool was_refused; /* in any change */
static bool has_stopped;

static struct link_status link_now(void) {
    struct link_status status;

    publisher_describe(publisher, &status);
    return status;
}

static void on_change(void *userdata) {
    changes++;
    was_refused = was_refused || link_now().cause == CAUSE_REFUSED;
}

static void on_progress(void *userdata) {
}

static char *render_state(void *userdata) {
    return strdup("{\"state\":\"online\"}");
}

static void on_stopped(void *userdata) {
    has_stopped = true;
}

/* A gateway and a broker as they should be; a test changes what it is about. */
static void set_up(void) {
    bench_make();
    authority_make("our CA", &authority);
    plan = (struct broker_plan){
        .certificate = folder_file("broker.pem"),
        .key = folder_file("broker.key"),
        .client_ca = folder_file("ca.pem"),
    };
    settings = (struct publisher_settings){
        .fallback_gateway = "fallback",
        .topic = "sensors/{gateway}/{sensor}",
        .brokers = brokers,
        .broker_count = 1,
        .keepalive_s = 30,
        .window = 20,
        .tls = { .ca = plan.client_ca,
                 .certificate = folder_file("gateway.pem"),
                 .key = folder_file("gateway.key"),
                 .min_version = TLS1_2_VERSION,
                 .max_version = TLS1_3_VERSION },
        .reconnect_min_ms = 1000,
        .reconnect_max_ms = 60000,
        .stable_us = 30000000,
        .resolve_us = 5000000,
        .connect_us = 10000000,
        .tls_us = 10000000,
        .connack_us = 12000000,
        .puback_us = 30000000,
    };
    authority_write(&authority, plan.client_ca);
    authority_issue(&authority,
                    &(struct request){ .common_name = "kitchen-pi", .purpose = "clientAuth" },
                    settings.tls.certificate, settings.tls.key);
    authority_issue(&authority,
                    &(struct request){ .common_name = "broker", .names = "IP:127.0.0.1" },
                    plan.certificate, plan.key);
    bench_open();
}

static void tear_down(void) {
    publisher = publisher_free(publisher);
    broker = broker_stop(broker);
    authority_clear(&authority);
    bench_remove();
}

TestSuite(publisher, .init = set_up, .fini = tear_down, .timeout = 60);

static struct broker_settings at(uint16_t port) {
    return (struct broker_settings){ .host = "127.0.0.1", .port = port, .name = "127.0.0.1" };
}

static void start(void) {
    static const struct publisher_calls calls = { on_change, on_progress, render_state, NULL };

    if (brokers[0].port == 0) {
        broker = broker_start(&plan);
        brokers[0] = at(broker_port(broker));
    }
    cr_assert_eq(publisher_new(bench_loop, &settings, bench_spool, &calls, &publisher), 0);
    publisher_start(publisher);
}

static void turn_until_state(enum uplink_state state) {
    for (unsigned ms = 0; ms < 10000 && link_now().state != state; ms++)
        (void)bench_turn_for(1);
    cr_assert_eq(link_now().state, state, "%s, not %s: %s", uplink_state_name(link_now().state),
                 uplink_state_name(state), link_now().sentence);
}

static void turn_until_waiting(uint64_t count) {
    for (unsigned ms = 0; ms < 10000 && bench_status().waiting != count; ms++)
        (void)bench_turn_for(1);
    cr_assert_eq(bench_status().waiting, count, "%llu wait",
                 (unsigned long long)bench_status().waiting);
}

static void turn_until_published(unsigned count) {
    for (unsigned ms = 0; ms < 10000 && broker_seen(broker).publishes < count; ms++)
        (void)bench_turn_for(1);
    cr_assert_eq(broker_seen(broker).publishes, count);
}

static void turn_until_connected_again(unsigned before) {
    for (unsigned ms = 0; ms < 10000 && broker_seen(broker).connections <= before; ms++)
        (void)bench_turn_for(1);
    cr_assert_gt(broker_seen(broker).connections, before);
}

/* ---- a broker that serves ---- */

Test(publisher, publishes_the_state_first_and_then_all_readings) {
    bench_append_many(0, 100);
    start();
    turn_until_state(UPLINK_ONLINE);
    turn_until_waiting(0);
    cr_expect_str_eq(broker_seen(broker).first_topic, "gateways/kitchen-pi");
    cr_expect_str_eq(broker_seen(broker).topic, "sensors/kitchen-pi/kitchen");
    cr_expect_eq(broker_seen(broker).publishes, 101);
    cr_expect_eq(link_now().published, 100);
    cr_expect_str_eq(link_now().tls, "TLSv1.3");
    cr_expect_eq(link_now().cause, CAUSE_NONE);
    cr_expect_gt(changes, 0);
}

Test(publisher, is_named_by_its_certificate_or_else_by_its_configuration) {
    start();
    cr_expect_str_eq(publisher_gateway(publisher), "kitchen-pi");
    publisher = publisher_free(publisher);
    settings.gateway = "configured";
    start();
    cr_expect_str_eq(publisher_gateway(publisher), "configured");
    publisher = publisher_free(publisher);
    settings.gateway = NULL;
    settings.tls.certificate = settings.tls.key = NULL;
    start();
    cr_expect_str_eq(publisher_gateway(publisher), "fallback");
}

Test(publisher, says_offline_and_goodbye) {
    start();
    turn_until_state(UPLINK_ONLINE);
    bench_append_many(0, 10);
    publisher_stop(publisher, on_stopped, NULL);
    for (unsigned ms = 0; ms < 5000 && !has_stopped; ms++)
        (void)bench_turn_for(1);
    cr_expect(has_stopped);
    cr_expect_eq(bench_status().waiting, 0);
    for (unsigned ms = 0; ms < 1000 && !broker_seen(broker).said_goodbye; ms++)
        (void)poll(NULL, 0, 1);
    cr_expect(broker_seen(broker).said_goodbye);
    cr_expect_str_eq(broker_seen(broker).topic, "gateways/kitchen-pi");
    cr_expect_str_eq(broker_seen(broker).payload, "{\"state\":\"offline\"}");
}

Test(publisher, stops_at_once_where_there_is_nobody_to_say_goodbye_to) {
    brokers[0] = at(broker_closed_port());
    start();
    turn_until_state(UPLINK_WAITING);
    publisher_stop(publisher, on_stopped, NULL);
    (void)bench_turn();
    cr_expect(has_stopped);
}

/* ---- brokers that do not take everything ---- */

Test(publisher, sends_no_reading_before_the_state_is_acknowledged) {
    plan.conduct = BROKER_NEVER_ACKNOWLEDGES;
    bench_append_many(0, 10);
    start();
    turn_until_state(UPLINK_ANNOUNCING);
    turn_until_published(1);
    (void)bench_turn_for(200);
    cr_expect_eq(broker_seen(broker).publishes, 1);
    cr_expect_eq(bench_status().waiting, 10);
}

Test(publisher, has_no_more_on_the_way_than_the_window_allows) {
    plan.conduct = BROKER_TAKES_ONLY_STATES;
    bench_append_many(0, 100);
    start();
    turn_until_state(UPLINK_ONLINE);
    turn_until_published(1 + settings.window);
    (void)bench_turn_for(200);
    cr_expect_eq(broker_seen(broker).publishes, 1 + settings.window);
    cr_expect_eq(bench_status().waiting, 100);
}

Test(publisher, a_broker_that_does_not_acknowledge_is_left_and_nothing_is_lost) {
    plan.conduct = BROKER_TAKES_ONLY_STATES;
    bench_append_many(0, 100);
    start();
    turn_until_state(UPLINK_ONLINE);
    turn_until_published(1 + settings.window);
    own_time_skip((int64_t)settings.puback_us + 1000000);
    turn_until_state(UPLINK_WAITING);
    cr_expect_eq(link_now().cause, CAUSE_PUBACK_TIMEOUT, "%s", link_now().sentence);
    cr_expect_eq(bench_status().waiting, 100);
    cr_expect_not_null(strstr(link_now().sentence, "sensors/kitchen-pi/"), "%s",
                       link_now().sentence);
}

Test(publisher, a_refusal_is_told_and_tried_again_later) {
    plan.connack = 5;
    bench_append_many(0, 10);
    start();
    turn_until_state(UPLINK_WAITING);
    cr_expect_eq(link_now().cause, CAUSE_NOT_AUTHORISED);
    cr_expect_gt(link_now().next_attempt_us, loop_now_us());
    cr_expect_leq(link_now().next_attempt_us, loop_now_us() + 300000000);
    cr_expect_eq(bench_status().waiting, 10);
}

/* ---- brokers that come and go ---- */

Test(publisher, goes_on_where_it_was_when_the_broker_is_back) {
    start();
    bench_append_many(0, 50);
    turn_until_waiting(0);
    plan.port = broker_port(broker);
    broker = broker_stop(broker);
    turn_until_state(UPLINK_WAITING);
    bench_append_many(50, 50);
    cr_expect_eq(bench_status().waiting, 50);
    broker = broker_start(&plan);
    own_time_skip((int64_t)settings.reconnect_max_ms * 1000);
    turn_until_state(UPLINK_ONLINE);
    turn_until_waiting(0);
    cr_expect_eq(broker_seen(broker).publishes, 51);
    cr_expect_eq(link_now().published, 100);
}

Test(publisher, a_retry_ends_the_wait) {
    brokers[0] = at(broker_closed_port());
    start();
    turn_until_state(UPLINK_WAITING);
    cr_expect_eq(link_now().cause, CAUSE_REFUSED);
    plan.port = brokers[0].port;
    broker = broker_start(&plan);
    publisher_retry(publisher);
    turn_until_state(UPLINK_ONLINE);
}

Test(publisher, takes_the_next_broker_in_the_same_round) {
    uint64_t begun_us = loop_now_us();

    broker = broker_start(&plan);
    brokers[0] = at(broker_closed_port());
    brokers[1] = at(broker_port(broker));
    settings.broker_count = 2;
    start();
    turn_until_state(UPLINK_ONLINE);
    cr_expect_lt(loop_now_us() - begun_us, 5000000);
}

/* As localhost is, with a broker that listens on 127.0.0.1 and not on ::1. */
Test(publisher, what_got_furthest_is_told_of_a_name_with_several_addresses) {
    broker = broker_start(&plan);
    brokers[0] = at(broker_port(broker));
    brokers[0].host = "three.test";
    brokers[0].name = "another.test";
    start();
    for (unsigned round = 0; round < 4; round++) {
        unsigned connections;

        turn_until_state(UPLINK_WAITING);
        cr_expect_eq(link_now().cause, CAUSE_NAME_MISMATCH, "%s", link_now().sentence);
        connections = broker_seen(broker).connections;
        own_time_skip(301 * 1000000LL);
        turn_until_connected_again(connections);
    }
    cr_expect_not(was_refused);
}

Test(publisher, waits_between_rounds_without_turning) {
    brokers[0] = at(broker_closed_port());
    settings.reconnect_min_ms = 60000;
    start();
    turn_until_state(UPLINK_WAITING);
    cr_expect_lt(bench_turn_for(300), 20);
}

Test(publisher, a_silent_broker_is_left_at_the_deadline) {
    plan = (struct broker_plan){ .conduct = BROKER_KEEPS_SILENT };
    start();
    turn_until_state(UPLINK_SECURING);
    own_time_skip((int64_t)settings.tls_us + 100000);
    turn_until_state(UPLINK_WAITING);
    cr_expect_eq(link_now().cause, CAUSE_TLS_TIMEOUT, "%s", link_now().sentence);
}

Test(publisher, files_that_are_wrong_are_told_and_readings_kept) {
    bench_append_many(0, 10);
    cr_assert_eq(chmod(settings.tls.key, 0644), 0);
    start();
    turn_until_state(UPLINK_WAITING);
    cr_expect_eq(link_now().cause, CAUSE_KEY_PERMISSIONS, "%s", link_now().sentence);
    cr_assert_eq(chmod(settings.tls.key, 0600), 0);
    publisher_retry(publisher);
    turn_until_waiting(0);
}
