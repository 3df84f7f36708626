/* SPDX-License-Identifier: MIT */

/* Who vouches for the broker, and who we are: the files of tls, before anyone else sees them. */

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "check/chain.h"
#include "check/links.h"
#include "core/printable.h"
#include "io/certificate.h"
#include "io/clock.h"

static const char ca_link[] = "ca";
static const char certificate_link[] = "certificate";
static const char key_link[] = "key";
static const char login_link[] = "login";

enum { DAY_S = 86400, HOUR_S = 3600 };

/* ---- dates ---- */

static const char *date_of(int64_t seconds, char text[static 16]) {
    time_t time = (time_t)seconds;
    struct tm utc;

    text[0] = '\0';
    if (gmtime_r(&time, &utc))
        (void)strftime(text, 16, "%Y-%m-%d", &utc);
    return text;
}

/* "in 12 days", "in 5 hours" */
static const char *span_of(int64_t seconds, char text[static 32]) {
    if (seconds < 2 * DAY_S)
        (void)snprintf(text, 32, "in %d hours", (int)(seconds / HOUR_S));
    else
        (void)snprintf(text, 32, "in %d days", (int)(seconds / DAY_S));
    return text;
}

static int64_t warning_span(const struct check *check) {
    return (int64_t)check->config->publisher.tls.expiry_warning_days * DAY_S;
}

/* ---- tls.ca and tls.crl ---- */

struct authorities {
    const struct check *check;
    unsigned count;
    unsigned good;
    char subject[FACTS_NAME_SIZE]; /* of the first */
    int64_t not_after;             /* of the good one that runs out first */
};

static void judge_authority(const struct certificate_facts *facts, void *userdata) {
    struct authorities *all = userdata;
    struct findings *findings = all->check->findings;
    int64_t left = facts->not_after - (int64_t)time(NULL);
    char date[16];
    char span[32];

    if (all->count++ == 0)
        (void)snprintf(all->subject, sizeof(all->subject), "%s", facts->subject);
    if (left < 0) {
        findings_add(findings, ca_link, VERDICT_WARNING, CAUSE_EXPIRED, "%s ran out on %s",
                     facts->subject, date_of(facts->not_after, date));
        findings_cure(findings, "take it out of tls.ca, once no broker's certificate is from it");
        return;
    }
    if (all->good++ == 0 || facts->not_after < all->not_after)
        all->not_after = facts->not_after;
    if (left < warning_span(all->check)) {
        findings_add(findings, ca_link, VERDICT_WARNING, CAUSE_EXPIRED, "%s expires %s (%s)",
                     facts->subject, span_of(left, span), date_of(facts->not_after, date));
        findings_cure(findings, "make a new CA, and put it into tls.ca beside this one before the "
                                "broker gets a certificate from it");
    }
}

static void judge_authorities(const struct check *check) {
    const char *path = check->config->publisher.tls.ca;
    struct authorities all = { .check = check };
    char date[16];

    if (chain_each(path, judge_authority, &all) < 0)
        return; /* told by tls_new */
    if (all.good == 0) {
        findings_add(check->findings, ca_link, VERDICT_ERROR, CAUSE_EXPIRED,
                     "no certificate in %s is valid any more: no broker will be believed", path);
        findings_cure(check->findings,
                      "put the CA that issued the broker's present certificate there");
        return;
    }
    findings_add(check->findings, ca_link, VERDICT_OK, CAUSE_NONE,
                 all.count == 1 ? "%s, valid until %s" : "%s and others, valid until %s",
                 all.subject, date_of(all.not_after, date));
}

static const char *link_of(const struct tls_settings *part, const char *file) {
    if (!part->certificate)
        return ca_link;
    return strcmp(file, part->certificate) == 0 ? certificate_link : key_link;
}

