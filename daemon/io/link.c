/* SPDX-License-Identifier: MIT */
#include "io/link.h"

#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "io/loop.h"

struct link {
    struct mosquitto *client;
    struct attempt *attempt; /* borrowed from the publisher */
    struct link_calls calls;
    sd_event_source *socket; /* on a duplicate: libmosquitto closes its own under epoll's feet */
    sd_event_source
        *failure; /* tells of a loss that was noticed where the link must not be freed */
    sd_event_source *keepalive;
    uint64_t keepalive_check_us;
    bool is_connected; /* TCP */
    bool is_secured;
    uint64_t secured_us;
    bool is_accepted;
    int connack;
    bool has_connack;
};

/* Older libraries fail a read over an error that somebody else left in OpenSSL's queue. */
static void begin_io(void) {
    ERR_clear_error();
    errno = 0;
}

static void note_error(struct link *link, int error) {
    if (link->attempt->error != 0 || error == 0)
        return;
    link->attempt->error = error;
    if (link->attempt->detail[0] == '\0')
        (void)snprintf(link->attempt->detail, sizeof(link->attempt->detail), "%s", strerror(error));
}

/* The last thing a handler does: the link may be gone afterwards. */
static int lose(struct link *link) {
    struct attempt *attempt = link->attempt;

    if (attempt->phase == ATTEMPT_TLS && attempt->handshake_finished)
        attempt->phase = ATTEMPT_CONNACK; /* both came with one read */
    if (link->is_secured)
        attempt->greeted_ms = (loop_now_us() - link->secured_us) / 1000;
    link->calls.on_event(LINK_LOST, link->calls.userdata);
    return 0;
}

static SSL *session_of(const struct link *link) {
    return mosquitto_ssl_get(link->client);
}

static bool is_shaking_hands(const struct link *link) {
    SSL *session = session_of(link);

    return session && !SSL_is_init_finished(session);
}

/* ---- what libmosquitto calls; none of these may destroy it ---- */

static void on_connack(struct mosquitto *client, void *userdata, int code, int flags) {
    struct link *link = userdata;

    link->has_connack = true;
    link->connack = code;
}

static void on_puback(struct mosquitto *client, void *userdata, int message) {
    struct link *link = userdata;

    link->calls.on_acknowledged(message, link->calls.userdata);
}

/* "OpenSSL Error[0]: error:0A00010B:SSL routines::wrong version number": what answered is no TLS.
 */
static void on_library_log(struct mosquitto *client, void *userdata, int level, const char *text) {
    struct link *link = userdata;
    const char *code = strstr(text, "error:");
    unsigned long error = code ? strtoul(code + strlen("error:"), NULL, 16) : 0;

    if (level != MOSQ_LOG_ERR || ERR_GET_LIB(error) != ERR_LIB_SSL)
        return;
    switch (ERR_GET_REASON(error)) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
        link->attempt->plain_text = true;
        break;
    default:
        break;
    }
}

/* ---- the socket ---- */

static int pending_error(struct link *link) {
    int error = 0;
    socklen_t size = sizeof(error);

    if (getsockopt(sd_event_source_get_io_fd(link->socket), SOL_SOCKET, SO_ERROR, &error, &size) <
        0)
        return errno;
    return error;
}

static bool has_peer(struct link *link) {
    struct sockaddr_storage address;
    socklen_t size = sizeof(address);

    return getpeername(sd_event_source_get_io_fd(link->socket), (struct sockaddr *)&address,
                       &size) == 0;
}

/* mosquitto_want_write cannot be asked while TLS shakes hands: it is stale in 2.0.11 and always
 * true later. */
static uint32_t wanted_events(const struct link *link) {
    SSL *session = session_of(link);

    if (!link->is_connected)
        return EPOLLIN | EPOLLOUT; /* a broker may take the connection and never say a word */
    if (is_shaking_hands(link))
        return SSL_want_write(session) ? EPOLLOUT : EPOLLIN;
    if (mosquitto_want_write(link->client) || (session && SSL_want_write(session)))
        return EPOLLIN | EPOLLOUT;
    return EPOLLIN;
}

