/* SPDX-License-Identifier: MIT */
#include "io/certificate.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "authority.h"
#include "folder.h"

static struct authority authority;

static void set_up(void) {
    folder_make();
    authority_make("our CA", &authority);
}

static void tear_down(void) {
    authority_clear(&authority);
    folder_remove();
}

TestSuite(certificate, .init = set_up, .fini = tear_down, .timeout = 30);

static struct certificate_facts facts_of(const struct request *request) {
    CLEANUP(certificate_freep) X509 *certificate = authority_issue_x509(&authority, request);
    struct certificate_facts facts;

    memset(&facts, 0x5a, sizeof(facts));
    certificate_describe(certificate, &facts);
    return facts;
}

/* ---- facts ---- */

Test(certificate, tells_who_it_is_and_who_says_so) {
    struct certificate_facts facts = facts_of(&(struct request){ .common_name = "kitchen-pi" });

    cr_expect(facts.is_present);
    cr_expect_str_eq(facts.subject, "CN=kitchen-pi");
    cr_expect_str_eq(facts.issuer, "CN=our CA");
    cr_expect_str_eq(facts.key_type, "EC");
    cr_expect_str_empty(facts.names);
}

Test(certificate, tells_how_long_it_is_good) {
    struct certificate_facts facts =
        facts_of(&(struct request){ .begins_s = -86400 * 400, .ends_s = 86400 * 7 });
    int64_t now = (int64_t)time(NULL);

    cr_expect_leq(llabs(facts.not_before - (now - 86400 * 400)), 5);
    cr_expect_leq(llabs(facts.not_after - (now + 86400 * 7)), 5);
}

Test(certificate, tells_its_names_and_addresses) {
    struct certificate_facts facts = facts_of(&(struct request){
        .names = "DNS:broker.lan,IP:192.0.2.10,DNS:*.example,IP:2001:db8::1,email:a@b.example" });

    cr_expect_str_eq(facts.names, "broker.lan, IP:192.0.2.10, *.example, IP:2001:db8::1");
}

Test(certificate, tells_of_too_many_names_the_first_whole_ones) {
    struct certificate_facts facts = facts_of(&(struct request){
        .names = "DNS:a-rather-long-name-of-a-broker-number-1.department.example,"
                 "DNS:a-rather-long-name-of-a-broker-number-2.department.example,"
                 "DNS:a-rather-long-name-of-a-broker-number-3.department.example,"
                 "DNS:a-rather-long-name-of-a-broker-number-4.department.example,"
                 "DNS:a-rather-long-name-of-a-broker-number-5.department.example,"
                 "DNS:a-rather-long-name-of-a-broker-number-6.department.example" });
    const char *end = facts.names + strlen(facts.names);

    cr_expect_not_null(strstr(facts.names, "number-1.department.example, "));
    cr_expect_str_eq(end - strlen(".example, ..."), ".example, ...", "%s", facts.names);
}

Test(certificate, tells_what_it_is_for) {
    cr_expect(facts_of(&(struct request){ .purpose = "clientAuth" }).is_for_clients);
    cr_expect(facts_of(&(struct request){ .purpose = "clientAuth,serverAuth" }).is_for_clients);
    cr_expect(facts_of(&(struct request){ .purpose = NULL }).is_for_clients, "any purpose");
    cr_expect_not(facts_of(&(struct request){ .purpose = "serverAuth" }).is_for_clients);
}

Test(certificate, tells_the_kind_of_its_key) {
    cr_expect_str_eq(facts_of(&(struct request){ .rsa_bits = 1024 }).key_type, "RSA");
}

Test(certificate, shows_nothing_that_a_terminal_would_obey) {
    struct certificate_facts facts =
        facts_of(&(struct request){ .common_name = "evil\x1b[2J\n<0>name" });

    for (const char *at = facts.subject; *at; at++)
        cr_expect(isprint((unsigned char)*at), "%d", *at);
    cr_expect_not_null(strstr(facts.subject, "evil"));
}

Test(certificate, shows_letters_of_others_in_a_way_that_can_be_typed) {
    struct certificate_facts facts = facts_of(&(struct request){ .common_name = "K\xc3\xbc"
                                                                                "che" });

    for (const char *at = facts.subject; *at; at++)
        cr_expect(isprint((unsigned char)*at), "%d", *at);
}

