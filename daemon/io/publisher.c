/* SPDX-License-Identifier: MIT */
#include "io/publisher_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/catalogue.h"
#include "io/log.h"
#include "io/loop.h"

enum { CAP_FOR_A_PERSON_MS = 300 * 1000 };

static const uint64_t second_us = 1000000;
static const uint64_t short_life_us = 5 * second_us;
static const uint64_t state_refused_for_us = 3600 * second_us;

static const struct broker_settings *broker_of(const struct publisher *publisher) {
    return &publisher->settings->brokers[publisher->broker];
}

static struct memory *memory_of(struct publisher *publisher) {
    return &publisher->memories[publisher->broker];
}

/* ---- who we are ---- */

static int take_name(struct publisher *publisher, const char *name) {
    (void)snprintf(publisher->gateway, sizeof(publisher->gateway), "%s", name);
    (void)snprintf(publisher->client_id, sizeof(publisher->client_id), "sensorgw-%s", name);
    return topic_render(TOPIC_GATEWAY_STATE, publisher->gateway, "", publisher->state_topic,
                        sizeof(publisher->state_topic));
}

/* The certificate may come, or be another, while we run. */
static void find_name(struct publisher *publisher) {
    const struct publisher_settings *settings = publisher->settings;
    char name[NAME_MAX_LENGTH + 1];

    if (settings->gateway || !settings->tls.certificate)
        return;
    if (tls_read_common_name(settings->tls.certificate, name, sizeof(name)) == 0 &&
        name_is_valid(name))
        (void)take_name(publisher, name);
}

/* ---- what went wrong, said once per change ---- */

static void log_loss(const struct diagnosis *diagnosis, const char *broker, uint64_t wait_us) {
    char entry[DIAGNOSIS_SENTENCE_SIZE + DIAGNOSIS_CURE_SIZE + 64];
    int n = snprintf(entry, sizeof(entry), "%s. %s", diagnosis->sentence, diagnosis->cure);

    if (wait_us > 0)
        (void)snprintf(entry + n, sizeof(entry) - (size_t)n, " Next try in %.1f s.",
                       (double)wait_us / (double)second_us);
    log_warning(0, entry, { "CAUSE", cause_name(diagnosis->cause) }, { "BROKER", broker });
}

static void log_recovery(struct publisher *publisher) {
    const struct attempt *attempt = &publisher->attempt;
    /* As loud as the failure that it ends: whoever saw the one must not miss the other. */
    int priority = publisher->diagnosis.cause == CAUSE_NONE ? LOG_INFO : LOG_WARNING;

    (void)log_emit(
        priority, 0, "connected",
        LOG_FIELDS({ "EVENT", EVENT_CONNECTED }, { "BROKER", attempt->broker },
                   { "ADDRESS", attempt->address }, { "TLS", attempt->version },
                   { "CIPHER", attempt->cipher }, { "GATEWAY", publisher->gateway },
                   { "FAILURES", LOG_NUMBER((long long)memory_of(publisher)->failures) }));
}

/* ---- one attempt ---- */

static void begin_attempt(struct publisher *publisher) {
    attempt_begin(&publisher->attempt, publisher->settings, broker_of(publisher),
                  publisher->gateway);
    publisher->attempt.short_lives = publisher->short_lives;
}

void publisher_drop_link(struct publisher *publisher) {
    publisher->resolver = resolver_free(publisher->resolver);
    publisher->link = link_free(publisher->link);
    publisher->in_flight.count = 0;
    publisher->wants_renewal = false;
    publisher->is_renewing = false;
    publisher->sent = 0; /* the next connection begins with the oldest that is not acknowledged */
    publisher->state_message = LINK_NO_MESSAGE;
    spool_set_link(publisher->spool, false);
}

/* A connection that was accepted starts a new round when it ends; one that was not goes on in this
 * one. */
static enum uplink_event event_of_loss(struct publisher *publisher, bool broker_is_done) {
    if (is_established(publisher->state))
        return UPLINK_LOST_ROUND;
    if (!broker_is_done && publisher->address + 1 < publisher->addresses.count) {
        publisher->address++;
        return UPLINK_LOST_ADDRESS;
    }
    if (publisher->broker + 1 < publisher->settings->broker_count) {
        publisher->broker++;
        return UPLINK_LOST_BROKER;
    }
    return UPLINK_LOST_ROUND;
}

/* What has no answer names the topic that the broker may refuse; one that it has taken on this
 * connection it does not refuse. */
static void note_unanswered(struct publisher *publisher) {
    struct attempt *attempt = &publisher->attempt;

    if (publisher->state == UPLINK_ANNOUNCING) {
        attempt->unacknowledged = publisher->state_message != LINK_NO_MESSAGE;
        (void)snprintf(attempt->topic, sizeof(attempt->topic), "%s", publisher->state_topic);
    } else {
        attempt->unacknowledged =
            publisher->has_delivered ? 0 : (unsigned)publisher->in_flight.count;
        (void)topic_render(publisher->settings->topic, publisher->gateway, "+", attempt->topic,
                           sizeof(attempt->topic));
    }
}

