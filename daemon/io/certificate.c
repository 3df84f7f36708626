/* SPDX-License-Identifier: MIT */
#include "io/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void describe_name(const X509_NAME *name, char *text, size_t size) {
    BIO *out = BIO_new(BIO_s_mem());
    int length;

    text[0] = '\0';
    if (!out)
        return;
    (void)X509_NAME_print_ex(out, name, 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ);
    length = BIO_read(out, text, (int)size - 1);
    text[length > 0 ? length : 0] = '\0';
    (void)BIO_free(out);
}

static int64_t seconds_of(const ASN1_TIME *time) {
    struct tm broken_down;

    return time && ASN1_TIME_to_tm(time, &broken_down) == 1 ? (int64_t)timegm(&broken_down) : 0;
}

/* Whole names only; "..." stands for those that there is no room for. */
static void add(char *list, size_t size, const char *item, int length) {
    static const char more[] = ", ...";
    size_t used = strlen(list);

    if (used >= strlen(more) && strcmp(list + used - strlen(more), more) == 0)
        return;
    if (used + strlen(", ") + (size_t)length + sizeof(more) > size)
        (void)snprintf(list + used, size - used, "%s", more);
    else
        (void)snprintf(list + used, size - used, "%s%.*s", used > 0 ? ", " : "", length, item);
}

static void add_address(char *list, size_t size, const ASN1_OCTET_STRING *address) {
    char text[sizeof("IP:") + INET6_ADDRSTRLEN] = "IP:";
    char *plain = text + strlen("IP:");
    int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;

    if (ASN1_STRING_length(address) != 4 && ASN1_STRING_length(address) != 16)
        return;
    if (inet_ntop(family, ASN1_STRING_get0_data(address), plain, INET6_ADDRSTRLEN))
        add(list, size, text, (int)strlen(text));
}

/* A DNS name is printable or it is not shown. */
static bool is_printable(const ASN1_STRING *name) {
    const unsigned char *text = ASN1_STRING_get0_data(name);

    for (int i = 0; i < ASN1_STRING_length(name); i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return true;
}

static void describe_alternatives(X509 *certificate, char *list, size_t size) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

    list[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == GEN_DNS && is_printable(name->d.dNSName))
            add(list, size, (const char *)ASN1_STRING_get0_data(name->d.dNSName),
                ASN1_STRING_length(name->d.dNSName));
        else if (name->type == GEN_IPADD)
            add_address(list, size, name->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
}

void certificate_describe(X509 *certificate, struct certificate_facts *ret) {
    EVP_PKEY *key = X509_get0_pubkey(certificate);

    *ret = (struct certificate_facts){
        .is_present = true,
        .not_before = seconds_of(X509_get0_notBefore(certificate)),
        .not_after = seconds_of(X509_get0_notAfter(certificate)),
        .is_for_clients = X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1,
    };
    describe_name(X509_get_subject_name(certificate), ret->subject, sizeof(ret->subject));
    describe_name(X509_get_issuer_name(certificate), ret->issuer, sizeof(ret->issuer));
    describe_alternatives(certificate, ret->names, sizeof(ret->names));
    (void)snprintf(ret->key_type, sizeof(ret->key_type), "%s",
                   key && EVP_PKEY_get0_type_name(key) ? EVP_PKEY_get0_type_name(key) : "unknown");
}

int certificate_common_name(X509 *certificate, char *name, size_t size) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    int length = X509_NAME_get_text_by_NID(subject, NID_commonName, NULL, 0);

    if (length < 0)
        return -ENOENT;
    if ((size_t)length >= size)
        return -ENAMETOOLONG;
    (void)X509_NAME_get_text_by_NID(subject, NID_commonName, name, (int)size);
    return strlen(name) == (size_t)length ? 0 : -ENOENT;
}

void certificate_fingerprint(const X509 *certificate,
                             char text[static CERTIFICATE_FINGERPRINT_SIZE]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;

    text[0] = '\0';
    if (certificate && X509_digest(certificate, EVP_sha256(), digest, &length) != 1)
        length = 0;
    for (unsigned int i = 0; i < length; i++)
        (void)snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
}

int certificate_read(const char *path, X509 **ret) {
    FILE *file = fopen(path, "re");
    X509 *certificate;

    if (!file)
        return -errno;
    ERR_clear_error();
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    ERR_clear_error();
    (void)fclose(file);
    if (!certificate)
        return -EBADMSG;
    *ret = certificate;
    return 0;
}
