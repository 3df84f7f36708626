/* SPDX-License-Identifier: MIT */
#include "core/diagnosis.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/diagnosis_words.h"

enum {
    CONNACK_NONE = -1,
    /* A broker judges a certificate at once. RabbitMQ with an alarm on ends a connection that it
     * did not read from after ten seconds. */
    JUDGED_MS = 5000,
};

static const struct {
    int alert;
    const char *name;
} alert_names[] = {
    { ALERT_CLOSE_NOTIFY, "close_notify" },
    { ALERT_UNEXPECTED_MESSAGE, "unexpected_message" },
    { ALERT_HANDSHAKE_FAILURE, "handshake_failure" },
    { ALERT_BAD_CERTIFICATE, "bad_certificate" },
    { ALERT_UNSUPPORTED_CERTIFICATE, "unsupported_certificate" },
    { ALERT_CERTIFICATE_REVOKED, "certificate_revoked" },
    { ALERT_CERTIFICATE_EXPIRED, "certificate_expired" },
    { ALERT_CERTIFICATE_UNKNOWN, "certificate_unknown" },
    { ALERT_UNKNOWN_CA, "unknown_ca" },
    { ALERT_ACCESS_DENIED, "access_denied" },
    { ALERT_DECODE_ERROR, "decode_error" },
    { ALERT_PROTOCOL_VERSION, "protocol_version" },
    { ALERT_INSUFFICIENT_SECURITY, "insufficient_security" },
    { ALERT_INTERNAL_ERROR, "internal_error" },
    { ALERT_CERTIFICATE_REQUIRED, "certificate_required" },
};

void alert_describe(int alert, char *text, size_t size) {
    const char *name = "unnamed";

    for (size_t i = 0; i < sizeof(alert_names) / sizeof(*alert_names); i++)
        if (alert_names[i].alert == alert)
            name = alert_names[i].name;
    (void)snprintf(text, size, "%s (%d)", name, alert);
}

void attempt_reset(struct attempt *attempt) {
    attempt->phase = ATTEMPT_LOCAL;
    attempt->local = CAUSE_NONE;
    attempt->file[0] = '\0';
    attempt->detail[0] = '\0';
    attempt->file_is_password = false;
    attempt->error = 0;
    attempt->resolve_error = 0;
    attempt->timed_out = false;
    attempt->keepalive_failed = false;
    attempt->farewell = false;
    attempt->distrust = DISTRUST_NONE;
    attempt->refused = (struct certificate_facts){ 0 };
    attempt->authority = (struct certificate_facts){ 0 };
    attempt->refused_depth = 0;
    attempt->issuer_has_namesake = false;
    attempt->theirs = (struct certificate_facts){ 0 };
    attempt->alert_received = ALERT_NONE;
    attempt->alert_sent = ALERT_NONE;
    attempt->handshake_finished = false;
    attempt->certificate_was_asked = false;
    attempt->pin_broken = false;
    attempt->plain_text = false;
    attempt->version[0] = '\0';
    attempt->cipher[0] = '\0';
    attempt->connack = CONNACK_NONE;
    attempt->greeted_ms = 0;
    attempt->unacknowledged = 0;
    attempt->topic[0] = '\0';
}

/* ---- cause ---- */

static enum cause cause_of_distrust(const struct attempt *attempt) {
    switch (attempt->distrust) {
    case DISTRUST_NONE:
    case DISTRUST_OTHER:
    case DISTRUST_CRL:
    case DISTRUST_UNKNOWN_CA:
        return CAUSE_UNTRUSTED_CA;
    case DISTRUST_EXPIRED:
        return CAUSE_EXPIRED;
    case DISTRUST_NOT_YET_VALID:
        return attempt->clock_synchronised ? CAUSE_NOT_YET_VALID : CAUSE_CLOCK_WRONG;
    case DISTRUST_NAME:
        return CAUSE_NAME_MISMATCH;
    case DISTRUST_REVOKED:
        return CAUSE_REVOKED;
    case DISTRUST_PURPOSE:
        return CAUSE_WRONG_PURPOSE;
    case DISTRUST_WEAK:
        return CAUSE_WEAK_KEY;
    }
    return CAUSE_UNTRUSTED_CA;
}

/* Alerts name the reason loosely, and Erlang's more so: what is wrong with our certificate, we can
 * see ourselves. */
static enum cause cause_of_refusal(const struct attempt *attempt) {
    const struct certificate_facts *own = &attempt->own;