/* The daemon's own code reads the files: what it refuses is told in its words. */
static bool can_be_loaded(const struct check *check, const struct tls_settings *part) {
    CLEANUP(tls_freep) struct tls *tls = NULL;
    struct attempt attempt = { .now = (int64_t)time(NULL), .gateway = check->config->gateway };
    struct diagnosis diagnosis;

    attempt_reset(&attempt);
    if (tls_new(part, "localhost", &attempt, &tls) == 0)
        return true;
    diagnose(&attempt, &diagnosis);
    findings_add(check->findings, link_of(part, attempt.file), VERDICT_ERROR, diagnosis.cause, "%s",
                 diagnosis.sentence + strlen(": ")); /* of no broker */
    findings_cure(check->findings, "%s", diagnosis.cure);
    return false;
}

static void check_trust(const struct check *check) {
    const struct tls_settings *tls = &check->config->publisher.tls;
    struct tls_settings part = { .ca = tls->ca,
                                 .crl = tls->crl,
                                 .min_version = tls->min_version,
                                 .max_version = tls->max_version };
    bool is_readable = true;

    if (!tls->ca)
        findings_add(check->findings, ca_link, VERDICT_OK, CAUSE_NONE,
                     "tls.ca is not set: the system's store");
    else
        is_readable = check_file(check, ca_link, "tls.ca", tls->ca);
    if (tls->crl && !check_file(check, ca_link, "tls.crl", tls->crl))
        is_readable = false;
    if (is_readable && can_be_loaded(check, &part) && tls->ca)
        judge_authorities(check);
}

/* ---- tls.certificate and tls.key ---- */

/* Returns whether the dates are without fault. */
static bool judge_dates(const struct check *check, const struct certificate_facts *own,
                        const char *name) {
    struct findings *findings = check->findings;
    int64_t now = (int64_t)time(NULL);
    int64_t left = own->not_after - now;
    char date[16];
    char span[32];

    if (now < own->not_before) {
        bool is_sure = clock_look().synchronised;

        findings_add(findings, certificate_link, VERDICT_ERROR,
                     is_sure ? CAUSE_OWN_CERTIFICATE_EXPIRED : CAUSE_CLOCK_WRONG,
                     "CN=%s is valid from %s only%s", name, date_of(own->not_before, date),
                     is_sure ? "" : ", and our clock is not synchronised");
        findings_cure(findings, "set the clocks of this machine and of the one that issued it");
        return false;
    }
    if (left >= warning_span(check))
        return true;
    if (left < 0)
        findings_add(findings, certificate_link, VERDICT_ERROR, CAUSE_OWN_CERTIFICATE_EXPIRED,
                     "CN=%s expired on %s", name, date_of(own->not_after, date));
    else
        findings_add(findings, certificate_link, VERDICT_WARNING, CAUSE_OWN_CERTIFICATE_EXPIRED,
                     "CN=%s expires %s (%s)", name, span_of(left, span),
                     date_of(own->not_after, date));
    findings_cure(findings,
                  "%ssensorgw-pki renew %s, copy it over: taken at the next connect, no restart",
                  left <= DAY_S ? "at once: " : "", name);
    return false;
}

static bool judge_purpose(const struct check *check, const struct certificate_facts *own,
                          const char *name) {
    if (own->is_for_clients)
        return true;
    findings_add(check->findings, certificate_link, VERDICT_ERROR, CAUSE_OWN_CERTIFICATE_PURPOSE,
                 "CN=%s is not a certificate for a client", name);
    findings_cure(check->findings,
                  "issue one with extendedKeyUsage clientAuth (sensorgw-pki client "
                  "%s)",
                  check->config->gateway);
    return false;
}

