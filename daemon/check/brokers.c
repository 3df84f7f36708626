/* SPDX-License-Identifier: MIT */

/* The brokers: one attempt at each as the publisher would make it, and one message. */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check/links.h"
#include "check/offer.h"
#include "check/trial.h"

enum { DAY_S = 86400 };

struct question {
    const struct check *check;
    const struct broker_settings *broker;
    char link[FACTS_LIST_SIZE];
};

/* The host alone, unless another broker there would be called the same. */
static void name_link(struct question *question) {
    const struct publisher_settings *publisher = &question->check->config->publisher;
    const struct broker_settings *broker = question->broker;

    (void)snprintf(question->link, sizeof(question->link), "%s", broker->host);
    for (size_t i = 0; i < publisher->broker_count; i++)
        if (&publisher->brokers[i] != broker &&
            strcmp(publisher->brokers[i].host, broker->host) == 0)
            (void)snprintf(question->link, sizeof(question->link), "%s:%u", broker->host,
                           broker->port);
}

static void warn_of_expiry(const struct question *question, const struct attempt *attempt) {
    const struct check *check = question->check;
    int64_t left = attempt->theirs.not_after - (int64_t)time(NULL);
    time_t end = (time_t)attempt->theirs.not_after;
    char date[16] = "";
    struct tm utc;

    if (!attempt->theirs.is_present ||
        left >= (int64_t)check->config->publisher.tls.expiry_warning_days * DAY_S)
        return;
    if (gmtime_r(&end, &utc))
        (void)strftime(date, sizeof(date), "%Y-%m-%d", &utc);
    findings_add(check->findings, question->link, VERDICT_WARNING, CAUSE_EXPIRED,
                 "the broker's certificate %s expires in %d days (%s)", attempt->theirs.subject,
                 (int)(left / DAY_S), date);
    findings_cure(check->findings, "let whoever runs the broker renew it in time");
}

/* Nothing in common: what would be? */
static void tell_offer(const struct question *question, const struct attempt *attempt,
                       enum cause cause) {
    const struct publisher_settings *publisher = &question->check->config->publisher;
    struct offer_question wanted = {
        .address = attempt->address,
        .port = question->broker->port,
        .name = question->broker->name,
        .patience_us = publisher->tls_us,
    };
    struct diagnosis words;
    struct offer offer;

    offer_ask(&wanted, &offer);
    offer_explain(&offer, cause, &publisher->tls, &words);
    findings_add(question->check->findings, question->link, VERDICT_ERROR, cause, "%s",
                 words.sentence);
    findings_cure(question->check->findings, "%s", words.cure);
}

/* What is the service's secret is no fault of the broker's. */
static bool is_hidden(const struct question *question, const struct attempt *attempt) {
    return attempt->local == CAUSE_UNREADABLE_FILE && !eyes_can_judge(&question->check->eyes);
}

static void tell_failure(const struct question *question, const struct attempt *attempt) {
    struct findings *findings = question->check->findings;
    struct diagnosis diagnosis;

    if (is_hidden(question, attempt)) {
        findings_add(findings, question->link, VERDICT_HIDDEN, CAUSE_NONE,
                     "not tried: %s is not visible to you", attempt->file);
        findings_cure(findings, "sudo sensorgw check looks with the service's eyes");
        return;
    }
    diagnose(attempt, &diagnosis);
    findings_add(findings, question->link, VERDICT_ERROR, diagnosis.cause, "%s",
                 diagnosis.sentence);
    findings_cure(findings, "%s", diagnosis.cure);
    if (diagnosis.cause == CAUSE_PROTOCOL_VERSION || diagnosis.cause == CAUSE_NO_SHARED_CIPHER)
        tell_offer(question, attempt, diagnosis.cause);
}

static void tell_success(const struct question *question, const struct attempt *attempt,
                         const char *topic) {
    const struct check *check = question->check;
    const char *slash = strrchr(topic, '/');
    int length = (int)(slash ? slash + 1 - topic : (ptrdiff_t)strlen(topic));

    warn_of_expiry(question, attempt);
    if (check->may_publish)
        findings_add(check->findings, question->link, VERDICT_OK, CAUSE_NONE,
                     "%s %s, may publish to %.*s", attempt->version, attempt->cipher, length,
                     topic);
    else
        findings_add(check->findings, question->link, VERDICT_OK, CAUSE_NONE,
                     "%s %s, accepted; nothing was published", attempt->version, attempt->cipher);
}

static void check_broker(const struct check *check, const struct broker_settings *broker) {
    struct question question = { .check = check, .broker = broker };
    struct trial_settings settings = {
        .publisher = &check->config->publisher,
        .broker = broker,
        .gateway = check->config->gateway,
        .may_publish = check->may_publish,
    };
    struct attempt attempt = { 0 };
    char topic[TOPIC_SIZE];

    name_link(&question);
    if (trial_make(&settings, topic, &attempt) == 0)
        tell_success(&question, &attempt, topic);
    else
        tell_failure(&question, &attempt);
}

void check_brokers(const struct check *check) {
    const struct publisher_settings *publisher = &check->config->publisher;

    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes to sockets without MSG_NOSIGNAL */
    for (size_t i = 0; i < publisher->broker_count; i++)
        check_broker(check, &publisher->brokers[i]);
}
