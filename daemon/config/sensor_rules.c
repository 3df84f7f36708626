/* SPDX-License-Identifier: MIT */
#include "config/sensor_rules.h"

#include <stdio.h>
#include <string.h>

#include "config/forms.h"
#include "config/schema.h"
#include "core/reading.h"
#include "core/usb_name.h"
#include "io/serial_port.h"

enum { NODE_SUFFIX_LENGTH = 6 /* -65535 */, NODE_MAX = 65535 };

static const char *key_of(char key[static DOCUMENT_KEY_SIZE], size_t sensor, const char *name) {
    (void)snprintf(key, DOCUMENT_KEY_SIZE, "sensors[%zu].%s", sensor, name);
    return key;
}
#define KEY_OF(sensor, name) (key_of((char[DOCUMENT_KEY_SIZE]){ 0 }, (sensor), (name)))

static void check_driver(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];
    const char *key = KEY_OF(i, "driver");

    if (sensor->driver && !source_driver_exists(sensor->driver))
        document_error(document, key,
                       "%s: there is no driver \"%s\", only \"serial\", \"gpio\" and \"iio\"", key,
                       FORM_SHOW(sensor->driver));
}

static bool is_read_by(const struct source_settings *sensor, const char *driver) {
    return sensor->driver && strcmp(sensor->driver, driver) == 0;
}

/* ("serial", "iio") as "serial" and "iio" */
static const char *list_drivers(const char *const *drivers, char *text, size_t size) {
    size_t length = 0;

    text[0] = '\0';
    for (const char *const *driver = drivers; *driver && length < size; driver++)
        length += (size_t)snprintf(text + length, size - length, "%s\"%s\"",
                                   driver == drivers ? "" : " and ", *driver);
    return text;
}

static void check_foreign_keys(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];

    if (!sensor->driver || !source_driver_exists(sensor->driver))
        return;
    for (size_t j = 0; j < schema_length; j++) {
        char drivers[64];
        const char *key;

        if (schema[j].group != GROUP_SENSOR || schema_applies(&schema[j], sensor))
            continue;
        key = KEY_OF(i, schema[j].name);
        if (document_find(document, key))
            document_error(document, key, "%s is for driver %s, and this one is \"%s\"", key,
                           list_drivers(schema[j].drivers, drivers, sizeof(drivers)),
                           sensor->driver);
    }
}

static void check_baud(struct config_document *document, size_t i) {
    unsigned baud = document->sensors[i].baud;
    const char *key = KEY_OF(i, "baud");

    if (baud == 0 || serial_baud_is_supported(baud))
        return;
    document_error(
        document, key,
        "%s must be a speed that serial ports have, such as 9600, 57600 or 115200, is %u", key,
        baud);
}

static void check_node(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];
    const char *key = KEY_OF(i, "node");

    if (document_find(document, key) && document_find(document, KEY_OF(i, "nodes")))
        document_error(document, key,
                       "%s admits one board only, and sensors[%zu].nodes names several: delete one "
                       "of the two",
                       key, i);
    else if (is_read_by(sensor, "serial") && sensor->name && !document_find(document, key) &&
             strlen(sensor->name) > NAME_MAX_LENGTH - NODE_SUFFIX_LENGTH)
        document_error(document, KEY_OF(i, "name"),
                       "sensors[%zu].name leaves no room for the number of a further board: 58 "
                       "characters at most, or set node",
                       i);
}

/* Do the two name one port, or may they: usb:2341:0043 is also the board with a serial number? */
static bool share_a_port(const char *a, const char *b) {
    struct usb_name one;
    struct usb_name other;

    if (usb_name_parse(a, &one) < 0 || usb_name_parse(b, &other) < 0)
        return strcmp(a, b) == 0;
    return usb_name_matches(&one, other.vendor, other.product, other.serial) ||
           usb_name_matches(&other, one.vendor, one.product, one.serial);
}

static void check_form(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];
    const char *key = KEY_OF(i, "device");
    const char *wrong = NULL;

    if (sensor->device && is_read_by(sensor, "serial"))
        wrong = form_check_port(sensor->device);
    else if (sensor->device && is_read_by(sensor, "iio"))
        wrong = form_check_iio(sensor->device);
    if (wrong)
        document_error(document, key, "%s %s, is \"%s\"", key, wrong, FORM_SHOW(sensor->device));
}

