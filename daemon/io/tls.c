/* SPDX-License-Identifier: MIT */
#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "io/certificate.h"

enum { SECURITY_LEVEL = 2, PASSPHRASE_SIZE = 256, FILES = 5 };

/* Whoever may be offered at all: no anonymous, unencrypted or pre-shared-key cipher, whatever is
 * asked for. */
#define CANDIDATES "ALL:!aNULL:!eNULL:!PSK:!SRP"

/* A file as it was read: replaced by another, it has another inode or time. */
struct fingerprint {
    const char *path;
    dev_t device;
    ino_t inode;
    struct timespec modified;
};

struct tls {
    const struct tls_settings *settings; /* borrowed from the publisher */
    char name[FACTS_NAME_SIZE];
    bool name_is_address;
    struct attempt *attempt; /* borrowed from the publisher */
    SSL_CTX *context;
    struct fingerprint files[FILES];
};

/* ---- names of ciphers ---- */

static const char *find_cipher(SSL *session, const char *name, int version) {
    STACK_OF(SSL_CIPHER) *ciphers = SSL_get1_supported_ciphers(session);
    const char *found = NULL;

    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers) && !found; i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);
        bool is_new = strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") == 0;

        if (is_new != (version == TLS1_3_VERSION))
            continue;
        if (strcmp(SSL_CIPHER_get_name(cipher), name) == 0 ||
            strcmp(SSL_CIPHER_standard_name(cipher), name) == 0)
            found = SSL_CIPHER_get_name(cipher);
    }
    sk_SSL_CIPHER_free(ciphers);
    return found;
}

const char *tls_cipher_name(const char *name, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *session = NULL;
    const char *found = NULL;

    if (context) {
        SSL_CTX_set_security_level(context, SECURITY_LEVEL);
        (void)SSL_CTX_set_min_proto_version(context, version);
        (void)SSL_CTX_set_max_proto_version(context, version);
        (void)SSL_CTX_set_cipher_list(context, CANDIDATES);
        (void)SSL_CTX_set_ciphersuites(context,
                                       "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                       "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:"
                                       "TLS_AES_128_CCM_8_SHA256");
        session = SSL_new(context);
    }
    if (session)
        found = find_cipher(session, name, version);
    SSL_free(session);
    SSL_CTX_free(context);
    ERR_clear_error();
    return found;
}

int tls_read_common_name(const char *path, char *name, size_t size) {
    CLEANUP(certificate_freep) X509 *certificate = NULL;
    int r = certificate_read(path, &certificate);

    return r < 0 ? r : certificate_common_name(certificate, name, size);
}

/* ---- what OpenSSL tells while it shakes hands ---- */

static enum distrust distrust_of(int error) {
    switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return DISTRUST_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return DISTRUST_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return DISTRUST_NAME;
    case X509_V_ERR_CERT_REVOKED:
        return DISTRUST_REVOKED;
    case X509_V_ERR_INVALID_PURPOSE:
        return DISTRUST_PURPOSE;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK:
        return DISTRUST_WEAK;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
        return DISTRUST_CRL;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return DISTRUST_UNKNOWN_CA;
    default:
        return DISTRUST_OTHER;
    }
}

static struct tls *tls_of(const SSL *session) {
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(session));
}

static int on_verify(int ok, X509_STORE_CTX *store) {
    SSL *session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct attempt *attempt = tls_of(session)->attempt;
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    if (ok || attempt->distrust != DISTRUST_NONE)
        return ok;
    attempt->distrust = distrust_of(X509_STORE_CTX_get_error(store));
    (void)snprintf(attempt->detail, sizeof(attempt->detail), "%s",
                   X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    if (certificate)
        certificate_describe(certificate, &attempt->refused);
    return 0;
}

static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);

    for (const char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ':' || at[length] == '\0'))
            return true;
    return false;
}

