/* SPDX-License-Identifier: MIT */
#include "io/credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/catalogue.h"
#include "core/expiry.h"
#include "io/clock.h"
#include "io/log.h"
#include "io/loop.h"

enum { SETTLE_S = 5, FINGERPRINTS_SIZE = 1024 };

static const uint64_t second_us = 1000000;
static const uint64_t day_us = 86400 * (uint64_t)1000000;

/* What is known of one broker. */
struct broker_credentials {
    struct tls *tls;    /* the newest sound one; NULL: none yet */
    struct tls *in_use; /* what a connection may still look at; often the same */
    char name[FACTS_NAME_SIZE];
    char broker[FACTS_LIST_SIZE]; /* "host:port" */
    struct certificate_facts theirs;
    struct certificate_facts authority;
    struct expiry_memory theirs_said;
    struct expiry_memory authority_said;
};

struct credentials {
    struct credentials_settings settings;
    struct credentials_calls calls;
    sd_event_source *daily;
    sd_event_source *settling; /* armed: new files do not fit together yet */
    struct broker_credentials *brokers;
    struct attempt scratch;   /* where files are tried, so that no attempt is disturbed */
    struct tls_files refused; /* said of already */
    bool wants_renewal;

    /* in use */
    struct certificate_facts own;
    char own_fingerprint[CERTIFICATE_FINGERPRINT_SIZE];
    char ca_fingerprints[FINGERPRINTS_SIZE];
    struct expiry_memory own_said;
};

/* ---- what is about to run out ---- */

static void warn(enum expiry_owner owner, const struct certificate_facts *facts,
                 const char *broker) {
    const char *name = strstr(facts->subject, "CN=");
    char sentence[EXPIRY_SENTENCE_SIZE];
    char cut[FACTS_NAME_SIZE];
    int64_t now = (int64_t)time(NULL);

    name = name ? name + strlen("CN=") : facts->subject;
    (void)snprintf(cut, sizeof(cut), "%.*s", (int)strcspn(name, ","), name);
    expiry_describe(owner, facts, now, cut, broker, sentence);
    log_warning(0, sentence, { "EVENT", EVENT_CERTIFICATE_EXPIRES },
                { "CERTIFICATE", facts->subject },
                { "DAYS_LEFT", LOG_NUMBER(expiry_days_left(facts, now)) });
}

static bool agree(const struct certificate_facts *a, const struct certificate_facts *b) {
    return a->not_after == b->not_after && strcmp(a->subject, b->subject) == 0;
}

/* One CA mostly vouches for all brokers. */
static bool is_said_of_another(const struct credentials *credentials, size_t broker) {
    for (size_t i = 0; i < broker; i++)
        if (agree(&credentials->brokers[i].authority, &credentials->brokers[broker].authority))
            return true;
    return false;
}

static void judge_expiry(struct credentials *credentials) {
    unsigned first_days = credentials->settings.tls->expiry_warning_days;
    int64_t now = (int64_t)time(NULL);

    if (expiry_is_news(&credentials->own_said, &credentials->own, now, first_days))
        warn(EXPIRY_OURS, &credentials->own, "");
    for (size_t i = 0; i < credentials->settings.broker_count; i++) {
        struct broker_credentials *broker = &credentials->brokers[i];

        if (expiry_is_news(&broker->theirs_said, &broker->theirs, now, first_days))
            warn(EXPIRY_BROKER, &broker->theirs, broker->broker);
        if (!is_said_of_another(credentials, i) &&
            expiry_is_news(&broker->authority_said, &broker->authority, now, first_days))
            warn(EXPIRY_AUTHORITY, &broker->authority, broker->broker);
    }
}

/* ---- new files ---- */

static void say_replaced(const char *sentence, const char *event, const char *old,
                         const char *fresh) {
    log_notice(sentence, { "EVENT", event }, { "OLD", old }, { "NEW", fresh });
}

/* Several brokers use the same files: what is new is said once. */
static void note_in_use(struct credentials *credentials, const struct tls *tls) {
    char own[CERTIFICATE_FINGERPRINT_SIZE];
    char ca[FINGERPRINTS_SIZE];

    tls_fingerprint_own(tls, own);
    tls_fingerprint_ca(tls, ca, sizeof(ca));
    if (credentials->own_fingerprint[0] && strcmp(credentials->own_fingerprint, own) != 0)
        say_replaced("a new certificate is in use", EVENT_CERTIFICATE_REPLACED,
                     credentials->own_fingerprint, own);
    if (credentials->ca_fingerprints[0] && strcmp(credentials->ca_fingerprints, ca) != 0)
        say_replaced("new CA certificates are in use", EVENT_CA_REPLACED,
                     credentials->ca_fingerprints, ca);
    memcpy(credentials->own_fingerprint, own, sizeof(own));
    memcpy(credentials->ca_fingerprints, ca, sizeof(ca));
    credentials->own = credentials->scratch.own;
}

static bool was_touched_lately(const struct tls_files *files) {
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    for (size_t i = 0; i < TLS_FILES; i++) {
        int64_t age_s = (int64_t)now.tv_sec - files->file[i].changed.tv_sec;

        if (age_s >= 0 && age_s < SETTLE_S)
            return true;
    }
    return false;
}

/* The other half of a renewal may be under way; after that, it is said once. */
static void note_refusal(struct credentials *credentials) {
    struct diagnosis diagnosis;
    struct tls_files files;

    tls_files_look(credentials->settings.tls, &files);
    if (tls_files_agree(&files, &credentials->refused))
        return;
    if (was_touched_lately(&files)) {
        loop_arm(credentials->settling, loop_now_us() + second_us);
        return;
    }
    credentials->refused = files;
    diagnose(&credentials->scratch, &diagnosis);
    log_warning(0, "renewed certificate files are unsound, keeping the old ones",
                { "EVENT", EVENT_CERTIFICATE_REFUSED },
                { "REASON", diagnosis.sentence + strlen(": ") }, { "CURE", diagnosis.cure },
                { "CAUSE", cause_name(diagnosis.cause) });
}