/* Where it is read from, in one text. */
static void settle_place(struct config_document *document, size_t i) {
    struct source_settings *sensor = &document->sensors[i];

    if (is_read_by(sensor, "gpio") && sensor->chip && sensor->line)
        sensor->place = document_text(document, "gpio:%s:%s", sensor->chip, sensor->line);
    else if (is_read_by(sensor, "iio") && sensor->device && sensor->device[0] != '/')
        sensor->place = document_text(document, "iio:%s", sensor->device);
    else
        sensor->place = sensor->device;
}

/* One driver may be told two names of one thing: the second finds it busy. */
static void check_place(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];
    const char *key = KEY_OF(i, sensor->line ? "line" : "device");

    for (size_t j = 0; sensor->place && !is_read_by(sensor, "serial") && j < i; j++)
        if (document->sensors[j].place && strcmp(document->sensors[j].place, sensor->place) == 0) {
            document_error(document, key, "%s: sensors[%zu] is read from the same place, %s", key,
                           j, FORM_SHOW(sensor->place));
            return;
        }
}

static void check_device(struct config_document *document, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];
    const char *device = is_read_by(sensor, "serial") ? sensor->device : NULL;
    const char *key = KEY_OF(i, "device");

    for (size_t j = 0; device && j < i; j++) {
        const struct source_settings *before = &document->sensors[j];
        const char *other = is_read_by(before, "serial") ? before->device : NULL;

        if (!other || !share_a_port(device, other))
            continue;
        document_error(document, key,
                       "%s may be the same port as sensors[%zu].device: for boards of one kind add "
                       "the serial number (usb:VID:PID:SERIAL), for several boards on one port use "
                       "nodes",
                       key, j);
        return;
    }
}

/* A name that readings can be published under, and where it is given. */
struct claim {
    const char *name;
    size_t sensor;
    const struct node_settings *node; /* NULL: the sensor itself */
};

struct claims {
    struct claim *all;
    size_t count;
};

static const char *claim_key(const struct config_document *document, const struct claim *claim,
                             char key[static DOCUMENT_KEY_SIZE]) {
    if (claim->node)
        (void)snprintf(key, DOCUMENT_KEY_SIZE, "sensors[%zu].nodes[%zu].name", claim->sensor,
                       (size_t)(claim->node - document->sensors[claim->sensor].nodes));
    else
        (void)key_of(key, claim->sensor, "name");
    return key;
}
#define CLAIM_KEY(document, claim) (claim_key((document), (claim), (char[DOCUMENT_KEY_SIZE]){ 0 }))

static void add_claim(struct config_document *document, struct claims *claims, struct claim claim) {
    if (!claim.name)
        return;
    for (size_t i = 0; i < claims->count; i++) {
        const struct claim *other = &claims->all[i];
        const char *key;

        if (strcmp(claim.name, other->name) != 0)
            continue;
        key = CLAIM_KEY(document, &claim);
        document_error(document, key,
                       "%s is \"%s\", and so is %s: two boards would publish under one name", key,
                       claim.name, CLAIM_KEY(document, other));
        return;
    }
    claims->all[claims->count++] = claim;
}

static const struct node_settings *find_node(const struct source_settings *sensor,
                                             unsigned number) {
    for (size_t i = 0; i < sensor->node_count; i++)
        if (sensor->nodes[i].number == number)
            return &sensor->nodes[i];
    return NULL;
}

static void claim_names(struct config_document *document, struct claims *claims, size_t i) {
    const struct source_settings *sensor = &document->sensors[i];

    add_claim(document, claims, (struct claim){ .name = sensor->name, .sensor = i });
    for (size_t j = 0; j < sensor->node_count; j++) {
        const struct node_settings *node = &sensor->nodes[j];
        bool is_itself = node->number == 1 && node->name && sensor->name &&
                         strcmp(node->name, sensor->name) == 0;

        if (node->number != 0 && find_node(sensor, node->number) != node) {
            char key[DOCUMENT_KEY_SIZE];

            (void)snprintf(key, sizeof(key), "sensors[%zu].nodes[%zu].id", i, j);
            document_error(document, key, "%s: board %u is named twice", key, node->number);
        } else if (!is_itself) {
            add_claim(document, claims,
                      (struct claim){ .name = node->name, .sensor = i, .node = node });
        }
    }
}