/* A broker that ends connections over the state must still get the readings. */
static void judge_the_state_topic(struct publisher *publisher) {
    enum cause cause = publisher->diagnosis.cause;

    if (publisher->state == UPLINK_ANNOUNCING &&
        (cause == CAUSE_PUBLISH_FORBIDDEN || cause == CAUSE_PUBACK_TIMEOUT))
        publisher->state_refused_until_us = loop_now_us() + state_refused_for_us;
}

static void judge(struct publisher *publisher, bool broker_is_done) {
    struct failure failure = { .phase = publisher->attempt.phase };

    if (is_established(publisher->state)) {
        bool was_short = loop_now_us() - publisher->accepted_us < short_life_us;

        note_unanswered(publisher);
        publisher->short_lives =
            was_short && publisher->attempt.farewell ? publisher->short_lives + 1 : 0;
        publisher->attempt.short_lives = publisher->short_lives;
    }
    diagnose(&publisher->attempt, &failure.diagnosis);
    if (broker_is_done || publisher->address == 0 || failure.phase >= publisher->furthest.phase)
        publisher->furthest = failure;
}

static uint64_t wait_us(const struct publisher *publisher) {
    uint64_t now_us = loop_now_us();

    return publisher->next_attempt_us > now_us ? publisher->next_attempt_us - now_us : 0;
}

static void lose_broker(struct publisher *publisher, struct memory *memory,
                        enum uplink_event event) {
    struct diagnosis diagnosis = publisher->furthest.diagnosis;
    char broker[FACTS_LIST_SIZE];

    memcpy(broker, publisher->attempt.broker, sizeof(broker));
    publisher->diagnosis = diagnosis;
    judge_the_state_topic(publisher);
    publisher_drop_link(publisher);
    publisher_step(publisher, event);
    if (diagnosis.cause != memory->cause && publisher->state != UPLINK_STOPPED)
        log_loss(&diagnosis, broker, wait_us(publisher));
    memory->failures++;
    memory->cause = diagnosis.cause;
    publisher->calls.on_change(publisher->calls.userdata);
}

/* All failures end here: judged, said if it is news, and the next step taken. */
static void lose(struct publisher *publisher, bool broker_is_done) {
    struct memory *memory = memory_of(publisher);
    enum uplink_event event;

    judge(publisher, broker_is_done);
    event = event_of_loss(publisher, broker_is_done);
    if (event != UPLINK_LOST_ADDRESS) {
        lose_broker(publisher, memory, event);
        return;
    }
    publisher_drop_link(publisher);
    publisher_step(publisher, event);
}

static void on_resolved(const struct addresses *addresses, void *userdata) {
    struct publisher *publisher = userdata;

    publisher->resolver = resolver_free(publisher->resolver);
    if (addresses->error != 0 || addresses->count == 0) {
        attempt_note_unresolved(&publisher->attempt, addresses);
        lose(publisher, true);
        return;
    }
    publisher->addresses = *addresses;
    publisher->address = 0;
    publisher_step(publisher, UPLINK_RESOLVED);
}

static void resolve(struct publisher *publisher) {
    if (publisher->next_attempt_us > 0)
        publisher->broker = 0; /* every round starts at the first */
    publisher->next_attempt_us = 0;
    find_name(publisher);
    begin_attempt(publisher);
    publisher->attempt.phase = ATTEMPT_RESOLVE;
    if (resolver_new(publisher->loop, broker_of(publisher)->host, on_resolved, publisher,
                     &publisher->resolver) < 0) {
        (void)snprintf(publisher->attempt.detail, sizeof(publisher->attempt.detail), "no memory");
        loop_arm(publisher->timer, loop_now_us());
    }
}

/* ---- connecting ---- */

static void on_link_event(enum link_event event, void *userdata);

static int try_to_connect(struct publisher *publisher) {
    const struct publisher_settings *settings = publisher->settings;
    struct link_calls calls = { on_link_event, publisher_on_acknowledged, publisher_on_idle,
                                publisher };
    char password[ATTEMPT_PASSWORD_SIZE];
    struct link_settings link = {
        .client_id = publisher->client_id,
        .username = settings->username,
        .password = settings->password_file ? password : NULL,
        .keepalive_s = settings->keepalive_s,
        .window = settings->window,
        .will_topic = publisher->state_topic,
        .will = PUBLISHER_OFFLINE,
    };
    struct tls *tls;
    int r = credentials_take(publisher->credentials, publisher->broker, broker_of(publisher)->name,
                             &publisher->attempt, &tls);

    if (r == 0)
        r = attempt_read_password(&publisher->attempt, settings->password_file, password);
    if (r == 0)
        r = link_new(publisher->loop, &link, publisher->addresses.text[publisher->address],
                     broker_of(publisher)->port, tls_context(tls), &publisher->attempt, &calls,
                     &publisher->link);
    explicit_bzero(password, sizeof(password));
    return r;
}