/* The broker may know a CA that we need not, so this alone is no fault. */
static bool judge_issuer(const struct check *check, const struct certificate_facts *own,
                         const char *name) {
    const struct tls_settings *tls = &check->config->publisher.tls;
    char reason[CHAIN_REASON_SIZE];

    if (!tls->ca || chain_verify(tls->certificate, tls->ca, reason) != 0)
        return true;
    findings_add(check->findings, certificate_link, VERDICT_WARNING,
                 CAUSE_OWN_CERTIFICATE_UNKNOWN_CA, "CN=%s, issued by %s, is not from tls.ca (%s)",
                 name, own->issuer, reason);
    findings_cure(check->findings, "right if the broker knows that CA for its clients; otherwise "
                                   "have it issued by the CA in tls.ca");
    return false;
}

/* RabbitMQ's permissions say {username}, which is the common name. */
static bool judge_name(const struct check *check, const char *name) {
    const struct config *config = check->config;

    if (config->publisher.username || strcmp(name, config->gateway) == 0)
        return true;
    findings_add(check->findings, certificate_link, VERDICT_WARNING, CAUSE_PUBLISH_FORBIDDEN,
                 "the gateway is called %s and its certificate CN=%s: the broker lets it publish "
                 "under the latter only",
                 config->gateway, name);
    findings_cure(check->findings,
                  "leave gateway out of the configuration, or sensorgw-pki client %s",
                  config->gateway);
    return false;
}

static void judge_certificate(const struct check *check) {
    CLEANUP(certificate_freep) X509 *certificate = NULL;
    struct certificate_facts own;
    char common_name[256] = "";
    char name[PRINTABLE_SIZE];
    char date[16];
    bool is_sound;

    if (certificate_read(check->config->publisher.tls.certificate, &certificate) < 0)
        return; /* told by tls_new */
    certificate_describe(certificate, &own);
    (void)certificate_common_name(certificate, common_name, sizeof(common_name));
    printable_string(common_name, name);
    is_sound = judge_dates(check, &own, name);
    is_sound = judge_purpose(check, &own, name) && is_sound;
    is_sound = judge_issuer(check, &own, name) && is_sound;
    is_sound = judge_name(check, name) && is_sound;
    if (is_sound)
        findings_add(check->findings, certificate_link, VERDICT_OK, CAUSE_NONE,
                     "CN=%s, %d days left (%s)", name,
                     (int)((own.not_after - (int64_t)time(NULL)) / DAY_S),
                     date_of(own.not_after, date));
}

static bool identity_is_readable(const struct check *check) {
    const struct tls_settings *tls = &check->config->publisher.tls;
    bool is_readable = check_file(check, certificate_link, "tls.certificate", tls->certificate);

    is_readable = check_file(check, key_link, "tls.key", tls->key) && is_readable;
    if (!tls->passphrase_file)
        return is_readable;
    return check_file(check, key_link, "tls.passphrase_file", tls->passphrase_file) && is_readable;
}

static void check_identity(const struct check *check) {
    const struct tls_settings *tls = &check->config->publisher.tls;
    struct tls_settings part = *tls;
    bool is_readable;

    if (!tls->certificate) {
        findings_add(check->findings, certificate_link, VERDICT_OK, CAUSE_NONE,
                     "none: the login is by user name");
        return;
    }
    part.ca = NULL;
    part.crl = NULL;
    is_readable = identity_is_readable(check);
    if (access(tls->certificate, R_OK) == 0)
        judge_certificate(check);
    if (is_readable && can_be_loaded(check, &part))
        findings_add(check->findings, key_link, VERDICT_OK, CAUSE_NONE,
                     "%s belongs to the certificate, and is closed to others", tls->key);
}

/* ---- mqtt.username ---- */

static void check_login(const struct check *check) {
    const struct publisher_settings *publisher = &check->config->publisher;

    if (!publisher->username)
        return;
    if (publisher->password_file &&
        !check_file(check, login_link, "mqtt.password_file", publisher->password_file))
        return;
    findings_add(check->findings, login_link, VERDICT_OK, CAUSE_NONE, "user %s, %s",
                 publisher->username,
                 publisher->password_file ? "with a password" : "without a password");
}

void check_certificates(const struct check *check) {
    check_trust(check);
    check_identity(check);
    check_login(check);
}
