/* SPDX-License-Identifier: MIT */
#include "config/schema.h"

#include <string.h>

#include "config/document.h"
#include "core/in_flight.h"
#include "near_miss.h"

/* Stored as it is written, or times a scale. */
#define IN(type, member) .field = { offsetof(type, member), sizeof(((type *)NULL)->member) }
#define SCALED_IN(type, member, factor) IN(type, member), .scale = (factor)
#define DOCUMENT(member) IN(struct config_document, member)
#define CONFIG(member) IN(struct config_document, config.member)
#define SCALED_CONFIG(member, factor) SCALED_IN(struct config_document, config.member, factor)

#define RANGE(least, most) .minimum = (least), .maximum = (most)

#define MILLISECONDS 1e3
#define MICROSECONDS 1e6
#define HOURS 3600e6
#define MEBIBYTES (1024.0 * 1024.0)
#define AMOUNT_IN(type, member) SCALED_IN(type, member, CONDITIONING_SCALE)
#define AMOUNT_RANGE RANGE(-9999999, 9999999)

enum {
    LENGTH_TEXT = 255,
    LENGTH_HOST = 253, /* RFC 1035 */
    LENGTH_PATH = 4095,
};

static const char *const versions[] = { "1.2", "1.3", "1.2-1.3", NULL };
static const char *const durabilities[] = { "power", "crash", "outage", NULL };
static const char *const models[] = { "dht11", "dht22", NULL };

/* Whose keys they are. */
static const char *const serial[] = { "serial", NULL };
static const char *const gpio[] = { "gpio", NULL };
static const char *const with_device[] = { "serial", "iio", NULL };
static const char *const without_board[] = { "gpio", "iio", NULL };