static void connect_to_address(struct publisher *publisher) {
    struct attempt *attempt = &publisher->attempt;

    begin_attempt(publisher);
    (void)snprintf(attempt->address, sizeof(attempt->address), "%s",
                   publisher->addresses.text[publisher->address]);
    if (try_to_connect(publisher) < 0)
        lose(publisher, attempt->local != CAUSE_NONE);
}

static void go_online(struct publisher *publisher) {
    publisher->attempt.phase = ATTEMPT_ONLINE;
    log_recovery(publisher);
    publisher->diagnosis = (struct diagnosis){ .cause = CAUSE_NONE };
    *memory_of(publisher) = (struct memory){ .cause = CAUSE_NONE };
    credentials_note_session(publisher->credentials, publisher->broker, &publisher->attempt);
    spool_set_link(publisher->spool, true);
    publisher->calls.on_change(publisher->calls.userdata);
    if (publisher->wants_renewal)
        publisher_on_renewed(publisher);
}

static void on_link_event(enum link_event event, void *userdata) {
    struct publisher *publisher = userdata;

    switch (event) {
    case LINK_CONNECTED:
        publisher_step(publisher, UPLINK_CONNECTED);
        break;
    case LINK_SECURED:
        publisher_step(publisher, UPLINK_SECURED);
        break;
    case LINK_ACCEPTED:
        publisher_step(publisher, UPLINK_ACCEPTED);
        break;
    case LINK_LOST:
        lose(publisher, false);
        break;
    }
}

/* ---- the state machine's hands ---- */

static void back_off(struct publisher *publisher) {
    const struct publisher_settings *settings = publisher->settings;
    uint64_t delay_ms;

    publisher->backoff.cap_ms = settings->reconnect_max_ms;
    if (cause_needs_a_person(publisher->diagnosis.cause) &&
        settings->reconnect_max_ms < CAP_FOR_A_PERSON_MS)
        publisher->backoff.cap_ms = CAP_FOR_A_PERSON_MS;
    delay_ms = backoff_next_ms(&publisher->backoff);
    publisher->next_attempt_us = loop_now_us() + delay_ms * 1000;
    loop_arm(publisher->timer, publisher->next_attempt_us);
}

static uint64_t deadline_of(const struct publisher_settings *settings, enum uplink_state state) {
    switch (state) {
    case UPLINK_RESOLVING:
        return settings->resolve_us;
    case UPLINK_CONNECTING:
        return settings->connect_us;
    case UPLINK_SECURING:
        return settings->tls_us;
    case UPLINK_GREETING:
        return settings->connack_us;
    case UPLINK_ANNOUNCING:
        return settings->puback_us;
    case UPLINK_DOWN:
    case UPLINK_ONLINE:
    case UPLINK_WAITING:
    case UPLINK_CLOSING:
    case UPLINK_STOPPED:
        break;
    }
    return 0;
}

void publisher_step(struct publisher *publisher, enum uplink_event event) {
    struct uplink_step next = uplink_next(publisher->state, event);
    uint64_t deadline_us = deadline_of(publisher->settings, next.next);

    if (next.action == UPLINK_NOTHING)
        return;
    publisher->state = next.next;
    if (deadline_us > 0)
        loop_arm(publisher->timer, loop_now_us() + deadline_us);
    else
        loop_disarm(publisher->timer);
    switch (next.action) {
    case UPLINK_NOTHING:
    case UPLINK_AWAIT:
        break;
    case UPLINK_RESOLVE:
        resolve(publisher);
        break;
    case UPLINK_CONNECT:
        connect_to_address(publisher);
        break;
    case UPLINK_ANNOUNCE:
        publisher_greet(publisher);
        break;
    case UPLINK_DRAIN:
        go_online(publisher);
        break;
    case UPLINK_BACK_OFF:
        back_off(publisher);
        break;
    case UPLINK_CLOSE:
        publisher_begin_farewell(publisher);
        break;
    case UPLINK_FINISH:
        publisher_finish(publisher);
        break;
    }
}

