/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

#include "../core/seed.h"
#include "commands/commands.h"
#include "config/document.h"
#include "config/schema.h"
#include "harness.h"

/* Every key there is, and no value its default. */
static const char full[] =
    "gateway = \"kitchen-pi\";\n"
    "brokers = (\n"
    "  { host = \"one.example\"; port = 18883; name = \"broker.example\"; },\n"
    "  { host = \"fd00::1\"; }\n"
    ");\n"
    "mqtt: { topic = \"x/{gateway}/{sensor}/y\"; keepalive_s = 45; username = \"Kitchen Pi\";\n"
    "        password_file = \"secret\"; };\n"
    "tls: { ca = \"/ca/ca.pem\"; certificate = \"pki/gw.pem\"; key = \"pki/gw.key\";\n"
    "       passphrase_file = \"pass\"; crl = \"crl.pem\"; version = \"1.2-1.3\";\n"
    "       ciphers = [ \"ECDHE-RSA-AES128-GCM-SHA256\", "
    "\"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\" ];\n"
    "       ciphersuites = \"TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256\";\n"
    "       expiry_warning_days = 14; };\n"
    "reconnect: { min_s = 0.5; max_s = 20; stable_s = 7; };\n"
    "timeouts: { resolve_s = 1; connect_s = 2; tls_s = 3.25; connack_s = 4; puback_s = 6; };\n"
    "spool: { path = \"/srv/spool.db\"; max_mb = 16; durability = \"power\"; window = 10; };\n"
    "state: { interval_s = 5; };\n"
    "sensors = (\n"
    "  { name = \"kitchen\"; driver = \"serial\"; device = \"usb:2341:0043:7533\"; baud = 9600;\n"
    "    silence_s = 1.5; nodes = ( { id = 2; name = \"cellar\"; }, { id = 7; name = \"attic\"; } "
    "); },\n"
    "  { name = \"garden\"; device = \"/dev/ttyUSB0\"; node = 3;\n"
    "    limits = ( { quantity = \"temperature\"; min = -12.5; max = 45; },\n"
    "               { quantity = \"soil\"; min = 0; max = 1023; } );\n"
    "    offset = ( { quantity = \"humidity\"; value = -0.25; } ); frozen_h = 1.5;\n"
    "    publish: { interval_s = 60; change = ( { quantity = \"temperature\"; value = 0.5; } ); }; "
    "},\n"
    "  { name = \"hall\"; driver = \"gpio\"; chip = \"pinctrl-bcm2711\"; line = \"GPIO4\";\n"
    "    model = \"dht22\"; interval_s = 10; },\n"
    "  { name = \"loft\"; driver = \"iio\"; device = \"bme280\"; interval_s = 5.5; }\n"
    ");\n";

static void assert_in_folder(const char *path, const char *name) {
    char expected[PATH_MAX];

    (void)snprintf(expected, sizeof(expected), "%s/%s", harness_folder(), name);
    cr_assert_str_eq(path, expected);
}

Test(config, every_key_lands_in_its_setting) {
    CLEANUP(config_freep) struct config *config = harness_sound(full);
    const struct publisher_settings *publisher = &config->publisher;
    const struct source_settings *sensor = config->sources.sources;

    cr_assert_str_eq(config->gateway, "kitchen-pi");
    cr_assert_str_eq(publisher->gateway, "kitchen-pi");
    cr_assert_eq(publisher->broker_count, 2);
    cr_assert_str_eq(publisher->brokers[0].host, "one.example");
    cr_assert_eq(publisher->brokers[0].port, 18883);
    cr_assert_str_eq(publisher->brokers[0].name, "broker.example");
    cr_assert_str_eq(publisher->brokers[1].host, "fd00::1");
    cr_assert_str_eq(publisher->topic, "x/{gateway}/{sensor}/y");
    cr_assert_eq(publisher->keepalive_s, 45);
    cr_assert_str_eq(publisher->username, "Kitchen Pi");
    assert_in_folder(publisher->password_file, "secret");
    cr_assert_eq(publisher->reconnect_min_ms, 500);
    cr_assert_eq(publisher->reconnect_max_ms, 20000);
    cr_assert_eq(publisher->stable_us, 7000000);
    cr_assert_eq(publisher->resolve_us, 1000000);
    cr_assert_eq(publisher->connect_us, 2000000);
    cr_assert_eq(publisher->tls_us, 3250000);
    cr_assert_eq(publisher->connack_us, 4000000);
    cr_assert_eq(publisher->puback_us, 6000000);
    cr_assert_eq(publisher->window, 10);
    cr_assert_str_eq(config->spool.path, "/srv/spool.db");
    cr_assert_eq(config->spool.max_bytes, 16 * 1024 * 1024);
    cr_assert_eq(config->spool.durability, SPOOL_POWER);
    cr_assert_eq(config->state_interval_us, 5000000);
    cr_assert_eq(config->sources.count, 4);
    cr_assert_str_eq(sensor[0].name, "kitchen");
    cr_assert_str_eq(sensor[0].driver, "serial");
    cr_assert_str_eq(sensor[0].device, "usb:2341:0043:7533");
    cr_assert_eq(sensor[0].baud, 9600);
    cr_assert_eq(sensor[0].silence_us, 1500000);
    cr_assert_eq(sensor[0].node, 0);
    cr_assert_eq(sensor[0].node_count, 2);
    cr_assert_eq(sensor[0].nodes[0].number, 2);
    cr_assert_str_eq(sensor[0].nodes[0].name, "cellar");
    cr_assert_eq(sensor[0].nodes[1].number, 7);
    cr_assert_str_eq(sensor[0].nodes[1].name, "attic");
    cr_assert_str_eq(sensor[1].name, "garden");
    cr_assert_eq(sensor[1].node, 3);
}

Test(config, every_key_of_a_sensor_without_a_board_lands_in_its_setting) {
    CLEANUP(config_freep) struct config *config = harness_sound(full);
    const struct source_settings *sensor = config->sources.sources;

    cr_assert_str_eq(sensor[0].place, "usb:2341:0043:7533");
    cr_assert_str_eq(sensor[2].driver, "gpio");
    cr_assert_str_eq(sensor[2].chip, "pinctrl-bcm2711");
    cr_assert_str_eq(sensor[2].line, "GPIO4");
    cr_assert_str_eq(sensor[2].model, "dht22");
    cr_assert_eq(sensor[2].interval_us, 10000000);
    cr_assert_str_eq(sensor[2].place, "gpio:pinctrl-bcm2711:GPIO4");
    cr_assert_eq(sensor[2].baud, 0);
    cr_assert_str_eq(sensor[3].driver, "iio");
    cr_assert_str_eq(sensor[3].device, "bme280");
    cr_assert_str_eq(sensor[3].place, "iio:bme280");
    cr_assert_eq(sensor[3].interval_us, 5500000);
}

