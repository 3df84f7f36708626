/* SPDX-License-Identifier: MIT */
#include "core/diagnosis.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int64_t day_s = 86400;
static const int64_t now_s = 1795370852; /* 2026-11-22T18:07:32Z */

/* Our own certificate. */
enum own {
    OWN_SOUND,
    OWN_NONE,
    OWN_EXPIRED,
    OWN_TOO_NEW,
    OWN_FOR_SERVERS,
};

/* What was recorded; 0 where nothing was. */
struct record {
    char name[64];
    enum attempt_phase phase;
    enum cause cause;
    enum cause local;
    enum distrust distrust;
    int received; /* alert */
    int sent;     /* alert */
    int connack;
    int error;
    enum own own;
    bool timed_out;
    bool keepalive_failed;
    bool asked; /* for our certificate */
    bool pin_broken;
    bool plain_text;
    bool unsynchronised;
    char version[16];
    uint64_t greeted_ms;
    unsigned unacknowledged;
    unsigned short_lives;
    bool username; /* logs in by one */
    int depth;     /* of the certificate that is not believed */
    bool namesake;
    bool self_signed;
};

static struct certificate_facts own_certificate(enum own own) {
    struct certificate_facts facts = {
        .is_present = own != OWN_NONE,
        .subject = "CN=kitchen-pi",
        .issuer = "CN=our CA",
        .key_type = "EC",
        .not_before = now_s - 10 * day_s,
        .not_after = now_s + 10 * day_s,
        .is_for_clients = own != OWN_FOR_SERVERS,
    };

    if (own == OWN_EXPIRED)
        facts.not_after = now_s - day_s;
    if (own == OWN_TOO_NEW)
        facts.not_before = now_s + day_s;
    return facts;
}

static struct attempt attempt_of(const struct record *record) {
    struct attempt attempt = {
        .broker = "broker.lan:8883",
        .name = "broker.lan",
        .address = "192.0.2.10",
        .versions = "TLSv1.2 to TLSv1.3",
        .gateway = "kitchen-pi",
        .now = now_s,
        .clock_synchronised = !record->unsynchronised,
        .own = own_certificate(record->own),
    };

    attempt_reset(&attempt);
    attempt.phase = record->phase;
    attempt.local = record->local;
    attempt.error = record->error;
    attempt.timed_out = record->timed_out;
    attempt.keepalive_failed = record->keepalive_failed;
    attempt.distrust = record->distrust;
    attempt.alert_received = record->received ? record->received : ALERT_NONE;
    attempt.alert_sent = record->sent ? record->sent : ALERT_NONE;
    attempt.certificate_was_asked = record->asked;
    attempt.handshake_finished = record->phase > ATTEMPT_TLS;
    attempt.pin_broken = record->pin_broken;
    attempt.plain_text = record->plain_text;
    attempt.connack = record->connack ? record->connack : -1;
    attempt.greeted_ms = record->greeted_ms;
    attempt.username = record->username ? "otto" : NULL;
    attempt.refused_depth = record->depth;
    attempt.issuer_has_namesake = record->namesake;
    attempt.unacknowledged = record->unacknowledged;
    attempt.short_lives = record->short_lives;
    (void)snprintf(attempt.version, sizeof(attempt.version), "%s", record->version);
    if (attempt.version[0])
        (void)snprintf(attempt.cipher, sizeof(attempt.cipher), "TLS_AES_256_GCM_SHA384");
    (void)snprintf(attempt.topic, sizeof(attempt.topic), "sensors/kitchen-pi/kitchen");
    (void)snprintf(attempt.file, sizeof(attempt.file), "/etc/sensorgw/gateway.key");
    (void)snprintf(attempt.detail, sizeof(attempt.detail), "the library's words");
    if (record->distrust != DISTRUST_NONE)
        attempt.refused = (struct certificate_facts){
            .is_present = true,
            .subject = "CN=broker.lan, O=Somebody",
            .issuer = "CN=another CA",
            .names = "other.lan, 192.0.2.99",
            .key_type = "RSA",
            .not_before = now_s + 100 * day_s,
            .not_after = now_s - 100 * day_s,
        };
    if (record->self_signed)
        memcpy(attempt.refused.issuer, attempt.refused.subject, sizeof(attempt.refused.issuer));
    return attempt;
}

static struct diagnosis diagnosis_of(const struct record *record) {
    struct attempt attempt = attempt_of(record);
    struct diagnosis diagnosis;

    diagnose(&attempt, &diagnosis);
    return diagnosis;
}

