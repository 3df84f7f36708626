/* SPDX-License-Identifier: MIT */

/*
 * conf/sensorgw.conf, the file that users edit. In it a line that begins with # and no space is a
 * setting that is commented out.
 */

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "config/schema.h"
#include "harness.h"

static char *read_example(void) {
    return harness_read(getenv("SENSORGW_EXAMPLE"));
}

static void fill_in(char **example, const char *key, const char *value) {
    char *text = NULL;
    char empty[64];
    const char *at;

    (void)snprintf(empty, sizeof(empty), "        %s = \"\";", key);
    at = strstr(*example, empty);
    cr_assert_not_null(at, "%s", empty);
    cr_assert_gt(asprintf(&text, "%.*s        %s = \"%s\";%s", (int)(at - *example), *example, key,
                          value, at + strlen(empty)),
                 0);
    free(*example);
    *example = text;
}

static char *read_filled_in(void) {
    char *example = read_example();

    fill_in(&example, "host", "broker.example");
    fill_in(&example, "name", "kitchen");
    fill_in(&example, "device", "/dev/ttyACM0");
    return example;
}

/* All but `node`, which excludes `nodes`. */
static void uncomment(char *text) {
    for (char *at = text; (at = strchr(at, '#')) != NULL; at++) {
        bool is_first = at == text || at[-1] == '\n' || at[-1] == ' ';
        bool is_setting = at[1] >= 'a' && at[1] <= 'z';

        if (is_first && is_setting && strncmp(at, "#node =", 7) != 0)
            *at = ' ';
    }
}

Test(example, unedited_it_names_the_lines_to_fill_in) {
    static struct outcome outcome;

    harness_load_file(getenv("SENSORGW_EXAMPLE"), &outcome);
    cr_assert_eq(outcome.result, -EINVAL);
    cr_assert_eq(outcome.errors, 1, "%s", outcome.log);
    cr_assert_not_null(strstr(outcome.log, ": not filled in yet: line "), "%s", outcome.log);
    cr_assert_not_null(strstr(outcome.log, "(brokers[0].host), line "));
    cr_assert_not_null(strstr(outcome.log, "(sensors[0].name), line "));
    cr_assert_not_null(strstr(outcome.log, "(sensors[0].device)"));
}

Test(example, filled_in_it_says_the_same_as_three_lines) {
    CLEANUP(free_stringp) char *text = read_filled_in();
    CLEANUP(config_freep) struct config *config = harness_sound(text);
    CLEANUP(free_stringp) char *values = harness_printed_values(config);
    CLEANUP(config_freep)
    struct config *short_one =
        harness_sound(BROKERS "tls: { ca = \"ca.pem\"; certificate = \"gateway.pem\"; key = "
                              "\"gateway.key\"; };\n" SENSORS);
    CLEANUP(free_stringp) char *short_values = harness_printed_values(short_one);

    cr_assert_str_eq(values, short_values);
}

Test(example, every_line_in_it_is_sound) {
    CLEANUP(free_stringp) char *text = read_filled_in();
    CLEANUP(config_freep) struct config *config = NULL;

    uncomment(text);
    config = harness_sound(text);
    cr_assert_str_eq(config->gateway, "kitchen-pi");
    cr_assert_eq(config->sources.sources->node_count, 1);
}

Test(example, every_key_is_in_it_with_its_default) {
    CLEANUP(free_stringp) char *text = read_example();

    for (size_t i = 0; i < schema_length; i++) {
        const struct key *key = &schema[i];
        char expected[96];

        if (key->form == FORM_GROUP)
            (void)snprintf(expected, sizeof(expected), "%s%s: {",
                           key->group == GROUP_ROOT ? "\n" : "", key->name);
        else if (key->fallback)
            (void)snprintf(expected, sizeof(expected), "#%s = %s;", key->name, key->fallback);
        else
            (void)snprintf(expected, sizeof(expected), "%s = ", key->name);
        cr_assert_not_null(strstr(text, expected), "%s", expected);
    }
}
