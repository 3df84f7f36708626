/* SPDX-License-Identifier: MIT */
#include "authority.h"

#include <criterion/criterion.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { DAY_S = 86400 };

static EVP_PKEY *make_key(int rsa_bits) {
    EVP_PKEY *key = rsa_bits > 0 ? EVP_RSA_gen((unsigned)rsa_bits) : EVP_EC_gen("P-256");

    cr_assert_not_null(key);
    return key;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509_EXTENSION *extension;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    cr_assert_not_null(extension, "%s", value);
    cr_assert_eq(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void set_subject(X509 *certificate, const char *common_name) {
    X509_NAME *name = X509_get_subject_name(certificate);

    if (common_name)
        cr_assert_eq(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)common_name, -1, -1, 0),
                     1);
}

static X509 *begin_certificate(EVP_PKEY *key, const char *common_name, int64_t begins_s,
                               int64_t ends_s) {
    static long serial;
    X509 *certificate = X509_new();

    cr_assert_not_null(certificate);
    cr_assert_eq(X509_set_version(certificate, X509_VERSION_3), 1);
    cr_assert_eq(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial), 1);
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notBefore(certificate), (long)begins_s));
    cr_assert_not_null(X509_gmtime_adj(X509_getm_notAfter(certificate), (long)ends_s));
    cr_assert_eq(X509_set_pubkey(certificate, key), 1);
    set_subject(certificate, common_name);
    return certificate;
}

void authority_make(const char *name, struct authority *ret) {
    EVP_PKEY *key = make_key(0);
    X509 *certificate = begin_certificate(key, name, -10 * DAY_S, 100 * DAY_S);

    cr_assert_eq(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)), 1);
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
    cr_assert_gt(X509_sign(certificate, key, EVP_sha256()), 0);
    *ret = (struct authority){ .key = key, .certificate = certificate };
}

void authority_clear(struct authority *authority) {
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
    *authority = (struct authority){ 0 };
}

static FILE *open_file(const char *path, mode_t mode) {
    FILE *file = fopen(path, "we");

    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(chmod(path, mode), 0);
    return file;
}

static void write_certificate(X509 *certificate, const char *path) {
    FILE *file = open_file(path, 0644);

    cr_assert_eq(PEM_write_X509(file, certificate), 1);
    cr_assert_eq(fclose(file), 0);
}

void authority_write(const struct authority *authority, const char *path) {
    write_certificate(authority->certificate, path);
}

static void write_key(EVP_PKEY *key, const char *passphrase, const char *path) {
    FILE *file = open_file(path, 0600);

    cr_assert_eq(PEM_write_PKCS8PrivateKey(file, key, passphrase ? EVP_aes_256_cbc() : NULL,
                                           passphrase, passphrase ? (int)strlen(passphrase) : 0,
                                           NULL, NULL),
                 1);
    cr_assert_eq(fclose(file), 0);
}

static X509 *issue(const struct authority *authority, const struct request *request,
                   EVP_PKEY *key) {
    X509 *certificate =
        begin_certificate(key, request->common_name, request->begins_s ? request->begins_s : -DAY_S,
                          request->ends_s ? request->ends_s : 30 * DAY_S);

    cr_assert_eq(X509_set_issuer_name(certificate, X509_get_subject_name(authority->certificate)),
                 1);
    add_extension(certificate, authority->certificate, NID_basic_constraints, "critical,CA:FALSE");
    if (request->names)
        add_extension(certificate, authority->certificate, NID_subject_alt_name, request->names);
    if (request->purpose)
        add_extension(certificate, authority->certificate, NID_ext_key_usage, request->purpose);
    cr_assert_gt(X509_sign(certificate, authority->key, EVP_sha256()), 0);
    return certificate;
}

void authority_issue(const struct authority *authority, const struct request *request,
                     const char *certificate_path, const char *key_path) {
    EVP_PKEY *key = make_key(request->rsa_bits);
    X509 *certificate = issue(authority, request, key);

    write_certificate(certificate, certificate_path);
    write_key(key, request->passphrase, key_path);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

X509 *authority_issue_x509(const struct authority *authority, const struct request *request) {
    EVP_PKEY *key = make_key(request->rsa_bits);
    X509 *certificate = issue(authority, request, key);

    EVP_PKEY_free(key);
    return certificate;
}

static void add_revoked(X509_CRL *list, const char *certificate_path) {
    FILE *file = fopen(certificate_path, "re");
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *now = ASN1_TIME_set(NULL, time(NULL));
    X509 *certificate;

    cr_assert_not_null(file);
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    cr_assert(certificate && entry && now);
    cr_assert_eq(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate)), 1);
    cr_assert_eq(X509_REVOKED_set_revocationDate(entry, now), 1);
    cr_assert_eq(X509_CRL_add0_revoked(list, entry), 1);
    X509_free(certificate);
    ASN1_TIME_free(now);
}

void authority_revoke(const struct authority *authority, const char *certificate_path,
                      int64_t ends_s, const char *crl_path) {
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *begin = ASN1_TIME_set(NULL, time(NULL) - DAY_S * 2);
    ASN1_TIME *end = ASN1_TIME_set(NULL, time(NULL) + (time_t)(ends_s ? ends_s : 30 * DAY_S));
    FILE *file;

    cr_assert(list && begin && end);
    cr_assert_eq(X509_CRL_set_version(list, X509_CRL_VERSION_2), 1);
    cr_assert_eq(X509_CRL_set_issuer_name(list, X509_get_subject_name(authority->certificate)), 1);
    cr_assert_eq(X509_CRL_set1_lastUpdate(list, begin), 1);
    cr_assert_eq(X509_CRL_set1_nextUpdate(list, end), 1);
    if (certificate_path)
        add_revoked(list, certificate_path);
    cr_assert_eq(X509_CRL_sort(list), 1);
    cr_assert_gt(X509_CRL_sign(list, authority->key, EVP_sha256()), 0);
    file = open_file(crl_path, 0644);
    cr_assert_eq(PEM_write_X509_CRL(file, list), 1);
    cr_assert_eq(fclose(file), 0);
    X509_CRL_free(list);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
}