/* ---- causes: what brokers were seen to do, row by row ---- */

/* What OpenSSL 3 records, and Erlang and OpenSSL servers send, in each case. */
static struct record records[] = {
    /* our own files */
    { "no such file", ATTEMPT_LOCAL, CAUSE_UNREADABLE_FILE, .local = CAUSE_UNREADABLE_FILE },
    { "another's key", ATTEMPT_LOCAL, CAUSE_KEY_MISMATCH, .local = CAUSE_KEY_MISMATCH },
    { "wrong passphrase", ATTEMPT_LOCAL, CAUSE_BAD_PASSPHRASE, .local = CAUSE_BAD_PASSPHRASE },
    { "key for all", ATTEMPT_LOCAL, CAUSE_KEY_PERMISSIONS, .local = CAUSE_KEY_PERMISSIONS },

    { "file missing", ATTEMPT_LOCAL, CAUSE_UNREADABLE_FILE, .local = CAUSE_UNREADABLE_FILE,
      .error = ENOENT },
    { "file forbidden", ATTEMPT_LOCAL, CAUSE_UNREADABLE_FILE, .local = CAUSE_UNREADABLE_FILE,
      .error = EACCES },
    { "own key weak", ATTEMPT_LOCAL, CAUSE_WEAK_KEY, .local = CAUSE_WEAK_KEY },
    { "no such version here", ATTEMPT_LOCAL, CAUSE_PROTOCOL_VERSION,
      .local = CAUSE_PROTOCOL_VERSION },
    { "no such cipher here", ATTEMPT_LOCAL, CAUSE_NO_SHARED_CIPHER,
      .local = CAUSE_NO_SHARED_CIPHER },

    /* before TLS */
    { "no such name", ATTEMPT_RESOLVE, CAUSE_NAME_UNRESOLVED, .own = OWN_SOUND },
    { "name server dead", ATTEMPT_RESOLVE, CAUSE_NAME_UNRESOLVED, .timed_out = true },
    { "port closed", ATTEMPT_CONNECT, CAUSE_REFUSED, .error = ECONNREFUSED },
    { "no route", ATTEMPT_CONNECT, CAUSE_UNREACHABLE, .error = ENETUNREACH },
    { "no such host", ATTEMPT_CONNECT, CAUSE_UNREACHABLE, .error = EHOSTUNREACH },
    { "black hole", ATTEMPT_CONNECT, CAUSE_CONNECT_TIMEOUT, .timed_out = true },

    /* what answers does not finish a handshake */
    { "a web server", ATTEMPT_TLS, CAUSE_NOT_TLS, .plain_text = true },
    { "plain MQTT closes", ATTEMPT_TLS, CAUSE_CLOSED_IN_HANDSHAKE, .sent = ALERT_DECODE_ERROR },
    { "a proxy resets", ATTEMPT_TLS, CAUSE_CLOSED_IN_HANDSHAKE, .error = ECONNRESET },
    { "overload", ATTEMPT_TLS, CAUSE_CLOSED_IN_HANDSHAKE, .received = ALERT_INTERNAL_ERROR },
    { "silence", ATTEMPT_TLS, CAUSE_TLS_TIMEOUT, .timed_out = true },

    /* we refuse the broker */
    { "unknown CA", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_UNKNOWN_CA,
      .sent = ALERT_UNKNOWN_CA },
    { "unknown root, sent", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_UNKNOWN_CA,
      .sent = ALERT_UNKNOWN_CA, .depth = 1, .self_signed = true },
    { "signed by itself", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_UNKNOWN_CA,
      .sent = ALERT_UNKNOWN_CA, .self_signed = true },
    { "a CA made anew", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_UNKNOWN_CA,
      .sent = ALERT_UNKNOWN_CA, .namesake = true },
    { "its CA expired", ATTEMPT_TLS, CAUSE_EXPIRED, .distrust = DISTRUST_EXPIRED,
      .sent = ALERT_CERTIFICATE_EXPIRED, .depth = 1 },
    { "expired", ATTEMPT_TLS, CAUSE_EXPIRED, .distrust = DISTRUST_EXPIRED,
      .sent = ALERT_CERTIFICATE_EXPIRED },
    { "not yet valid", ATTEMPT_TLS, CAUSE_NOT_YET_VALID, .distrust = DISTRUST_NOT_YET_VALID,
      .sent = ALERT_BAD_CERTIFICATE },
    { "not yet valid, no clock", ATTEMPT_TLS, CAUSE_CLOCK_WRONG, .distrust = DISTRUST_NOT_YET_VALID,
      .sent = ALERT_BAD_CERTIFICATE, .unsynchronised = true },
    { "another name", ATTEMPT_TLS, CAUSE_NAME_MISMATCH, .distrust = DISTRUST_NAME,
      .sent = ALERT_BAD_CERTIFICATE },
    { "wrong purpose", ATTEMPT_TLS, CAUSE_WRONG_PURPOSE, .distrust = DISTRUST_PURPOSE,
      .sent = ALERT_UNSUPPORTED_CERTIFICATE },
    { "weak key", ATTEMPT_TLS, CAUSE_WEAK_KEY, .distrust = DISTRUST_WEAK,
      .sent = ALERT_BAD_CERTIFICATE },
    { "revoked", ATTEMPT_TLS, CAUSE_REVOKED, .distrust = DISTRUST_REVOKED,
      .sent = ALERT_CERTIFICATE_REVOKED },
    { "no revocation list", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_CRL,
      .sent = ALERT_UNKNOWN_CA },
    { "anything else", ATTEMPT_TLS, CAUSE_UNTRUSTED_CA, .distrust = DISTRUST_OTHER,
      .sent = ALERT_HANDSHAKE_FAILURE },

