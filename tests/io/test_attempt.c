/* SPDX-License-Identifier: MIT */
#include "io/attempt.h"

#include <criterion/criterion.h>
#include <string.h>

#include "folder.h"

TestSuite(attempt, .init = folder_make, .fini = folder_remove);

static struct attempt attempt;
static char password[ATTEMPT_PASSWORD_SIZE];

/* A file of a line with so many letters, and what is read of it. */
static int read_line_of(size_t letters, const char *end, unsigned mode) {
    static char text[2 * ATTEMPT_PASSWORD_SIZE];
    const char *path = folder_file("password");

    memset(text, 'x', letters);
    memcpy(text + letters, end, strlen(end) + 1);
    folder_write(path, text, strlen(text));
    cr_assert_eq(chmod(path, (mode_t)mode), 0);
    attempt_reset(&attempt);
    return attempt_read_password(&attempt, path, password);
}

static void expect_refusal(enum cause cause, const char *words) {
    struct diagnosis diagnosis;

    diagnose(&attempt, &diagnosis);
    cr_expect_eq(diagnosis.cause, cause, "%s", diagnosis.sentence);
    cr_expect_not_null(strstr(diagnosis.sentence, words), "%s", diagnosis.sentence);
    cr_expect_null(strstr(diagnosis.cure, "PEM"), "%s", diagnosis.cure);
}

Test(attempt, a_password_is_its_file_s_first_line) {
    cr_expect_eq(read_line_of(6, "\nsecond\n", 0640), 0);
    cr_expect_str_eq(password, "xxxxxx");
    cr_expect_eq(read_line_of(6, "\r\n", 0600), 0);
    cr_expect_str_eq(password, "xxxxxx");
    cr_expect_eq(read_line_of(6, "", 0400), 0);
    cr_expect_str_eq(password, "xxxxxx");
    cr_expect_eq(attempt_read_password(&attempt, NULL, password), 0);
    cr_expect_str_eq(password, "");
}

Test(attempt, a_token_is_read_whole_or_not_at_all) {
    cr_expect_eq(read_line_of(3000, "\n", 0640), 0);
    cr_expect_eq(strlen(password), 3000);
    cr_expect_eq(read_line_of(ATTEMPT_PASSWORD_SIZE - 2, "\n", 0640), 0);
    cr_expect_eq(strlen(password), ATTEMPT_PASSWORD_SIZE - 2);
    cr_expect_lt(read_line_of(ATTEMPT_PASSWORD_SIZE + 10, "\n", 0640), 0);
    expect_refusal(CAUSE_UNREADABLE_FILE, "password_file");
    expect_refusal(CAUSE_UNREADABLE_FILE, "too long");
}

Test(attempt, an_empty_password_is_none) {
    cr_expect_lt(read_line_of(0, "", 0640), 0);
    expect_refusal(CAUSE_UNREADABLE_FILE, "empty");
    cr_expect_lt(read_line_of(0, "\nsecond\n", 0640), 0);
    expect_refusal(CAUSE_UNREADABLE_FILE, "empty");
}

Test(attempt, a_password_for_all_is_not_read) {
    cr_expect_lt(read_line_of(6, "\n", 0644), 0);
    cr_expect_str_eq(password, "");
    expect_refusal(CAUSE_KEY_PERMISSIONS, "0644");
}

/* Whatever the last attempt has seen, the next one has not. */
Test(attempt, forgets_what_was_seen) {
    struct attempt fresh = { 0 };

    memset(&attempt, 0, sizeof(attempt));
    attempt.farewell = attempt.timed_out = attempt.keepalive_failed = attempt.plain_text = true;
    attempt.handshake_finished = attempt.certificate_was_asked = attempt.pin_broken = true;
    attempt.file_is_password = attempt.issuer_has_namesake = true;
    attempt.alert_received = attempt.alert_sent = attempt.error = attempt.connack = 1;
    attempt.unacknowledged = 1;
    attempt.greeted_ms = 1;
    attempt_reset(&fresh);
    attempt_reset(&attempt);
    cr_expect_eq(memcmp(&attempt, &fresh, sizeof(attempt)), 0);
}