/* A pin is a pin: what was negotiated is compared with what was configured. */
static void note_handshake(struct tls *tls, const SSL *session) {
    const struct tls_settings *settings = tls->settings;
    struct attempt *attempt = tls->attempt;
    int version = SSL_version(session);
    const char *cipher = SSL_get_cipher_name(session);
    const char *allowed = version == TLS1_3_VERSION ? settings->ciphersuites : settings->ciphers;
    X509 *theirs = SSL_get0_peer_certificate(session);

    attempt->handshake_finished = true;
    if (theirs)
        certificate_describe(theirs, &attempt->theirs);
    (void)snprintf(attempt->version, sizeof(attempt->version), "%s", SSL_get_version(session));
    (void)snprintf(attempt->cipher, sizeof(attempt->cipher), "%s", cipher);
    attempt->pin_broken = version < settings->min_version || version > settings->max_version ||
                          (allowed && !is_listed(allowed, cipher));
}

/* libmosquitto has put the address that it connects to into the SNI; RFC 6066 wants a name there,
 * or nothing. */
static void set_server_name(const struct tls *tls, SSL *session) {
    (void)SSL_set_tlsext_host_name(session, tls->name_is_address ? NULL : (char *)tls->name);
}

static void on_progress(const SSL *session, int where, int value) {
    struct tls *tls = tls_of(session);
    struct attempt *attempt = tls->attempt;

    if (where & SSL_CB_HANDSHAKE_START && !attempt->handshake_finished)
        set_server_name(tls, (SSL *)session);
    if (where & SSL_CB_HANDSHAKE_DONE)
        note_handshake(tls, session);
    if (where & SSL_CB_LOOP && SSL_get_state(session) == TLS_ST_CW_CERT)
        attempt->certificate_was_asked = true;
    if (where & SSL_CB_ALERT && (value & 0xff) != ALERT_CLOSE_NOTIFY) {
        if (where & SSL_CB_READ)
            attempt->alert_received = value & 0xff;
        else
            attempt->alert_sent = value & 0xff;
    }
}

/* ---- files ---- */

static int refuse(struct tls *tls, enum cause cause, const char *path, const char *detail) {
    struct attempt *attempt = tls->attempt;

    attempt->local = cause;
    (void)snprintf(attempt->file, sizeof(attempt->file), "%s", path);
    (void)snprintf(attempt->detail, sizeof(attempt->detail), "%s", detail);
    ERR_clear_error();
    return -EINVAL;
}

static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason ? reason : "not in PEM form";
}

/* Never asks on a terminal: without a passphrase file there is none. */
static int on_passphrase(char *text, int size, int writing, void *userdata) {
    const struct tls *tls = userdata;
    FILE *file;
    int length = 0;

    if (!tls->settings->passphrase_file)
        return 0;
    file = fopen(tls->settings->passphrase_file, "re");
    if (!file)
        return 0;
    if (fgets(text, size, file))
        length = (int)strcspn(text, "\r\n");
    (void)fclose(file);
    return length;
}

/* Looked at before OpenSSL reads it: a replaced file is then at worst read twice. */
static int look_at(struct tls *tls, int which, const char *path) {
    struct stat status;

    if (!path)
        return 0;
    if (stat(path, &status) < 0)
        return refuse(tls, CAUSE_UNREADABLE_FILE, path, strerror(errno));
    tls->files[which] = (struct fingerprint){
        .path = path,
        .device = status.st_dev,
        .inode = status.st_ino,
        .modified = status.st_mtim,
    };
    if (access(path, R_OK) < 0)
        return refuse(tls, CAUSE_UNREADABLE_FILE, path, strerror(errno));
    return 0;
}

/* The owner is not looked at: in a user namespace every file of root's shows another. */
static int check_mode(struct tls *tls, const char *path) {
    struct stat status;

    if (!path || stat(path, &status) < 0 || (status.st_mode & 0027) == 0)
        return 0;
    return refuse(tls, CAUSE_KEY_PERMISSIONS, path, "");
}