    /* nothing in common */
    { "no version, it says", ATTEMPT_TLS, CAUSE_PROTOCOL_VERSION,
      .received = ALERT_PROTOCOL_VERSION },
    { "no version, we say", ATTEMPT_TLS, CAUSE_PROTOCOL_VERSION, .sent = ALERT_PROTOCOL_VERSION },
    { "a pin that did not hold", ATTEMPT_TLS, CAUSE_PROTOCOL_VERSION, .pin_broken = true,
      .version = "TLSv1.3" },
    { "no cipher, OpenSSL", ATTEMPT_TLS, CAUSE_NO_SHARED_CIPHER,
      .received = ALERT_HANDSHAKE_FAILURE },
    { "no cipher, Erlang", ATTEMPT_TLS, CAUSE_NO_SHARED_CIPHER,
      .received = ALERT_INSUFFICIENT_SECURITY },
    { "no cipher, no certificate", ATTEMPT_TLS, CAUSE_NO_SHARED_CIPHER,
      .received = ALERT_HANDSHAKE_FAILURE, .own = OWN_NONE },

    /* the broker refuses us, in the handshake of TLS 1.2 */
    { "1.2: none", ATTEMPT_TLS, CAUSE_CERTIFICATE_REQUIRED, .received = ALERT_HANDSHAKE_FAILURE,
      .asked = true, .own = OWN_NONE },
    { "1.2: its CA is not ours", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_UNKNOWN_CA,
      .received = ALERT_UNKNOWN_CA, .asked = true },
    { "1.2: expired", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_CERTIFICATE_EXPIRED, .asked = true, .own = OWN_EXPIRED },
    { "1.2: too new, OpenSSL", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_BAD_CERTIFICATE, .asked = true, .own = OWN_TOO_NEW },
    { "1.2: too new, Erlang", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_CERTIFICATE_EXPIRED, .asked = true, .own = OWN_TOO_NEW },
    { "1.2: for servers, OpenSSL", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_PURPOSE,
      .received = ALERT_UNSUPPORTED_CERTIFICATE, .asked = true, .own = OWN_FOR_SERVERS },
    { "1.2: for servers, Erlang", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_PURPOSE,
      .received = ALERT_HANDSHAKE_FAILURE, .asked = true, .own = OWN_FOR_SERVERS },
    { "1.2: revoked", ATTEMPT_TLS, CAUSE_CERTIFICATE_REJECTED,
      .received = ALERT_CERTIFICATE_REVOKED, .asked = true },
    { "1.2: says nothing useful", ATTEMPT_TLS, CAUSE_CERTIFICATE_REJECTED,
      .received = ALERT_HANDSHAKE_FAILURE, .asked = true },
    { "1.2: its clock is wrong", ATTEMPT_TLS, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_CERTIFICATE_EXPIRED, .asked = true },

