/* SPDX-License-Identifier: MIT */
#include "io/tls.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include "authority.h"
#include "broker.h"
#include "folder.h"

static struct authority authority;
static struct tls_settings settings;
static struct attempt attempt;
static struct broker_plan plan;
static struct broker *broker;

/* A broker and a gateway whose files are as they should be; a test changes what it is about. */
static void set_up(void) {
    folder_make();
    authority_make("our CA", &authority);
    settings = (struct tls_settings){
        .ca = folder_file("ca.pem"),
        .certificate = folder_file("gateway.pem"),
        .key = folder_file("gateway.key"),
        .min_version = TLS1_2_VERSION,
        .max_version = TLS1_3_VERSION,
    };
    plan = (struct broker_plan){
        .certificate = folder_file("broker.pem"),
        .key = folder_file("broker.key"),
        .client_ca = settings.ca,
    };
    authority_write(&authority, settings.ca);
    authority_issue(&authority,
                    &(struct request){ .common_name = "kitchen-pi", .purpose = "clientAuth" },
                    settings.certificate, settings.key);
    authority_issue(&authority,
                    &(struct request){ .common_name = "broker",
                                       .names = "DNS:broker.test,IP:127.0.0.1",
                                       .purpose = "serverAuth" },
                    plan.certificate, plan.key);
    attempt_reset(&attempt);
}

static void tear_down(void) {
    broker = broker_stop(broker);
    authority_clear(&authority);
    folder_remove();
}

TestSuite(tls, .init = set_up, .fini = tear_down, .timeout = 30);

/* ---- names of ciphers ---- */

TestSuite(tls_cipher, .timeout = 30);

struct cipher_row {
    char name[48];
    int version;
    char openssl[48]; /* "": refused */
};