static int load_trust(struct tls *tls) {
    const struct tls_settings *settings = tls->settings;
    X509_STORE *store = SSL_CTX_get_cert_store(tls->context);

    if (!settings->ca)
        (void)SSL_CTX_set_default_verify_paths(tls->context);
    else if (SSL_CTX_load_verify_file(tls->context, settings->ca) != 1)
        return refuse(tls, CAUSE_UNREADABLE_FILE, settings->ca, openssl_reason());
    if (!settings->crl)
        return 0;
    if (X509_STORE_load_file(store, settings->crl) != 1)
        return refuse(tls, CAUSE_UNREADABLE_FILE, settings->crl, openssl_reason());
    (void)X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

/* The last error says only that something failed below; the cause stands before it. */
static enum cause cause_of_key_error(unsigned long error) {
    switch (ERR_GET_LIB(error)) {
    case ERR_LIB_X509:
        return ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH ? CAUSE_KEY_MISMATCH
                                                                   : CAUSE_NONE;
    case ERR_LIB_PEM:
        return ERR_GET_REASON(error) == PEM_R_NO_START_LINE ? CAUSE_NONE : CAUSE_BAD_PASSPHRASE;
    case ERR_LIB_EVP:
    case ERR_LIB_PROV:
    case ERR_LIB_PKCS12:
        return CAUSE_BAD_PASSPHRASE;
    default:
        return CAUSE_NONE;
    }
}

static int refuse_key(struct tls *tls) {
    enum cause cause = CAUSE_NONE;

    for (unsigned long error; cause == CAUSE_NONE && (error = ERR_get_error()) != 0;)
        cause = cause_of_key_error(error);
    if (cause != CAUSE_NONE)
        return refuse(tls, cause, tls->settings->key, "");
    return refuse(tls, CAUSE_UNREADABLE_FILE, tls->settings->key, "not a private key in PEM form");
}

static int load_identity(struct tls *tls) {
    const struct tls_settings *settings = tls->settings;
    SSL_CTX *context = tls->context;

    if (!settings->certificate)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(context, settings->certificate) != 1)
        return refuse(tls, CAUSE_UNREADABLE_FILE, settings->certificate, openssl_reason());
    certificate_describe(SSL_CTX_get0_certificate(context), &tls->attempt->own);
    SSL_CTX_set_default_passwd_cb(context, on_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, tls);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) != 1)
        return refuse_key(tls);
    if (SSL_CTX_check_private_key(context) != 1)
        return refuse(tls, CAUSE_KEY_MISMATCH, settings->key, "");
    return 0;
}

static int look_at_all(struct tls *tls) {
    const struct tls_settings *settings = tls->settings;
    const char *paths[FILES] = { settings->ca, settings->certificate, settings->key,
                                 settings->passphrase_file, settings->crl };
    int r;

    for (int i = 0; i < FILES; i++) {
        r = look_at(tls, i, paths[i]);
        if (r < 0)
            return r;
    }
    r = check_mode(tls, settings->key);
    return r < 0 ? r : check_mode(tls, settings->passphrase_file);
}

/* ---- the context ---- */

/* Unknown and disabled names vanish in silence, so each is looked for. */
static bool holds_all(SSL_CTX *context, const char *list) {
    STACK_OF(SSL_CIPHER) *ciphers = SSL_CTX_get_ciphers(context);

    for (const char *at = list; at;) {
        const char *colon = strchr(at, ':');
        size_t length = colon ? (size_t)(colon - at) : strlen(at);
        bool found = false;

        for (int i = 0; i < sk_SSL_CIPHER_num(ciphers) && !found; i++) {
            const char *name = SSL_CIPHER_get_name(sk_SSL_CIPHER_value(ciphers, i));

            found = strlen(name) == length && strncmp(name, at, length) == 0;
        }
        if (!found)
            return false;
        at = colon ? colon + 1 : NULL;
    }
    return true;
}

