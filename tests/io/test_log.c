/* SPDX-License-Identifier: MIT */
#include "io/log.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>

#include "core/catalogue.h"

#include "folder.h"

static char journal[16 * 1024]; /* fields of the last entry, a line each */

/* Stands before libsystemd's: nothing of a test belongs into this machine's journal. */
int sd_journal_sendv_with_location(const char *file, const char *line, const char *function,
                                   const struct iovec *fields, int count);
int sd_journal_sendv_with_location(const char *file, const char *line, const char *function,
                                   const struct iovec *fields, int count) {
    size_t used = 0;

    for (int i = 0; i < count; i++) {
        cr_assert_lt(used + fields[i].iov_len + 2, sizeof(journal));
        memcpy(journal + used, fields[i].iov_base, fields[i].iov_len);
        used += fields[i].iov_len;
        journal[used++] = '\n';
    }
    journal[used] = '\0';
    return 0;
}

static int real_stderr;

/* What is logged goes into a file; what Criterion says must not. */
static void set_up(void) {
    int fd;

    folder_make();
    (void)unsetenv("JOURNAL_STREAM");
    (void)unsetenv("SENSORGW_DEBUG");
    real_stderr = dup(STDERR_FILENO);
    fd = open(folder_file("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_geq(dup2(fd, STDERR_FILENO), 0);
    (void)close(fd);
    log_init();
}

static void tear_down(void) {
    (void)dup2(real_stderr, STDERR_FILENO);
    (void)close(real_stderr);
    folder_remove();
}

TestSuite(log, .init = set_up, .fini = tear_down, .timeout = 30);

/* All that was logged so far. */
static const char *logged(void) {
    static char text[64 * 1024];

    (void)folder_read(folder_file("log"), text, sizeof(text));
    return text;
}

/* ---- stderr ---- */

Test(log, an_entry_is_a_line_with_priority_and_fields) {
    log_warning(0, "the disk is slow", { "PATH", "/var/lib/spool.db" }, { "CAUSE", "spool-slow" });
    cr_expect_str_eq(logged(), "<4>the disk is slow PATH=/var/lib/spool.db CAUSE=spool-slow\n");
}

Test(log, an_error_is_told_in_words_and_returned) {
    cr_expect_eq(log_error(-ENOSPC, "cannot write", { "PATH", "/x" }), -ENOSPC);
    cr_expect_str_eq(logged(), "<3>cannot write PATH=/x ERROR=\"No space left on device\"\n");
}

Test(log, urgency_comes_as_the_number_that_systemd_reads) {
    (void)log_error(0, "a", { "K", "v" });
    log_notice("b", { "K", "v" });
    log_info("c", { "K", "v" });
    cr_expect_str_eq(logged(), "<3>a K=v\n<5>b K=v\n<6>c K=v\n");
}

Test(log, debug_entries_are_left_out_unless_asked_for) {
    log_debug("frame", { "K", "v" });
    cr_expect_str_empty(logged());
    (void)setenv("SENSORGW_DEBUG", "1", 1);
    log_init();
    log_debug("frame", { "K", "v" });
    cr_expect_str_eq(logged(), "<7>frame K=v\n");
}

Test(log, what_is_left_out_still_returns_its_error) {
    cr_expect_eq(log_emit(LOG_DEBUG, -EIO, "frame", LOG_FIELDS({ "K", "v" })), -EIO);
    cr_expect_str_empty(logged());
}

Test(log, numbers_are_fields_too) {
    log_info("dropped", { "COUNT", LOG_NUMBER(-9223372036854775807LL - 1) },
             { "MORE", LOG_NUMBER(9223372036854775807LL) });
    cr_expect_str_eq(logged(), "<6>dropped COUNT=-9223372036854775808 MORE=9223372036854775807\n");
}

struct value_row {
    char name[32];
    char value[48];
    char printed[64];
};

ParameterizedTestParameters(log, quotes_values_that_need_it) {
    static struct value_row rows[] = {
        { "plain", "kitchen-pi", "kitchen-pi" },
        { "a path", "/dev/ttyACM0", "/dev/ttyACM0" },
        { "a name of a broker", "broker.lan:8883", "broker.lan:8883" },
        { "empty", "", "\"\"" },
        { "a blank", "two words", "\"two words\"" },
        { "an equals sign", "CN=kitchen", "\"CN=kitchen\"" },
        { "quotes", "say \"no\"", "\"say \\\"no\\\"\"" },
        { "a quote alone", "\"", "\"\\\"\"" },
        { "a backslash", "a\\b", "\"a\\\\b\"" },
        { "a newline", "one\n<0>two", "\"one\\x0a<0>two\"" },
        { "a terminal's control", "\x1b[2J", "\\x1b[2J" },
        { "other letters",
          "K\xc3\xbc"
          "che",
          "K\xc3\xbc"
          "che" },
    };

    return cr_make_param_array(struct value_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct value_row *row, log, quotes_values_that_need_it) {
    char line[128];

    log_info("entry", { "KEY", row->value }, { "NEXT", "1" });
    (void)snprintf(line, sizeof(line), "<6>entry KEY=%s NEXT=1\n", row->printed);
    cr_expect_str_eq(logged(), line, "%s: %s", row->name, logged());
}

Test(log, an_entry_is_one_line_however_long_and_whatever_is_in_it) {
    static char message[4000];
    static char value[8000];
    const char *text;

    memset(message, 'm', sizeof(message) - 1);
    memset(value, 'v', sizeof(value) - 1);
    message[100] = '\n';
    log_info(message, { "KEY", value }, { "LAST", "end" });
    log_info("next", { "K", "v" });
    text = logged();
    cr_expect_eq(strlen(strchr(text, '\n') + 1), strlen("<6>next K=v\n"));
    cr_expect_not_null(strstr(text, " LAST=end\n<6>next K=v\n"));
}

/* ---- the journal ---- */

static void stderr_becomes_the_journal(void) {
    struct stat status;
    char stream[64];

    cr_assert_eq(fstat(STDERR_FILENO, &status), 0);
    (void)snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
                   (unsigned long long)status.st_ino);
    (void)setenv("JOURNAL_STREAM", stream, 1);
    log_init();
}

Test(log, the_journal_is_used_when_stderr_is_its) {
    stderr_becomes_the_journal();
    (void)log_error(-ENOSPC, "cannot write", { "PATH", "/x y" }, { "COUNT", "3" });
    cr_expect_str_empty(logged());
    cr_expect_str_eq(journal, "MESSAGE=cannot write\nPRIORITY=3\nSYSLOG_IDENTIFIER=sensorgw\n"
                              "ERRNO=28\nSENSORGW_PATH=/x y\nSENSORGW_COUNT=3\n");
}

Test(log, causes_bring_the_id_of_their_text_in_the_catalogue) {
    char expected[64];

    stderr_becomes_the_journal();
    log_warning(0, "sentence", { "CAUSE", "untrusted-ca" });
    (void)snprintf(expected, sizeof(expected), "MESSAGE_ID=%s\n",
                   catalogue_find("untrusted-ca")->message_id);
    cr_expect_not_null(strstr(journal, expected), "%s", journal);
    cr_expect_not_null(strstr(journal, "SENSORGW_CAUSE=untrusted-ca\n"));
}

Test(log, the_longest_sentence_with_its_cure_is_not_cut_in_the_journal) {
    static char message[2000];
    static char expected[2100];

    memset(message, 'm', sizeof(message) - 1);
    stderr_becomes_the_journal();
    log_info(message, { "K", "v" });
    (void)snprintf(expected, sizeof(expected), "MESSAGE=%s\n", message);
    cr_expect_not_null(strstr(journal, expected));
}

Test(log, an_entry_with_too_many_fields_keeps_the_first) {
    static const struct log_field fields[] = {
        { "A", "1" }, { "B", "1" }, { "C", "1" },   { "D", "1" }, { "E", "1" }, { "F", "1" },
        { "G", "1" }, { "H", "1" }, { "I", "1" },   { "J", "1" }, { "K", "1" }, { "L", "1" },
        { "M", "1" }, { "N", "1" }, { "O", "1" },   { "P", "1" }, { "Q", "1" }, { "R", "1" },
        { "S", "1" }, { "T", "1" }, { "U", "1" },   { "V", "1" }, { "W", "1" }, { "X", "1" },
        { "Y", "1" }, { "Z", "1" }, { NULL, NULL },
    };

    stderr_becomes_the_journal();
    cr_expect_eq(log_emit(LOG_INFO, 0, "many", fields), 0);
    cr_expect_not_null(strstr(journal, "SENSORGW_A=1\n"));
}

struct stream_row {
    char name[32];
    char stream[48];
};

ParameterizedTestParameters(log, another_stream_is_not_the_journal) {
    static struct stream_row rows[] = {
        { "empty", "" },
        { "words", "hello" },
        { "half of it", "12:" },
        { "another file", "1:1" },
    };

    return cr_make_param_array(struct stream_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct stream_row *row, log, another_stream_is_not_the_journal) {
    (void)setenv("JOURNAL_STREAM", row->stream, 1);
    log_init();
    log_info("entry", { "K", "v" });
    cr_expect_str_eq(logged(), "<6>entry K=v\n", "%s", row->name);
}
