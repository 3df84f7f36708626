/* SPDX-License-Identifier: MIT */
#include "core/diagnosis.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/payload.h"

enum { CONNACK_NONE = -1 };

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
    const char *name = "alert";

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
    attempt->error = 0;
    attempt->resolve_error = 0;
    attempt->timed_out = false;
    attempt->keepalive_failed = false;
    attempt->distrust = DISTRUST_NONE;
    attempt->refused = (struct certificate_facts){ 0 };
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
    if (!own->is_for_clients)
        return CAUSE_OWN_CERTIFICATE_PURPOSE;
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

/* No system call here knows errno's names: the few that matter have the same numbers on every
 * Linux. */
enum { LINUX_ECONNREFUSED = 111 };

static enum cause cause_of_phase(const struct attempt *attempt) {
    switch (attempt->phase) {
    case ATTEMPT_LOCAL:
        return CAUSE_UNREADABLE_FILE;
    case ATTEMPT_RESOLVE:
        return CAUSE_NAME_UNRESOLVED;
    case ATTEMPT_CONNECT:
        if (attempt->error == LINUX_ECONNREFUSED)
            return CAUSE_REFUSED;
        return attempt->timed_out ? CAUSE_CONNECT_TIMEOUT : CAUSE_UNREACHABLE;
    case ATTEMPT_TLS:
        if (attempt->plain_text)
            return CAUSE_NOT_TLS;
        return attempt->timed_out ? CAUSE_TLS_TIMEOUT : CAUSE_CLOSED_IN_HANDSHAKE;
    case ATTEMPT_CONNACK:
        /* Under TLS 1.3 the broker judges our certificate after our side of the handshake has
         * finished. */
        if (!attempt->timed_out && strcmp(attempt->version, "TLSv1.3") == 0 &&
            attempt->certificate_was_asked)
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

/* ---- words ---- */

struct words {
    char *at;
    size_t size;
};

__attribute__((format(printf, 2, 3))) static void say(struct words *words, const char *format,
                                                      ...) {
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(words->at, words->size, format, arguments);
    va_end(arguments);
    if (n < 0)
        return;
    if ((size_t)n >= words->size)
        n = (int)words->size - 1;
    words->at += n;
    words->size -= (size_t)n;
}

static const char *day(int64_t seconds, char text[PAYLOAD_TIME_SIZE]) {
    if (payload_render_time(seconds * 1000000, text, PAYLOAD_TIME_SIZE) < 0)
        return "?";
    text[strlen("2026-11-22T18:07")] = '\0';
    return text;
}

static void say_alert(struct words *words, const struct attempt *attempt) {
    char alert[64];

    if (attempt->alert_received <= ALERT_CLOSE_NOTIFY)
        return;
    alert_describe(attempt->alert_received, alert, sizeof(alert));
    say(words, "; the broker answered alert %s", alert);
}

static void say_offer(struct words *words, const struct attempt *attempt) {
    say(words, "We allow %s", attempt->versions);
    if (attempt->ciphers)
        say(words, ", for 1.2 %s", attempt->ciphers);
    if (attempt->ciphersuites)
        say(words, ", for 1.3 %s", attempt->ciphersuites);
    if (attempt->own.is_present)
        say(words, ", our certificate has an %s key", attempt->own.key_type);
}

static void say_sentence(struct words *words, enum cause cause, const struct attempt *attempt) {
    const struct certificate_facts *theirs = &attempt->refused;
    const struct certificate_facts *own = &attempt->own;
    char time[PAYLOAD_TIME_SIZE];
    char now[PAYLOAD_TIME_SIZE];

    say(words, "%s: ", attempt->broker);
    switch (cause) {
    case CAUSE_NAME_UNRESOLVED:
        say(words,
            attempt->timed_out ? "no name server answered in time"
                               : "the name cannot be resolved: %s",
            attempt->detail);
        break;
    case CAUSE_UNREACHABLE:
        say(words, "cannot be reached at %s: %s", attempt->address, attempt->detail);
        break;
    case CAUSE_REFUSED:
        say(words, "nothing listens on this port of %s: connection refused", attempt->address);
        break;
    case CAUSE_CONNECT_TIMEOUT:
        say(words, "no answer from %s to a TCP connection", attempt->address);
        break;
    case CAUSE_NOT_TLS:
        say(words, "what answers on this port does not speak TLS");
        break;
    case CAUSE_TLS_TIMEOUT:
        say(words, "took the connection and then kept silent: no TLS handshake in time");
        break;
    case CAUSE_CLOSED_IN_HANDSHAKE:
        say(words, "closed the connection in the middle of the TLS handshake");
        say_alert(words, attempt);
        break;
    case CAUSE_UNTRUSTED_CA:
        if (attempt->distrust == DISTRUST_CRL)
            say(words, "its certificate cannot be checked against tls.crl: %s", attempt->detail);
        else
            say(words, "its certificate %s was issued by %s, which tls.ca does not hold (%s)",
                theirs->subject, theirs->issuer, attempt->detail);
        break;
    case CAUSE_EXPIRED:
        say(words, "the certificate %s ran out on %s; our clock says %s", theirs->subject,
            day(theirs->not_after, time), day(attempt->now, now));
        break;
    case CAUSE_NOT_YET_VALID:
        say(words, "the certificate %s is valid from %s only; our clock says %s", theirs->subject,
            day(theirs->not_before, time), day(attempt->now, now));
        break;
    case CAUSE_CLOCK_WRONG:
        say(words,
            "our clock is not synchronised and says %s, before the certificate %s begins on %s",
            day(attempt->now, now), theirs->subject, day(theirs->not_before, time));
        break;
    case CAUSE_NAME_MISMATCH:
        say(words, "its certificate %s is not for %s: ", theirs->subject, attempt->name);
        say(words, theirs->names[0] ? "it names %s" : "it carries no names at all%s",
            theirs->names);
        break;
    case CAUSE_REVOKED:
        say(words, "its certificate %s is revoked by tls.crl", theirs->subject);
        break;
    case CAUSE_WRONG_PURPOSE:
        say(words, "its certificate %s is not one for a server", theirs->subject);
        break;
    case CAUSE_WEAK_KEY:
        say(words, "the key or signature of the certificate %s is too weak (%s)", theirs->subject,
            attempt->detail);
        break;
    case CAUSE_PROTOCOL_VERSION:
        say(words, "no TLS version in common. We allow %s (tls.version)", attempt->versions);
        say_alert(words, attempt);
        break;
    case CAUSE_NO_SHARED_CIPHER:
        say(words, "no cipher in common. ");
        say_offer(words, attempt);
        say_alert(words, attempt);
        break;
    case CAUSE_CERTIFICATE_REQUIRED:
        say(words, "wants a client certificate, and none is configured");
        say_alert(words, attempt);
        break;
    case CAUSE_CERTIFICATE_REJECTED:
        say(words, "refuses our certificate %s, issued by %s", own->subject, own->issuer);
        say_alert(words, attempt);
        break;
    case CAUSE_OWN_CERTIFICATE_EXPIRED:
        say(words, "refuses our certificate %s: it is valid from %s ", own->subject,
            day(own->not_before, time));
        say(words, "to %s, ", day(own->not_after, time));
        say(words, "and our clock says %s", day(attempt->now, now));
        say_alert(words, attempt);
        break;
    case CAUSE_OWN_CERTIFICATE_UNKNOWN_CA:
        say(words, "does not know the CA %s that issued our certificate %s", own->issuer,
            own->subject);
        say_alert(words, attempt);
        break;
    case CAUSE_OWN_CERTIFICATE_PURPOSE:
        say(words, "refuses our certificate %s: it is not one for a client", own->subject);
        say_alert(words, attempt);
        break;
    case CAUSE_KEY_MISMATCH:
        say(words, "tls.key %s does not belong to the certificate", attempt->file);
        break;
    case CAUSE_UNREADABLE_FILE:
        say(words, "cannot read %s: %s", attempt->file, attempt->detail);
        break;
    case CAUSE_BAD_PASSPHRASE:
        say(words, "cannot decrypt tls.key %s", attempt->file);
        break;
    case CAUSE_KEY_PERMISSIONS:
        say(words, "%s can be read or written by others: it is used by nobody until that is mended",
            attempt->file);
        break;
    case CAUSE_UNKNOWN_USER:
        say(words, "the certificate is good, but the broker has no such user (CONNACK 4)");
        break;
    case CAUSE_NOT_AUTHORISED:
        say(words, "the broker knows us and lets us do nothing (CONNACK %d)", attempt->connack);
        break;
    case CAUSE_PROTOCOL_UNSUPPORTED:
        say(words, "the broker does not speak MQTT 3.1.1 (CONNACK 1)");
        break;
    case CAUSE_BROKER_UNAVAILABLE:
        say(words, "the broker says that it cannot serve just now (CONNACK 3)");
        break;
    case CAUSE_CLIENT_ID_TAKEN:
        say(words, "connections end soon after they are accepted: another client may use our id");
        break;
    case CAUSE_BROKER_SILENT:
        say(words, attempt->phase == ATTEMPT_CONNACK
                       ? "TLS stands, but the broker does not answer MQTT's CONNECT"
                       : "the broker no longer answers");
        break;
    case CAUSE_PUBACK_TIMEOUT:
        say(words, "the broker takes %s and does not acknowledge", attempt->topic);
        break;
    case CAUSE_PUBLISH_FORBIDDEN:
        say(words, "the broker closes the connection when we publish to %s", attempt->topic);
        break;
    case CAUSE_NONE:
    case CAUSE_CONNECTION_LOST:
    case CAUSE_DEVICE_ABSENT:
    case CAUSE_DEVICE_DENIED:
    case CAUSE_DEVICE_BUSY:
    case CAUSE_DEVICE_LOST:
    case CAUSE_WRONG_BOARD:
    case CAUSE_NODE_SILENT:
    case CAUSE_FRAMES_DAMAGED:
    case CAUSE_SENSOR_FAILING:
    case CAUSE_SENSOR_FROZEN:
    case CAUSE_SENSOR_RANGE:
    case CAUSE_SPOOL_FULL:
    case CAUSE_SPOOL_CORRUPT:
    case CAUSE_SPOOL_READONLY:
    case CAUSE_SPOOL_SLOW:
    case CAUSE_COUNT:
        say(words, "the connection was lost");
        if (attempt->detail[0])
            say(words, ": %s", attempt->detail);
        break;
    }
}

static void say_cure(struct words *words, enum cause cause, const struct attempt *attempt) {
    switch (cause) {
    case CAUSE_NAME_UNRESOLVED:
        say(words, "Check brokers.host and this machine's name server (getent hosts NAME).");
        break;
    case CAUSE_UNREACHABLE:
    case CAUSE_CONNECT_TIMEOUT:
        say(words, "Check the network, the address and any firewall in between.");
        break;
    case CAUSE_REFUSED:
        say(words, "Start the broker, or correct brokers.port (MQTT over TLS is 8883).");
        break;
    case CAUSE_NOT_TLS:
        say(words, "Use the broker's TLS port (8883, not 1883).");
        break;
    case CAUSE_TLS_TIMEOUT:
    case CAUSE_CLOSED_IN_HANDSHAKE:
        say(words, "Look into the broker's log, and for a proxy in between.");
        break;
    case CAUSE_UNTRUSTED_CA:
        say(words,
            "Put the CA that issued the broker's certificate into tls.ca (it may hold several).");
        break;
    case CAUSE_EXPIRED:
        say(words, "Renew the broker's certificate; if the date above is wrong, set this clock.");
        break;
    case CAUSE_NOT_YET_VALID:
    case CAUSE_CLOCK_WRONG:
        say(words, "Let this machine's clock synchronise (timedatectl); readings are kept.");
        break;
    case CAUSE_NAME_MISMATCH:
        say(words,
            "Issue the broker a certificate with subjectAltName %s (openssl x509 -req drops the "
            "names of "
            "a request), or set brokers.name to a name that it has.",
            attempt->name);
        break;
    case CAUSE_REVOKED:
        say(words, "Find out why it was revoked; give the broker a new certificate.");
        break;
    case CAUSE_WRONG_PURPOSE:
        say(words, "Issue the broker a certificate with extendedKeyUsage serverAuth.");
        break;
    case CAUSE_WEAK_KEY:
        say(words, "Issue one with an EC P-256 key or RSA of 2048 bits, signed with SHA-256.");
        break;
    case CAUSE_PROTOCOL_VERSION:
        say(words, "Widen tls.version here, or let the broker speak what we allow (RabbitMQ: "
                   "ssl_options.versions).");
        break;
    case CAUSE_NO_SHARED_CIPHER:
        say(words, "Compare tls.ciphers with the broker's (RabbitMQ: ssl_options.ciphers); an EC "
                   "certificate needs ECDSA ciphers, an RSA one RSA.");
        break;
    case CAUSE_CERTIFICATE_REQUIRED:
        say(words, "Set tls.certificate and tls.key.");
        break;
    case CAUSE_CERTIFICATE_REJECTED:
        say(words, "The broker's log says why it refuses the certificate.");
        break;
    case CAUSE_OWN_CERTIFICATE_EXPIRED:
        say(words, "Renew it (sensorgw-pki renew %s): taken at the next attempt, no restart.",
            attempt->gateway);
        break;
    case CAUSE_OWN_CERTIFICATE_UNKNOWN_CA:
        say(words,
            "Add that CA to the broker's list (RabbitMQ: ssl_options.cacertfile), or have our "
            "certificate issued by one that it knows.");
        break;
    case CAUSE_OWN_CERTIFICATE_PURPOSE:
        say(words, "Issue one with extendedKeyUsage clientAuth (sensorgw-pki client %s).",
            attempt->gateway);
        break;
    case CAUSE_KEY_MISMATCH:
        say(words, "Install the key that was made with the certificate.");
        break;
    case CAUSE_UNREADABLE_FILE:
        say(words, "The service runs as user sensorgw: install -m 0640 -g sensorgw FILE "
                   "/etc/sensorgw/.");
        break;
    case CAUSE_BAD_PASSPHRASE:
        say(words, "Put the right passphrase into tls.passphrase_file.");
        break;
    case CAUSE_KEY_PERMISSIONS:
        say(words, "chmod 0640 %s; chgrp sensorgw %s", attempt->file, attempt->file);
        break;
    case CAUSE_UNKNOWN_USER:
        say(words, "Add the user %s to the broker (rabbitmqctl add_user; clear_password).",
            attempt->gateway);
        break;
    case CAUSE_NOT_AUTHORISED:
        say(words, "Give %s permissions on the broker's virtual host.", attempt->gateway);
        break;
    case CAUSE_PROTOCOL_UNSUPPORTED:
        say(words, "Use a broker that does.");
        break;
    case CAUSE_CLIENT_ID_TAKEN:
        say(words, "Look for a second gateway with the name %s.", attempt->gateway);
        break;
    case CAUSE_BROKER_UNAVAILABLE:
    case CAUSE_BROKER_SILENT:
        say(words,
            "Look for an alarm on the broker (rabbitmqctl status: memory, disk); readings are "
            "kept.");
        break;
    case CAUSE_PUBACK_TIMEOUT:
    case CAUSE_PUBLISH_FORBIDDEN:
        say(words, "Check that the broker lets user %s write to this topic; readings are kept.",
            attempt->gateway);
        break;
    case CAUSE_NONE:
    case CAUSE_CONNECTION_LOST:
    case CAUSE_DEVICE_ABSENT:
    case CAUSE_DEVICE_DENIED:
    case CAUSE_DEVICE_BUSY:
    case CAUSE_DEVICE_LOST:
    case CAUSE_WRONG_BOARD:
    case CAUSE_NODE_SILENT:
    case CAUSE_FRAMES_DAMAGED:
    case CAUSE_SENSOR_FAILING:
    case CAUSE_SENSOR_FROZEN:
    case CAUSE_SENSOR_RANGE:
    case CAUSE_SPOOL_FULL:
    case CAUSE_SPOOL_CORRUPT:
    case CAUSE_SPOOL_READONLY:
    case CAUSE_SPOOL_SLOW:
    case CAUSE_COUNT:
        break;
    }
}

void diagnose(const struct attempt *attempt, struct diagnosis *ret) {
    struct words sentence = { ret->sentence, sizeof(ret->sentence) };
    struct words cure = { ret->cure, sizeof(ret->cure) };

    ret->cause = cause_of(attempt);
    ret->sentence[0] = '\0';
    ret->cure[0] = '\0';
    say_sentence(&sentence, ret->cause, attempt);
    say_cure(&cure, ret->cause, attempt);
}
