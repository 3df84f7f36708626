/* SPDX-License-Identifier: MIT */
#include "core/expiry.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <string.h>

enum { DAY_S = 86400 };

static const int64_t now = 1795629600; /* 2026-11-25 18:00 UTC */

static struct certificate_facts ending(int64_t left_s) {
    return (struct certificate_facts){
        .is_present = true,
        .subject = "CN=kitchen-pi",
        .not_after = now + left_s,
    };
}

struct step_row {
    char name[32];
    int64_t left_s;
    unsigned first_days;
    int step;
};

ParameterizedTestParameters(expiry, has_reached_a_step) {
    static struct step_row rows[] = {
        { "long", 31 * DAY_S, 30, EXPIRY_NONE },
        { "a second more", 30 * DAY_S + 1, 30, EXPIRY_NONE },
        { "to the second", 30 * DAY_S, 30, 30 },
        { "between", 8 * DAY_S, 30, 30 },
        { "a week and a second", 7 * DAY_S + 1, 30, 30 },
        { "a week", 7 * DAY_S, 30, 7 },
        { "two days", 2 * DAY_S, 30, 7 },
        { "a day", DAY_S, 30, 1 },
        { "a second", 1, 30, 1 },
        { "now", 0, 30, 1 },
        { "over", -1, 30, 0 },
        { "long over", -1000 * DAY_S, 30, 0 },
        { "late warning, a week", 7 * DAY_S, 3, EXPIRY_NONE },
        { "late warning, three days", 3 * DAY_S, 3, 3 },
        { "late warning, a day", DAY_S, 3, 1 },
        { "no warning", 1, 0, EXPIRY_NONE },
        { "no warning, but over", -1, 0, 0 },
        { "a year", 300 * DAY_S, 365, 365 },
    };

    return cr_make_param_array(struct step_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct step_row *row, expiry, has_reached_a_step) {
    cr_expect_eq(expiry_step(row->left_s, row->first_days), row->step, "%s: %d", row->name,
                 expiry_step(row->left_s, row->first_days));
}

Test(expiry, says_each_step_once) {
    struct expiry_memory memory = { 0 };
    int said = 0;

    /* Every hour of sixty days, the last of them after its end. */
    for (int64_t left_s = 50 * DAY_S; left_s > -10 * DAY_S; left_s -= 3600) {
        struct certificate_facts facts = ending(50 * DAY_S);

        said += expiry_is_news(&memory, &facts, facts.not_after - left_s, 30);
    }
    cr_expect_eq(said, 4, "30, 7, 1, over: %d", said);
}

Test(expiry, says_only_the_step_that_is_reached) {
    struct certificate_facts facts = ending(DAY_S / 2);
    struct expiry_memory memory = { 0 };

    cr_expect(expiry_is_news(&memory, &facts, now, 30));
    cr_expect_not(expiry_is_news(&memory, &facts, now, 30));
}

Test(expiry, starts_anew_with_another_certificate) {
    struct certificate_facts old = ending(5 * DAY_S);
    struct certificate_facts fresh = ending(365 * DAY_S);
    struct certificate_facts next = ending(6 * DAY_S);
    struct expiry_memory memory = { 0 };

    cr_expect(expiry_is_news(&memory, &old, now, 30));
    cr_expect_not(expiry_is_news(&memory, &fresh, now, 30));
    cr_expect(expiry_is_news(&memory, &next, now, 30));
}

Test(expiry, does_not_repeat_when_the_clock_is_set_back) {
    struct certificate_facts facts = ending(DAY_S / 2);
    struct expiry_memory memory = { 0 };

    cr_expect(expiry_is_news(&memory, &facts, now, 30));
    cr_expect_not(expiry_is_news(&memory, &facts, now - 100 * DAY_S, 30));
    cr_expect_not(expiry_is_news(&memory, &facts, now, 30));
}

Test(expiry, has_nothing_to_say_of_no_certificate) {
    struct certificate_facts none = { 0 };
    struct expiry_memory memory = { 0 };

    cr_expect_not(expiry_is_news(&memory, &none, now, 30));
}

Test(expiry, counts_days_towards_the_end) {
    struct {
        int64_t left_s;
        int days;
    } rows[] = { { 0, 0 },   { DAY_S - 1, 0 }, { DAY_S, 1 },       { 30 * DAY_S + 5, 30 },
                 { -1, -1 }, { -DAY_S, -1 },   { -DAY_S - 1, -2 }, { -10 * DAY_S, -10 } };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct certificate_facts facts = ending(rows[i].left_s);

        cr_expect_eq(expiry_days_left(&facts, now), rows[i].days, "%lld s: %d",
                     (long long)rows[i].left_s, expiry_days_left(&facts, now));
    }
}

struct words_row {
    char name[32];
    enum expiry_owner owner;
    int64_t left_s;
    char says[4][96];
};

ParameterizedTestParameters(expiry, says_which_when_and_what_to_do) {
    static struct words_row rows[] = {
        { "ours",
          EXPIRY_OURS,
          9 * DAY_S,
          { "our certificate CN=kitchen-pi expires in 9 days, on 2026-12-04.",
            "sensorgw-pki renew kitchen-pi", "no restart." } },
        { "ours, tomorrow", EXPIRY_OURS, 30 * 3600, { "expires in 30 hours, on 2026-11-27." } },
        { "ours, soon", EXPIRY_OURS, 60, { "expires within the hour, on 2026-11-25." } },
        { "ours, over",
          EXPIRY_OURS,
          -DAY_S,
          { "our certificate CN=kitchen-pi expired on 2026-11-24." } },
        { "the broker's",
          EXPIRY_BROKER,
          9 * DAY_S,
          { "the certificate CN=kitchen-pi of broker.lan:8883 expires in 9 days",
            "on the broker's side" } },
        { "a CA",
          EXPIRY_AUTHORITY,
          9 * DAY_S,
          { "the CA CN=kitchen-pi, which vouches for broker.lan:8883, expires in 9 days",
            "beside this one" } },
    };

    return cr_make_param_array(struct words_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct words_row *row, expiry, says_which_when_and_what_to_do) {
    struct certificate_facts facts = ending(row->left_s);
    char text[EXPIRY_SENTENCE_SIZE];

    expiry_describe(row->owner, &facts, now, "kitchen-pi", "broker.lan:8883", text);
    for (size_t i = 0; i < 4 && row->says[i][0]; i++)
        cr_expect_not_null(strstr(text, row->says[i]), "%s: %s", row->name, text);
}

Test(expiry, is_cut_and_not_overrun_by_long_names) {
    struct certificate_facts facts = ending(9 * DAY_S);
    char broker[FACTS_LIST_SIZE];
    char text[EXPIRY_SENTENCE_SIZE];

    memset(facts.subject, 's', sizeof(facts.subject) - 1);
    memset(broker, 'b', sizeof(broker));
    broker[sizeof(broker) - 1] = '\0';
    expiry_describe(EXPIRY_AUTHORITY, &facts, now, facts.subject, broker, text);
    cr_expect_lt(strlen(text), sizeof(text));
}