    /* the same under TLS 1.3, after our side has finished */
    { "1.3: none", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REQUIRED,
      .received = ALERT_CERTIFICATE_REQUIRED, .asked = true, .own = OWN_NONE,
      .version = "TLSv1.3" },
    { "1.3: its CA is not ours", ATTEMPT_CONNACK, CAUSE_OWN_CERTIFICATE_UNKNOWN_CA,
      .received = ALERT_UNKNOWN_CA, .asked = true, .version = "TLSv1.3" },
    { "1.3: expired", ATTEMPT_CONNACK, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_CERTIFICATE_EXPIRED, .asked = true, .own = OWN_EXPIRED,
      .version = "TLSv1.3" },
    { "1.3: too new, Erlang", ATTEMPT_CONNACK, CAUSE_OWN_CERTIFICATE_EXPIRED,
      .received = ALERT_CERTIFICATE_EXPIRED, .asked = true, .own = OWN_TOO_NEW,
      .version = "TLSv1.3" },
    { "1.3: for servers, OpenSSL", ATTEMPT_CONNACK, CAUSE_OWN_CERTIFICATE_PURPOSE,
      .received = ALERT_UNSUPPORTED_CERTIFICATE, .asked = true, .own = OWN_FOR_SERVERS,
      .version = "TLSv1.3" },
    { "1.3: for servers, Erlang", ATTEMPT_CONNACK, CAUSE_OWN_CERTIFICATE_PURPOSE,
      .received = ALERT_HANDSHAKE_FAILURE, .asked = true, .own = OWN_FOR_SERVERS,
      .version = "TLSv1.3" },
    { "1.3: revoked", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REJECTED,
      .received = ALERT_CERTIFICATE_REVOKED, .asked = true, .version = "TLSv1.3" },
    { "1.3: unknown", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REJECTED,
      .received = ALERT_CERTIFICATE_UNKNOWN, .asked = true, .version = "TLSv1.3" },
    { "1.3: denied", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REJECTED, .received = ALERT_ACCESS_DENIED,
      .asked = true, .version = "TLSv1.3" },
    { "1.3: its alert got lost", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REJECTED, .asked = true,
      .error = ECONNRESET, .version = "TLSv1.3" },
    { "1.3: none, its alert got lost", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REQUIRED, .asked = true,
      .own = OWN_NONE, .version = "TLSv1.3" },

    /* TLS stands, MQTT says no, or nothing */
    { "CONNACK 1", ATTEMPT_CONNACK, CAUSE_PROTOCOL_UNSUPPORTED, .connack = 1 },
    { "CONNACK 2", ATTEMPT_CONNACK, CAUSE_CLIENT_ID_TAKEN, .connack = 2 },
    { "CONNACK 3", ATTEMPT_CONNACK, CAUSE_BROKER_UNAVAILABLE, .connack = 3 },
    { "CONNACK 4", ATTEMPT_CONNACK, CAUSE_UNKNOWN_USER, .connack = 4 },
    { "CONNACK 5", ATTEMPT_CONNACK, CAUSE_NOT_AUTHORISED, .connack = 5 },
    { "CONNACK 4 under 1.3", ATTEMPT_CONNACK, CAUSE_UNKNOWN_USER, .connack = 4, .asked = true,
      .version = "TLSv1.3" },
    { "an alarm: no CONNACK", ATTEMPT_CONNACK, CAUSE_BROKER_SILENT, .timed_out = true,
      .asked = true, .version = "TLSv1.3" },
    { "an alarm: closed after 10 s", ATTEMPT_CONNACK, CAUSE_BROKER_SILENT, .asked = true,
      .version = "TLSv1.2" },
    { "1.3: closed after 10 s", ATTEMPT_CONNACK, CAUSE_BROKER_SILENT, .asked = true,
      .greeted_ms = 10000, .version = "TLSv1.3" },
    { "CONNACK 4, user", ATTEMPT_CONNACK, CAUSE_UNKNOWN_USER, .connack = 4, .username = true,
      .own = OWN_NONE },
    { "CONNACK 4, both", ATTEMPT_CONNACK, CAUSE_UNKNOWN_USER, .connack = 4, .username = true },
    { "1.3: none beside a user", ATTEMPT_CONNACK, CAUSE_CERTIFICATE_REQUIRED,
      .received = ALERT_CERTIFICATE_REQUIRED, .asked = true, .own = OWN_NONE, .version = "TLSv1.3",
      .username = true },
    { "closed, no certificate asked", ATTEMPT_CONNACK, CAUSE_BROKER_SILENT, .version = "TLSv1.3" },