ParameterizedTestParameters(tls_cipher, is_known_by_both_of_its_names) {
    static struct cipher_row rows[] = {
        { "ECDHE-RSA-AES128-GCM-SHA256", TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256" },
        { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256" },
        { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", TLS1_2_VERSION, "ECDHE-RSA-AES128-SHA256" },
        { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TLS1_2_VERSION,
          "ECDHE-ECDSA-AES256-GCM-SHA384" },
        { "TLS_RSA_WITH_AES_128_CBC_SHA", TLS1_2_VERSION, "AES128-SHA" },
        { "AES128-SHA", TLS1_2_VERSION, "AES128-SHA" },
        { "TLS_AES_128_GCM_SHA256", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256" },
        { "TLS_CHACHA20_POLY1305_SHA256", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256" },
        /* of the other version */
        { "ECDHE-RSA-AES128-GCM-SHA256", TLS1_3_VERSION, "" },
        { "TLS_AES_128_GCM_SHA256", TLS1_2_VERSION, "" },
        /* not a cipher's name */
        { "", TLS1_2_VERSION, "" },
        { "", TLS1_3_VERSION, "" },
        { "HIGH", TLS1_2_VERSION, "" },
        { "ECDHE", TLS1_2_VERSION, "" },
        { "ALL", TLS1_2_VERSION, "" },
        { "ECDHE-RSA-AES128-GCM-SHA25", TLS1_2_VERSION, "" },
        { "ECDHE-RSA-AES128-GCM-SHA256 ", TLS1_2_VERSION, "" },
        { "ecdhe-rsa-aes128-gcm-sha256", TLS1_2_VERSION, "" },
        { "TLS_NOSUCH", TLS1_3_VERSION, "" },
        /* nobody is who he says, or everybody can read it */
        { "AECDH-AES128-SHA", TLS1_2_VERSION, "" },
        { "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", TLS1_2_VERSION, "" },
        { "ADH-AES128-GCM-SHA256", TLS1_2_VERSION, "" },
        { "ECDHE-RSA-NULL-SHA", TLS1_2_VERSION, "" },
        { "NULL-SHA256", TLS1_2_VERSION, "" },
        { "TLS_RSA_WITH_NULL_SHA256", TLS1_2_VERSION, "" },
        { "PSK-AES128-GCM-SHA256", TLS1_2_VERSION, "" },
        /* long broken */
        { "DES-CBC3-SHA", TLS1_2_VERSION, "" },
        { "RC4-SHA", TLS1_2_VERSION, "" },
        { "TLS_RSA_WITH_RC4_128_MD5", TLS1_2_VERSION, "" },
    };

    return cr_make_param_array(struct cipher_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct cipher_row *row, tls_cipher, is_known_by_both_of_its_names) {
    const char *name = tls_cipher_name(row->name, row->version);

    cr_expect_str_eq(name ? name : "", row->openssl, "%s: %s", row->name, name ? name : "refused");
    cr_expect_eq(ERR_peek_error(), 0, "OpenSSL's queue is left clean");
}

Test(tls_cipher, all_of_the_default_are_known) {
    char names[] = TLS_DEFAULT_CIPHERS;

    for (char *name = strtok(names, ":"); name; name = strtok(NULL, ":"))
        cr_expect_not_null(tls_cipher_name(name, TLS1_2_VERSION), "%s", name);
}

/* ---- our own files ---- */

static void expect_refused(enum cause cause, const char *file) {
    struct tls *tls = NULL;

    cr_expect_lt(tls_new(&settings, "broker.test", &attempt, &tls), 0);
    cr_expect_null(tls);
    cr_expect_eq(attempt.local, cause, "%s (%s), not %s", cause_name(attempt.local), attempt.detail,
                 cause_name(cause));
    cr_expect_str_eq(attempt.file, file);
    cr_expect_eq(ERR_peek_error(), 0, "OpenSSL's queue is left clean");
    tls = tls_free(tls);
}

static struct tls *sound_for(const char *name) {
    struct tls *tls = NULL;

    cr_assert_eq(tls_new(&settings, name, &attempt, &tls), 0, "%s: %s (%s)",
                 cause_name(attempt.local), attempt.file, attempt.detail);
    cr_expect_eq(attempt.local, CAUSE_NONE);
    cr_expect_eq(ERR_peek_error(), 0, "OpenSSL's queue is left clean");
    return tls;
}

Test(tls, sound_files_make_a_context_and_tell_of_our_certificate) {
    struct tls *tls = sound_for("broker.test");

    cr_expect_str_eq(attempt.own.subject, "CN=kitchen-pi");
    cr_expect_str_eq(attempt.own.issuer, "CN=our CA");
    cr_expect(attempt.own.is_for_clients);
    tls = tls_free(tls);
}

Test(tls, without_a_certificate_of_ours_there_is_none) {
    struct tls *tls;

    settings.certificate = settings.key = NULL;
    tls = sound_for("broker.test");
    cr_expect_not(attempt.own.is_present);
    tls = tls_free(tls);
}

Test(tls, without_a_ca_the_systems_store_is_taken) {
    struct tls *tls;

    settings.ca = NULL;
    tls = sound_for("broker.test");
    tls = tls_free(tls);
}

Test(tls, each_file_that_is_missing_is_named) {
    const char **const files[] = { &settings.ca, &settings.certificate, &settings.key,
                                   &settings.passphrase_file, &settings.crl };

    settings.crl = folder_file("sound.crl");
    authority_revoke(&authority, NULL, 0, settings.crl);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        const char *sound = *files[i];

        attempt_reset(&attempt);
        *files[i] = folder_file("absent.pem");
        expect_refused(CAUSE_UNREADABLE_FILE, *files[i]);
        cr_expect_eq(attempt.error, ENOENT);
        *files[i] = sound;
    }
}

Test(tls, each_file_that_is_no_pem_is_named) {
    const char **const files[] = { &settings.ca, &settings.certificate, &settings.key,
                                   &settings.crl };
    const char *garbage = folder_file("garbage.pem");

    folder_write(garbage, "hello\n", 6);
    cr_assert_eq(chmod(garbage, 0600), 0);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        const char *sound = *files[i];

        attempt_reset(&attempt);
        *files[i] = garbage;
        expect_refused(CAUSE_UNREADABLE_FILE, garbage);
        *files[i] = sound;
    }
}

Test(tls, each_file_that_is_empty_or_cut_is_named) {
    const char **const files[] = { &settings.ca, &settings.certificate, &settings.key };

    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        const char *sound = *files[i];
        const char *cut = folder_file("cut.pem");
        char text[8192];
        size_t n = folder_read(sound, text, sizeof(text));

        for (size_t part = 0; part < 2; part++) {
            attempt_reset(&attempt);
            folder_write(cut, text, part * n / 2);
            cr_assert_eq(chmod(cut, 0600), 0);
            *files[i] = cut;
            expect_refused(CAUSE_UNREADABLE_FILE, cut);
        }
        *files[i] = sound;
    }
}

Test(tls, a_file_that_may_not_be_read_is_named) {
    folder_leave_root();
    settings.key = folder_file("mine.key");
    authority_issue(&authority, &(struct request){ .common_name = "kitchen-pi" },
                    settings.certificate = folder_file("mine.pem"), settings.key);
    cr_assert_eq(chmod(settings.key, 0200), 0);
    expect_refused(CAUSE_UNREADABLE_FILE, settings.key);
    cr_expect_eq(attempt.error, EACCES);
}

Test(tls, the_key_of_another_certificate_is_a_mismatch) {
    authority_issue(&authority, &(struct request){ .common_name = "other" },
                    folder_file("other.pem"), folder_file("other.key"));
    settings.key = folder_file("other.key");
    expect_refused(CAUSE_KEY_MISMATCH, settings.key);
}

Test(tls, a_key_of_another_kind_is_a_mismatch) {
    authority_issue(&authority, &(struct request){ .common_name = "other", .rsa_bits = 2048 },
                    folder_file("other.pem"), folder_file("other.key"));
    settings.key = folder_file("other.key");
    expect_refused(CAUSE_KEY_MISMATCH, settings.key);
}

Test(tls, a_weak_certificate_of_ours_is_refused_here_and_not_by_the_broker) {
    authority_issue(&authority, &(struct request){ .common_name = "weak", .rsa_bits = 1024 },
                    settings.certificate, settings.key);
    expect_refused(CAUSE_WEAK_KEY, settings.certificate);
}

struct mode_row {
    mode_t mode;
    bool is_allowed;
};

ParameterizedTestParameters(tls, a_key_that_others_could_read_is_not_used) {
    static struct mode_row rows[] = {
        { 0600, true },  { 0640, true },  { 0400, true },  { 0440, true },
        { 0644, false }, { 0660, false }, { 0604, false }, { 0602, false },
        { 0601, false }, { 0620, false }, { 0666, false }, { 0777, false },
    };

    return cr_make_param_array(struct mode_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct mode_row *row, tls, a_key_that_others_could_read_is_not_used) {
    cr_assert_eq(chmod(settings.key, row->mode), 0);
    if (row->is_allowed)
        (void)tls_free(sound_for("broker.test"));
    else
        expect_refused(CAUSE_KEY_PERMISSIONS, settings.key);
}

Test(tls, a_passphrase_is_guarded_like_a_key) {
    settings.passphrase_file = folder_file("passphrase");
    folder_write(settings.passphrase_file, "secret\n", 7);
    cr_assert_eq(chmod(settings.passphrase_file, 0644), 0);
    expect_refused(CAUSE_KEY_PERMISSIONS, settings.passphrase_file);
}

static void encrypt_key(const char *passphrase) {
    authority_issue(&authority,
                    &(struct request){ .common_name = "kitchen-pi", .passphrase = passphrase },
                    settings.certificate, settings.key);
}

static void give_passphrase(const char *text) {
    settings.passphrase_file = folder_file("passphrase");
    folder_write(settings.passphrase_file, text, strlen(text));
    cr_assert_eq(chmod(settings.passphrase_file, 0600), 0);
}

Test(tls, an_encrypted_key_opens_with_its_passphrase) {
    static const char *const files[] = { "correct horse", "correct horse\n", "correct horse\r\n",
                                         "correct horse\nand a remark\n" };

    encrypt_key("correct horse");
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        give_passphrase(files[i]);
        (void)tls_free(sound_for("broker.test"));
    }
}

Test(tls, an_encrypted_key_does_not_open_with_another) {
    encrypt_key("correct horse");
    give_passphrase("battery staple\n");
    expect_refused(CAUSE_BAD_PASSPHRASE, settings.key);
    attempt_reset(&attempt);
    give_passphrase("");
    expect_refused(CAUSE_BAD_PASSPHRASE, settings.key);
}

/* It would hang here, until the time is up: the daemon may have a terminal. */
Test(tls, an_encrypted_key_without_a_passphrase_is_never_asked_for) {
    encrypt_key("correct horse");
    expect_refused(CAUSE_BAD_PASSPHRASE, settings.key);
}

Test(tls, a_plain_key_needs_no_passphrase_though_there_is_one) {
    give_passphrase("secret\n");
    (void)tls_free(sound_for("broker.test"));
}

Test(tls, a_cipher_that_cannot_be_had_is_refused) {
    settings.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:NOSUCH";
    expect_refused(CAUSE_NO_SHARED_CIPHER, "tls.ciphers");
    settings.ciphers = NULL;
    attempt_reset(&attempt);
    settings.ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_NOSUCH";
    expect_refused(CAUSE_NO_SHARED_CIPHER, "tls.ciphersuites");
}

Test(tls, reads_a_common_name_for_the_gateway) {
    char name[65];

    cr_assert_eq(tls_read_common_name(settings.certificate, name, sizeof(name)), 0);
    cr_expect_str_eq(name, "kitchen-pi");
    cr_expect_eq(tls_read_common_name(folder_file("absent"), name, sizeof(name)), -ENOENT);
}

/* ---- files that change ---- */

Test(tls, is_stale_when_a_file_was_replaced_or_changed) {
    struct tls *tls;
    char text[8192];
    size_t n;

    tls = sound_for("broker.test");
    cr_expect_not(tls_is_stale(tls));
    n = folder_read(settings.key, text, sizeof(text));
    folder_write(folder_file("new.key"), text, n);
    cr_assert_eq(rename(folder_file("new.key"), settings.key), 0);
    cr_expect(tls_is_stale(tls), "the same bytes in another file");
    tls = tls_free(tls);

    cr_assert_eq(chmod(settings.key, 0600), 0);
    tls = sound_for("broker.test");
    cr_expect_not(tls_is_stale(tls));
    folder_write(settings.ca, "", 0);
    cr_expect(tls_is_stale(tls), "another CA");
    tls = tls_free(tls);
}

Test(tls, is_stale_when_a_file_went_away) {
    struct tls *tls = sound_for("broker.test");

    cr_assert_eq(unlink(settings.certificate), 0);
    cr_expect(tls_is_stale(tls));
    tls = tls_free(tls);
}

Test(tls, tells_of_what_it_was_made) {
    struct tls *tls = sound_for("broker.test");
    char own[CERTIFICATE_FINGERPRINT_SIZE];
    char trusted[256];
    char expected[CERTIFICATE_FINGERPRINT_SIZE];

    tls_fingerprint_own(tls, own);
    cr_expect_eq(strlen(own), 64);
    tls_fingerprint_ca(tls, trusted, sizeof(trusted));
    certificate_fingerprint(authority.certificate, expected);
    cr_expect_str_eq(trusted, expected);
    tls = tls_free(tls);
}

/* ---- handshakes ---- */

static int connect_to(uint16_t port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(port) };
    struct timeval patience = { .tv_sec = 10 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Shakes hands as libmosquitto does, and then reads: under TLS 1.3 a refusal comes with that. */
static bool shake_hands_with(struct tls *tls, uint16_t port) {
    static const unsigned char hello[] = { 0x10, 12, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 10, 0, 0 };
    SSL *session = SSL_new(tls_context(tls));
    int fd = connect_to(port);
    unsigned char answer[4];
    bool is_served = false;

    cr_assert_not_null(session);
    cr_assert_eq(SSL_set_tlsext_host_name(session, "127.0.0.1"), 1);
    cr_assert_eq(SSL_set_fd(session, fd), 1);
    if (SSL_connect(session) == 1 && SSL_write(session, hello, sizeof(hello)) > 0)
        is_served = SSL_read(session, answer, sizeof(answer)) == sizeof(answer);
    (void)SSL_shutdown(session);
    SSL_free(session);
    (void)close(fd);
    ERR_clear_error();
    return is_served;
}

static bool shake_hands(const char *name) {
    struct tls *tls = sound_for(name);
    bool is_served;

    broker = broker_start(&plan);
    is_served = shake_hands_with(tls, broker_port(broker));
    tls = tls_free(tls);
    return is_served;
}

static void issue_broker(const struct request *request) {
    authority_issue(&authority, request, plan.certificate, plan.key);
}

static void expect_distrust(const char *name, enum distrust distrust, int alert) {
    cr_expect_not(shake_hands(name));
    cr_expect_eq(attempt.distrust, distrust, "%d (%s), not %d", attempt.distrust, attempt.detail,
                 distrust);
    cr_expect_eq(attempt.alert_sent, alert, "alert %d, not %d", attempt.alert_sent, alert);
    cr_expect_not(attempt.handshake_finished);
    cr_expect(attempt.refused.is_present);
    cr_expect_str_not_empty(attempt.detail);
}

Test(tls, a_sound_broker_is_believed_and_told_of) {
    cr_expect(shake_hands("broker.test"));
    cr_expect(attempt.handshake_finished);
    cr_expect(attempt.certificate_was_asked);
    cr_expect_not(attempt.pin_broken);
    cr_expect_str_eq(attempt.version, "TLSv1.3");
    cr_expect_str_not_empty(attempt.cipher);
    cr_expect_str_eq(attempt.theirs.subject, "CN=broker");
    cr_expect_eq(attempt.distrust, DISTRUST_NONE);
    cr_expect_eq(attempt.alert_sent, ALERT_NONE);
    cr_expect_eq(attempt.alert_received, ALERT_NONE, "a goodbye is no alert");
}

Test(tls, a_broker_that_asks_for_no_certificate_is_told_of) {
    plan.client_ca = NULL;
    cr_expect(shake_hands("broker.test"));
    cr_expect_not(attempt.certificate_was_asked);
}

Test(tls, its_name_is_sent_along_and_no_address) {
    cr_expect(shake_hands("broker.test"));
    cr_expect(broker_seen(broker).has_server_name);
    cr_expect_str_eq(broker_seen(broker).server_name, "broker.test");
    broker = broker_stop(broker);
    attempt_reset(&attempt);
    cr_expect(shake_hands("127.0.0.1"));
    cr_expect_not(broker_seen(broker).has_server_name, "%s", broker_seen(broker).server_name);
}

/* ---- pins ---- */

struct pin_row {
    char name[48];
    int ours[2];
    int theirs[2];
    char our_ciphers[48];
    char their_ciphers[64];
    bool fits;
    int sent;
    int received;
};

ParameterizedTestParameters(tls, a_pin_is_a_pin) {
    static struct pin_row rows[] = {
        { "1.2 and a broker of both",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { 0, 0 },
          "",
          "",
          true,
          ALERT_NONE,
          ALERT_NONE },
        { "1.2 and a broker of 1.3",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { TLS1_3_VERSION, 0 },
          "",
          "",
          false,
          ALERT_NONE,
          ALERT_PROTOCOL_VERSION },
        { "1.3 and a broker of 1.2",
          { TLS1_3_VERSION, TLS1_3_VERSION },
          { 0, TLS1_2_VERSION },
          "",
          "",
          false,
          ALERT_NONE,
          ALERT_PROTOCOL_VERSION },
        { "1.3 and a broker of both",
          { TLS1_3_VERSION, TLS1_3_VERSION },
          { 0, 0 },
          "",
          "",
          true,
          ALERT_NONE,
          ALERT_NONE },
        { "both and a broker of 1.2",
          { TLS1_2_VERSION, TLS1_3_VERSION },
          { 0, TLS1_2_VERSION },
          "",
          "",
          true,
          ALERT_NONE,
          ALERT_NONE },
        { "both and a broker of 1.1",
          { TLS1_2_VERSION, TLS1_3_VERSION },
          { TLS1_1_VERSION, TLS1_1_VERSION },
          "",
          "",
          false,
          ALERT_NONE,
          ALERT_PROTOCOL_VERSION },
        { "the very cipher",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { 0, 0 },
          "ECDHE-ECDSA-AES256-GCM-SHA384",
          "",
          true,
          ALERT_NONE,
          ALERT_NONE },
        { "the very cipher, asked for by IANA's old name",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { 0, 0 },
          "ECDHE-ECDSA-AES128-SHA256",
          "",
          true,
          ALERT_NONE,
          ALERT_NONE },
        { "a cipher that it does not have",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { 0, 0 },
          "ECDHE-ECDSA-AES256-GCM-SHA384",
          "ECDHE-ECDSA-AES128-GCM-SHA256",
          false,
          ALERT_NONE,
          ALERT_HANDSHAKE_FAILURE },
        { "a cipher for another kind of key",
          { TLS1_2_VERSION, TLS1_2_VERSION },
          { 0, 0 },
          "ECDHE-RSA-AES128-GCM-SHA256",
          "",
          false,
          ALERT_NONE,
          ALERT_HANDSHAKE_FAILURE },
    };

    return cr_make_param_array(struct pin_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct pin_row *row, tls, a_pin_is_a_pin) {
    settings.min_version = row->ours[0];
    settings.max_version = row->ours[1];
    plan.min_version = row->theirs[0];
    plan.max_version = row->theirs[1];
    settings.ciphers = row->our_ciphers[0] ? row->our_ciphers : NULL;
    plan.ciphers = row->their_ciphers[0] ? row->their_ciphers : NULL;
    cr_expect_eq(shake_hands("broker.test"), row->fits, "%s", row->name);
    cr_expect_eq(attempt.alert_sent, row->sent, "%s: sent %d", row->name, attempt.alert_sent);
    cr_expect_eq(attempt.alert_received, row->received, "%s: received %d", row->name,
                 attempt.alert_received);
    cr_expect_not(attempt.pin_broken);
    if (row->fits && row->our_ciphers[0])
        cr_expect_str_eq(attempt.cipher, row->our_ciphers);
    if (row->fits && row->ours[0] == row->ours[1])
        cr_expect_str_eq(attempt.version, row->ours[0] == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
}

Test(tls, a_suite_of_1_3_is_pinned_too) {
    settings.min_version = TLS1_3_VERSION;
    settings.ciphersuites = "TLS_CHACHA20_POLY1305_SHA256";
    cr_expect(shake_hands("broker.test"));
    cr_expect_str_eq(attempt.cipher, "TLS_CHACHA20_POLY1305_SHA256");
    broker = broker_stop(broker);
    attempt_reset(&attempt);
    plan.ciphersuites = "TLS_AES_256_GCM_SHA384";
    cr_expect_not(shake_hands("broker.test"));
    cr_expect_eq(attempt.alert_received, ALERT_HANDSHAKE_FAILURE);
}

/* ---- brokers that are not believed ---- */

Test(tls, a_broker_of_another_name_is_not_believed) {
    expect_distrust("another.test", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
    cr_expect_str_eq(attempt.refused.subject, "CN=broker");
    cr_expect_str_eq(attempt.refused.names, "broker.test, IP:127.0.0.1");
}

Test(tls, a_broker_of_another_address_is_not_believed) {
    expect_distrust("192.0.2.1", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
}

Test(tls, the_common_name_of_a_broker_is_not_its_name) {
    issue_broker(&(struct request){ .common_name = "broker.test", .purpose = "serverAuth" });
    expect_distrust("broker.test", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
    cr_expect_str_empty(attempt.refused.names);
}

Test(tls, an_address_as_a_dns_name_is_no_address) {
    issue_broker(&(struct request){ .common_name = "b", .names = "DNS:127.0.0.1" });
    expect_distrust("127.0.0.1", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
}

Test(tls, a_wildcard_stands_for_one_whole_label) {
    issue_broker(&(struct request){ .common_name = "b", .names = "DNS:*.example.test" });
    cr_expect(shake_hands("broker.example.test"));
    broker = broker_stop(broker);
    attempt_reset(&attempt);
    expect_distrust("a.broker.example.test", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
    broker = broker_stop(broker);
    attempt_reset(&attempt);
    issue_broker(&(struct request){ .common_name = "b", .names = "DNS:bro*.example.test" });
    expect_distrust("broker.example.test", DISTRUST_NAME, ALERT_BAD_CERTIFICATE);
}

Test(tls, an_expired_broker_is_not_believed) {
    issue_broker(&(struct request){ .common_name = "broker",
                                    .names = "DNS:broker.test",
                                    .begins_s = -20 * 86400,
                                    .ends_s = -86400 });
    expect_distrust("broker.test", DISTRUST_EXPIRED, ALERT_CERTIFICATE_EXPIRED);
    cr_expect_lt(attempt.refused.not_after, (int64_t)time(NULL));
}

Test(tls, a_broker_whose_time_has_not_come_is_not_believed) {
    issue_broker(&(struct request){
        .common_name = "broker", .names = "DNS:broker.test", .begins_s = 86400 });
    expect_distrust("broker.test", DISTRUST_NOT_YET_VALID, ALERT_BAD_CERTIFICATE);
}

Test(tls, a_broker_of_an_unknown_ca_is_not_believed) {
    struct authority other;

    authority_make("another CA", &other);
    authority_issue(&other,
                    &(struct request){ .common_name = "broker", .names = "DNS:broker.test" },
                    plan.certificate, plan.key);
    authority_clear(&other);
    expect_distrust("broker.test", DISTRUST_UNKNOWN_CA, ALERT_UNKNOWN_CA);
    cr_expect_str_eq(attempt.refused.issuer, "CN=another CA");
    cr_expect_not(attempt.issuer_has_namesake);
}

Test(tls, a_ca_made_anew_under_its_old_name_is_another_and_said_so) {
    struct authority other;

    authority_make("our CA", &other);
    authority_issue(&other,
                    &(struct request){ .common_name = "broker", .names = "DNS:broker.test" },
                    plan.certificate, plan.key);
    authority_clear(&other);
    cr_expect_not(shake_hands("broker.test"));
    cr_expect_eq(attempt.distrust, DISTRUST_UNKNOWN_CA, "%s", attempt.detail);
    cr_expect(attempt.issuer_has_namesake);
}

Test(tls, of_several_cas_each_is_believed) {
    struct authority other;
    char both[16 * 1024];
    size_t n;

    authority_make("another CA", &other);
    authority_issue(&other,
                    &(struct request){ .common_name = "broker", .names = "DNS:broker.test" },
                    plan.certificate, plan.key);
    n = folder_read(settings.ca, both, sizeof(both));
    authority_write(&other, settings.ca);
    n += folder_read(settings.ca, both + n, sizeof(both) - n);
    folder_write(settings.ca, both, n);
    authority_clear(&other);
    cr_expect(shake_hands("broker.test"));
}

Test(tls, a_client_is_no_broker) {
    issue_broker(&(struct request){
        .common_name = "broker", .names = "DNS:broker.test", .purpose = "clientAuth" });
    expect_distrust("broker.test", DISTRUST_PURPOSE, ALERT_UNSUPPORTED_CERTIFICATE);
}

Test(tls, a_weak_broker_is_not_believed) {
    issue_broker(
        &(struct request){ .common_name = "broker", .names = "DNS:broker.test", .rsa_bits = 1024 });
    expect_distrust("broker.test", DISTRUST_WEAK, ALERT_BAD_CERTIFICATE);
}

Test(tls, a_revoked_broker_is_not_believed) {
    settings.crl = folder_file("ca.crl");
    authority_revoke(&authority, plan.certificate, 0, settings.crl);
    expect_distrust("broker.test", DISTRUST_REVOKED, ALERT_CERTIFICATE_REVOKED);
}

Test(tls, a_broker_that_is_not_on_the_list_is_believed) {
    settings.crl = folder_file("ca.crl");
    authority_revoke(&authority, NULL, 0, settings.crl);
    cr_expect(shake_hands("broker.test"));
}

Test(tls, a_list_that_ran_out_is_not_believed) {
    settings.crl = folder_file("ca.crl");
    authority_revoke(&authority, NULL, -3600, settings.crl);
    cr_expect_not(shake_hands("broker.test"));
    cr_expect_eq(attempt.distrust, DISTRUST_CRL, "%s", attempt.detail);
}

Test(tls, the_list_of_another_ca_is_none) {
    struct authority other;

    authority_make("another CA", &other);
    settings.crl = folder_file("ca.crl");
    authority_revoke(&other, NULL, 0, settings.crl);
    authority_clear(&other);
    cr_expect_not(shake_hands("broker.test"));
    cr_expect_eq(attempt.distrust, DISTRUST_CRL, "%s", attempt.detail);
}

/* ---- brokers that do not believe us ---- */

static void expect_refusal(int version, int alert) {
    settings.min_version = settings.max_version = version;
    cr_expect_not(shake_hands("broker.test"));
    cr_expect_eq(attempt.alert_received, alert, "alert %d, not %d", attempt.alert_received, alert);
    cr_expect(attempt.certificate_was_asked);
    cr_expect_eq(attempt.distrust, DISTRUST_NONE);
    cr_expect_eq(attempt.handshake_finished, version == TLS1_3_VERSION);
    broker = broker_stop(broker);
    attempt_reset(&attempt);
}

Test(tls, a_broker_that_wants_a_certificate_says_so) {
    settings.certificate = settings.key = NULL;
    expect_refusal(TLS1_2_VERSION, ALERT_HANDSHAKE_FAILURE);
    expect_refusal(TLS1_3_VERSION, ALERT_CERTIFICATE_REQUIRED);
}

Test(tls, a_broker_that_does_not_know_our_ca_says_so) {
    struct authority other;

    authority_make("another CA", &other);
    authority_issue(&other, &(struct request){ .common_name = "kitchen-pi" }, settings.certificate,
                    settings.key);
    authority_clear(&other);
    expect_refusal(TLS1_2_VERSION, ALERT_UNKNOWN_CA);
    expect_refusal(TLS1_3_VERSION, ALERT_UNKNOWN_CA);
}

Test(tls, a_broker_refuses_what_has_expired) {
    authority_issue(
        &authority,
        &(struct request){ .common_name = "kitchen-pi", .begins_s = -20 * 86400, .ends_s = -86400 },
        settings.certificate, settings.key);
    expect_refusal(TLS1_2_VERSION, ALERT_CERTIFICATE_EXPIRED);
    expect_refusal(TLS1_3_VERSION, ALERT_CERTIFICATE_EXPIRED);
}

Test(tls, a_broker_refuses_what_is_for_servers) {
    authority_issue(&authority,
                    &(struct request){ .common_name = "kitchen-pi", .purpose = "serverAuth" },
                    settings.certificate, settings.key);
    expect_refusal(TLS1_2_VERSION, ALERT_UNSUPPORTED_CERTIFICATE);
    expect_refusal(TLS1_3_VERSION, ALERT_UNSUPPORTED_CERTIFICATE);
}