Test(certificate, a_certificate_without_a_subject_has_an_empty_one) {
    cr_expect_str_empty(facts_of(&(struct request){ 0 }).subject);
}

/* ---- common names ---- */

static int common_name_of(const char *name, char *text, size_t size) {
    CLEANUP(certificate_freep)
    X509 *certificate = authority_issue_x509(&authority, &(struct request){ .common_name = name });

    return certificate_common_name(certificate, text, size);
}

Test(certificate, its_common_name_is_the_gateways) {
    char name[65];

    cr_assert_eq(common_name_of("kitchen-pi", name, sizeof(name)), 0);
    cr_expect_str_eq(name, "kitchen-pi");
}

Test(certificate, without_a_common_name_there_is_none) {
    char name[65] = "untouched";

    cr_expect_eq(common_name_of(NULL, name, sizeof(name)), -ENOENT);
}

Test(certificate, a_common_name_that_does_not_fit_is_not_cut) {
    char longest[65];
    char name[65];

    memset(longest, 'a', 64);
    longest[64] = '\0';
    cr_expect_eq(common_name_of(longest, name, sizeof(name)), 0);
    cr_expect_str_eq(name, longest);
    cr_expect_eq(common_name_of(longest, name, 64), -ENAMETOOLONG);
}

Test(certificate, a_common_name_with_a_zero_in_it_is_none) {
    static const unsigned char text[] = "pi\0.evil";
    CLEANUP(certificate_freep)
    X509 *certificate = authority_issue_x509(&authority, &(struct request){ .common_name = NULL });
    char name[65];

    cr_assert_eq(X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                            MBSTRING_UTF8, text, sizeof(text) - 1, -1, 0),
                 1);
    cr_expect_eq(certificate_common_name(certificate, name, sizeof(name)), -ENOENT);
}

/* ---- files and fingerprints ---- */

Test(certificate, is_read_from_a_file_and_its_first_counts) {
    CLEANUP(certificate_freep) X509 *certificate = NULL;
    const char *path = folder_file("gateway.pem");
    char chain[16 * 1024];
    char name[65];
    size_t n;

    authority_issue(&authority, &(struct request){ .common_name = "kitchen-pi" }, path,
                    folder_file("gateway.key"));
    n = folder_read(path, chain, sizeof(chain));
    authority_write(&authority, path);
    n += folder_read(path, chain + n, sizeof(chain) - n);
    folder_write(path, chain, n);
    cr_assert_eq(certificate_read(path, &certificate), 0);
    cr_assert_eq(certificate_common_name(certificate, name, sizeof(name)), 0);
    cr_expect_str_eq(name, "kitchen-pi");
}

Test(certificate, what_cannot_be_read_has_the_files_error) {
    X509 *certificate = NULL;

    cr_expect_eq(certificate_read(folder_file("absent.pem"), &certificate), -ENOENT);
    folder_write(folder_file("empty.pem"), "", 0);
    cr_expect_eq(certificate_read(folder_file("empty.pem"), &certificate), -EBADMSG);
    folder_write(folder_file("words.pem"), "hello\n", 6);
    cr_expect_eq(certificate_read(folder_file("words.pem"), &certificate), -EBADMSG);
    cr_expect_null(certificate);
    folder_leave_root();
    cr_assert_eq(mkdir(folder_file("closed"), 0000), 0);
    cr_expect_eq(certificate_read(folder_file("closed/x.pem"), &certificate), -EACCES);
}

Test(certificate, its_fingerprint_is_that_of_openssl) {
    CLEANUP(certificate_freep)
    X509 *certificate = authority_issue_x509(&authority, &(struct request){ .common_name = "pi" });
    unsigned char digest[32];
    char expected[65];
    char text[CERTIFICATE_FINGERPRINT_SIZE];
    unsigned size = sizeof(digest);

    cr_assert_eq(X509_digest(certificate, EVP_sha256(), digest, &size), 1);
    for (size_t i = 0; i < sizeof(digest); i++)
        (void)snprintf(expected + 2 * i, 3, "%02x", digest[i]);
    certificate_fingerprint(certificate, text);
    cr_expect_str_eq(text, expected);
    certificate_fingerprint(NULL, text);
    cr_expect_str_empty(text);
}
