/* SPDX-License-Identifier: MIT */
#include "io/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/job.h"

struct question {
    char host[256];
    struct addresses answer;
};

struct resolver {
    struct job *job;
    void (*done)(const struct addresses *addresses, void *userdata);
    void *userdata;
};

static void add(struct addresses *answer, const struct addrinfo *info) {
    if (answer->count < RESOLVER_ADDRESSES &&
        getnameinfo(info->ai_addr, info->ai_addrlen, answer->text[answer->count],
                    RESOLVER_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0)
        answer->count++;
}

/* An address answers at once, a name when its server does: both on the thread, for one way through.
 */
static void run(void *data) {
    struct question *question = data;
    struct addresses *answer = &question->answer;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *list = NULL;

    answer->error = getaddrinfo(question->host, NULL, &hints, &list);
    if (answer->error == EAI_NONAME || answer->error == EAI_ADDRFAMILY) {
        hints.ai_flags = 0; /* loopback on a machine without a network: AI_ADDRCONFIG hides it */
        answer->error = getaddrinfo(question->host, NULL, &hints, &list);
    }
    answer->system_error = answer->error == EAI_SYSTEM ? errno : 0;
    if (answer->error != 0)
        return;
    for (const struct addrinfo *info = list; info; info = info->ai_next)
        add(answer, info);
    freeaddrinfo(list);
}

static void on_done(void *data, void *userdata) {
    struct resolver *resolver = userdata;
    struct question *question = data;
    struct addresses answer = question->answer;

    resolver->done(&answer, resolver->userdata);
}

int resolver_new(sd_event *loop, const char *host,
                 void (*done)(const struct addresses *addresses, void *userdata), void *userdata,
                 struct resolver **ret) {
    static const struct job_calls calls = { run, free, on_done };
    CLEANUP(resolver_freep) struct resolver *resolver = calloc(1, sizeof(*resolver));
    struct question *question = calloc(1, sizeof(*question));
    int r;

    if (!resolver || !question) {
        free(question);
        return -ENOMEM;
    }
    (void)snprintf(question->host, sizeof(question->host), "%s", host);
    resolver->done = done;
    resolver->userdata = userdata;
    r = job_new(loop, &calls, question, resolver, &resolver->job);
    if (r < 0) {
        free(question);
        return r;
    }
    *ret = resolver;
    resolver = NULL;
    return 0;
}

struct resolver *resolver_free(struct resolver *resolver) {
    if (!resolver)
        return NULL;
    (void)job_free(resolver->job);
    free(resolver);
    return NULL;
}