static int on_prepare(sd_event_source *source, void *userdata) {
    struct link *link = userdata;

    if (link->is_accepted)
        link->calls.on_idle(link->calls.userdata);
    (void)sd_event_source_set_io_events(source, wanted_events(link));
    return 0;
}

/* What the library did in the meantime, told step by step. The last step may free the link. */
static int report_progress(struct link *link) {
    struct link_calls calls = link->calls;

    if (!link->is_secured && link->attempt->handshake_finished) {
        if (link->attempt->pin_broken)
            return lose(link);
        link->is_secured = true;
        link->secured_us = loop_now_us();
        link->attempt->phase = ATTEMPT_CONNACK;
        calls.on_event(LINK_SECURED, calls.userdata);
    }
    if (link->has_connack && !link->is_accepted) {
        link->attempt->connack = link->connack;
        if (link->connack != 0)
            return lose(link);
        link->is_accepted = true;
        link->attempt->phase = ATTEMPT_ANNOUNCE;
        calls.on_event(LINK_ACCEPTED, calls.userdata);
    }
    return 0;
}

static bool is_failure(struct link *link, int result) {
    if (result == MOSQ_ERR_SUCCESS)
        return false;
    note_error(link, result == MOSQ_ERR_ERRNO ? errno : 0);
    return true;
}

static int connect_further(struct link *link) {
    int error = pending_error(link);

    if (error != 0) {
        note_error(link, error);
        return -error;
    }
    if (!link->is_connected && has_peer(link)) {
        link->is_connected = true;
        link->attempt->phase = ATTEMPT_TLS;
        link->calls.on_event(LINK_CONNECTED, link->calls.userdata);
    }
    return 0;
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    struct link *link = userdata;
    bool was_shaking_hands = is_shaking_hands(link) || !link->is_connected;
    int result;

    if (was_shaking_hands && connect_further(link) < 0)
        return lose(link);
    /* Reading comes first: a refusal waits there, and is lost when a write finds the connection
     * reset. */
    begin_io();
    result = mosquitto_loop_read(link->client, 1);
    if (link->has_connack && link->connack != 0)
        return report_progress(link);
    if (is_failure(link, result))
        return lose(link);
    if (was_shaking_hands && is_shaking_hands(link) && events & (EPOLLHUP | EPOLLERR))
        return lose(link);
    begin_io();
    if (!is_shaking_hands(link) && is_failure(link, mosquitto_loop_write(link->client, 1)))
        return lose(link);
    return report_progress(link);
}

static int on_failure(sd_event_source *source, void *userdata) {
    return lose(userdata);
}

/* Pings, and the answer to them; a quarter of the keep-alive finds a loss well before the broker
 * does. */
static int on_keepalive(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct link *link = userdata;
    int result;

    begin_io();
    result = mosquitto_loop_misc(link->client);
    if (result != MOSQ_ERR_SUCCESS) {
        link->attempt->keepalive_failed = result == MOSQ_ERR_KEEPALIVE || !is_shaking_hands(link);
        return lose(link);
    }
    loop_arm(link->keepalive, loop_now_us() + link->keepalive_check_us);
    return 0;
}

/* ---- the life of a link ---- */

static int configure(struct link *link, const struct link_settings *settings, SSL_CTX *context) {
    struct mosquitto *client = link->client;
    int r = mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V311);

    if (r == MOSQ_ERR_SUCCESS)
        r = mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    if (r == MOSQ_ERR_SUCCESS)
        r = mosquitto_int_option(client, MOSQ_OPT_SSL_CTX_WITH_DEFAULTS, 0);
    if (r == MOSQ_ERR_SUCCESS)
        r = mosquitto_void_option(client, MOSQ_OPT_SSL_CTX, context);
    if (r == MOSQ_ERR_SUCCESS)
        r = mosquitto_max_inflight_messages_set(client, settings->window + 1); /* and the state */
    if (r == MOSQ_ERR_SUCCESS && settings->username)
        r = mosquitto_username_pw_set(client, settings->username, settings->password);
    if (r == MOSQ_ERR_SUCCESS && settings->will_topic)
        r = mosquitto_will_set(client, settings->will_topic, (int)strlen(settings->will),
                               settings->will, 1, true);
    mosquitto_connect_callback_set(client, NULL);
    mosquitto_connect_with_flags_callback_set(client, on_connack);
    mosquitto_publish_callback_set(client, on_puback);
    mosquitto_log_callback_set(client, on_library_log);
    return r == MOSQ_ERR_SUCCESS ? 0 : -EINVAL;
}