/* Returns 1 if there is a new context; 0 if the old one stays; < 0 if there is none. */
static int refresh(struct credentials *credentials, struct broker_credentials *broker) {
    struct attempt *scratch = &credentials->scratch;
    struct tls *fresh = NULL;
    int r;

    if (broker->tls && !tls_is_stale(broker->tls))
        return 0;
    attempt_reset(scratch);
    scratch->now = (int64_t)time(NULL);
    scratch->clock_synchronised = clock_look().synchronised;
    r = tls_new(credentials->settings.tls, broker->name, scratch, &fresh);
    if (r < 0 && broker->tls) {
        note_refusal(credentials);
        return 0;
    }
    if (r < 0)
        return r;
    if (broker->tls != broker->in_use)
        (void)tls_free(broker->tls);
    broker->tls = fresh;
    note_in_use(credentials, fresh);
    return 1;
}

/* ---- when ---- */

/* Of those that were tried before: the others find out when it is their turn. Returns whether any
 * has a new context. */
static bool refresh_all(struct credentials *credentials) {
    bool is_new = false;

    for (size_t i = 0; i < credentials->settings.broker_count; i++)
        if (credentials->brokers[i].tls && refresh(credentials, &credentials->brokers[i]) > 0)
            is_new = true;
    return is_new;
}

static int on_settled(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct credentials *credentials = userdata;

    if (!refresh_all(credentials) || !credentials->wants_renewal)
        return 0;
    credentials->wants_renewal = false;
    credentials->calls.on_renewed(credentials->calls.userdata);
    return 0;
}

/* A connection may stand for years: renewed files are not to be warned of. */
static int on_daily(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct credentials *credentials = userdata;

    loop_arm(credentials->daily, loop_now_us() + day_us);
    (void)refresh_all(credentials);
    judge_expiry(credentials);
    return 0;
}

/* ---- what the publisher asks for ---- */

int credentials_take(struct credentials *credentials, size_t broker, const char *name,
                     struct attempt *attempt, struct tls **ret) {
    struct broker_credentials *one = &credentials->brokers[broker];
    const struct attempt *scratch = &credentials->scratch;
    int r;

    (void)snprintf(one->name, sizeof(one->name), "%s", name);
    r = refresh(credentials, one);
    if (r < 0) {
        attempt->local = scratch->local;
        attempt->error = scratch->error;
        attempt->own = scratch->own;
        memcpy(attempt->file, scratch->file, sizeof(attempt->file));
        memcpy(attempt->detail, scratch->detail, sizeof(attempt->detail));
        return r;
    }
    if (one->in_use != one->tls)
        (void)tls_free(one->in_use);
    one->in_use = one->tls;
    credentials->wants_renewal = false;
    tls_record_in(one->tls, attempt);
    judge_expiry(credentials);
    *ret = one->tls;
    return 0;
}

bool credentials_renew(struct credentials *credentials, size_t broker) {
    const struct broker_credentials *one = &credentials->brokers[broker];

    (void)refresh_all(credentials);
    credentials->wants_renewal = one->tls == one->in_use;
    return !credentials->wants_renewal;
}

void credentials_note_session(struct credentials *credentials, size_t broker,
                              const struct attempt *attempt) {
    struct broker_credentials *one = &credentials->brokers[broker];

    (void)snprintf(one->broker, sizeof(one->broker), "%s", attempt->broker);
    one->theirs = attempt->theirs;
    one->authority = attempt->authority;
    judge_expiry(credentials);
}

bool credentials_days_left(const struct credentials *credentials, size_t broker, int *ret) {
    if (!credentials->brokers[broker].tls || !credentials->own.is_present)
        return false;
    *ret = expiry_days_left(&credentials->own, (int64_t)time(NULL));
    return true;
}

/* ---- the life of it ---- */

int credentials_new(sd_event *loop, const struct credentials_settings *settings,
                    const struct credentials_calls *calls, struct credentials **ret) {
    CLEANUP(credentials_freep) struct credentials *credentials = calloc(1, sizeof(*credentials));
    int r;

    if (!credentials)
        return -ENOMEM;
    credentials->settings = *settings;
    credentials->calls = *calls;
    credentials->scratch.gateway = "";
    credentials->brokers = calloc(settings->broker_count, sizeof(*credentials->brokers));
    if (!credentials->brokers)
        return -ENOMEM;
    r = loop_add_timer(loop, on_settled, credentials, &credentials->settling);
    if (r < 0)
        return r;
    r = loop_add_timer(loop, on_daily, credentials, &credentials->daily);
    if (r < 0)
        return r;
    loop_arm(credentials->daily, loop_now_us() + day_us);
    *ret = credentials;
    credentials = NULL;
    return 0;
}

struct credentials *credentials_free(struct credentials *credentials) {
    if (!credentials)
        return NULL;
    for (size_t i = 0; credentials->brokers && i < credentials->settings.broker_count; i++) {
        struct broker_credentials *broker = &credentials->brokers[i];

        if (broker->in_use != broker->tls)
            (void)tls_free(broker->in_use);
        (void)tls_free(broker->tls);
    }
    free(credentials->brokers);
    (void)sd_event_source_disable_unref(credentials->settling);
    (void)sd_event_source_disable_unref(credentials->daily);
    free(credentials);
    return NULL;
}