const struct key schema[] = {
    /* the whole file */
    { GROUP_ROOT, "gateway", FORM_NAME, CONFIG(gateway),
      .otherwise = "the common name of `tls.certificate`, else `mqtt.username`, else the host name",
      .about = "Who this gateway is: its topics, and its client id `sensorgw-{gateway}`. The "
               "broker's permissions go by the certificate's common name, so set it only where "
               "that cannot be used." },
    { GROUP_ROOT, "brokers", FORM_LIST, .members = GROUP_BROKER, RANGE(1, 16), DOCUMENT(brokers),
      .is_required = true,
      .count = { offsetof(struct config_document, broker_count), sizeof(size_t) },
      .element_size = sizeof(struct broker_settings),
      .about = "Tried in this order without delay; after a round without success there is a pause, "
               "and each round starts at the first." },
    { GROUP_ROOT, "mqtt", FORM_GROUP, .members = GROUP_MQTT },
    { GROUP_ROOT, "tls", FORM_GROUP, .members = GROUP_TLS },
    { GROUP_ROOT, "reconnect", FORM_GROUP, .members = GROUP_RECONNECT },
    { GROUP_ROOT, "timeouts", FORM_GROUP, .members = GROUP_TIMEOUTS },
    { GROUP_ROOT, "spool", FORM_GROUP, .members = GROUP_SPOOL },
    { GROUP_ROOT, "state", FORM_GROUP, .members = GROUP_STATE },
    { GROUP_ROOT, "sensors", FORM_LIST, .members = GROUP_SENSOR, RANGE(1, 64), DOCUMENT(sensors),
      .is_required = true,
      .count = { offsetof(struct config_document, sensor_count), sizeof(size_t) },
      .element_size = sizeof(struct source_settings), .about = "What is read." },

    { GROUP_BROKER, "host", FORM_HOST, .maximum = LENGTH_HOST, IN(struct broker_settings, host),
      .is_required = true, .about = "Its host name or IP address." },
    { GROUP_BROKER, "port", FORM_INTEGER, RANGE(1, 65535), IN(struct broker_settings, port),
      .fallback = "8883", .about = "A port on which it speaks TLS." },
    { GROUP_BROKER, "name", FORM_HOST, .maximum = LENGTH_HOST, IN(struct broker_settings, name),
      .otherwise = "`host`",
      .about = "The name that its certificate must bear, where that is not the host." },

    { GROUP_MQTT, "topic", FORM_TOPIC, .maximum = LENGTH_TEXT, CONFIG(publisher.topic),
      .fallback = "\"sensors/{gateway}/{sensor}\"",
      .about = "Where readings go: `{sensor}` once, `{gateway}` at most once, otherwise letters, "
               "digits, `_`, `-` and `/`." },
    { GROUP_MQTT, "keepalive_s", FORM_INTEGER, RANGE(5, 65535), CONFIG(publisher.keepalive_s),
      .fallback = "30", .unit = "s",
      .about = "A dead connection is noticed within one and a half of these." },
    { GROUP_MQTT, "username", FORM_TEXT, .maximum = LENGTH_TEXT, CONFIG(publisher.username),
      .otherwise = "the certificate is the login",
      .about = "Sent when set, and RabbitMQ lets it win over the certificate." },
    { GROUP_MQTT, "password_file", FORM_PATH, .maximum = LENGTH_PATH,
      CONFIG(publisher.password_file),
      .about = "A file with the password alone, read again at each connect, so that a token can be "
               "renewed." },

    { GROUP_TLS, "ca", FORM_PATH, .maximum = LENGTH_PATH, CONFIG(publisher.tls.ca),
      .otherwise = "the system's store",
      .about = "Certificates (PEM) of the authorities that may vouch for a broker; several while "
               "one replaces the other." },
    { GROUP_TLS, "certificate", FORM_PATH, .maximum = LENGTH_PATH,
      CONFIG(publisher.tls.certificate), .otherwise = "`mqtt.username` is the login",
      .about = "Our certificate (PEM), followed by those between it and the authority." },
    { GROUP_TLS, "key", FORM_PATH, .maximum = LENGTH_PATH, CONFIG(publisher.tls.key),
      .about = "Its private key (PEM). Others than the owner and the group must not read it, nor "
               "the group write it: `chmod 640`." },
    { GROUP_TLS, "passphrase_file", FORM_PATH, .maximum = LENGTH_PATH,
      CONFIG(publisher.tls.passphrase_file), .otherwise = "the key is not encrypted",
      .about = "A file with the passphrase of an encrypted key." },
    { GROUP_TLS, "crl", FORM_PATH, .maximum = LENGTH_PATH, CONFIG(publisher.tls.crl),
      .about = "Revocation lists (PEM) that a broker must not be on." },
    { GROUP_TLS, "version", FORM_WORD, .words = versions, DOCUMENT(tls_version),
      .fallback = "\"1.2-1.3\"",
      .about = "A pin is a pin: the version of each connection is checked once it stands." },
    { GROUP_TLS, "ciphers", FORM_CIPHERS, CONFIG(publisher.tls.ciphers),
      .otherwise = "ECDHE with AES-GCM or ChaCha20-Poly1305",
      .about = "For TLS 1.2: exact names, OpenSSL's (`ECDHE-RSA-AES128-GCM-SHA256`) or IANA's "
               "(`TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`), as an array, a list, or one text with "
               "colons between." },
    { GROUP_TLS, "ciphersuites", FORM_CIPHERSUITES, CONFIG(publisher.tls.ciphersuites),
      .otherwise = "OpenSSL's own", .about = "For TLS 1.3, written the same way." },
    { GROUP_TLS, "expiry_warning_days", FORM_INTEGER, RANGE(1, 3650),
      CONFIG(publisher.tls.expiry_warning_days), .fallback = "30", .unit = "days",
      .about = "How long before our certificate runs out this is said." },

    { GROUP_RECONNECT, "min_s", FORM_NUMBER, RANGE(0.1, 3600),
      SCALED_CONFIG(publisher.reconnect_min_ms, MILLISECONDS), .fallback = "1", .unit = "s",
      .about = "The pause after the first failure; it doubles with each, and chance shortens it, "
               "so that many gateways do not come back in step." },
    { GROUP_RECONNECT, "max_s", FORM_NUMBER, RANGE(0.1, 86400),
      SCALED_CONFIG(publisher.reconnect_max_ms, MILLISECONDS), .fallback = "60", .unit = "s",
      .about = "The longest pause. It is 300 s at least for what only a person can mend." },
    { GROUP_RECONNECT, "stable_s", FORM_NUMBER, RANGE(0, 3600),
      SCALED_CONFIG(publisher.stable_us, MICROSECONDS), .fallback = "30", .unit = "s",
      .about = "How long a connection must have been of use before the next pause is short "
               "again." },

    { GROUP_TIMEOUTS, "resolve_s", FORM_NUMBER, RANGE(0.1, 600),
      SCALED_CONFIG(publisher.resolve_us, MICROSECONDS), .fallback = "5", .unit = "s",
      .about = "To look up the host's address." },
    { GROUP_TIMEOUTS, "connect_s", FORM_NUMBER, RANGE(0.1, 600),
      SCALED_CONFIG(publisher.connect_us, MICROSECONDS), .fallback = "10", .unit = "s",
      .about = "To connect over TCP." },
    { GROUP_TIMEOUTS, "tls_s", FORM_NUMBER, RANGE(0.1, 600),
      SCALED_CONFIG(publisher.tls_us, MICROSECONDS), .fallback = "10", .unit = "s",
      .about = "For the TLS handshake." },
    { GROUP_TIMEOUTS, "connack_s", FORM_NUMBER, RANGE(0.1, 600),
      SCALED_CONFIG(publisher.connack_us, MICROSECONDS), .fallback = "12", .unit = "s",
      .about = "For the broker's answer to the login." },
    { GROUP_TIMEOUTS, "puback_s", FORM_NUMBER, RANGE(0.1, 600),
      SCALED_CONFIG(publisher.puback_us, MICROSECONDS), .fallback = "30", .unit = "s",
      .about = "For the acknowledgement of a reading." },

    { GROUP_SPOOL, "path", FORM_ABSOLUTE_PATH, .maximum = LENGTH_PATH, CONFIG(spool.path),
      .fallback = "\"/var/lib/sensorgw/spool.db\"",
      .about =
          "Its file. The service may write to `/var/lib/sensorgw` only; a change waits for the "
          "next start." },
    { GROUP_SPOOL, "max_mb", FORM_INTEGER, RANGE(1, 1048576),
      SCALED_CONFIG(spool.max_bytes, MEBIBYTES), .fallback = "64", .unit = "MiB",
      .about = "When it is full the oldest readings give way, counted and said." },
    { GROUP_SPOOL, "durability", FORM_WORD, .words = durabilities, DOCUMENT(durability),
      .fallback = "\"crash\"",
      .about = "Named after the worst event that loses nothing accepted: a power cut, a crash of "
               "the daemon, or an outage of the network." },
    { GROUP_SPOOL, "window", FORM_INTEGER, RANGE(1, IN_FLIGHT_MAX), CONFIG(publisher.window),
      .fallback = "100",
      .about = "Readings under way at most, and so duplicates at most after a lost connection." },

    { GROUP_STATE, "interval_s", FORM_NUMBER, RANGE(1, 86400),
      SCALED_CONFIG(state_interval_us, MICROSECONDS), .fallback = "60", .unit = "s",
      .about = "The state is published this often, and at every change." },

    { GROUP_SENSOR, "name", FORM_NAME, IN(struct source_settings, name), .is_required = true,
      .about =
          "Part of the topic. With `serial` and without `node` at most 58 characters, to leave "
          "room for the number of further boards." },
    { GROUP_SENSOR, "driver", FORM_TEXT, .maximum = 32, IN(struct source_settings, driver),
      .fallback = "\"serial\"",
      .about = "How it is read: `serial`, a board on a serial port; `gpio`, a DHT11 or DHT22 on a "
               "pin of this machine; `iio`, any sensor that a driver of the kernel reads." },
    { GROUP_SENSOR, "device", FORM_DEVICE, .maximum = LENGTH_TEXT,
      IN(struct source_settings, device), .drivers = with_device, .is_required = true,
      .about = "With `serial` the port: a path, or `usb:VID:PID` or `usb:VID:PID:SERIAL` as "
               "`sensorgw ports` shows it. With `iio` the sensor's name (`cat "
               "/sys/bus/iio/devices/*/name`), `iio:device0`, or a path. It is looked for anew "
               "whenever it was gone." },
    { GROUP_SENSOR, "baud", FORM_INTEGER, RANGE(300, 4000000), IN(struct source_settings, baud),
      .drivers = serial, .fallback = "115200", .unit = "bit/s",
      .about = "The port's speed, one that Linux has: 9600, 57600, 115200 ..." },
    { GROUP_SENSOR, "chip", FORM_TEXT, .maximum = LENGTH_TEXT, IN(struct source_settings, chip),
      .drivers = gpio, .is_required = true,
      .about = "The GPIO chip: its label (`pinctrl-bcm2711`), which stays the same, or its device "
               "(`/dev/gpiochip0`). docs/gpio.md has the labels of each Raspberry Pi." },
    { GROUP_SENSOR, "line", FORM_LINE, .maximum = LENGTH_TEXT, IN(struct source_settings, line),
      .drivers = gpio, .is_required = true,
      .about = "The line of the sensor's data pin: its number on the chip (`4`) or its name "
               "(`\"GPIO4\"`)." },
    { GROUP_SENSOR, "model", FORM_WORD, .words = models, IN(struct source_settings, model),
      .drivers = gpio, .fallback = "\"dht11\"", .about = "`dht22` also for an AM2302 or AM2301." },
    { GROUP_SENSOR, "interval_s", FORM_NUMBER, RANGE(2, 86400),
      SCALED_IN(struct source_settings, interval_us, MICROSECONDS), .drivers = without_board,
      .fallback = "2.5", .unit = "s",
      .about = "How often it is read. A DHT11 that is asked more often than every two seconds "
               "answers with nonsense." },
    { GROUP_SENSOR, "silence_s", FORM_NUMBER, RANGE(0.1, 604800),
      SCALED_IN(struct source_settings, silence_us, MICROSECONDS), .drivers = serial, .unit = "s",
      .otherwise = "three times the interval that the board states",
      .about = "A sensor that is quiet for longer is `silent`." },
    { GROUP_SENSOR, "node", FORM_INTEGER, RANGE(1, 65535), IN(struct source_settings, node),
      .drivers = serial,
      .otherwise = "any board: number 1 is the sensor itself, number N is `name-N`",
      .about = "Only the board of this number; another is `wrong-board`, said and not "
               "published." },
    { GROUP_SENSOR, "nodes", FORM_LIST, .members = GROUP_NODE, RANGE(1, 64),
      IN(struct source_settings, nodes), .drivers = serial,
      .count = { offsetof(struct source_settings, node_count), sizeof(size_t) },
      .element_size = sizeof(struct node_settings),
      .about = "Names for several boards on one port." },
    { GROUP_SENSOR, "limits", FORM_LIST, .members = GROUP_LIMITS, RANGE(1, READING_QUANTITIES),
      IN(struct source_settings, rules.limits),
      .count = { offsetof(struct source_settings, rules.limit_count), sizeof(size_t) },
      .element_size = sizeof(struct quantity_limits),
      .otherwise = "-20 to 60 °C and 0 to 100 % for a DHT11, -40 to 80 °C and 0 to 100 % for a "
                   "DHT22, none for other sensors",
      .about = "A reading with a value outside is not published, but counted and said." },
    { GROUP_SENSOR, "offset", FORM_LIST, .members = GROUP_OFFSET, RANGE(1, READING_QUANTITIES),
      IN(struct source_settings, rules.offsets),
      .count = { offsetof(struct source_settings, rules.offset_count), sizeof(size_t) },
      .element_size = sizeof(struct quantity_amount),
      .about = "Added to what the sensor gives, whose digits stay as they are: 21.5 and 0.25 make "
               "21.8." },
    { GROUP_SENSOR, "frozen_h", FORM_NUMBER, RANGE(0.1, 8760),
      SCALED_IN(struct source_settings, rules.frozen_us, HOURS), .unit = "h",
      .otherwise = "never suspected",
      .about = "A sensor one of whose values has not moved for so long is `failing` for the cause "
               "`sensor-frozen`; it is published all the same." },
    { GROUP_SENSOR, "publish", FORM_GROUP, .members = GROUP_PUBLISH },

    { GROUP_NODE, "id", FORM_INTEGER, RANGE(1, 65535), IN(struct node_settings, number),
      .is_required = true, .about = "The board's number." },
    { GROUP_NODE, "name", FORM_NAME, IN(struct node_settings, name), .is_required = true,
      .about = "The name of the sensor on it." },

    { GROUP_LIMITS, "quantity", FORM_QUANTITY, IN(struct quantity_limits, quantity),
      .is_required = true,
      .about = "As it is published: `temperature`, `humidity`, `pressure` ..." },
    { GROUP_LIMITS, "min", FORM_AMOUNT, AMOUNT_RANGE, AMOUNT_IN(struct quantity_limits, min),
      .is_required = true, .about = "The least that is believed, in the unit that is published." },
    { GROUP_LIMITS, "max", FORM_AMOUNT, AMOUNT_RANGE, AMOUNT_IN(struct quantity_limits, max),
      .is_required = true, .about = "The most." },

    { GROUP_OFFSET, "quantity", FORM_QUANTITY, IN(struct quantity_amount, quantity),
      .is_required = true, .about = "As it is published." },
    { GROUP_OFFSET, "value", FORM_AMOUNT, AMOUNT_RANGE, AMOUNT_IN(struct quantity_amount, amount),
      .is_required = true, .about = "What is added to it." },

    { GROUP_PUBLISH, "interval_s", FORM_NUMBER, RANGE(1, 86400),
      SCALED_IN(struct source_settings, rules.publish_us, MICROSECONDS), .unit = "s",
      .otherwise = "every reading",
      .about = "Of the readings in such a time only the last is published." },
    { GROUP_PUBLISH, "change", FORM_LIST, .members = GROUP_CHANGE, RANGE(1, READING_QUANTITIES),
      IN(struct source_settings, rules.changes),
      .count = { offsetof(struct source_settings, rules.change_count), sizeof(size_t) },
      .element_size = sizeof(struct quantity_amount),
      .about = "A value that has moved so much since the last reading that was published is "
               "published at once." },

    { GROUP_CHANGE, "quantity", FORM_QUANTITY, IN(struct quantity_amount, quantity),
      .is_required = true, .about = "As it is published." },
    { GROUP_CHANGE, "value", FORM_AMOUNT, RANGE(0.001, 9999999),
      AMOUNT_IN(struct quantity_amount, amount), .is_required = true,
      .about = "How far it has to move, up or down." },
};