Test(config, every_rule_for_readings_lands_in_its_setting) {
    CLEANUP(config_freep) struct config *config = harness_sound(full);
    const struct conditioning_rules *rules = &config->sources.sources[1].rules;

    cr_assert_eq(rules->limit_count, 2);
    cr_assert_str_eq(rules->limits[0].quantity, "temperature");
    cr_assert_eq(rules->limits[0].min, -12500);
    cr_assert_eq(rules->limits[0].max, 45000);
    cr_assert_str_eq(rules->limits[1].quantity, "soil");
    cr_assert_eq(rules->offset_count, 1);
    cr_assert_str_eq(rules->offsets[0].quantity, "humidity");
    cr_assert_eq(rules->offsets[0].amount, -250);
    cr_assert_eq(rules->frozen_us, UINT64_C(5400000000));
    cr_assert_eq(rules->publish_us, 60000000);
    cr_assert_eq(rules->change_count, 1);
    cr_assert_eq(rules->changes[0].amount, 500);
}

Test(config, a_line_may_be_a_number) {
    CLEANUP(config_freep)
    struct config *config = harness_sound(
        BROKERS TLS "sensors = ( { name = \"a\"; driver = \"gpio\"; chip = \"gpiochip0\"; "
                    "line = 17; } );\n");
    const struct source_settings *sensor = config->sources.sources;

    cr_assert_str_eq(sensor->line, "17");
    cr_assert_str_eq(sensor->model, "dht11");
    cr_assert_eq(sensor->interval_us, 2500000);
    cr_assert_str_eq(sensor->place, "gpio:gpiochip0:17");
}