static int pin(struct tls *tls) {
    const struct tls_settings *settings = tls->settings;
    SSL_CTX *context = tls->context;
    const char *ciphers = settings->ciphers ? settings->ciphers : TLS_DEFAULT_CIPHERS;

    SSL_CTX_set_security_level(context, SECURITY_LEVEL);
    if (SSL_CTX_set_min_proto_version(context, settings->min_version) != 1 ||
        SSL_CTX_set_max_proto_version(context, settings->max_version) != 1)
        return refuse(tls, CAUSE_PROTOCOL_VERSION, "tls.version", "not in this OpenSSL");
    if (SSL_CTX_set_cipher_list(context, ciphers) != 1 || !holds_all(context, ciphers))
        return refuse(tls, CAUSE_NO_SHARED_CIPHER, "tls.ciphers", "not in this OpenSSL");
    if (settings->ciphersuites && (SSL_CTX_set_ciphersuites(context, settings->ciphersuites) != 1 ||
                                   !holds_all(context, settings->ciphersuites)))
        return refuse(tls, CAUSE_NO_SHARED_CIPHER, "tls.ciphersuites", "not in this OpenSSL");
    (void)SSL_CTX_set_options(context,
                              SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return 0;
}

/* Without the name in its verification parameters a context believes any certificate of the CA. */
static int expect_name(struct tls *tls) {
    X509_VERIFY_PARAM *parameters = SSL_CTX_get0_param(tls->context);
    unsigned char address[16];
    int r;

    tls->name_is_address =
        inet_pton(AF_INET, tls->name, address) == 1 || inet_pton(AF_INET6, tls->name, address) == 1;
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    r = tls->name_is_address ? X509_VERIFY_PARAM_set1_ip_asc(parameters, tls->name)
                             : X509_VERIFY_PARAM_set1_host(parameters, tls->name, 0);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, on_verify);
    return r == 1 ? 0 : -ENOMEM;
}

static int build(struct tls *tls) {
    int r;

    tls->attempt->own = (struct certificate_facts){ 0 };
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context)
        return -ENOMEM;
    (void)SSL_CTX_set_app_data(tls->context, tls);
    SSL_CTX_set_info_callback(tls->context, on_progress);
    r = pin(tls);
    if (r == 0)
        r = expect_name(tls);
    if (r == 0)
        r = look_at_all(tls);
    if (r == 0)
        r = load_trust(tls);
    if (r == 0)
        r = load_identity(tls);
    return r;
}

int tls_new(const struct tls_settings *settings, const char *name, struct attempt *attempt,
            struct tls **ret) {
    CLEANUP(tls_freep) struct tls *tls = calloc(1, sizeof(*tls));
    int r;

    if (!tls)
        return -ENOMEM;
    tls->settings = settings;
    tls->attempt = attempt;
    (void)snprintf(tls->name, sizeof(tls->name), "%s", name);
    ERR_clear_error();
    r = build(tls);
    ERR_clear_error();
    if (r < 0)
        return r;
    *ret = tls;
    tls = NULL;
    return 0;
}

struct tls *tls_free(struct tls *tls) {
    if (!tls)
        return NULL;
    SSL_CTX_free(tls->context);
    free(tls);
    return NULL;
}

SSL_CTX *tls_context(struct tls *tls) {
    return tls->context;
}

bool tls_is_stale(const struct tls *tls) {
    for (int i = 0; i < FILES; i++) {
        const struct fingerprint *file = &tls->files[i];
        struct stat status;

        if (!file->path)
            continue;
        if (stat(file->path, &status) < 0 || status.st_dev != file->device ||
            status.st_ino != file->inode || status.st_mtim.tv_sec != file->modified.tv_sec ||
            status.st_mtim.tv_nsec != file->modified.tv_nsec)
            return true;
    }
    return false;
}

bool tls_days_left(const struct tls *tls, int *ret) {
    X509 *certificate = SSL_CTX_get0_certificate(tls->context);
    int days;
    int seconds;

    if (!certificate || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
        return false;
    *ret = days;
    return true;
}