const size_t schema_length = sizeof(schema) / sizeof(*schema);

static const struct {
    const char *path;
    const char *about;
} groups[GROUP_COUNT] = {
    [GROUP_ROOT] = { "", "What is needed, and who this gateway is." },
    [GROUP_BROKER] = { "brokers[]", "Each element of `brokers`." },
    [GROUP_MQTT] = { "mqtt", "MQTT 3.1.1, QoS 1, readings not retained: there is no other." },
    [GROUP_TLS] = { "tls", "Relative paths start in `/etc/sensorgw` for `/etc/sensorgw.conf`, and "
                           "beside any other configuration file. Where a file is missing, "
                           "unreadable or has run out, the gateway starts all the same, keeps "
                           "its readings and says so." },
    [GROUP_RECONNECT] = { "reconnect", "Pauses between rounds through `brokers`." },
    [GROUP_TIMEOUTS] = { "timeouts", "Each step towards a broker has one of its own." },
    [GROUP_SPOOL] = { "spool", "Readings on disk until a broker has acknowledged them." },
    [GROUP_STATE] = { "state", "The topic `gateways/{gateway}`." },
    [GROUP_SENSOR] = { "sensors[]", "Each element of `sensors`." },
    [GROUP_NODE] = { "sensors[].nodes[]", "Each element of `nodes`." },
    [GROUP_LIMITS] = { "sensors[].limits[]", "Each element of `limits`." },
    [GROUP_OFFSET] = { "sensors[].offset[]", "Each element of `offset`." },
    [GROUP_PUBLISH] = { "sensors[].publish",
                        "Fewer readings. What is left out is counted as `thinned`." },
    [GROUP_CHANGE] = { "sensors[].publish.change[]", "Each element of `change`." },
};

