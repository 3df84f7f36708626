/* SPDX-License-Identifier: MIT */
#include "broker.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECT = 1,
    CONNACK = 2,
    PUBLISH = 3,
    PUBACK = 4,
    PINGREQ = 12,
    PINGRESP = 13,
    GOODBYE = 14
};

struct broker {
    struct broker_plan plan;
    int listener;
    int stop_fd;
    uint16_t port;
    SSL_CTX *context;
    pthread_t thread;
    pthread_mutex_t lock; /* of seen */
    struct broker_seen seen;
};

/* One connection; everything on it waits for bytes or for the broker's end. */
struct client {
    struct broker *broker;
    int fd;
    SSL *session;
};

/* ---- sockets ---- */

static int listen_at(uint16_t port, uint16_t *ret_port) {
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons(port) };
    const int yes = 1;
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert_geq(fd, 0);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(fd, 64), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

uint16_t broker_closed_port(void) {
    uint16_t port;
    int fd = listen_at(0, &port);

    (void)close(fd);
    return port;
}

/* false: the broker is to end. */
static bool wait_for(const struct broker *broker, int fd, short events) {
    struct pollfd fds[] = { { .fd = fd, .events = events },
                            { .fd = broker->stop_fd, .events = POLLIN } };

    while (poll(fds, 2, -1) < 0 && errno == EINTR)
        continue;
    return !(fds[1].revents & POLLIN);
}

/* ---- TLS ---- */

static int on_server_name(SSL *session, int *alert, void *userdata) {
    struct broker *broker = userdata;
    const char *name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);

    (void)pthread_mutex_lock(&broker->lock);
    broker->seen.has_server_name = name != NULL;
    (void)snprintf(broker->seen.server_name, sizeof(broker->seen.server_name), "%s",
                   name ? name : "");
    (void)pthread_mutex_unlock(&broker->lock);
    return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *make_context(struct broker *broker) {
    const struct broker_plan *plan = &broker->plan;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());

    cr_assert_not_null(context);
    SSL_CTX_set_security_level(context, 0); /* it may be as weak as a test wants it */
    cr_assert_eq(SSL_CTX_set_min_proto_version(context, plan->min_version), 1);
    cr_assert_eq(SSL_CTX_set_max_proto_version(context, plan->max_version), 1);
    if (plan->ciphers)
        cr_assert_eq(SSL_CTX_set_cipher_list(context, plan->ciphers), 1);
    if (plan->ciphersuites)
        cr_assert_eq(SSL_CTX_set_ciphersuites(context, plan->ciphersuites), 1);
    cr_assert_eq(SSL_CTX_use_certificate_chain_file(context, plan->certificate), 1);
    cr_assert_eq(SSL_CTX_use_PrivateKey_file(context, plan->key, SSL_FILETYPE_PEM), 1);
    if (plan->client_ca) {
        cr_assert_eq(SSL_CTX_load_verify_file(context, plan->client_ca), 1);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, broker);
    return context;
}

static bool wait_for_session(struct client *client, int result) {
    switch (SSL_get_error(client->session, result)) {
    case SSL_ERROR_WANT_READ:
        return wait_for(client->broker, client->fd, POLLIN);
    case SSL_ERROR_WANT_WRITE:
        return wait_for(client->broker, client->fd, POLLOUT);
    default:
        ERR_clear_error();
        return false;
    }
}

static bool shake_hands(struct client *client) {
    int result;

    while ((result = SSL_accept(client->session)) != 1)
        if (!wait_for_session(client, result))
            return false;
    return true;
}

static bool read_bytes(struct client *client, void *bytes, size_t size) {
    unsigned char *at = bytes;

    while (size > 0) {
        int n = SSL_read(client->session, at, (int)size);

        if (n > 0) {
            at += n;
            size -= (size_t)n;
        } else if (!wait_for_session(client, n)) {
            return false;
        }
    }
    return true;
}

static bool write_bytes(struct client *client, const void *bytes, int size) {
    int n;

    while ((n = SSL_write(client->session, bytes, size)) <= 0)
        if (!wait_for_session(client, n))
            return false;
    return true;
}

/* ---- MQTT ---- */

static bool read_packet(struct client *client, unsigned *ret_type, unsigned char *body, size_t size,
                        size_t *ret_length) {
    unsigned char byte;
    size_t length = 0;
    unsigned shift = 0;

    if (!read_bytes(client, &byte, 1))
        return false;
    *ret_type = byte >> 4;
    do {
        if (!read_bytes(client, &byte, 1) || shift > 21)
            return false;
        length |= (size_t)(byte & 0x7f) << shift;
        shift += 7;
    } while (byte & 0x80);
    *ret_length = length;
    return length <= size && read_bytes(client, body, length);
}

/* QoS 1 is all that is published to it. */
static bool take_publish(struct client *client, const unsigned char *body, size_t size) {
    struct broker *broker = client->broker;
    size_t length = (size_t)body[0] << 8 | body[1];
    bool is_state = strncmp((const char *)body + 2, "gateways/", 9) == 0;
    const unsigned char answer[] = { PUBACK << 4, 2, body[2 + length], body[3 + length] };

    (void)pthread_mutex_lock(&broker->lock);
    broker->seen.publishes++;
    (void)snprintf(broker->seen.topic, sizeof(broker->seen.topic), "%.*s", (int)length,
                   (const char *)body + 2);
    (void)snprintf(broker->seen.payload, sizeof(broker->seen.payload), "%.*s",
                   (int)(size - length - 4), (const char *)body + length + 4);
    if (broker->seen.publishes == 1)
        memcpy(broker->seen.first_topic, broker->seen.topic, sizeof(broker->seen.first_topic));
    (void)pthread_mutex_unlock(&broker->lock);
    if (broker->plan.conduct == BROKER_CLOSES_AT_PUBLISH)
        return false;
    if (broker->plan.conduct == BROKER_TAKES_ONLY_STATES && !is_state)
        return true;
    return broker->plan.conduct == BROKER_NEVER_ACKNOWLEDGES ||
           write_bytes(client, answer, sizeof(answer));
}

