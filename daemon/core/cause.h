/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one vocabulary of what can be wrong: the journal (SENSORGW_CAUSE), the state topic, `status`,
 * `check --json` and docs/causes.md all use these names.
 */

#include <stdbool.h>

enum cause {
    CAUSE_NONE,
    /* before TLS */
    CAUSE_NAME_UNRESOLVED,
    CAUSE_UNREACHABLE,
    CAUSE_REFUSED,
    CAUSE_CONNECT_TIMEOUT,
    /* what answers does not finish a handshake */
    CAUSE_NOT_TLS,
    CAUSE_TLS_TIMEOUT,
    CAUSE_CLOSED_IN_HANDSHAKE,
    /* we refuse the broker */
    CAUSE_UNTRUSTED_CA,
    CAUSE_EXPIRED,
    CAUSE_NOT_YET_VALID,
    CAUSE_CLOCK_WRONG,
    CAUSE_NAME_MISMATCH,
    CAUSE_REVOKED,
    CAUSE_WRONG_PURPOSE,
    CAUSE_WEAK_KEY,
    /* nothing in common */
    CAUSE_PROTOCOL_VERSION,
    CAUSE_NO_SHARED_CIPHER,
    /* the broker refuses us */
    CAUSE_CERTIFICATE_REQUIRED,
    CAUSE_CERTIFICATE_REJECTED,
    CAUSE_OWN_CERTIFICATE_EXPIRED,
    CAUSE_OWN_CERTIFICATE_UNKNOWN_CA,
    CAUSE_OWN_CERTIFICATE_PURPOSE,
    /* our own files */
    CAUSE_KEY_MISMATCH,
    CAUSE_UNREADABLE_FILE,
    CAUSE_BAD_PASSPHRASE,
    CAUSE_KEY_PERMISSIONS,
    /* MQTT says no */
    CAUSE_UNKNOWN_USER,
    CAUSE_NOT_AUTHORISED,
    CAUSE_PROTOCOL_UNSUPPORTED,
    CAUSE_BROKER_UNAVAILABLE,
    CAUSE_CLIENT_ID_TAKEN,
    /* accepted, then nothing */
    CAUSE_BROKER_SILENT,
    CAUSE_PUBACK_TIMEOUT,
    CAUSE_PUBLISH_FORBIDDEN,
    CAUSE_CONNECTION_LOST,
    /* serial ports and sensors */
    CAUSE_DEVICE_ABSENT,
    CAUSE_DEVICE_DENIED,
    CAUSE_DEVICE_BUSY,
    CAUSE_DEVICE_LOST,
    CAUSE_WRONG_BOARD,
    CAUSE_NODE_SILENT,
    CAUSE_FRAMES_DAMAGED,
    CAUSE_SENSOR_FAILING,
    CAUSE_SENSOR_FROZEN,
    CAUSE_SENSOR_RANGE,
    /* the spool */
    CAUSE_SPOOL_FULL,
    CAUSE_SPOOL_CORRUPT,
    CAUSE_SPOOL_READONLY,
    CAUSE_SPOOL_SLOW,
    CAUSE_COUNT,
};

/* "untrusted-ca"; "" for CAUSE_NONE. */
const char *cause_name(enum cause cause);

/* Will it stay until a person changes something, so that trying again soon is of no use? */
bool cause_needs_a_person(enum cause cause);