#define NO_PLAIN_MODE                                                                \
    "TLS has no switch, it is always on: let the broker listen with TLS (RabbitMQ: " \
    "mqtt.listeners.ssl.default = 8883) and name its CA in tls.ca"
#define NO_BLIND_TRUST                                                                    \
    "verification cannot be switched off: name the broker's CA in tls.ca and, where its " \
    "certificate bears another name than the host, that name in brokers[].name"
#define NO_SECRETS "secrets do not stand in this file: put it alone into a file and name that in "
#define NO_RETAIN "readings are never retained, and the state always is: delete this line"
#define NO_QOS "it is always QoS 1: delete this line"
#define NO_CLIENT_ID "the client id is sensorgw-{gateway}: set gateway where it must be another"

static const struct {
    enum group group;
    const char *name;
    const char *sentence;
} refusals[] = {
    { GROUP_ROOT, "tls", NO_PLAIN_MODE },
    { GROUP_ROOT, "ssl", NO_PLAIN_MODE },
    { GROUP_ROOT, "use_tls", NO_PLAIN_MODE },
    { GROUP_ROOT, "insecure", NO_BLIND_TRUST },
    { GROUP_BROKER, "tls", NO_PLAIN_MODE },
    { GROUP_BROKER, "ssl", NO_PLAIN_MODE },
    { GROUP_BROKER, "insecure", NO_BLIND_TRUST },
    { GROUP_BROKER, "verify", NO_BLIND_TRUST },
    { GROUP_MQTT, "tls", NO_PLAIN_MODE },
    { GROUP_MQTT, "ssl", NO_PLAIN_MODE },
    { GROUP_MQTT, "password", NO_SECRETS "mqtt.password_file" },
    { GROUP_MQTT, "retain", NO_RETAIN },
    { GROUP_MQTT, "qos", NO_QOS },
    { GROUP_MQTT, "client_id", NO_CLIENT_ID },
    { GROUP_TLS, "enabled", NO_PLAIN_MODE },
    { GROUP_TLS, "enable", NO_PLAIN_MODE },
    { GROUP_TLS, "insecure", NO_BLIND_TRUST },
    { GROUP_TLS, "verify", NO_BLIND_TRUST },
    { GROUP_TLS, "verify_peer", NO_BLIND_TRUST },
    { GROUP_TLS, "verify_host", NO_BLIND_TRUST },
    { GROUP_TLS, "verify_hostname", NO_BLIND_TRUST },
    { GROUP_TLS, "check_hostname", NO_BLIND_TRUST },
    { GROUP_TLS, "passphrase", NO_SECRETS "tls.passphrase_file" },
};

