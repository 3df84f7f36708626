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

enum { SECURITY_LEVEL = 2 };

/* Whoever may be offered at all: no anonymous, unencrypted or pre-shared-key cipher, whatever is
 * asked for. */
#define CANDIDATES "ALL:!aNULL:!eNULL:!PSK:!SRP"

struct tls {
    const struct tls_settings *settings; /* borrowed from the publisher */
    char name[FACTS_NAME_SIZE];
    bool name_is_address;
    struct attempt *attempt; /* borrowed from the publisher */
    SSL_CTX *context;
    struct tls_files files; /* as they were read */
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

/* A CA that was made anew under its old name is the one trap that its name does not show. */
static bool has_namesake(X509_STORE_CTX *store, const X509 *certificate) {
    STACK_OF(X509) *trusted = X509_STORE_CTX_get1_certs(store, X509_get_issuer_name(certificate));
    bool found = sk_X509_num(trusted) > 0;

    sk_X509_pop_free(trusted, X509_free);
    return found;
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
    attempt->refused_depth = X509_STORE_CTX_get_error_depth(store);
    if (certificate) {
        certificate_describe(certificate, &attempt->refused);
        attempt->issuer_has_namesake =
            attempt->distrust == DISTRUST_UNKNOWN_CA && has_namesake(store, certificate);
    }
    return 0;
}

static bool is_listed(const char *list, const char *name) {
    size_t length = strlen(name);

    for (const char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && (at[length] == ':' || at[length] == '\0'))
            return true;
    return false;
}

/* Of those above the broker's own the one that runs out first: with it ends the trust in the rest.
 */
static void note_authority(const SSL *session, struct certificate_facts *ret) {
    STACK_OF(X509) *chain = SSL_get0_verified_chain(session);

    for (int i = 1; i < sk_X509_num(chain); i++) {
        struct certificate_facts facts;

        certificate_describe(sk_X509_value(chain, i), &facts);
        if (!ret->is_present || facts.not_after < ret->not_after)
            *ret = facts;
    }
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
    note_authority(session, &attempt->authority);
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
    /* Not by our answer: since 3.2 that has two states, one for a compressed certificate. */
    if (where & SSL_CB_LOOP && SSL_get_state(session) == TLS_ST_CR_CERT_REQ)
        attempt->certificate_was_asked = true;
    /* The only place to learn of it: libmosquitto 2.0.20 makes EPROTO of it, and 2.0.11 nothing. */
    if (where & SSL_CB_EXIT && value < 0 && errno == ECONNREFUSED)
        attempt->error = errno;
    if (where & SSL_CB_ALERT && (value & 0xff) == ALERT_CLOSE_NOTIFY) {
        attempt->farewell = attempt->farewell || where & SSL_CB_READ;
    } else if (where & SSL_CB_ALERT) {
        if (where & SSL_CB_READ)
            attempt->alert_received = value & 0xff;
        else
            attempt->alert_sent = value & 0xff;
    }
}

/* ---- files ---- */

void tls_files_look(const struct tls_settings *settings, struct tls_files *ret) {
    const char *paths[TLS_FILES] = { settings->ca, settings->certificate, settings->key,
                                     settings->passphrase_file, settings->crl };

    *ret = (struct tls_files){ 0 };
    for (size_t i = 0; i < TLS_FILES; i++) {
        struct tls_file *file = &ret->file[i];
        struct stat status;

        if (!paths[i] || stat(paths[i], &status) < 0)
            continue;
        file->device = status.st_dev;
        file->inode = status.st_ino;
        file->size = status.st_size;
        file->mode = status.st_mode;
        file->modified = status.st_mtim;
        file->changed = status.st_ctim;
    }
}

static bool times_agree(const struct timespec *a, const struct timespec *b) {
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool tls_files_agree(const struct tls_files *a, const struct tls_files *b) {
    for (size_t i = 0; i < TLS_FILES; i++) {
        const struct tls_file *one = &a->file[i];
        const struct tls_file *other = &b->file[i];

        if (one->device != other->device || one->inode != other->inode ||
            one->size != other->size || one->mode != other->mode ||
            !times_agree(&one->modified, &other->modified))
            return false;
    }
    return true;
}

static int refuse(struct tls *tls, enum cause cause, const char *path, const char *detail) {
    struct attempt *attempt = tls->attempt;

    attempt->local = cause;
    (void)snprintf(attempt->file, sizeof(attempt->file), "%s", path);
    (void)snprintf(attempt->detail, sizeof(attempt->detail), "%s", detail);
    ERR_clear_error();
    return -EINVAL;
}

static const char *openssl_reason(void) {
    const char *reason =
        ERR_reason_error_string(ERR_peek_error()); /* the last only says "PEM lib" */

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

static int check_access(struct tls *tls, const char *path) {
    if (!path || access(path, R_OK) == 0)
        return 0;
    tls->attempt->error = errno;
    return refuse(tls, CAUSE_UNREADABLE_FILE, path, strerror(errno));
}

/* The owner is not looked at: in a user namespace every file of root's shows another. */
static int check_mode(struct tls *tls, const char *path) {
    struct stat status;
    char mode[16];

    if (!path || stat(path, &status) < 0 || (status.st_mode & 0027) == 0)
        return 0;
    (void)snprintf(mode, sizeof(mode), "mode %04o", status.st_mode & 07777);
    return refuse(tls, CAUSE_KEY_PERMISSIONS, path, mode);
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

static int refuse_certificate(struct tls *tls) {
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    bool is_weak = reason == SSL_R_EE_KEY_TOO_SMALL || reason == SSL_R_CA_KEY_TOO_SMALL ||
                   reason == SSL_R_CA_MD_TOO_WEAK;

    return refuse(tls, is_weak ? CAUSE_WEAK_KEY : CAUSE_UNREADABLE_FILE, tls->settings->certificate,
                  openssl_reason());
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
    if (cause == CAUSE_BAD_PASSPHRASE)
        return refuse(tls, cause, tls->settings->key,
                      tls->settings->passphrase_file
                          ? "the passphrase in tls.passphrase_file is wrong"
                          : "tls.passphrase_file is not set");
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
        return refuse_certificate(tls);
    certificate_describe(SSL_CTX_get0_certificate(context), &tls->attempt->own);
    SSL_CTX_set_default_passwd_cb(context, on_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, tls);
    if (SSL_CTX_use_PrivateKey_file(context, settings->key, SSL_FILETYPE_PEM) != 1)
        return refuse_key(tls);
    if (SSL_CTX_check_private_key(context) != 1)
        return refuse(tls, CAUSE_KEY_MISMATCH, settings->key, "");
    return 0;
}

static int check_files(struct tls *tls) {
    const struct tls_settings *settings = tls->settings;
    const char *const paths[] = { settings->ca, settings->certificate, settings->key,
                                  settings->passphrase_file, settings->crl };
    int r = 0;

    for (size_t i = 0; i < sizeof(paths) / sizeof(*paths) && r == 0; i++)
        r = check_access(tls, paths[i]);
    if (r == 0)
        r = check_mode(tls, settings->key);
    return r == 0 ? check_mode(tls, settings->passphrase_file) : r;
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
        r = check_files(tls);
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
    /* Before they are read: a file that is replaced meanwhile is at worst read twice. */
    tls_files_look(settings, &tls->files);
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

void tls_record_in(struct tls *tls, struct attempt *attempt) {
    X509 *own = SSL_CTX_get0_certificate(tls->context);

    tls->attempt = attempt;
    attempt->own = (struct certificate_facts){ 0 };
    if (own)
        certificate_describe(own, &attempt->own);
}

bool tls_is_stale(const struct tls *tls) {
    struct tls_files now;

    tls_files_look(tls->settings, &now);
    return !tls_files_agree(&tls->files, &now);
}

void tls_fingerprint_own(const struct tls *tls, char text[static CERTIFICATE_FINGERPRINT_SIZE]) {
    certificate_fingerprint(SSL_CTX_get0_certificate(tls->context), text);
}

void tls_fingerprint_ca(const struct tls *tls, char *text, size_t size) {
    STACK_OF(X509) *trusted = X509_STORE_get1_all_certs(SSL_CTX_get_cert_store(tls->context));

    text[0] = '\0';
    for (int i = 0; i < sk_X509_num(trusted); i++) {
        char one[CERTIFICATE_FINGERPRINT_SIZE];
        size_t used = strlen(text);

        certificate_fingerprint(sk_X509_value(trusted, i), one);
        if (used + sizeof(one) < size)
            (void)snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", one);
    }
    sk_X509_pop_free(trusted, X509_free);
}
