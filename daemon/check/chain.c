/* SPDX-License-Identifier: MIT */
#include "check/chain.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "io/certificate.h"

/* Returns all certificates of a PEM file, NULL when it cannot be opened. */
static STACK_OF(X509) * read_all(const char *path) {
    STACK_OF(X509) *all = sk_X509_new_null();
    FILE *file = fopen(path, "re");
    X509 *certificate;

    while (all && file && (certificate = PEM_read_X509(file, NULL, NULL, NULL)))
        if (sk_X509_push(all, certificate) == 0)
            X509_free(certificate);
    ERR_clear_error();
    if (file)
        (void)fclose(file);
    return all;
}

static void free_all(STACK_OF(X509) * all) {
    sk_X509_pop_free(all, X509_free);
}

static int verify(X509_STORE *store, STACK_OF(X509) * chain,
                  char reason[static CHAIN_REASON_SIZE]) {
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    int r = -ENOMEM;

    if (context && X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain) == 1) {
        X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME);
        r = X509_verify_cert(context) == 1;
        (void)snprintf(reason, CHAIN_REASON_SIZE, "%s",
                       X509_verify_cert_error_string(X509_STORE_CTX_get_error(context)));
    }
    X509_STORE_CTX_free(context);
    return r;
}

int chain_verify(const char *path, const char *ca, char reason[static CHAIN_REASON_SIZE]) {
    STACK_OF(X509) *chain = read_all(path);
    X509_STORE *store = X509_STORE_new();
    int r = -EBADMSG;

    if (store && sk_X509_num(chain) > 0 && X509_STORE_load_file(store, ca) == 1)
        r = verify(store, chain, reason);
    X509_STORE_free(store);
    free_all(chain);
    ERR_clear_error();
    return r;
}

int chain_each(const char *path,
               void (*call)(const struct certificate_facts *facts, void *userdata),
               void *userdata) {
    STACK_OF(X509) *all = read_all(path);
    struct certificate_facts facts;
    int count = sk_X509_num(all);

    for (int i = 0; i < count; i++) {
        certificate_describe(sk_X509_value(all, i), &facts);
        call(&facts, userdata);
    }
    free_all(all);
    return count > 0 ? count : -EBADMSG;
}