    /* accepted, then nothing */
    { "state not acknowledged", ATTEMPT_ANNOUNCE, CAUSE_PUBACK_TIMEOUT, .timed_out = true,
      .unacknowledged = 1 },
    { "readings not acknowledged", ATTEMPT_ONLINE, CAUSE_PUBACK_TIMEOUT, .timed_out = true,
      .unacknowledged = 100 },
    { "no answer to a ping", ATTEMPT_ONLINE, CAUSE_BROKER_SILENT, .keepalive_failed = true },
    { "closed once", ATTEMPT_ONLINE, CAUSE_CONNECTION_LOST, .unacknowledged = 3, .short_lives = 1 },
    { "closed again over a publish", ATTEMPT_ONLINE, CAUSE_PUBLISH_FORBIDDEN, .unacknowledged = 3,
      .short_lives = 2 },
    { "closed again over the state", ATTEMPT_ANNOUNCE, CAUSE_PUBLISH_FORBIDDEN, .unacknowledged = 1,
      .short_lives = 2 },
    { "closed again over nothing", ATTEMPT_ONLINE, CAUSE_CLIENT_ID_TAKEN, .short_lives = 2 },
    { "lost after a long time", ATTEMPT_ONLINE, CAUSE_CONNECTION_LOST, .error = ECONNRESET },
    { "lost after it was announced", ATTEMPT_ANNOUNCE, CAUSE_CONNECTION_LOST, .own = OWN_SOUND },

    /* two things at once: the first of these is the reason for the second */
    { "distrust before an alert", ATTEMPT_TLS, CAUSE_EXPIRED, .distrust = DISTRUST_EXPIRED,
      .received = ALERT_UNEXPECTED_MESSAGE },
    { "distrust before a time-out", ATTEMPT_TLS, CAUSE_NAME_MISMATCH, .distrust = DISTRUST_NAME,
      .timed_out = true },
    { "our file before all", ATTEMPT_CONNECT, CAUSE_KEY_MISMATCH, .local = CAUSE_KEY_MISMATCH,
      .error = ECONNREFUSED },
    { "a goodbye is no alert", ATTEMPT_ONLINE, CAUSE_CONNECTION_LOST,
      .received = ALERT_CLOSE_NOTIFY },
};

enum { RECORDS = sizeof(records) / sizeof(*records) };

ParameterizedTestParameters(diagnosis, finds_the_cause) {
    return cr_make_param_array(struct record, records, RECORDS);
}

ParameterizedTest(struct record *record, diagnosis, finds_the_cause) {
    struct diagnosis diagnosis = diagnosis_of(record);

    cr_expect_eq(diagnosis.cause, record->cause, "%s: %s, not %s", record->name,
                 cause_name(diagnosis.cause), cause_name(record->cause));
}

static bool is_in_the_table(enum cause cause) {
    for (size_t i = 0; i < RECORDS; i++)
        if (records[i].cause == cause)
            return true;
    return false;
}

Test(diagnosis, every_cause_of_the_link_can_be_found) {
    for (enum cause cause = CAUSE_NAME_UNRESOLVED; cause <= CAUSE_CONNECTION_LOST; cause++)
        cr_expect(is_in_the_table(cause), "%s", cause_name(cause));
}

/* ---- sentences and cures ---- */

Test(diagnosis, every_sentence_begins_with_the_broker_and_tells_something) {
    for (size_t i = 0; i < RECORDS; i++) {
        struct diagnosis diagnosis = diagnosis_of(&records[i]);
        const char *told = diagnosis.sentence + strlen("broker.lan:8883: ");

        cr_expect_eq(strncmp(diagnosis.sentence, "broker.lan:8883: ", 17), 0, "%s: %s",
                     records[i].name, diagnosis.sentence);
        cr_expect_gt(strlen(told), 15, "%s: %s", records[i].name, diagnosis.sentence);
        cr_expect_null(strstr(diagnosis.sentence, "(null)"), "%s", diagnosis.sentence);
        cr_expect_neq(told[strlen(told) - 1], ' ', "%s: ends in a blank", records[i].name);
    }
}

Test(diagnosis, no_cause_without_a_cure_but_a_lost_connection) {
    for (size_t i = 0; i < RECORDS; i++) {
        struct diagnosis diagnosis = diagnosis_of(&records[i]);

        if (diagnosis.cause == CAUSE_CONNECTION_LOST)
            continue;
        cr_expect_str_not_empty(diagnosis.cure, "%s", cause_name(diagnosis.cause));
        cr_expect_eq(diagnosis.cure[strlen(diagnosis.cure) - 1], '.', "%s: \"%s\"",
                     cause_name(diagnosis.cause), diagnosis.cure);
    }
}