bool schema_applies(const struct key *key, const void *target) {
    const struct source_settings *sensor = target;

    if (key->group != GROUP_SENSOR || !key->drivers)
        return true;
    for (const char *const *driver = key->drivers; sensor->driver && *driver; driver++)
        if (strcmp(*driver, sensor->driver) == 0)
            return true;
    return false;
}

const char *schema_group_path(enum group group) {
    return groups[group].path;
}

const char *schema_group_about(enum group group) {
    return groups[group].about;
}

const struct key *schema_find(enum group group, const char *name) {
    for (size_t i = 0; i < schema_length; i++)
        if (schema[i].group == group && strcmp(schema[i].name, name) == 0)
            return &schema[i];
    return NULL;
}

const struct key *schema_suggest(enum group group, const char *name) {
    const struct key *best = NULL;
    unsigned best_distance = NEAR_MISS_NONE;

    for (size_t i = 0; i < schema_length; i++) {
        unsigned distance = near_miss(name, schema[i].name);

        if (schema[i].group == group && distance < best_distance) {
            best = &schema[i];
            best_distance = distance;
        }
    }
    for (size_t i = 0; i < schema_length && !best; i++)
        if (strcmp(schema[i].name, name) == 0)
            best = &schema[i];
    return best;
}

const char *schema_refusal(enum group group, const char *name) {
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++)
        if (refusals[i].group == group && strcmp(refusals[i].name, name) == 0)
            return refusals[i].sentence;
    return NULL;
}