Test(config, every_tls_key_lands_in_its_setting) {
    CLEANUP(config_freep) struct config *config = harness_sound(full);
    const struct tls_settings *tls = &config->publisher.tls;

    cr_assert_str_eq(tls->ca, "/ca/ca.pem");
    assert_in_folder(tls->certificate, "pki/gw.pem");
    assert_in_folder(tls->key, "pki/gw.key");
    assert_in_folder(tls->passphrase_file, "pass");
    assert_in_folder(tls->crl, "crl.pem");
    cr_assert_eq(tls->min_version, TLS1_2_VERSION);
    cr_assert_eq(tls->max_version, TLS1_3_VERSION);
    cr_assert_str_eq(tls->ciphers, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384");
    cr_assert_str_eq(tls->ciphersuites, "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256");
    cr_assert_eq(tls->expiry_warning_days, 14);
}

/* Which of the sensors above has a key, by the group that it is in or by itself. */
static char sensor_with(const struct key *key) {
    static const char *const of_third[] = { "chip", "line", "model", "interval_s" };
    static const char *const of_second[] = { "node", "limits", "offset", "frozen_h", "publish" };

    if (key->group == GROUP_LIMITS || key->group == GROUP_OFFSET || key->group == GROUP_PUBLISH ||
        key->group == GROUP_CHANGE)
        return '1';
    for (size_t i = 0; i < sizeof(of_third) / sizeof(*of_third); i++)
        if (key->group == GROUP_SENSOR && strcmp(key->name, of_third[i]) == 0)
            return '2';
    for (size_t i = 0; i < sizeof(of_second) / sizeof(*of_second); i++)
        if (key->group == GROUP_SENSOR && strcmp(key->name, of_second[i]) == 0)
            return '1';
    return '0';
}

/* The name of a key in the first element of its group that has it. */
static const char *example_of(const struct key *key) {
    static char path[DOCUMENT_KEY_SIZE];
    const char *group = schema_group_path(key->group);
    bool is_first = true;
    size_t length = 0;

    for (; *group != '\0'; group++) {
        path[length++] = *group;
        if (*group != '[')
            continue;
        path[length++] = is_first ? sensor_with(key) : '0';
        is_first = false;
    }
    (void)snprintf(path + length, sizeof(path) - length, "%s%s", length > 0 ? "." : "", key->name);
    return path;
}

Test(config, no_key_is_left_out_of_these_tests) {
    CLEANUP(config_freep) struct config *config = harness_sound(full);

    for (size_t i = 0; i < schema_length; i++)
        cr_assert_not_null(document_find(config->document, example_of(&schema[i])), "%s",
                           example_of(&schema[i]));
}

Test(config, three_lines_are_enough) {
    CLEANUP(config_freep) struct config *config = harness_sound(SOUND);
    const struct publisher_settings *publisher = &config->publisher;
    const struct source_settings *sensor = config->sources.sources;

    cr_assert_null(publisher->gateway);
    cr_assert_str_eq(config->gateway, publisher->fallback_gateway);
    cr_assert_eq(publisher->brokers[0].port, 8883);
    cr_assert_str_eq(publisher->brokers[0].name, "broker.example");
    cr_assert_str_eq(publisher->topic, "sensors/{gateway}/{sensor}");
    cr_assert_eq(publisher->keepalive_s, 30);
    cr_assert_null(publisher->username);
    cr_assert_null(publisher->password_file);
    cr_assert_eq(publisher->reconnect_min_ms, 1000);
    cr_assert_eq(publisher->reconnect_max_ms, 60000);
    cr_assert_eq(publisher->stable_us, 30000000);
    cr_assert_eq(publisher->resolve_us, 5000000);
    cr_assert_eq(publisher->connect_us, 10000000);
    cr_assert_eq(publisher->tls_us, 10000000);
    cr_assert_eq(publisher->connack_us, 12000000);
    cr_assert_eq(publisher->puback_us, 30000000);
    cr_assert_eq(publisher->window, 100);
    cr_assert_null(publisher->tls.ca);
    cr_assert_null(publisher->tls.passphrase_file);
    cr_assert_null(publisher->tls.crl);
    cr_assert_null(publisher->tls.ciphers);
    cr_assert_null(publisher->tls.ciphersuites);
    cr_assert_eq(publisher->tls.min_version, TLS1_2_VERSION);
    cr_assert_eq(publisher->tls.max_version, TLS1_3_VERSION);
    cr_assert_eq(publisher->tls.expiry_warning_days, 30);
    cr_assert_str_eq(config->spool.path, "/var/lib/sensorgw/spool.db");
    cr_assert_eq(config->spool.max_bytes, 64 * 1024 * 1024);
    cr_assert_eq(config->spool.durability, SPOOL_CRASH);
    cr_assert_eq(config->state_interval_us, 60000000);
    cr_assert_str_eq(sensor->driver, "serial");
    cr_assert_eq(sensor->baud, 115200);
    cr_assert_eq(sensor->silence_us, 0);
    cr_assert_eq(sensor->node, 0);
    cr_assert_eq(sensor->node_count, 0);
}

/* Sound texts with room for one setting that is not required. */
static const char *const around[GROUP_COUNT] = {
    [GROUP_BROKER] = "brokers = ( { host = \"b\"; %s } );\n" TLS SENSORS,
    [GROUP_MQTT] = SOUND "mqtt: { %s };\n",
    [GROUP_TLS] = BROKERS "mqtt: { username = \"u\"; }; tls: { %s };\n" SENSORS,
    [GROUP_RECONNECT] = SOUND "reconnect: { %s };\n",
    [GROUP_TIMEOUTS] = SOUND "timeouts: { %s };\n",
    [GROUP_SPOOL] = SOUND "spool: { %s };\n",
    [GROUP_STATE] = SOUND "state: { %s };\n",
    [GROUP_SENSOR] = BROKERS TLS "sensors = ( { name = \"a\"; device = \"/dev/a\"; %s } );\n",
    [GROUP_PUBLISH] =
        BROKERS TLS "sensors = ( { name = \"a\"; device = \"/dev/a\"; publish: { %s }; "
                    "} );\n",
};

static const char around_gpio[] =
    BROKERS TLS "sensors = ( { name = \"a\"; driver = \"gpio\"; chip = \"c\"; line = 4; %s } );\n";

static bool is_of_gpio(const struct key *key) {
    return key->drivers && strcmp(key->drivers[0], "gpio") == 0;
}

static void load_setting(const struct key *key, const char *value, struct outcome *ret) {
    char setting[64];
    char text[1024];
    const char *whole = is_of_gpio(key) ? around_gpio : around[key->group];
    const char *gap = strstr(whole, "%s");

    (void)snprintf(setting, sizeof(setting), "%s = %s;", key->name, value);
    (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(gap - whole), whole, setting, gap + 2);
    harness_load(text, ret);
}

static bool is_optional_number(const struct key *key) {
    return (key->form == FORM_INTEGER || key->form == FORM_NUMBER) && !key->is_required;
}

static void assert_in_range(const struct key *key, double number, bool is_sound) {
    static struct outcome outcome;
    char value[32];

    (void)snprintf(value, sizeof(value), "%.10g", number);
    load_setting(key, value, &outcome);
    cr_assert_eq(outcome.errors, is_sound ? 0 : 1, "%s = %s: %s", key->name, value, outcome.log);
    if (!is_sound)
        cr_assert_not_null(strstr(outcome.log, " must be between "), "%s", outcome.log);
    outcome_clear(&outcome);
}

Test(config, a_number_goes_from_its_minimum_to_its_maximum) {
    for (size_t i = 0; i < schema_length; i++) {
        const struct key *key = &schema[i];
        double step = key->form == FORM_INTEGER ? 1 : 0.01;
        bool depends = key->group == GROUP_RECONNECT; /* on its neighbour: in the rows below */

        if (!is_optional_number(key))
            continue;
        if (!depends) {
            assert_in_range(key, key->minimum, true);
            assert_in_range(key, key->maximum, true);
        }
        assert_in_range(key, key->minimum - step, false);
        assert_in_range(key, key->maximum + step, false);
    }
}

Test(config, every_key_refuses_other_types) {
    static const char *const numbers[] = { "\"1\"", "true", "( 1 )", "[ 1 ]", "{ x = 1; }" };
    static const char *const texts[] = { "1", "1.5", "false", "( \"x\" )", "{ }" };
    static struct outcome outcome;

    for (size_t i = 0; i < schema_length; i++) {
        const struct key *key = &schema[i];
        bool is_list =
            key->form == FORM_LIST || key->form == FORM_CIPHERS || key->form == FORM_CIPHERSUITES;

        if (key->group == GROUP_ROOT || key->is_required)
            continue;
        for (size_t j = 0; j < sizeof(texts) / sizeof(*texts); j++) {
            const char *value = is_optional_number(key) ? numbers[j] : texts[j];
            char expected[64];

            if ((is_list && j == 3) || (key->form == FORM_GROUP && j == 4))
                continue;
            (void)snprintf(expected, sizeof(expected), ".%s must be ", key->name);
            load_setting(key, value, &outcome);
            cr_assert_eq(outcome.result, -EINVAL, "%s = %s", key->name, value);
            cr_assert_not_null(strstr(outcome.log, expected), "%s", outcome.log);
        }
    }
}

Test(config, an_integer_is_taken_where_a_number_is_meant_and_not_the_reverse) {
    static struct outcome outcome;

    load_setting(schema_find(GROUP_STATE, "interval_s"), "7", &outcome);
    cr_assert_eq(outcome.config->state_interval_us, 7000000);
    outcome_clear(&outcome);
    load_setting(schema_find(GROUP_SPOOL, "window"), "7.0", &outcome);
    cr_assert_eq(outcome.result, -EINVAL);
}

/* One line each of brokers, tls and sensors, then line 4. */
#define IN_MQTT(setting) SOUND "mqtt: { " setting " };\n"
#define IN_TLS(setting) BROKERS "tls: { certificate = \"c\"; key = \"k\"; " setting " };\n" SENSORS
#define IN_BROKER(setting) "brokers = ( { " setting " } );\n" TLS SENSORS
#define IN_SENSOR(setting) BROKERS TLS "sensors = ( { " setting " } );\n"
#define TWO_SENSORS(one, two)      \
    BROKERS TLS "sensors = (\n"    \
                "  { " one " },\n" \
                "  { " two " } );\n"
#define A "name = \"a\"; device = \"/dev/a\"; "
#define B "name = \"b\"; device = \"/dev/b\"; "
#define ON_GPIO "name = \"a\"; driver = \"gpio\"; chip = \"c\"; line = 4; "

struct refusal {
    char text[640];
    unsigned line;
    char fragment[112];
};

ParameterizedTestParameters(config, every_rule_has_its_error) {
    static struct refusal rows[] = {
        /* names */
        { SOUND "gatway = \"x\";", 4, "unknown key gatway, did you mean gateway?" },
        { SOUND "\n\nhost = \"x\";", 6, "unknown key host, did you mean brokers[].host?" },
        { SOUND "keepalive_s = 5;", 4, "unknown key keepalive_s, did you mean mqtt.keepalive_s?" },
        { SOUND "frobnicate = 5;", 4, "unknown key frobnicate " },
        { IN_MQTT("keepalive = 5;"), 4, "mqtt.keepalive, did you mean mqtt.keepalive_s?" },
        { IN_TLS("cipher = \"x\";"), 2, "unknown key tls.cipher, did you mean tls.ciphers?" },
        { SOUND "spool: { max = 3; };", 4, "spool.max, did you mean spool.max_mb?" },
        { IN_BROKER("host = \"b\"; prot = 1;"), 1,
          "brokers[0].prot, did you mean brokers[0].port?" },

        /* what must be there */
        { TLS SENSORS, 0, "brokers is not set" },
        { "brokers = ();\n" TLS SENSORS, 1, "brokers is empty" },
        { BROKERS TLS, 0, "sensors is not set" },
        { BROKERS TLS "\nsensors = ();", 4, "sensors is empty" },
        { IN_BROKER("port = 1;"), 1, "brokers[0].host is not set" },
        { IN_BROKER("host = \"\";"), 1, "brokers[0].host is not filled in" },
        { IN_SENSOR("device = \"/dev/a\";"), 3, "sensors[0].name is not set" },
        { IN_SENSOR("name = \"a\";"), 3, "sensors[0].device is not set" },
        { IN_SENSOR("name = \"\"; device = \"/dev/a\";"), 3, "sensors[0].name is not filled in" },
        { IN_SENSOR(A "nodes = ( { name = \"n\"; } );"), 3, "sensors[0].nodes[0].id is not set" },
        { IN_SENSOR(A "nodes = ( { id = 3; } );"), 3, "sensors[0].nodes[0].name is not set" },
        { IN_SENSOR(A "nodes = ( );"), 3, "sensors[0].nodes is empty" },
        { IN_SENSOR(A "nodes = ( { id = 0; name = \"n\"; } );"), 3, "id must be between 1 and" },

        /* types */
        { "brokers = \"b\";\n" TLS SENSORS, 1, "brokers must be a list" },
        { "brokers = { host = \"b\"; };\n" TLS SENSORS, 1, "brokers must be a list" },
        { "brokers = ( \"b\" );\n" TLS SENSORS, 1, "brokers[0] must be a group" },
        { "gateway = 5;\n" SOUND, 1, "gateway must be a text in quotes" },
        { SOUND "mqtt = ( );", 4, "mqtt must be a group" },
        { SOUND "spool = \"/x\";", 4, "spool must be a group" },

        /* forms */
        { "gateway = \"kitchen pi\";\n" SOUND, 1, "gateway must be 1 to 64 of A-Z a-z 0-9 _ -" },
        { "gateway = \"-x\";\n" SOUND, 1, "gateway must be 1 to 64" },
        { "gateway = \"a.b\";\n" SOUND, 1, "gateway must be 1 to 64" },
        { IN_SENSOR("name = \"a/b\"; device = \"/dev/a\";"), 3, "sensors[0].name must be 1 to 64" },
        { IN_SENSOR(A "nodes = ( { id = 2; name = \"#\"; } );"), 3,
          "nodes[0].name must be 1 to 64" },
        { IN_BROKER("host = \"mqtts://b\";"), 1, "must be the host alone, without mqtt://" },
        { IN_BROKER("host = \"b:8883\";"), 1, "its port goes into port" },
        { IN_BROKER("host = \"[fd00::1]\";"), 1, "an IPv6 address without brackets" },
        { IN_BROKER("host = \"b c\";"), 1, "must be a host name or an IP address" },
        { IN_BROKER("host = \"b..c\";"), 1, "must be a host name or an IP address" },
        { IN_BROKER("host = \"b\"; name = \"b/c\";"), 1, "brokers[0].name must be a host name" },
        { IN_MQTT("topic = \"sensors/{gateway}\";"), 4, "mqtt.topic must hold {sensor} once" },
        { IN_MQTT("topic = \"a/#/{sensor}\";"), 4, "mqtt.topic must hold {sensor} once" },
        { IN_MQTT("username = \"a\\x07\";"), 4, "mqtt.username holds a control character" },
        { IN_MQTT("username = \"a\\xff\";"), 4, "is not UTF-8" },
        { IN_TLS("ca = \"\";"), 2, "tls.ca is not filled in" },
        { IN_TLS("ca = \"/etc/ssl/\";"), 2, "tls.ca must be a file, not a folder" },
        { SOUND "spool: { path = \"spool.db\"; };", 4, "spool.path must be a whole path" },
        { SOUND "spool: { durability = \"always\"; };", 4,
          "one of \"power\", \"crash\", \"outage\"" },
        { IN_TLS("version = \"1.1\";"), 2, "tls.version must be one of \"1.2\", \"1.3\"" },
        { IN_SENSOR("name = \"a\"; device = \"ttyACM0\";"), 3, "must be a whole path such as" },
        { IN_SENSOR("name = \"a\"; device = \"usb:2341\";"), 3, "must be usb:VID:PID" },
        { IN_SENSOR("name = \"a\"; device = \"usb:2341:004x\";"), 3, "must be usb:VID:PID" },
        { IN_SENSOR("name = \"a\"; device = \"usb:2341:0043:\";"), 3, "must be usb:VID:PID" },

        /* numbers that libconfig would take for others */
        { IN_BROKER("host = \"b\"; port = 4294976179;"), 1, "4294976179 is larger than anything" },
        { IN_BROKER("host = \"b\"; port = 99999999999999999999;"), 1, "is larger than anything" },
        { IN_BROKER("host = \"b\"; port = -4294958413;"), 1, "is larger than anything" },
        { IN_BROKER("host = \"b\"; port = 0x22B3;"), 1, "0x22B3 is not decimal" },
        { IN_BROKER("host = \"b\"; port = 8883L;"), 1, "8883L has letters behind it" },
        { IN_BROKER("host = \"b\"; port = 8883 + 1;"), 1, "is not understood" },
        { IN_BROKER("host = \"b\"; port = 08883;"), 1, "08883 begins with a zero" },
        { SOUND "state: { interval_s = 30s; };", 4, "30s has letters behind it" },
        { IN_BROKER("host = \"b\"; port = 8883.0;"), 1, "port must be a whole number" },
        { SOUND "state: { interval_s = 1e999; };", 4, "interval_s must be between 1 and 86400 s" },

        /* TLS has no switch */
        { BROKERS "tls = false; mqtt: { username = \"u\"; };\n" SENSORS, 2, "always on" },
        { IN_TLS("enabled = true;"), 2, "tls.enabled: TLS has no switch, it is always on" },
        { IN_TLS("insecure = true;"), 2, "tls.insecure: verification cannot be switched off" },
        { IN_TLS("verify = false;"), 2, "tls.verify: verification cannot be switched off" },
        { IN_MQTT("tls = false;"), 4, "mqtt.tls: TLS has no switch" },
        { IN_BROKER("host = \"b\"; tls = false;"), 1, "brokers[0].tls: TLS has no switch" },
        { IN_MQTT("password = \"x\";"), 4, "mqtt.password: secrets do not stand in this file" },
        { IN_MQTT("retain = true;"), 4, "mqtt.retain: readings are never retained" },
        { IN_MQTT("client_id = \"x\";"), 4, "mqtt.client_id: the client id is sensorgw-" },

        /* ciphers */
        { IN_TLS("ciphers = \"\";"), 2, "tls.ciphers names no cipher" },
        { IN_TLS("ciphers = ();"), 2, "tls.ciphers names no cipher" },
        { IN_TLS("ciphers = [ 1 ];"), 2, "tls.ciphers must be names" },
        { IN_TLS("ciphers = \"HIGH\";"), 2, "\"HIGH\" is no cipher that OpenSSL has" },
        { IN_TLS("ciphers = \"!aNULL\";"), 2, "\"!aNULL\" is no cipher" },
        { IN_TLS("ciphers = \"TLS_AES_128_GCM_SHA256\";"), 2, "it goes into tls.ciphersuites" },
        { IN_TLS("ciphersuites = \"ECDHE-RSA-AES128-GCM-SHA256\";"), 2,
          "it goes into tls.ciphers" },
        { IN_TLS("version = \"1.3\"; ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\";"), 2,
          "tls.ciphers are for TLS 1.2, which tls.version = \"1.3\" excludes" },
        { IN_TLS("version = \"1.2\"; ciphersuites = \"TLS_AES_128_GCM_SHA256\";"), 2,
          "tls.ciphersuites are for TLS 1.3, which tls.version = \"1.2\" excludes" },

        /* who we are */
        { BROKERS "tls: { certificate = \"c\"; };\n" SENSORS, 2,
          "tls.certificate is set without tls.key" },
        { BROKERS "tls: { key = \"k\"; };\n" SENSORS, 2, "tls.key is set without tls.certificate" },
        { BROKERS "tls: { ca = \"c\"; };\n" SENSORS, 2, "the broker could not know us" },
        { BROKERS SENSORS, 0, "the broker could not know us" },
        { IN_MQTT("password_file = \"p\";"), 4, "mqtt.password_file is set without mqtt.username" },
        { BROKERS "mqtt: { username = \"u\"; }; tls: { passphrase_file = \"p\"; };\n" SENSORS, 2,
          "tls.passphrase_file is set without tls.key" },
        { BROKERS "mqtt: { username = \"Kitchen Pi\"; };\n" SENSORS, 2, "cannot stand in for it" },
        { SOUND "reconnect: { min_s = 61; };", 4,
          "min_s (61 s) is more than reconnect.max_s (60 s)" },
        { SOUND "reconnect: { max_s = 0.5; };", 4,
          "min_s (1 s) is more than reconnect.max_s (0.5" },

        /* drivers and their keys */
        { IN_SENSOR("name = \"a\";"), 3, "sensors[0].device is not set" },
        { IN_SENSOR("name = \"a\"; driver = \"iio\";"), 3, "sensors[0].device is not set" },
        { IN_SENSOR("name = \"a\"; driver = \"gpio\"; line = 4;"), 3,
          "sensors[0].chip is not set" },
        { IN_SENSOR("name = \"a\"; driver = \"gpio\"; chip = \"c\";"), 3,
          "sensors[0].line is not set" },
        { IN_SENSOR(ON_GPIO "device = \"/dev/a\";"), 3,
          "sensors[0].device is for driver \"serial\" and \"iio\", and this one is \"gpio\"" },
        { IN_SENSOR(ON_GPIO "baud = 9600;"), 3, "sensors[0].baud is for driver \"serial\"" },
        { IN_SENSOR(ON_GPIO "node = 1;"), 3, "sensors[0].node is for driver \"serial\"" },
        { IN_SENSOR(A "interval_s = 5;"), 3, "sensors[0].interval_s is for driver \"gpio\" and" },
        { IN_SENSOR(A "model = \"dht22\";"), 3, "sensors[0].model is for driver \"gpio\"" },
        { IN_SENSOR(ON_GPIO "interval_s = 1.9;"), 3, "interval_s must be between 2 and 86400 s" },
        { IN_SENSOR(ON_GPIO "model = \"dht21\";"), 3, "must be one of \"dht11\", \"dht22\"" },
        { IN_SENSOR("name = \"a\"; driver = \"gpio\"; chip = \"c\"; line = -1;"), 3,
          "sensors[0].line must be a number of 0 or more" },
        { IN_SENSOR("name = \"a\"; driver = \"gpio\"; chip = \"c\"; line = 1.5;"), 3,
          "sensors[0].line must be a line's number" },
        { IN_SENSOR("name = \"a\"; driver = \"iio\"; device = \"a b\";"), 3,
          "sensors[0].device must be the sensor's name" },
        { TWO_SENSORS("name = \"a\"; driver = \"gpio\"; chip = \"c\"; line = 4;",
                      "name = \"b\"; driver = \"gpio\"; chip = \"c\"; line = \"4\";"),
          5, "sensors[1].line: sensors[0] is read from the same place, gpio:c:4" },
        { TWO_SENSORS("name = \"a\"; driver = \"iio\"; device = \"x\";",
                      "name = \"b\"; driver = \"iio\"; device = \"x\";"),
          5, "sensors[1].device: sensors[0] is read from the same place, iio:x" },

        /* what is done to readings */
        { IN_SENSOR(A "limits = ( { quantity = \"t\"; min = 0; max = 1; } );"), 3,
          "must be called as it is published" },
        { IN_SENSOR(A "limits = ( { quantity = \"Temperature\"; min = 0; max = 1; } );"), 3,
          "must be a quantity: temperature" },
        { IN_SENSOR(A "limits = ( { quantity = \"temperature\"; min = 0; } );"), 3,
          "sensors[0].limits[0].max is not set" },
        { IN_SENSOR(A "limits = ( { quantity = \"soil\"; min = 2; max = 1.5; } );"), 3,
          "sensors[0].limits[0].min (2) is more than max (1.5)" },
        { IN_SENSOR(A "limits = ( { quantity = \"soil\"; min = 0; max = 1; }, "
                      "{ quantity = \"soil\"; min = 0; max = 1; } );"),
          3, "sensors[0].limits[1].quantity is \"soil\" a second time" },
        { IN_SENSOR(A "offset = ( { quantity = \"soil\"; value = 1e8; } );"), 3,
          "must be between -9999999 and 9999999" },
        { IN_SENSOR(A "offset = ( { quantity = \"soil\"; value = 1; }, "
                      "{ quantity = \"soil\"; value = 2; } );"),
          3, "sensors[0].offset[1].quantity is \"soil\" a second time" },
        { IN_SENSOR(A "publish: { change = ( { quantity = \"soil\"; value = 1; } ); };"), 3,
          "sensors[0].publish.change is set without publish.interval_s" },
        { IN_SENSOR(A "publish: { interval_s = 60; change = ( { quantity = \"soil\"; value = 0; } "
                      "); };"),
          3, "value must be between 0.001 and 9999999" },
        { IN_SENSOR(A "publish: { interval = 60; };"), 3,
          "unknown key sensors[0].publish.interval, did you mean sensors[0].publish.interval_s?" },

        /* sensors among themselves */
        { IN_SENSOR(A "driver = \"gpoi\";"), 3, "there is no driver \"gpoi\"" },
        { IN_SENSOR(A "baud = 9601;"), 3,
          "sensors[0].baud must be a speed that serial ports have" },
        { IN_SENSOR(A "node = 1; nodes = ( { id = 2; name = \"n\"; } );"), 3,
          "admits one board only" },
        { TWO_SENSORS(A, "name = \"b\"; device = \"/dev/a\";"), 5,
          "may be the same port as sensors[0]" },
        { TWO_SENSORS("name = \"a\"; device = \"usb:2341:004a\";",
                      "name = \"b\"; device = \"usb:2341:004A\";"),
          5, "add the serial number" },
        { TWO_SENSORS("name = \"a\"; device = \"usb:2341:0043\";",
                      "name = \"b\"; device = \"usb:2341:0043:7\";"),
          5, "add the serial number" },
        { TWO_SENSORS(A, "name = \"a\"; device = \"/dev/b\";"), 5, "and so is sensors[0].name" },
        { TWO_SENSORS(A, "name = \"a-2\"; device = \"/dev/b\";"), 5,
          "and so is board 2 on the port" },
        { TWO_SENSORS(A, "name = \"a-65535\"; device = \"/dev/b\";"), 5, "and so is board 65535" },
        { TWO_SENSORS(A, B "nodes = ( { id = 9; name = \"a-3\"; } );"), 5,
          "board 3 on the port of" },
        { TWO_SENSORS(A, B "nodes = ( { id = 9; name = \"a\"; } );"), 5,
          "and so is sensors[0].name" },
        { IN_SENSOR(A "nodes = ( { id = 2; name = \"a\"; } );"), 3,
          "nodes[0].name is \"a\", and so" },
        { IN_SENSOR(A "nodes = ( { id = 2; name = \"a-3\"; } );"), 3, "and so is board 3" },
        { IN_SENSOR(A "nodes = ( { id = 2; name = \"x\"; }, { id = 2; name = \"y\"; } );"), 3,
          "sensors[0].nodes[1].id: board 2 is named twice" },
        { IN_SENSOR(A "nodes = ( { id = 2; name = \"x\"; }, { id = 3; name = \"x\"; } );"), 3,
          "nodes[1].name is \"x\", and so is sensors[0].nodes[0].name" },
        { IN_SENSOR("name = \"a123456789b123456789c123456789d123456789e123456789f12345678\"; "
                    "device = \"/dev/a\";"),
          3, "leaves no room for the number of a further board" },

        /* what ends the reading */
        { SOUND "a = ;", 4, "is not understood" },
        { SOUND "a = foo;\nb = bar;", 4, "is not understood" },
        { BROKERS "tls: { certificate = \"c\";\n" SENSORS, 2, "is never closed with }" },
        { SOUND "x = ( {\n\n} ;", 4, "is never closed with )" },
        { SOUND "x = ( { ) };", 4, ") where } of line 4 must come first" },
        { SOUND "};", 4, "} closes nothing" },
        { SOUND "x = ((((((((((((((((()))))))))))))))));", 4, "( is nested deeper" },
        { SOUND "\"gateway\" = \"x\";", 4, "a text stands where there can be none" },
        { SOUND "gateway \"x\";", 4, "a text stands where there can be none" },
        { SOUND "gateway = 5 \"x\";", 4, "a text stands where there can be none" },
        { IN_MQTT("keepalive_s = 5, \"x\""), 4, "a text stands where there can be none" },
        { SOUND "x = [ 1, \"a\" ];", 4, "the elements of an array [ ] must be of one type" },
        { SOUND "brokers = ();", 4, "this key is set a second time" },
        { IN_MQTT("keepalive_s = 5; keepalive_s = 5;"), 4, "this key is set a second time" },
        { SOUND "\n@include \"more.conf\"\n", 5, "@include is not accepted" },
        { SOUND "gateway = \"kitchen;\nx = \"y\";", 4, "a text is not closed" },
        { SOUND "\n/* gateway = 1;\n\n", 5, "a comment begins here with /*" },
    };

    return cr_make_param_array(struct refusal, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct refusal *row, config, every_rule_has_its_error) {
    static struct outcome outcome;
    char place[32];

    harness_load(row->text, &outcome);
    if (row->line > 0)
        (void)snprintf(place, sizeof(place), "sensorgw.conf:%u: ", row->line);
    else
        (void)snprintf(place, sizeof(place), "sensorgw.conf: ");
    cr_assert_eq(outcome.result, -EINVAL, "%s", row->text);
    cr_assert_eq(outcome.errors, 1, "%s%s", row->text, outcome.log);
    cr_assert_not_null(strstr(outcome.log, place), "%s%s", row->text, outcome.log);
    cr_assert_not_null(strstr(outcome.log, row->fragment), "%s\n%s", row->fragment, outcome.log);
}

Test(config, an_error_has_fields) {
    static struct outcome outcome;

    harness_load(SOUND "spool: { max = 3; };", &outcome);
    cr_assert_not_null(strstr(outcome.log, "sensorgw.conf LINE=4 KEY=spool.max\n"), "%s",
                       outcome.log);
    cr_assert_not_null(strstr(outcome.log, " PATH=/tmp/"), "%s", outcome.log);
}

Test(config, all_errors_are_told_in_the_order_of_their_lines) {
    static struct outcome outcome;
    const char *at = outcome.log;

    harness_load("sensors = ( { name = \"a b\"; device = \"x\"; baud = 1; } );\n"
                 "tls: { cipher = \"\";\n"
                 "       ca = \"\"; };\n"
                 "brokers = ( { host = \"b\"; port = 0; },\n"
                 "            { } );\n"
                 "mqtt: { password_file = \"p\"; };\n"
                 "port = 99999999999;\n",
                 &outcome);
    cr_assert_eq(outcome.result, -EINVAL);
    cr_assert_eq(outcome.errors, 11, "%s", outcome.log);
    for (unsigned line = 1; line <= 7; line++) {
        char place[32];

        (void)snprintf(place, sizeof(place), ".conf:%u: ", line);
        at = strstr(at, place);
        cr_assert_not_null(at, "%s%s", place, outcome.log);
    }
}

Test(config, a_flood_of_errors_is_told_in_part_and_counted) {
    static struct outcome outcome;
    static char text[32 * 1024];
    size_t length = 0;

    for (int i = 0; i < 1000; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "unknown%d = 1;\n", i);
    harness_load(text, &outcome);
    cr_assert_eq(outcome.result, -EINVAL);
    cr_assert_eq(outcome.errors, DOCUMENT_FINDINGS + 1);
    cr_assert_not_null(strstr(outcome.log, "MORE=903"), "%s", outcome.log);
}

struct sound_row {
    char name[40];
    char text[640];
};

ParameterizedTestParameters(config, these_are_sound) {
    static struct sound_row rows[] = {
        { "an address as host", IN_BROKER("host = \"192.0.2.1\";") },
        { "an IPv6 address as host", IN_BROKER("host = \"fd00::1\";") },
        { "an underscore in a host", IN_BROKER("host = \"my_broker\";") },
        { "a login by password",
          BROKERS "mqtt: { username = \"u\"; password_file = \"p\"; };\n" SENSORS },
        { "certificate and username", IN_MQTT("username = \"u\";") },
        { "a username that is no name", IN_MQTT("username = \"Kitchen Pi\";") },
        { "ciphers as a list", IN_TLS("ciphers = ( \"ECDHE-RSA-AES128-GCM-SHA256\" );") },
        { "ciphersuites of 1.3 alone",
          IN_TLS("version = \"1.3\"; ciphersuites = \"TLS_AES_128_GCM_SHA256\";") },
        { "a cipher of 1.2 alone",
          IN_TLS("version = \"1.2\"; ciphers = \"ECDHE-RSA-AES128-GCM-SHA256\";") },
        { "board 1 named as the sensor", IN_SENSOR(A "nodes = ( { id = 1; name = \"a\"; } );") },
        { "board 2 named as it would be", IN_SENSOR(A "nodes = ( { id = 2; name = \"a-2\"; } );") },
        { "name-N beside a sensor with node",
          TWO_SENSORS(A "node = 1;", "name = \"a-2\"; device = \"/dev/b\";") },
        { "name-1", TWO_SENSORS(A, "name = \"a-1\"; device = \"/dev/b\";") },
        { "name-02", TWO_SENSORS(A, "name = \"a-02\"; device = \"/dev/b\";") },
        { "name-65536", TWO_SENSORS(A, "name = \"a-65536\"; device = \"/dev/b\";") },
        { "name-2x", TWO_SENSORS(A, "name = \"a-2x\"; device = \"/dev/b\";") },
        { "a long name with node",
          IN_SENSOR("name = \"a123456789b123456789c123456789d123456789e123456789f123456789abcd\"; "
                    "device = \"/dev/a\"; node = 1;") },
        { "two boards by serial number",
          TWO_SENSORS("name = \"a\"; device = \"usb:2341:0043:6\";",
                      "name = \"b\"; device = \"usb:2341:0043:7\";") },
        { "marks inside texts", IN_MQTT("username = \"@include # /* // 0x10 \\\" \"; # \" 010\n") },
        { "marks inside comments", SOUND "// @include \"x\" 0x10\n/* \" 010\n@include */ # \"" },
        { "a comment without a newline", SOUND "# the end" },
        { "texts in two parts", IN_MQTT("username = \"a\" \"b\";") },
        { "UTF-8", IN_MQTT("username = \"K\303\274che\";") },
        { "commas and no semicolons", "mqtt: { keepalive_s = 7, username = \"u\" }\n" SOUND },
        { "CR LF", "mqtt: { keepalive_s = 7; };\r\n" SOUND },
    };

    return cr_make_param_array(struct sound_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct sound_row *row, config, these_are_sound) {
    static struct outcome outcome;

    harness_load(row->text, &outcome);
    cr_assert_eq(outcome.result, 0, "%s: %s", row->name, outcome.log);
    cr_assert_eq(outcome.errors + outcome.warnings, 0, "%s: %s", row->name, outcome.log);
    outcome_clear(&outcome);
}

Test(config, the_port_without_tls_is_taken_with_a_warning) {
    static struct outcome outcome;

    harness_load(IN_BROKER("host = \"b\"; port = 1883;"), &outcome);
    cr_assert_eq(outcome.result, 0);
    cr_assert_eq(outcome.warnings, 1);
    cr_assert_not_null(strstr(outcome.log, ":1: brokers[0].port is 1883"), "%s", outcome.log);
    outcome_clear(&outcome);
}

static void assert_prints_what_it_reads(const char *text) {
    CLEANUP(config_freep) struct config *config = harness_sound(text);
    CLEANUP(free_stringp) char *printed = harness_printed(config);
    CLEANUP(free_stringp) char *values = harness_printed_values(config);
    CLEANUP(config_freep) struct config *again = harness_sound(printed);
    CLEANUP(free_stringp) char *values_again = harness_printed_values(again);

    cr_assert_str_eq(values, values_again);
    cr_assert_eq(config->publisher.keepalive_s, again->publisher.keepalive_s);
    cr_assert_eq(config->sources.count, again->sources.count);
}

Test(config, what_is_printed_reads_back_the_same) {
    assert_prints_what_it_reads(SOUND);
    assert_prints_what_it_reads(full);
    assert_prints_what_it_reads(IN_MQTT("username = \"a\\\\b\\\"c\";"));
}

Test(config, defaults_are_marked_when_printed) {
    CLEANUP(config_freep) struct config *config = harness_sound(SOUND);
    CLEANUP(free_stringp) char *printed = harness_printed(config);

    cr_assert_not_null(strstr(printed, "\n        host = \"broker.example\";\n"));
    cr_assert_not_null(strstr(printed, "\n        port = 8883;  # default\n"));
    cr_assert_not_null(strstr(printed, "\n    # crl is not set\n"));
}

Test(config, a_file_that_is_not_there_needs_an_edit_and_one_that_cannot_be_read_does_not) {
    static struct outcome outcome;

    harness_load_file("/nonexistent/sensorgw.conf", &outcome);
    cr_assert_eq(outcome.result, -ENOENT);
    cr_assert_eq(config_exit_status(outcome.result), EXIT_CONFIG);
    cr_assert_not_null(strstr(outcome.log, "there is no such file"), "%s", outcome.log);
    harness_load_file("/tmp", &outcome);
    cr_assert_eq(outcome.result, -EISDIR);
    cr_assert_eq(config_exit_status(outcome.result), EXIT_FAILED);
    cr_assert_eq(config_exit_status(-EINVAL), EXIT_CONFIG);
}

Test(config, what_is_no_text_is_refused) {
    static struct outcome outcome;
    static char large[DOCUMENT_SIZE_MAX];

    harness_load_file(harness_write("zero", "a\0b", 3), &outcome);
    cr_assert_eq(outcome.result, -EINVAL);
    cr_assert_not_null(strstr(outcome.log, "it holds a zero byte"), "%s", outcome.log);
    memset(large, ' ', sizeof(large));
    harness_load_file(harness_write("large", large, sizeof(large)), &outcome);
    cr_assert_eq(outcome.result, -EFBIG);
}

Test(config, relative_paths_start_beside_the_file) {
    static struct outcome outcome;

    (void)harness_write("sensorgw.conf", SOUND, strlen(SOUND));
    cr_assert_eq(chdir(harness_folder()), 0);
    harness_load_file("sensorgw.conf", &outcome);
    cr_assert_eq(outcome.result, 0, "%s", outcome.log);
    assert_in_folder(outcome.config->publisher.tls.key, "absent.key");
    outcome_clear(&outcome);
    harness_load_file("./sensorgw.conf", &outcome);
    assert_in_folder(outcome.config->publisher.tls.key, "./absent.key");
    outcome_clear(&outcome);
    cr_assert_eq(chdir("/"), 0);
}

Test(config, credentials_are_taken_together_or_not_at_all) {
    CLEANUP(config_freep) struct config *one = NULL;
    CLEANUP(config_freep) struct config *both = NULL;

    (void)setenv("CREDENTIALS_DIRECTORY", harness_folder(), 1);
    (void)harness_write("gw.key", "", 0);
    one = harness_sound(full);
    assert_in_folder(one->publisher.tls.key, "pki/gw.key");
    assert_in_folder(one->publisher.tls.certificate, "pki/gw.pem");
    (void)harness_write("gw.pem", "", 0);
    both = harness_sound(full);
    assert_in_folder(both->publisher.tls.key, "gw.key");
    assert_in_folder(both->publisher.tls.certificate, "gw.pem");
    cr_assert_str_eq(both->publisher.tls.ca, "/ca/ca.pem");
}

/* As much of a certificate as it takes to read its name. */
static void write_certificate(const char *common_name) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    char path[PATH_MAX];
    FILE *file;

    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                     -1, -1, 0);
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    (void)snprintf(path, sizeof(path), "%s/absent.pem", harness_folder());
    file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_eq(PEM_write_X509(file, certificate), 1);
    (void)fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

Test(config, the_common_name_names_the_gateway) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(config_freep) struct config *named = NULL;

    write_certificate("attic-pi");
    config = harness_sound(IN_MQTT("username = \"u\";"));
    cr_assert_str_eq(config->gateway, "attic-pi");
    cr_assert_null(config->publisher.gateway);
    cr_assert_str_eq(config->publisher.fallback_gateway, "u");
    named = harness_sound("gateway = \"mine\";\n" SOUND);
    cr_assert_str_eq(named->gateway, "mine");
    cr_assert_str_eq(named->publisher.gateway, "mine");
}

Test(config, a_common_name_that_is_no_name_gives_way_with_a_warning) {
    static struct outcome outcome;

    write_certificate("attic.example");
    harness_load(IN_MQTT("username = \"u\";"), &outcome);
    cr_assert_eq(outcome.result, 0);
    cr_assert_str_eq(outcome.config->gateway, "u");
    cr_assert_not_null(strstr(outcome.log, "common name \"attic.example\" cannot be part of"), "%s",
                       outcome.log);
    outcome_clear(&outcome);
}

Test(config, without_any_name_the_host_names_the_gateway) {
    CLEANUP(config_freep) struct config *config = harness_sound(SOUND);
    char host[HOST_NAME_MAX + 1] = { 0 };

    cr_assert_eq(gethostname(host, sizeof(host) - 1), 0);
    host[strcspn(host, ".")] = '\0';
    cr_assert_str_eq(config->gateway, host);
}

enum { MUTATIONS = 1000, MUTANT_SIZE = sizeof(full) + 1024 };

static size_t mutate(struct dice *dice, char *text, size_t length) {
    static const char *const pieces[] = { "{",           "}",  "(",   ")",   "[",    "]",  "\"",
                                          "=",           ";",  ",",   "/*",  "#",    "\n", "0x",
                                          "99999999999", "-1", "1e9", "tls", "\\x00" };
    const char *piece = pieces[dice_roll(dice, sizeof(pieces) / sizeof(*pieces))];
    size_t at = dice_roll(dice, length);
    size_t size = 1 + dice_roll(dice, 24);

    switch (dice_roll(dice, 3)) {
    case 0:
        text[at] = (char)dice_roll(dice, 256);
        return length;
    case 1:
        size = size < length - at ? size : length - at;
        memmove(text + at, text + at + size, length - at - size);
        return length - size;
    default:
        size = strlen(piece);
        if (length + size > MUTANT_SIZE)
            return length;
        memmove(text + at + size, text + at, length - at);
        memcpy(text + at, piece, size);
        return length + size;
    }
}

Test(config, no_damaged_file_does_harm, .timeout = 120) {
    static struct outcome outcome;
    struct dice dice = dice_from_seed("no_damaged_file_does_harm");
    char text[MUTANT_SIZE];

    for (int i = 0; i < MUTATIONS; i++) {
        size_t length = sizeof(full) - 1;

        memcpy(text, full, length);
        for (size_t n = 1 + dice_roll(&dice, 4); n > 0 && length > 1; n--)
            length = mutate(&dice, text, length);
        harness_load_file(harness_write("mutant", text, length), &outcome);
        cr_assert_eq(outcome.result<0, outcome.errors> 0, "%.*s\n%s", (int)length, text,
                     outcome.log);
        outcome_clear(&outcome);
    }
}