static bool answer(struct client *client, unsigned type, const unsigned char *body, size_t size) {
    struct broker *broker = client->broker;
    const unsigned char connack[] = { CONNACK << 4, 2, 0, (unsigned char)broker->plan.connack };
    const unsigned char pong[] = { PINGRESP << 4, 0 };

    if (broker->plan.conduct == BROKER_DIES_SILENTLY && type != CONNECT)
        return type != GOODBYE;
    switch (type) {
    case CONNECT:
        if (broker->plan.conduct == BROKER_CLOSES_AT_CONNECT)
            return false;
        return broker->plan.conduct == BROKER_IGNORES_CONNECT ||
               write_bytes(client, connack, sizeof(connack));
    case PUBLISH:
        return take_publish(client, body, size);
    case PINGREQ:
        return write_bytes(client, pong, sizeof(pong));
    case GOODBYE:
        (void)pthread_mutex_lock(&broker->lock);
        broker->seen.said_goodbye = true;
        (void)pthread_mutex_unlock(&broker->lock);
        return false;
    default:
        return false;
    }
}

static void serve(struct client *client) {
    static unsigned char body[64 * 1024];
    unsigned type;
    size_t length;

    if (!shake_hands(client))
        return;
    (void)pthread_mutex_lock(&client->broker->lock);
    client->broker->seen.handshakes++;
    (void)pthread_mutex_unlock(&client->broker->lock);
    while (read_packet(client, &type, body, sizeof(body), &length) &&
           answer(client, type, body, length))
        continue;
    (void)SSL_shutdown(client->session);
}

/* ---- conduct ---- */

/* Hears whatever comes, until the other end has gone. */
static void only_listen(struct client *client) {
    char bytes[1024];

    while (wait_for(client->broker, client->fd, POLLIN))
        if (read(client->fd, bytes, sizeof(bytes)) <= 0)
            return;
}

static void behave_badly(struct client *client) {
    static const char plain[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    enum broker_conduct conduct = client->broker->plan.conduct;
    char hello[1024];

    if (conduct == BROKER_KEEPS_SILENT)
        only_listen(client);
    if (conduct != BROKER_CLOSES_AT_HELLO && conduct != BROKER_SPEAKS_PLAIN)
        return;
    if (!wait_for(client->broker, client->fd, POLLIN) ||
        read(client->fd, hello, sizeof(hello)) <= 0 || conduct == BROKER_CLOSES_AT_HELLO)
        return;
    (void)!write(client->fd, plain, sizeof(plain) - 1);
    only_listen(client);
}

/* A close with bytes unread is a reset, and that overtakes the alert that explains it. */
static void part(struct client *client) {
    (void)shutdown(client->fd, SHUT_WR);
    only_listen(client);
}

static void meet(struct broker *broker, int fd) {
    struct client client = { .broker = broker, .fd = fd };

    (void)pthread_mutex_lock(&broker->lock);
    broker->seen.connections++;
    (void)pthread_mutex_unlock(&broker->lock);
    if (!broker->context) {
        behave_badly(&client);
        return;
    }
    client.session = SSL_new(broker->context);
    if (client.session && SSL_set_fd(client.session, fd) == 1)
        serve(&client);
    part(&client);
    SSL_free(client.session);
    ERR_clear_error();
}

static void *run(void *argument) {
    struct broker *broker = argument;

    while (wait_for(broker, broker->listener, POLLIN)) {
        int fd = accept4(broker->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            continue;
        meet(broker, fd);
        (void)close(fd);
    }
    OPENSSL_thread_stop();
    return NULL;
}

/* ---- life ---- */

struct broker *broker_start(const struct broker_plan *plan) {
    struct broker *broker = calloc(1, sizeof(*broker));
    sigset_t all;
    sigset_t before;

    cr_assert_not_null(broker);
    (void)signal(SIGPIPE, SIG_IGN);
    broker->plan = *plan;
    broker->listener = listen_at(plan->port, &broker->port);
    broker->stop_fd = eventfd(0, EFD_CLOEXEC);
    cr_assert_geq(broker->stop_fd, 0);
    cr_assert_eq(pthread_mutex_init(&broker->lock, NULL), 0);
    if (plan->certificate)
        broker->context = make_context(broker);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    cr_assert_eq(pthread_create(&broker->thread, NULL, run, broker), 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return broker;
}

struct broker *broker_stop(struct broker *broker) {
    if (!broker)
        return NULL;
    (void)eventfd_write(broker->stop_fd, 1);
    (void)pthread_join(broker->thread, NULL);
    (void)close(broker->listener);
    (void)close(broker->stop_fd);
    (void)pthread_mutex_destroy(&broker->lock);
    SSL_CTX_free(broker->context);
    free(broker);
    return NULL;
}

uint16_t broker_port(const struct broker *broker) {
    return broker->port;
}

struct broker_seen broker_seen(struct broker *broker) {
    struct broker_seen seen;

    (void)pthread_mutex_lock(&broker->lock);
    seen = broker->seen;
    (void)pthread_mutex_unlock(&broker->lock);
    return seen;
}
