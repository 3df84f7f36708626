/* SPDX-License-Identifier: MIT */
#include "core/cause.h"

#include <criterion/criterion.h>
#include <string.h>

/* The vocabulary, word by word: people search their journals and write their alarms with it. */
static const struct {
    const char *name;
    enum cause cause;
    bool needs_a_person;
} vocabulary[] = {
    { "", CAUSE_NONE, false },
    { "name-unresolved", CAUSE_NAME_UNRESOLVED, false },
    { "unreachable", CAUSE_UNREACHABLE, false },
    { "refused", CAUSE_REFUSED, false },
    { "connect-timeout", CAUSE_CONNECT_TIMEOUT, false },
    { "not-tls", CAUSE_NOT_TLS, true },
    { "tls-timeout", CAUSE_TLS_TIMEOUT, false },
    { "closed-in-handshake", CAUSE_CLOSED_IN_HANDSHAKE, false },
    { "untrusted-ca", CAUSE_UNTRUSTED_CA, true },
    { "expired", CAUSE_EXPIRED, true },
    { "not-yet-valid", CAUSE_NOT_YET_VALID, true },
    { "clock-wrong", CAUSE_CLOCK_WRONG, false },
    { "name-mismatch", CAUSE_NAME_MISMATCH, true },
    { "revoked", CAUSE_REVOKED, true },
    { "wrong-purpose", CAUSE_WRONG_PURPOSE, true },
    { "weak-key", CAUSE_WEAK_KEY, true },
    { "protocol-version", CAUSE_PROTOCOL_VERSION, true },
    { "no-shared-cipher", CAUSE_NO_SHARED_CIPHER, true },
    { "certificate-required", CAUSE_CERTIFICATE_REQUIRED, true },
    { "certificate-rejected", CAUSE_CERTIFICATE_REJECTED, true },
    { "own-certificate-expired", CAUSE_OWN_CERTIFICATE_EXPIRED, true },
    { "own-certificate-unknown-ca", CAUSE_OWN_CERTIFICATE_UNKNOWN_CA, true },
    { "own-certificate-purpose", CAUSE_OWN_CERTIFICATE_PURPOSE, true },
    { "key-mismatch", CAUSE_KEY_MISMATCH, true },
    { "unreadable-file", CAUSE_UNREADABLE_FILE, true },
    { "bad-passphrase", CAUSE_BAD_PASSPHRASE, true },
    { "key-permissions", CAUSE_KEY_PERMISSIONS, true },
    { "unknown-user", CAUSE_UNKNOWN_USER, true },
    { "not-authorised", CAUSE_NOT_AUTHORISED, true },
    { "protocol-unsupported", CAUSE_PROTOCOL_UNSUPPORTED, true },
    { "broker-unavailable", CAUSE_BROKER_UNAVAILABLE, false },
    { "client-id-taken", CAUSE_CLIENT_ID_TAKEN, true },
    { "broker-silent", CAUSE_BROKER_SILENT, false },
    { "puback-timeout", CAUSE_PUBACK_TIMEOUT, true },
    { "publish-forbidden", CAUSE_PUBLISH_FORBIDDEN, true },
    { "connection-lost", CAUSE_CONNECTION_LOST, false },
    { "device-absent", CAUSE_DEVICE_ABSENT, false },
    { "device-denied", CAUSE_DEVICE_DENIED, false },
    { "device-busy", CAUSE_DEVICE_BUSY, false },
    { "device-lost", CAUSE_DEVICE_LOST, false },
    { "wrong-board", CAUSE_WRONG_BOARD, false },
    { "node-silent", CAUSE_NODE_SILENT, false },
    { "frames-damaged", CAUSE_FRAMES_DAMAGED, false },
    { "sensor-failing", CAUSE_SENSOR_FAILING, false },
    { "sensor-frozen", CAUSE_SENSOR_FROZEN, false },
    { "sensor-range", CAUSE_SENSOR_RANGE, false },
    { "spool-full", CAUSE_SPOOL_FULL, false },
    { "spool-corrupt", CAUSE_SPOOL_CORRUPT, false },
    { "spool-readonly", CAUSE_SPOOL_READONLY, false },
    { "spool-slow", CAUSE_SPOOL_SLOW, false },
};

enum { WORDS = sizeof(vocabulary) / sizeof(*vocabulary) };

Test(cause, the_vocabulary_lists_every_cause_in_order) {
    cr_assert_eq(WORDS, CAUSE_COUNT);
    for (unsigned i = 0; i < WORDS; i++)
        cr_expect_eq(vocabulary[i].cause, (enum cause)i, "row %u, \"%s\"", i, vocabulary[i].name);
}

Test(cause, has_the_name_that_is_documented) {
    for (unsigned i = 0; i < WORDS; i++)
        cr_expect_str_eq(cause_name(vocabulary[i].cause), vocabulary[i].name);
}

Test(cause, has_a_name_in_kebab_case) {
    for (enum cause cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
        const char *name = cause_name(cause);
        size_t length = strlen(name);

        cr_assert_gt(length, 0, "cause %d", cause);
        cr_expect_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), length, "%s", name);
        cr_expect_neq(name[0], '-', "%s", name);
        cr_expect_neq(name[length - 1], '-', "%s", name);
        cr_expect_null(strstr(name, "--"), "%s", name);
    }
}

Test(cause, has_a_name_of_its_own) {
    for (enum cause one = CAUSE_NONE; one < CAUSE_COUNT; one++)
        for (enum cause other = one + 1; other < CAUSE_COUNT; other++)
            cr_expect_str_neq(cause_name(one), cause_name(other));
}

Test(cause, nothing_wrong_has_an_empty_name) {
    cr_expect_str_empty(cause_name(CAUSE_NONE));
}

Test(cause, says_whether_it_takes_a_person) {
    for (unsigned i = 0; i < WORDS; i++)
        cr_expect_eq(cause_needs_a_person(vocabulary[i].cause), vocabulary[i].needs_a_person, "%s",
                     vocabulary[i].name);
}