/* An unknown word in the table of sentences would be a hole in one. */
Test(diagnosis, no_sentence_has_a_hole) {
    static const char *const holes[] = { "  ", " .", " ,", " ;", "()", "{", "}", "(null)", ",." };

    for (size_t i = 0; i < RECORDS; i++) {
        struct diagnosis diagnosis = diagnosis_of(&records[i]);

        for (size_t k = 0; k < sizeof(holes) / sizeof(*holes); k++) {
            cr_expect_null(strstr(diagnosis.sentence, holes[k]), "%s", diagnosis.sentence);
            cr_expect_null(strstr(diagnosis.cure, holes[k]), "%s", diagnosis.cure);
        }
    }
}

/* The record of this name. */
static const struct record *record_of(const char *name) {
    for (size_t i = 0; i < RECORDS; i++)
        if (strcmp(records[i].name, name) == 0)
            return &records[i];
    cr_assert(false, "no record %s", name);
    return NULL;
}

struct telling {
    char name[64]; /* of the record */
    char says[4][64];
};

ParameterizedTestParameters(diagnosis, says_what_was_seen) {
    static struct telling tellings[] = {
        { "no such name", { "the library's words" } },
        { "name server dead", { "in time" } },
        { "no route", { "192.0.2.10", "cannot be reached", "the library's words" } },
        { "port closed", { "192.0.2.10", "refuses", "nothing listens" } },
        { "black hole", { "192.0.2.10", "does not answer" } },
        { "a web server", { "does not speak TLS" } },
        { "overload", { "ended the TLS handshake", "internal_error (80)" } },
        { "unknown CA", { "CN=broker.lan, O=Somebody", "CN=another CA", "does not hold" } },
        { "no revocation list", { "tls.crl", "the library's words" } },
        { "expired",
          { "CN=broker.lan, O=Somebody", "2026-08-14 18:07 UTC", "2026-11-22 18:07 UTC" } },
        { "not yet valid", { "CN=broker.lan", "2027-03-02 18:07 UTC", "2026-11-22 18:07 UTC" } },
        { "not yet valid, no clock", { "not synchronised", "2027-03-02 18:07 UTC", "2026-11-22" } },
        { "another name", { "CN=broker.lan", "for other.lan, 192.0.2.99", "not for broker.lan" } },
        { "wrong purpose", { "CN=broker.lan", "server" } },
        { "weak key", { "CN=broker.lan", "too weak", "the library's words" } },
        { "revoked", { "CN=broker.lan", "revoked" } },
        { "no version, it says", { "TLSv1.2 to TLSv1.3", "protocol_version (70)" } },
        { "no cipher, Erlang",
          { "TLS 1.2", "TLS 1.3", "key is EC", "insufficient_security (71)" } },
        { "1.2: none", { "client certificate", "handshake_failure (40)" } },
        { "1.3: none", { "client certificate", "certificate_required (116)" } },
        { "1.3: its CA is not ours", { "CN=our CA", "CN=kitchen-pi", "unknown_ca (48)" } },
        { "1.3: expired", { "CN=kitchen-pi", "2026-11-21 18:07 UTC", "2026-11-22 18:07 UTC" } },
        { "1.3: too new, Erlang",
          { "CN=kitchen-pi", "2026-11-23 18:07 UTC", "2026-11-22 18:07 UTC" } },
        { "1.2: for servers, Erlang", { "CN=kitchen-pi", "client", "handshake_failure (40)" } },
        { "1.2: revoked", { "CN=kitchen-pi", "is revoked", "certificate_revoked (44)" } },
        { "another's key", { "tls.key", "/etc/sensorgw/gateway.key" } },
        { "no such file", { "/etc/sensorgw/gateway.key", "the library's words" } },
        { "file missing", { "/etc/sensorgw/gateway.key", "is not there" } },
        { "file forbidden", { "/etc/sensorgw/gateway.key", "may not be read" } },
        { "own key weak", { "our certificate", "/etc/sensorgw/gateway.key", "too weak" } },
        { "unknown root, sent", { "comes from CN=broker.lan", "does not hold" } },
        { "signed by itself", { "CN=broker.lan", "signed by itself" } },
        { "a CA made anew", { "CN=broker.lan", "another CA", "both are called CN=another CA" } },
        { "its CA expired", { "the CA CN=broker.lan", "2026-08-14" } },
        { "CONNACK 4, user", { "otto", "password", "CONNACK 4" } },
        { "CONNACK 4, both", { "otto", "certificate does not count" } },
        { "1.3: none beside a user", { "beside the user name" } },
        { "1.2: its clock is wrong", { "2026-11-12 18:07 UTC", "2026-12-02", "2026-11-22" } },
        { "1.3: closed after 10 s", { "closed", "CONNECT" } },
        { "1.3: its alert got lost", { "CN=kitchen-pi", "without a word" } },
        { "wrong passphrase", { "/etc/sensorgw/gateway.key", "decrypt" } },
        { "key for all", { "/etc/sensorgw/gateway.key", "others" } },
        { "CONNACK 1", { "CONNACK 1", "3.1.1" } },
        { "CONNACK 2", { "CONNACK 2", "client id" } },
        { "CONNACK 3", { "CONNACK 3" } },
        { "CONNACK 4", { "CONNACK 4", "no user kitchen-pi" } },
        { "CONNACK 5", { "CONNACK 5" } },
        { "an alarm: no CONNACK", { "TLS stands", "CONNECT" } },
        { "no answer to a ping", { "no longer answers" } },
        { "readings not acknowledged", { "sensors/kitchen-pi/kitchen", "acknowledge" } },
        { "closed again over a publish", { "sensors/kitchen-pi/kitchen", "closes" } },
        { "closed again over nothing", { "another client" } },
        { "lost after a long time", { "lost", "the library's words" } },
    };

    return cr_make_param_array(struct telling, tellings, sizeof(tellings) / sizeof(*tellings));
}