/* N of "name-N", the name of a further board on the sensor's port; 0 when it is none. */
static unsigned further_board(const struct source_settings *sensor, const char *name) {
    size_t length = strlen(sensor->name);
    unsigned number = 0;

    if (strncmp(name, sensor->name, length) != 0 || name[length] != '-')
        return 0;
    for (const char *at = name + length + 1; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || (number == 0 && *at == '0'))
            return 0;
        number = number * 10 + (unsigned)(*at - '0');
        if (number > NODE_MAX)
            return 0;
    }
    return number >= 2 ? number : 0;
}

/* A sensor that takes any board publishes number N as name-N. */
static void check_further_boards(struct config_document *document, const struct claims *claims,
                                 size_t i) {
    const struct source_settings *sensor = &document->sensors[i];

    if (!sensor->name || !is_read_by(sensor, "serial") ||
        document_find(document, KEY_OF(i, "node")))
        return;
    for (size_t j = 0; j < claims->count; j++) {
        const struct claim *claim = &claims->all[j];
        unsigned number = further_board(sensor, claim->name);
        const char *key;

        if (number == 0 || find_node(sensor, number))
            continue;
        key = CLAIM_KEY(document, claim);
        document_error(document, key,
                       "%s is \"%s\", and so is board %u on the port of sensors[%zu] (\"%s\"): "
                       "rename it, or set sensors[%zu].node",
                       key, claim->name, number, i, sensor->name, i);
    }
}

static void check_names(struct config_document *document) {
    struct claims claims = { .count = 0 };
    size_t count = document->sensor_count;

    for (size_t i = 0; i < document->sensor_count; i++)
        count += document->sensors[i].node_count;
    claims.all = document_allocate(document, count * sizeof(*claims.all));
    if (!claims.all)
        return;
    for (size_t i = 0; i < document->sensor_count; i++)
        claim_names(document, &claims, i);
    for (size_t i = 0; i < document->sensor_count; i++)
        check_further_boards(document, &claims, i);
}

/* ---- conditioning ---- */

/* Is the quantity of one element that of one before it? list: "offset" */
static void check_twice(struct config_document *document, size_t i, const char *list, size_t j,
                        const char *quantity, const char *before) {
    char key[DOCUMENT_KEY_SIZE];

    if (!quantity || !before || strcmp(quantity, before) != 0)
        return;
    (void)snprintf(key, sizeof(key), "sensors[%zu].%s[%zu].quantity", i, list, j);
    document_error(document, key, "%s is \"%s\" a second time", key, FORM_SHOW(quantity));
}

static void check_amounts(struct config_document *document, size_t i, const char *list,
                          const struct quantity_amount *amounts, size_t count) {
    for (size_t j = 0; j < count; j++)
        for (size_t k = 0; k < j; k++)
            check_twice(document, i, list, j, amounts[j].quantity, amounts[k].quantity);
}

static void check_limits(struct config_document *document, size_t i) {
    const struct conditioning_rules *rules = &document->sensors[i].rules;

    for (size_t j = 0; j < rules->limit_count; j++) {
        const struct quantity_limits *limits = &rules->limits[j];
        char key[DOCUMENT_KEY_SIZE];

        (void)snprintf(key, sizeof(key), "sensors[%zu].limits[%zu].min", i, j);
        if (limits->min > limits->max)
            document_error(document, key, "%s (%g) is more than max (%g)", key,
                           (double)limits->min / CONDITIONING_SCALE,
                           (double)limits->max / CONDITIONING_SCALE);
        for (size_t k = 0; k < j; k++)
            check_twice(document, i, "limits", j, limits->quantity, rules->limits[k].quantity);
    }
}

static void check_conditioning(struct config_document *document, size_t i) {
    const struct conditioning_rules *rules = &document->sensors[i].rules;
    const char *key = KEY_OF(i, "publish.change");

    check_limits(document, i);
    check_amounts(document, i, "offset", rules->offsets, rules->offset_count);
    check_amounts(document, i, "publish.change", rules->changes, rules->change_count);
    if (rules->change_count > 0 && !document_find(document, KEY_OF(i, "publish.interval_s")))
        document_error(document, key,
                       "%s is set without publish.interval_s: then every reading is published",
                       key);
}

void sensor_rules_apply(struct config_document *document) {
    for (size_t i = 0; i < document->sensor_count; i++) {
        check_driver(document, i);
        check_foreign_keys(document, i);
        check_form(document, i);
        settle_place(document, i);
        check_place(document, i);
        check_conditioning(document, i);
        check_baud(document, i);
        check_node(document, i);
        check_device(document, i);
    }
    check_names(document);
    document->config.sources.sources = document->sensors;
    document->config.sources.count = document->sensor_count;
}
