/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What was seen of a failed attempt to reach a broker -> its cause, a sentence with the facts, and
 * a cure.
 *
 * Pure. io/tls.c, io/link.c and io/publisher.c record; this alone decides. Return codes of the MQTT
 * library are not among the evidence: they differ by version for the same failure. Source: RFC 8446
 * section 6 (alerts); what OpenSSL and RabbitMQ send in each case was measured, see docs/causes.md.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cause.h"

enum {
    FACTS_NAME_SIZE = 128,
    FACTS_LIST_SIZE = 256,
    DIAGNOSIS_SENTENCE_SIZE = 1280, /* both are enough for the longest facts */
    DIAGNOSIS_CURE_SIZE = 768,
};

/* How far an attempt came. */
enum attempt_phase {
    ATTEMPT_LOCAL, /* our own files */
    ATTEMPT_RESOLVE,
    ATTEMPT_CONNECT,
    ATTEMPT_TLS,
    ATTEMPT_CONNACK,  /* TLS stands on our side, MQTT does not */
    ATTEMPT_ANNOUNCE, /* accepted; the state was sent */
    ATTEMPT_ONLINE,
};

/* Why we do not believe a certificate. */
enum distrust {
    DISTRUST_NONE,
    DISTRUST_UNKNOWN_CA,
    DISTRUST_EXPIRED,
    DISTRUST_NOT_YET_VALID,
    DISTRUST_NAME,
    DISTRUST_REVOKED,
    DISTRUST_PURPOSE,
    DISTRUST_WEAK,
    DISTRUST_CRL, /* the revocation list is missing or out of date */
    DISTRUST_OTHER,
};

/* RFC 8446 section 6; -1: none was seen. */
enum tls_alert {
    ALERT_NONE = -1,
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNSUPPORTED_CERTIFICATE = 43,
    ALERT_CERTIFICATE_REVOKED = 44,
    ALERT_CERTIFICATE_EXPIRED = 45,
    ALERT_CERTIFICATE_UNKNOWN = 46,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INSUFFICIENT_SECURITY = 71,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_CERTIFICATE_REQUIRED = 116,
};

/* What a certificate says of itself; texts have their control characters escaped. */
struct certificate_facts {
    bool is_present;
    char subject[FACTS_NAME_SIZE];
    char issuer[FACTS_NAME_SIZE];
    char names[FACTS_LIST_SIZE]; /* "broker.lan, IP:192.0.2.7"; "" when it carries none */
    char key_type[16];           /* "RSA", "EC" */
    int64_t not_before;          /* seconds since 1970 */
    int64_t not_after;
    bool is_for_clients; /* its purpose allows it */
};

struct attempt {
    /* what was tried */
    char broker[FACTS_LIST_SIZE]; /* "host:port" */
    char name[FACTS_NAME_SIZE];   /* to be proved */
    char address[64];
    const char *versions; /* allowed: "TLSv1.2 only", "TLSv1.2 to TLSv1.3" */
    const char *ciphers;  /* offered for TLS 1.2 */
    const char *ciphersuites;
    const char *gateway;
    const char *username; /* NULL: the certificate is the login */
    const char *ca;       /* what we trust: a file; NULL: the system's store */
    int64_t now;          /* our clock, seconds since 1970 */
    bool clock_synchronised;
    struct certificate_facts own;

    /* what was seen */
    enum attempt_phase phase;
    enum cause local; /* what is wrong with our own files */
    char file[FACTS_LIST_SIZE];
    char detail[FACTS_NAME_SIZE]; /* the library's words: an errno's or OpenSSL's */
    bool file_is_password;        /* it is there, and holds none that can be used */
    int error;                    /* errno, positive; 0: none */
    int resolve_error;            /* EAI_*; 0: none */
    bool timed_out;               /* our deadline for this phase passed */
    bool keepalive_failed;        /* no answer to a ping */
    enum distrust distrust;
    struct certificate_facts refused; /* the certificate that we did not believe */
    int refused_depth;                /* 0: the broker's own; above: its CA's */
    bool issuer_has_namesake; /* we trust another CA of the same name as the one that signed it */
    struct certificate_facts theirs;    /* the broker's, when the handshake has finished */
    struct certificate_facts authority; /* of the CAs above it the one that runs out first */
    int alert_received;
    int alert_sent;
    bool handshake_finished;
    bool certificate_was_asked; /* the broker asked for ours, and got it if there is one */
    bool pin_broken;
    bool plain_text; /* what answered does not speak TLS */
    char version[16];
    char cipher[64];
    int connack;                 /* its return code, -1: none came */
    uint64_t greeted_ms;         /* how long CONNECT had been out when the connection ended */
    unsigned unacknowledged;     /* publishes without an answer */
    char topic[FACTS_LIST_SIZE]; /* of the oldest of them */
    bool farewell;               /* the broker ended the session; a link that breaks does not */
    unsigned short_lives;        /* sessions in a row that it ended soon after they were accepted */
};

struct diagnosis {
    enum cause cause;
    char sentence[DIAGNOSIS_SENTENCE_SIZE];
    char cure[DIAGNOSIS_CURE_SIZE];
};

/* Forgets what was seen; what is tried is the caller's to fill in. */
void attempt_reset(struct attempt *attempt);

void diagnose(const struct attempt *attempt, struct diagnosis *ret);

/* "unknown_ca (48)" */
void alert_describe(int alert, char *text, size_t size);
