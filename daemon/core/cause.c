/* SPDX-License-Identifier: MIT */
#include "core/cause.h"

static const char *const names[CAUSE_COUNT] = {
    [CAUSE_NONE] = "",
    [CAUSE_NAME_UNRESOLVED] = "name-unresolved",
    [CAUSE_UNREACHABLE] = "unreachable",
    [CAUSE_REFUSED] = "refused",
    [CAUSE_CONNECT_TIMEOUT] = "connect-timeout",
    [CAUSE_NOT_TLS] = "not-tls",
    [CAUSE_TLS_TIMEOUT] = "tls-timeout",
    [CAUSE_CLOSED_IN_HANDSHAKE] = "closed-in-handshake",
    [CAUSE_UNTRUSTED_CA] = "untrusted-ca",
    [CAUSE_EXPIRED] = "expired",
    [CAUSE_NOT_YET_VALID] = "not-yet-valid",
    [CAUSE_CLOCK_WRONG] = "clock-wrong",
    [CAUSE_NAME_MISMATCH] = "name-mismatch",
    [CAUSE_REVOKED] = "revoked",
    [CAUSE_WRONG_PURPOSE] = "wrong-purpose",
    [CAUSE_WEAK_KEY] = "weak-key",
    [CAUSE_PROTOCOL_VERSION] = "protocol-version",
    [CAUSE_NO_SHARED_CIPHER] = "no-shared-cipher",
    [CAUSE_CERTIFICATE_REQUIRED] = "certificate-required",
    [CAUSE_CERTIFICATE_REJECTED] = "certificate-rejected",
    [CAUSE_OWN_CERTIFICATE_EXPIRED] = "own-certificate-expired",
    [CAUSE_OWN_CERTIFICATE_UNKNOWN_CA] = "own-certificate-unknown-ca",
    [CAUSE_OWN_CERTIFICATE_PURPOSE] = "own-certificate-purpose",
    [CAUSE_KEY_MISMATCH] = "key-mismatch",
    [CAUSE_UNREADABLE_FILE] = "unreadable-file",
    [CAUSE_BAD_PASSPHRASE] = "bad-passphrase",
    [CAUSE_KEY_PERMISSIONS] = "key-permissions",
    [CAUSE_UNKNOWN_USER] = "unknown-user",
    [CAUSE_NOT_AUTHORISED] = "not-authorised",
    [CAUSE_PROTOCOL_UNSUPPORTED] = "protocol-unsupported",
    [CAUSE_BROKER_UNAVAILABLE] = "broker-unavailable",
    [CAUSE_CLIENT_ID_TAKEN] = "client-id-taken",
    [CAUSE_BROKER_SILENT] = "broker-silent",
    [CAUSE_PUBACK_TIMEOUT] = "puback-timeout",
    [CAUSE_PUBLISH_FORBIDDEN] = "publish-forbidden",
    [CAUSE_CONNECTION_LOST] = "connection-lost",
    [CAUSE_DEVICE_ABSENT] = "device-absent",
    [CAUSE_DEVICE_DENIED] = "device-denied",
    [CAUSE_DEVICE_BUSY] = "device-busy",
    [CAUSE_DEVICE_LOST] = "device-lost",
    [CAUSE_WRONG_BOARD] = "wrong-board",
    [CAUSE_NODE_SILENT] = "node-silent",
    [CAUSE_FRAMES_DAMAGED] = "frames-damaged",
    [CAUSE_SENSOR_FAILING] = "sensor-failing",
    [CAUSE_SENSOR_FROZEN] = "sensor-frozen",
    [CAUSE_SENSOR_RANGE] = "sensor-range",
    [CAUSE_SPOOL_FULL] = "spool-full",
    [CAUSE_SPOOL_CORRUPT] = "spool-corrupt",
    [CAUSE_SPOOL_READONLY] = "spool-readonly",
    [CAUSE_SPOOL_SLOW] = "spool-slow",
};

const char *cause_name(enum cause cause) {
    return names[cause];
}

bool cause_needs_a_person(enum cause cause) {
    return (cause >= CAUSE_UNTRUSTED_CA && cause <= CAUSE_PROTOCOL_UNSUPPORTED &&
            cause != CAUSE_CLOCK_WRONG) ||
           cause == CAUSE_NOT_TLS || cause == CAUSE_CLIENT_ID_TAKEN ||
           cause == CAUSE_PUBLISH_FORBIDDEN || cause == CAUSE_PUBACK_TIMEOUT;
}