static int on_timer(sd_event_source *source, uint64_t due_us, void *userdata) {
    struct publisher *publisher = userdata;

    switch (publisher->state) {
    case UPLINK_WAITING:
        publisher_step(publisher, UPLINK_TIMER);
        break;
    case UPLINK_CLOSING:
        publisher_step(publisher, UPLINK_CLOSED);
        break;
    case UPLINK_ONLINE:
        if (publisher->is_renewing) {
            publisher_renew(publisher);
            break;
        }
        if (!awaits_answer(publisher))
            break; /* all is acknowledged: the next publish arms it again */
        if (loop_now_us() < publisher->progress_us + publisher->settings->puback_us) {
            loop_arm(publisher->timer, publisher->progress_us + publisher->settings->puback_us);
            break;
        }
        publisher->attempt.timed_out = true;
        lose(publisher, false);
        break;
    case UPLINK_RESOLVING:
    case UPLINK_CONNECTING:
    case UPLINK_SECURING:
    case UPLINK_GREETING:
    case UPLINK_ANNOUNCING:
        publisher->attempt.timed_out = true;
        lose(publisher, publisher->state == UPLINK_RESOLVING);
        break;
    case UPLINK_DOWN:
    case UPLINK_STOPPED:
        break;
    }
    return 0;
}

/* ---- the life of a publisher ---- */

int publisher_new(sd_event *loop, const struct publisher_settings *settings, struct spool *spool,
                  const struct publisher_calls *calls, struct publisher **ret) {
    CLEANUP(publisher_freep) struct publisher *publisher = calloc(1, sizeof(*publisher));
    struct credentials_settings files = { &settings->tls, settings->broker_count };
    struct credentials_calls renewed = { publisher_on_renewed, publisher };
    int r;

    if (!publisher)
        return -ENOMEM;
    publisher->settings = settings;
    publisher->spool = spool;
    publisher->loop = loop;
    publisher->calls = *calls;
    publisher->state_message = LINK_NO_MESSAGE;
    publisher->backoff.base_ms = settings->reconnect_min_ms;
    if (getrandom(&publisher->backoff.random, sizeof(publisher->backoff.random), 0) < 0)
        return -errno;
    publisher->memories = calloc(settings->broker_count, sizeof(*publisher->memories));
    if (!publisher->memories)
        return -ENOMEM;
    r = credentials_new(loop, &files, &renewed, &publisher->credentials);
    if (r < 0)
        return r;
    r = loop_add_timer(loop, on_timer, publisher, &publisher->timer);
    if (r < 0)
        return r;
    r = take_name(publisher, settings->gateway ? settings->gateway : settings->fallback_gateway);
    if (r < 0)
        return r;
    find_name(publisher);
    *ret = publisher;
    publisher = NULL;
    return 0;
}

struct publisher *publisher_free(struct publisher *publisher) {
    if (!publisher)
        return NULL;
    (void)resolver_free(publisher->resolver);
    (void)link_free(publisher->link);
    free(publisher->memories);
    (void)credentials_free(publisher->credentials);
    (void)sd_event_source_disable_unref(publisher->timer);
    free(publisher);
    return NULL;
}

void publisher_start(struct publisher *publisher) {
    publisher_step(publisher, UPLINK_START);
}

void publisher_was_failing(struct publisher *publisher, enum cause cause) {
    publisher->diagnosis.cause = cause;
}

void publisher_retry(struct publisher *publisher) {
    publisher->state_refused_until_us = 0;
    if (publisher->link && credentials_renew(publisher->credentials, publisher->broker))
        publisher_on_renewed(publisher);
    publisher_step(publisher, UPLINK_RETRY);
}

void publisher_stop(struct publisher *publisher, void (*done)(void *userdata), void *userdata) {
    publisher->stopped = done;
    publisher->stopped_userdata = userdata;
    publisher->state_is_stale = true;
    publisher_step(publisher, UPLINK_STOP);
}

void publisher_announce(struct publisher *publisher) {
    publisher->state_is_stale = true;
}

bool publisher_is_online(const struct publisher *publisher) {
    return publisher->state == UPLINK_ONLINE;
}

const char *publisher_gateway(const struct publisher *publisher) {
    return publisher->gateway;
}

void publisher_describe(const struct publisher *publisher, struct link_status *ret) {
    const struct attempt *attempt = &publisher->attempt;

    *ret = (struct link_status){
        .state = publisher->state,
        .cause = publisher->diagnosis.cause,
        .next_attempt_us = publisher->next_attempt_us,
        .published = publisher->published,
    };
    (void)snprintf(ret->broker, sizeof(ret->broker), "%s", attempt->broker);
    (void)snprintf(ret->sentence, sizeof(ret->sentence), "%s", publisher->diagnosis.sentence);
    if (is_established(publisher->state)) {
        (void)snprintf(ret->tls, sizeof(ret->tls), "%s", attempt->version);
        (void)snprintf(ret->cipher, sizeof(ret->cipher), "%s", attempt->cipher);
    }
    ret->has_certificate = credentials_days_left(publisher->credentials, publisher->broker,
                                                 &ret->certificate_days_left);
}
