/* SPDX-License-Identifier: MIT */
#include "core/topic.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/reading.h"

struct template_row {
    char name[32];
    char template[64];
    bool is_valid;
};

ParameterizedTestParameters(topic, a_template_is_checked) {
    static struct template_row rows[] = {
        { "the default", "sensors/{gateway}/{sensor}", true },
        { "without gateway", "sensors/{sensor}", true },
        { "sensor alone", "{sensor}", true },
        { "sensor first", "{sensor}/{gateway}", true },
        { "marks side by side", "{gateway}{sensor}", true },
        { "inside a part", "sensors/gw-{gateway}_x/s{sensor}9", true },
        { "after the marks", "a/{gateway}/{sensor}/climate", true },
        { "all kinds of characters", "AZaz09_-/{sensor}", true },

        { "empty", "", false },
        { "no sensor", "sensors/{gateway}", false },
        { "sensor twice", "{sensor}/{sensor}", false },
        { "gateway twice", "{gateway}/{gateway}/{sensor}", false },
        { "empty first part", "/sensors/{sensor}", false },
        { "empty part inside", "sensors//{sensor}", false },
        { "empty last part", "sensors/{sensor}/", false },
        { "slash alone", "/", false },
        { "dot", "sensors.x/{sensor}", false },
        { "plus", "sensors/+/{sensor}", false },
        { "hash", "#/{sensor}", false },
        { "star", "*/{sensor}", false },
        { "dollar", "$SYS/{sensor}", false },
        { "space", "my sensors/{sensor}", false },
        { "percent", "%s/{sensor}", false },
        { "umlaut", "f\xc3\xbchler/{sensor}", false },
        { "control character", "a\tb/{sensor}", false },
        { "unknown mark", "{node}/{sensor}", false },
        { "mark in capitals", "sensors/{SENSOR}", false },
        { "mark not closed", "sensors/{sensor", false },
        { "mark not opened", "sensors/sensor}", false },
        { "mark in a mark", "{{sensor}}", false },
        { "client id", "sensors/{client_id}/{sensor}", false },
    };

    return cr_make_param_array(struct template_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct template_row *row, topic, a_template_is_checked) {
    cr_expect_eq(topic_template_is_valid(row->template), row->is_valid, "%s: \"%s\"", row->name,
                 row->template);
}

/* "aaa/{gateway}/{sensor}" of this length. */
static void fill_template(char template[TOPIC_SIZE], size_t length) {
    static const char tail[] = "/{gateway}/{sensor}";
    size_t head = length - strlen(tail);

    memset(template, 'a', head);
    strcpy(template + head, tail);
}

Test(topic, every_other_character_is_refused) {
    for (unsigned c = 1; c < 256; c++) {
        const char template[] = { 'a', (char)c, 'a', '/', '{', 's', 'e',
                                  'n', 's',     'o', 'r', '}', '\0' };
        bool is_allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '/';

        cr_expect_eq(topic_template_is_valid(template), is_allowed, "%02x", c);
    }
}

Test(topic, the_size_suffices_for_every_valid_template_and_the_longest_names) {
    char gateway[NAME_MAX_LENGTH + 1] = { 0 };
    char sensor[NAME_MAX_LENGTH + 1] = { 0 };
    size_t longest = 0;

    memset(gateway, 'g', NAME_MAX_LENGTH);
    memset(sensor, 's', NAME_MAX_LENGTH);
    for (size_t length = 20; length < TOPIC_SIZE; length++) {
        char template[TOPIC_SIZE];
        char topic[TOPIC_SIZE];

        fill_template(template, length);
        if (!topic_template_is_valid(template))
            continue;
        longest = length;
        cr_assert_gt(topic_render(template, gateway, sensor, topic, sizeof(topic)), 0,
                     "template of %zu", length);
    }
    cr_expect_geq(longest, 100, "there is room for a template of a hundred characters");
}

Test(topic, a_template_too_long_is_refused) {
    char template[1024];

    memset(template, 'a', sizeof(template));
    strcpy(template + 1000, "/{sensor}");
    cr_expect_not(topic_template_is_valid(template));
}

struct render_row {
    char name[32];
    char template[64];
    char topic[64];
};

ParameterizedTestParameters(topic, fills_in_the_names) {
    static struct render_row rows[] = {
        { "the default", "sensors/{gateway}/{sensor}", "sensors/pi-1/kitchen" },
        { "the state", TOPIC_GATEWAY_STATE, "gateways/pi-1" },
        { "sensor first", "{sensor}/{gateway}", "kitchen/pi-1" },
        { "inside a part", "a-{sensor}-b", "a-kitchen-b" },
        { "side by side", "{gateway}{sensor}", "pi-1kitchen" },
        { "nothing to fill in", "plain/topic", "plain/topic" },
    };

    return cr_make_param_array(struct render_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct render_row *row, topic, fills_in_the_names) {
    char topic[TOPIC_SIZE];
    int length = topic_render(row->template, "pi-1", "kitchen", topic, sizeof(topic));

    cr_assert_str_eq(topic, row->topic, "%s", row->name);
    cr_expect_eq(length, (int)strlen(row->topic), "%s", row->name);
}

Test(topic, a_name_is_not_a_template) {
    char topic[TOPIC_SIZE];

    (void)topic_render("{gateway}/{sensor}", "{sensor}", "{gateway}", topic, sizeof(topic));
    cr_expect_str_eq(topic, "{sensor}/{gateway}");
}

Test(topic, a_buffer_too_small_by_any_number_of_bytes_is_not_overrun) {
    static const char template[] = "sensors/{gateway}/{sensor}/x";
    size_t needed = strlen("sensors/kitchen-pi/kitchen/x") + 1;

    for (size_t size = 0; size <= needed; size++) {
        char *topic = malloc(size); /* its exact size, for the address sanitizer */
        int r = topic_render(template, "kitchen-pi", "kitchen", topic, size);

        if (size < needed)
            cr_expect_eq(r, -ENOSPC, "%zu of %zu bytes", size, needed);
        else
            cr_expect_eq(r, (int)needed - 1);
        free(topic);
    }
}