ParameterizedTest(struct telling *telling, diagnosis, says_what_was_seen) {
    struct diagnosis diagnosis = diagnosis_of(record_of(telling->name));

    for (size_t i = 0; i < 4 && telling->says[i][0]; i++)
        cr_expect_not_null(strstr(diagnosis.sentence, telling->says[i]), "%s: no \"%s\" in: %s",
                           telling->name, telling->says[i], diagnosis.sentence);
}

Test(diagnosis, a_certificate_without_any_name_is_said_so) {
    struct attempt attempt = attempt_of(record_of("another name"));
    struct diagnosis diagnosis;

    attempt.refused.names[0] = '\0';
    diagnose(&attempt, &diagnosis);
    cr_expect_eq(diagnosis.cause, CAUSE_NAME_MISMATCH);
    cr_expect_not_null(strstr(diagnosis.sentence, "carries no names at all"), "%s",
                       diagnosis.sentence);
    cr_expect_not_null(strstr(diagnosis.cure, "sensorgw-pki broker broker.lan"), "%s",
                       diagnosis.cure);
}

Test(diagnosis, the_ciphers_offered_are_named) {
    struct attempt attempt = attempt_of(record_of("no cipher, OpenSSL"));
    struct diagnosis diagnosis;

    attempt.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
    attempt.ciphersuites = "TLS_AES_128_GCM_SHA256";
    diagnose(&attempt, &diagnosis);
    cr_expect_not_null(strstr(diagnosis.sentence, attempt.ciphers), "%s", diagnosis.sentence);
    cr_expect_not_null(strstr(diagnosis.sentence, attempt.ciphersuites), "%s", diagnosis.sentence);
}

Test(diagnosis, cures_name_the_gateway_and_the_file) {
    cr_expect_not_null(
        strstr(diagnosis_of(record_of("CONNACK 4")).cure, "provision gateway kitchen-pi"));
    cr_expect_not_null(strstr(diagnosis_of(record_of("1.3: expired")).cure, "kitchen-pi"));
    cr_expect_not_null(
        strstr(diagnosis_of(record_of("key for all")).cure, "/etc/sensorgw/gateway.key"));
}

/* A text as long as its place allows, with an end of its own. */
static void fill(char *text, size_t size, const char *end) {
    memset(text, 'x', size - 1);
    memcpy(text + size - 1 - strlen(end), end, strlen(end) + 1);
}

#define FILL(text, end) fill((text), sizeof(text), (end))

static void fill_certificate(struct certificate_facts *facts) {
    FILL(facts->subject, "s.");
    FILL(facts->issuer, "i.");
    FILL(facts->names, "n.");
    FILL(facts->key_type, "k.");
}

