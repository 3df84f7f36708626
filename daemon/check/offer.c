/* SPDX-License-Identifier: MIT */
#include "check/offer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "io/loop.h"

/* Old ones as well: to learn that a broker speaks nothing newer is worth a question. */
#define CANDIDATES "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0"

#define SUITES                                                                    \
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:" \
    "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256"

static const uint64_t all_us = 15000000;

enum { LIST_SIZE = 8192 };

static const struct {
    int version;
    const char *name;
} versions[OFFER_VERSIONS] = {
    { TLS1_VERSION, "TLSv1.0" },
    { TLS1_1_VERSION, "TLSv1.1" },
    { TLS1_2_VERSION, "TLSv1.2" },
    { TLS1_3_VERSION, "TLSv1.3" },
};

const char *offer_version_name(size_t i) {
    return versions[i].name;
}

/* The questions asked so far, and how long there is for more. */
struct inquiry {
    const struct offer_question *question;
    struct offer *offer;
    uint64_t end_us;
};

static inline SSL *session_free(SSL *session) {
    SSL_free(session);
    return NULL;
}
DEFINE_CLEANUP(SSL, session_free);

static inline SSL_CTX *context_free(SSL_CTX *context) {
    SSL_CTX_free(context);
    return NULL;
}
DEFINE_CLEANUP(SSL_CTX, context_free);

static bool wait_for(int fd, short events, uint64_t end_us) {
    struct pollfd wanted = { .fd = fd, .events = events };
    uint64_t now_us = loop_now_us();

    return now_us < end_us && poll(&wanted, 1, (int)((end_us - now_us) / 1000) + 1) > 0;
}

/* Returns a socket on its way to the broker, or < 0. */
static int connect_to(const struct offer_question *question) {
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };
    struct addrinfo *list = NULL;
    char port[8];
    int fd = -1;

    (void)snprintf(port, sizeof(port), "%u", question->port);
    if (getaddrinfo(question->address, port, &hints, &list) != 0)
        return -EINVAL;
    fd = socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) < 0 && errno != EINPROGRESS)
        close_fdp(&fd);
    freeaddrinfo(list);
    return fd < 0 ? -ENOTCONN : fd;
}

/* It is known as soon as the server hello is, whatever becomes of the handshake. */
static const SSL_CIPHER *chosen(const SSL *session) {
    const SSL_CIPHER *pending = SSL_get_pending_cipher(session);

    return pending ? pending : SSL_get_current_cipher(session);
}

/* Returns what the broker chose, NULL when it chose nothing. */
static const char *shake_hands(SSL *session, int fd, uint64_t end_us) {
    while (!chosen(session)) {
        int r = SSL_connect(session);
        int error = r == 1 ? SSL_ERROR_NONE : SSL_get_error(session, r);

        if (chosen(session))
            break;
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return NULL;
        if (!wait_for(fd, error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, end_us))
            return NULL;
    }
    return SSL_CIPHER_get_name(chosen(session));
}

static bool is_address(const char *name) {
    unsigned char address[16];

    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* One handshake. ciphers and suites are what is offered. */
static const char *ask(struct inquiry *inquiry, int version, const char *ciphers,
                       const char *suites) {
    CLEANUP(context_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    CLEANUP(session_freep) SSL *session = NULL;
    CLEANUP(close_fdp) int fd = -1;
    uint64_t end_us = loop_now_us() + inquiry->question->patience_us;
    const char *found;

    if (end_us > inquiry->end_us)
        end_us = inquiry->end_us;
    if (!context || inquiry->offer->handshakes >= OFFER_HANDSHAKES)
        return NULL;
    inquiry->offer->handshakes++;
    SSL_CTX_set_security_level(context, 0);
    if (SSL_CTX_set_min_proto_version(context, version) != 1 ||
        SSL_CTX_set_max_proto_version(context, version) != 1 ||
        SSL_CTX_set_cipher_list(context, ciphers) != 1 ||
        SSL_CTX_set_ciphersuites(context, suites) != 1)
        return NULL;
    fd = connect_to(inquiry->question);
    session = SSL_new(context);
    if (fd < 0 || !session || SSL_set_fd(session, fd) != 1 || !wait_for(fd, POLLOUT, end_us))
        return NULL;
    if (!is_address(inquiry->question->name))
        (void)SSL_set_tlsext_host_name(session, inquiry->question->name);
    found = shake_hands(session, fd, end_us);
    ERR_clear_error();
    return found;
}

/* Writes all that may be asked for under TLS 1.2, one by one, so that one can be left out. */
static void list_candidates(char list[static LIST_SIZE]) {
    CLEANUP(context_freep) SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    STACK_OF(SSL_CIPHER) *ciphers = NULL;
    size_t length = 0;

    list[0] = '\0';
    if (context && SSL_CTX_set_cipher_list(context, CANDIDATES) == 1)
        ciphers = SSL_CTX_get_ciphers(context);
    for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); i++) {
        const SSL_CIPHER *cipher = sk_SSL_CIPHER_value(ciphers, i);

        if (strcmp(SSL_CIPHER_get_version(cipher), "TLSv1.3") != 0 && length < LIST_SIZE - 64)
            length += (size_t)snprintf(list + length, LIST_SIZE - length, "%s%s",
                                       length > 0 ? ":" : "", SSL_CIPHER_get_name(cipher));
    }
}

static void leave_out(char *list, const char *name) {
    size_t length = strlen(name);

    for (char *at = list; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        if (strncmp(at, name, length) != 0 || (at[length] != ':' && at[length] != '\0'))
            continue;
        if (at[length] == ':')
            memmove(at, at + length + 1, strlen(at + length + 1) + 1);
        else
            at[at > list ? -1 : 0] = '\0';
        return;
    }
}

/* What it chose is not offered again, until it finds nothing to choose. */
static size_t ask_for_all(struct inquiry *inquiry, int version, char *list, const char **names,
                          size_t max) {
    size_t count = 0;

    while (count < max && list[0] != '\0') {
        bool is_new = version == TLS1_3_VERSION;
        const char *found =
            ask(inquiry, version, is_new ? CANDIDATES : list, is_new ? list : SUITES);

        if (!found)
            break;
        names[count++] = found;
        leave_out(list, found);
    }
    return count;
}

void offer_ask(const struct offer_question *question, struct offer *ret) {
    struct inquiry inquiry = { question, ret, loop_now_us() + all_us };
    char ciphers[LIST_SIZE];
    char suites[] = SUITES;

    *ret = (struct offer){ 0 };
    for (size_t i = 0; i < OFFER_VERSIONS; i++)
        ret->versions[i] = ask(&inquiry, versions[i].version, CANDIDATES, SUITES) != NULL;
    list_candidates(ciphers);
    if (ret->versions[2])
        ret->cipher_count =
            ask_for_all(&inquiry, TLS1_2_VERSION, ciphers, ret->ciphers, OFFER_CIPHERS);
    if (ret->versions[3])
        ret->suite_count = ask_for_all(&inquiry, TLS1_3_VERSION, suites, ret->suites, OFFER_SUITES);
}