static int begin_to_connect(struct link *link, const char *address, uint16_t port,
                            unsigned keepalive_s) {
    int result;

    link->attempt->phase = ATTEMPT_CONNECT;
    begin_io();
    result = mosquitto_connect_async(link->client, address, port, (int)keepalive_s);
    if (link->attempt->error == ECONNREFUSED)
        result = MOSQ_ERR_ERRNO; /* 2.0.11 calls a refusal a success, 2.0.20 a failure of TLS */
    if (result == MOSQ_ERR_SUCCESS)
        return 0;
    if (result == MOSQ_ERR_TLS)
        link->attempt->phase = ATTEMPT_TLS; /* on loopback all of it can happen in one call */
    note_error(link, errno);
    return -ENOTCONN;
}

static int watch(sd_event *loop, struct link *link) {
    int fd = fcntl(mosquitto_socket(link->client), F_DUPFD_CLOEXEC, 3);
    int r;

    if (fd < 0)
        return -errno;
    (void)fcntl(mosquitto_socket(link->client), F_SETFD, FD_CLOEXEC);
    r = sd_event_add_io(loop, &link->socket, fd, wanted_events(link), on_socket, link);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    (void)sd_event_source_set_io_fd_own(link->socket, true);
    (void)sd_event_source_set_exit_on_failure(link->socket, true);
    r = sd_event_source_set_prepare(link->socket, on_prepare);
    if (r < 0)
        return r;
    r = sd_event_add_defer(loop, &link->failure, on_failure, link);
    if (r < 0)
        return r;
    (void)sd_event_source_set_enabled(link->failure, SD_EVENT_OFF);
    (void)sd_event_source_set_exit_on_failure(link->failure, true);
    r = loop_add_timer(loop, on_keepalive, link, &link->keepalive);
    if (r < 0)
        return r;
    loop_arm(link->keepalive, loop_now_us() + link->keepalive_check_us);
    return 0;
}

int link_new(sd_event *loop, const struct link_settings *settings, const char *address,
             uint16_t port, SSL_CTX *context, struct attempt *attempt,
             const struct link_calls *calls, struct link **ret) {
    CLEANUP(link_freep) struct link *link = calloc(1, sizeof(*link));
    int r;

    if (!link)
        return -ENOMEM;
    link->attempt = attempt;
    link->calls = *calls;
    link->keepalive_check_us = (uint64_t)settings->keepalive_s * 1000000 / 4;
    link->client = mosquitto_new(settings->client_id, true, link);
    if (!link->client)
        return -ENOMEM;
    r = configure(link, settings, context);
    if (r < 0)
        return r;
    r = begin_to_connect(link, address, port, settings->keepalive_s);
    if (r < 0)
        return r;
    r = watch(loop, link);
    if (r < 0)
        return r;
    *ret = link;
    link = NULL;
    return 0;
}

struct link *link_free(struct link *link) {
    if (!link)
        return NULL;
    (void)sd_event_source_disable_unref(link->socket);
    (void)sd_event_source_disable_unref(link->failure);
    (void)sd_event_source_disable_unref(link->keepalive);
    begin_io();
    mosquitto_destroy(link->client);
    free(link);
    return NULL;
}

int link_publish(struct link *link, const char *topic, const char *payload, size_t size,
                 bool retain, int *ret) {
    begin_io();
    if (mosquitto_publish(link->client, ret, topic, (int)size, payload, 1, retain) ==
        MOSQ_ERR_SUCCESS)
        return 0;
    (void)sd_event_source_set_enabled(link->failure, SD_EVENT_ONESHOT);
    return -ENOTCONN;
}

void link_disconnect(struct link *link) {
    begin_io();
    (void)mosquitto_disconnect(link->client);
    (void)mosquitto_loop_write(link->client, 1);
}