Test(diagnosis, the_longest_facts_are_told_to_their_end) {
    static char gateway[65];
    static char ciphers[4096];

    FILL(gateway, "g.");
    for (size_t i = 0; i + 64 < sizeof(ciphers); i += 30)
        memcpy(ciphers + i, "ECDHE-ECDSA-AES128-GCM-SHA256:", 31);
    strcat(ciphers, "THE-LAST");
    for (size_t i = 0; i < RECORDS; i++) {
        struct attempt attempt = attempt_of(&records[i]);
        struct diagnosis diagnosis;

        FILL(attempt.broker, "b.");
        FILL(attempt.name, "w.");
        FILL(attempt.address, "a.");
        FILL(attempt.file, "f.");
        FILL(attempt.detail, "d.");
        FILL(attempt.topic, "t.");
        fill_certificate(&attempt.own);
        fill_certificate(&attempt.refused);
        attempt.gateway = gateway;
        attempt.ciphers = ciphers;
        attempt.ciphersuites = ciphers;
        diagnose(&attempt, &diagnosis);
        cr_expect_eq(diagnosis.cause, records[i].cause);
        cr_expect_lt(strlen(diagnosis.sentence), sizeof(diagnosis.sentence) - 1, "%s is cut: %s",
                     records[i].name, diagnosis.sentence);
        cr_expect_lt(strlen(diagnosis.cure), sizeof(diagnosis.cure) - 1, "%s is cut: %s",
                     records[i].name, diagnosis.cure);
    }
}

/* ---- records and alerts ---- */

Test(diagnosis, a_reset_forgets_what_was_seen_and_keeps_what_is_tried) {
    struct attempt attempt;
    struct attempt fresh = attempt_of(&(struct record){ .own = OWN_SOUND });

    memset(&attempt, 0x5a, sizeof(attempt));
    attempt.distrust = DISTRUST_NAME;
    (void)snprintf(attempt.broker, sizeof(attempt.broker), "broker.lan:8883");
    attempt.clock_synchronised = true;
    attempt.own = fresh.own;
    attempt_reset(&attempt);
    cr_expect_str_eq(attempt.broker, "broker.lan:8883");
    cr_expect(attempt.clock_synchronised);
    cr_expect_str_eq(attempt.own.subject, "CN=kitchen-pi");
    cr_expect_eq(attempt.phase, ATTEMPT_LOCAL);
    cr_expect_eq(attempt.local, CAUSE_NONE);
    cr_expect_str_empty(attempt.file);
    cr_expect_str_empty(attempt.detail);
    cr_expect_eq(attempt.error, 0);
    cr_expect_eq(attempt.resolve_error, 0);
    cr_expect_not(attempt.timed_out || attempt.keepalive_failed || attempt.handshake_finished ||
                  attempt.certificate_was_asked || attempt.pin_broken || attempt.plain_text);
    cr_expect_eq(attempt.distrust, DISTRUST_NONE);
    cr_expect_not(attempt.refused.is_present);
    cr_expect_not(attempt.theirs.is_present);
    cr_expect_eq(attempt.alert_received, ALERT_NONE);
    cr_expect_eq(attempt.alert_sent, ALERT_NONE);
    cr_expect_str_empty(attempt.version);
    cr_expect_str_empty(attempt.cipher);
    cr_expect_eq(attempt.connack, -1);
    cr_expect_eq(attempt.unacknowledged, 0);
    cr_expect_str_empty(attempt.topic);
}

struct alert_row {
    int alert;
    char text[48];
};

ParameterizedTestParameters(diagnosis, names_alerts) {
    static struct alert_row rows[] = {
        { ALERT_CLOSE_NOTIFY, "close_notify (0)" },
        { ALERT_UNEXPECTED_MESSAGE, "unexpected_message (10)" },
        { ALERT_HANDSHAKE_FAILURE, "handshake_failure (40)" },
        { ALERT_BAD_CERTIFICATE, "bad_certificate (42)" },
        { ALERT_UNSUPPORTED_CERTIFICATE, "unsupported_certificate (43)" },
        { ALERT_CERTIFICATE_REVOKED, "certificate_revoked (44)" },
        { ALERT_CERTIFICATE_EXPIRED, "certificate_expired (45)" },
        { ALERT_CERTIFICATE_UNKNOWN, "certificate_unknown (46)" },
        { ALERT_UNKNOWN_CA, "unknown_ca (48)" },
        { ALERT_ACCESS_DENIED, "access_denied (49)" },
        { ALERT_DECODE_ERROR, "decode_error (50)" },
        { ALERT_PROTOCOL_VERSION, "protocol_version (70)" },
        { ALERT_INSUFFICIENT_SECURITY, "insufficient_security (71)" },
        { ALERT_INTERNAL_ERROR, "internal_error (80)" },
        { ALERT_CERTIFICATE_REQUIRED, "certificate_required (116)" },
        { 255, "unnamed (255)" },
    };

    return cr_make_param_array(struct alert_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct alert_row *row, diagnosis, names_alerts) {
    char text[64];

    alert_describe(row->alert, text, sizeof(text));
    cr_expect_str_eq(text, row->text);
}
