/* SPDX-License-Identifier: MIT */
#include "core/expiry.h"

#include <stdio.h>
#include <string.h>

#include "core/payload.h"

enum { HOUR_S = 3600, DAY_S = 86400 };

static const char *const cures[] = {
    [EXPIRY_OURS] = "sensorgw-pki renew %s, and copy it over: it is taken at the next connect, no "
                    "restart.",
    [EXPIRY_BROKER] = "Have it renewed on the broker's side (sensorgw-pki renew).",
    [EXPIRY_AUTHORITY] = "Make a new CA, and put it beside this one into tls.ca and into the "
                         "broker's list, before certificates are issued from it.",
};

int expiry_step(int64_t left_s, unsigned first_days) {
    static const int later_days[] = { 1, 7 };

    if (left_s < 0)
        return 0;
    for (size_t i = 0; i < sizeof(later_days) / sizeof(*later_days); i++)
        if (left_s <= (int64_t)later_days[i] * DAY_S && first_days >= (unsigned)later_days[i])
            return later_days[i];
    return left_s <= (int64_t)first_days * DAY_S ? (int)first_days : EXPIRY_NONE;
}

bool expiry_is_news(struct expiry_memory *memory, const struct certificate_facts *facts,
                    int64_t now, unsigned first_days) {
    int step = facts->is_present ? expiry_step(facts->not_after - now, first_days) : EXPIRY_NONE;
    int said = memory->not_after == facts->not_after ? memory->step : EXPIRY_NONE;
    bool is_news = step != EXPIRY_NONE && (said == EXPIRY_NONE || step < said);

    *memory = (struct expiry_memory){ facts->not_after, is_news ? step : said };
    return is_news;
}

int expiry_days_left(const struct certificate_facts *facts, int64_t now) {
    int64_t left_s = facts->not_after - now;

    return (int)(left_s < 0 ? -1 - (-left_s - 1) / DAY_S : left_s / DAY_S);
}

static void describe_span(int64_t left_s, char text[static 32]) {
    int64_t hours = left_s / HOUR_S;

    if (hours < 1)
        (void)snprintf(text, 32, "within the hour");
    else if (hours < 48)
        (void)snprintf(text, 32, "in %d hours", (int)hours);
    else
        (void)snprintf(text, 32, "in %d days", (int)(hours / 24));
}

void expiry_describe(enum expiry_owner owner, const struct certificate_facts *facts, int64_t now,
                     const char *name, const char *broker, char text[static EXPIRY_SENTENCE_SIZE]) {
    int64_t left_s = facts->not_after - now;
    char date[PAYLOAD_TIME_SIZE] = "";
    char whose[FACTS_NAME_SIZE + FACTS_LIST_SIZE + 64];
    char cure[256];
    char span[32];

    (void)payload_render_time(facts->not_after * 1000000, date, sizeof(date));
    date[strlen("2026-12-04")] = '\0';
    if (owner == EXPIRY_OURS)
        (void)snprintf(whose, sizeof(whose), "our certificate %s", facts->subject);
    else if (owner == EXPIRY_BROKER)
        (void)snprintf(whose, sizeof(whose), "the certificate %s of %s", facts->subject, broker);
    else
        (void)snprintf(whose, sizeof(whose), "the CA %s, which vouches for %s,", facts->subject,
                       broker);
    (void)snprintf(cure, sizeof(cure), cures[owner], name);
    describe_span(left_s, span);
    if (left_s < 0)
        (void)snprintf(text, EXPIRY_SENTENCE_SIZE, "%s expired on %s. %s", whose, date, cure);
    else
        (void)snprintf(text, EXPIRY_SENTENCE_SIZE, "%s expires %s, on %s. %s", whose, span, date,
                       cure);
}