    if (!own->is_present)
        return CAUSE_CERTIFICATE_REQUIRED;
    if (attempt->now > own->not_after || attempt->now < own->not_before)
        return CAUSE_OWN_CERTIFICATE_EXPIRED;
    /* Erlang's word for that is bad_certificate. Nothing in the certificate says more. */
    if (strcmp(own->subject, own->issuer) == 0)
        return CAUSE_OWN_CERTIFICATE_UNKNOWN_CA;
    if (!own->is_for_clients)
        return CAUSE_OWN_CERTIFICATE_PURPOSE;
    if (attempt->alert_received == ALERT_CERTIFICATE_EXPIRED)
        return CAUSE_OWN_CERTIFICATE_EXPIRED; /* by the broker's clock */
    if (attempt->alert_received == ALERT_UNKNOWN_CA)
        return CAUSE_OWN_CERTIFICATE_UNKNOWN_CA;
    return CAUSE_CERTIFICATE_REJECTED;
}

static enum cause cause_of_alert(const struct attempt *attempt) {
    switch (attempt->alert_received) {
    case ALERT_PROTOCOL_VERSION:
        return CAUSE_PROTOCOL_VERSION;
    case ALERT_INSUFFICIENT_SECURITY:
        return CAUSE_NO_SHARED_CIPHER;
    case ALERT_HANDSHAKE_FAILURE:
        return attempt->certificate_was_asked ? cause_of_refusal(attempt) : CAUSE_NO_SHARED_CIPHER;
    case ALERT_BAD_CERTIFICATE:
    case ALERT_UNSUPPORTED_CERTIFICATE:
    case ALERT_CERTIFICATE_REVOKED:
    case ALERT_CERTIFICATE_EXPIRED:
    case ALERT_CERTIFICATE_UNKNOWN:
    case ALERT_UNKNOWN_CA:
    case ALERT_ACCESS_DENIED:
    case ALERT_CERTIFICATE_REQUIRED:
        return cause_of_refusal(attempt);
    default:
        return CAUSE_CLOSED_IN_HANDSHAKE;
    }
}

static enum cause cause_of_connack(int code) {
    switch (code) {
    case 1:
        return CAUSE_PROTOCOL_UNSUPPORTED;
    case 2:
        return CAUSE_CLIENT_ID_TAKEN;
    case 3:
        return CAUSE_BROKER_UNAVAILABLE;
    case 4:
        return CAUSE_UNKNOWN_USER;
    default:
        return CAUSE_NOT_AUTHORISED;
    }
}

static enum cause cause_of_phase(const struct attempt *attempt) {
    switch (attempt->phase) {
    case ATTEMPT_LOCAL:
        return CAUSE_UNREADABLE_FILE;
    case ATTEMPT_RESOLVE:
        return CAUSE_NAME_UNRESOLVED;
    case ATTEMPT_CONNECT:
        if (attempt->error == ECONNREFUSED)
            return CAUSE_REFUSED;
        if (attempt->timed_out)
            return CAUSE_CONNECT_TIMEOUT;
        /* What could not be reached has another error. This was taken, and reset at once. */
        if (attempt->error == ECONNRESET || attempt->error == 0)
            return CAUSE_CLOSED_IN_HANDSHAKE;
        return CAUSE_UNREACHABLE;
    case ATTEMPT_TLS:
        if (attempt->plain_text)
            return CAUSE_NOT_TLS;
        return attempt->timed_out ? CAUSE_TLS_TIMEOUT : CAUSE_CLOSED_IN_HANDSHAKE;
    case ATTEMPT_CONNACK:
        /* Under TLS 1.3 the broker judges our certificate after our side of the handshake has
         * finished. */
        if (!attempt->timed_out && attempt->greeted_ms < JUDGED_MS &&
            strcmp(attempt->version, "TLSv1.3") == 0 && attempt->certificate_was_asked)
            return cause_of_refusal(attempt);
        return CAUSE_BROKER_SILENT;
    case ATTEMPT_ANNOUNCE:
    case ATTEMPT_ONLINE:
        if (attempt->timed_out)
            return CAUSE_PUBACK_TIMEOUT;
        if (attempt->keepalive_failed)
            return CAUSE_BROKER_SILENT;
        if (attempt->unacknowledged > 0 && attempt->short_lives > 1)
            return CAUSE_PUBLISH_FORBIDDEN;
        return attempt->short_lives > 1 ? CAUSE_CLIENT_ID_TAKEN : CAUSE_CONNECTION_LOST;
    }
    return CAUSE_CONNECTION_LOST;
}

static enum cause cause_of(const struct attempt *attempt) {
    if (attempt->local != CAUSE_NONE)
        return attempt->local;
    if (attempt->distrust != DISTRUST_NONE)
        return cause_of_distrust(attempt);
    if (attempt->connack > 0)
        return cause_of_connack(attempt->connack);
    if (attempt->pin_broken || attempt->alert_sent == ALERT_PROTOCOL_VERSION)
        return CAUSE_PROTOCOL_VERSION;
    if (attempt->alert_received > ALERT_CLOSE_NOTIFY && attempt->phase <= ATTEMPT_CONNACK)
        return cause_of_alert(attempt);
    return cause_of_phase(attempt);
}

void diagnose(const struct attempt *attempt, struct diagnosis *ret) {
    ret->cause = cause_of(attempt);
    diagnosis_describe(attempt, ret);
}
