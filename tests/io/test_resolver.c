/* SPDX-License-Identifier: MIT */
#include "io/resolver.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "folder.h"

static sd_event *loop;

static void set_up(void) {
    cr_assert_eq(sd_event_new(&loop), 0);
}

static void tear_down(void) {
    loop = sd_event_unref(loop);
}

TestSuite(resolver, .init = set_up, .fini = tear_down, .timeout = 30);

static atomic_bool server_hangs;
static atomic_uint asked;
static int server_error;

typedef int (*getaddrinfo_call)(const char *, const char *, const struct addrinfo *,
                                struct addrinfo **);

/* Stands before the C library's: names under .test have a server of the test's own. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **ret) {
    size_t length = strlen(node);
    getaddrinfo_call real;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (length < 5 || strcmp(node + length - 5, ".test") != 0)
        return real(node, service, hints, ret);
    atomic_fetch_add(&asked, 1);
    while (atomic_load(&server_hangs))
        (void)poll(NULL, 0, 1);
    errno = EIO;
    return server_error != 0 ? server_error : real("127.0.0.1", service, hints, ret);
}

struct answer {
    unsigned calls;
    struct addresses addresses;
    struct resolver *resolver;
    bool frees_itself;
};

static void on_answer(const struct addresses *addresses, void *userdata) {
    struct answer *answer = userdata;

    answer->calls++;
    if (answer->frees_itself)
        answer->resolver = resolver_free(answer->resolver);
    answer->addresses = *addresses; /* they outlive the resolver */
}

static void ask(const char *host, struct answer *answer) {
    cr_assert_eq(resolver_new(loop, host, on_answer, answer, &answer->resolver), 0);
    cr_expect_eq(answer->calls, 0, "never before it returns");
}

static void ask_and_wait(const char *host, struct answer *answer) {
    ask(host, answer);
    for (unsigned i = 0; i < 100 && answer->calls == 0; i++)
        cr_assert_geq(sd_event_run(loop, 100 * 1000), 0);
    cr_assert_eq(answer->calls, 1);
    answer->resolver = resolver_free(answer->resolver);
}

static bool has(const struct answer *answer, const char *address) {
    for (unsigned i = 0; i < answer->addresses.count; i++)
        if (strcmp(answer->addresses.text[i], address) == 0)
            return true;
    return false;
}

Test(resolver, an_address_is_its_own_answer) {
    struct answer answer = { 0 };

    ask_and_wait("127.0.0.1", &answer);
    cr_expect_eq(answer.addresses.error, 0);
    cr_expect_eq(answer.addresses.count, 1);
    cr_expect(has(&answer, "127.0.0.1"));
}

Test(resolver, an_address_of_version_6_too) {
    struct answer answer = { 0 };

    ask_and_wait("::1", &answer);
    cr_expect_eq(answer.addresses.error, 0);
    cr_expect_eq(answer.addresses.count, 1);
    cr_expect(has(&answer, "::1"));
}

Test(resolver, localhost_is_found_without_a_network) {
    struct answer answer = { 0 };

    ask_and_wait("localhost", &answer);
    cr_expect_eq(answer.addresses.error, 0);
    cr_expect(has(&answer, "127.0.0.1") || has(&answer, "::1"));
}

Test(resolver, what_is_no_name_has_an_error_and_no_address) {
    struct answer answer = { 0 };

    ask_and_wait("no such name", &answer);
    cr_expect_neq(answer.addresses.error, 0);
    cr_expect_eq(answer.addresses.count, 0);
}

Test(resolver, a_server_that_fails_is_told_with_its_error) {
    struct answer answer = { 0 };

    server_error = EAI_AGAIN;
    ask_and_wait("broker.test", &answer);
    cr_expect_eq(answer.addresses.error, EAI_AGAIN);
    cr_expect_eq(answer.addresses.count, 0);
}

Test(resolver, an_error_of_the_system_is_told_as_well) {
    struct answer answer = { 0 };

    server_error = EAI_SYSTEM;
    ask_and_wait("broker.test", &answer);
    cr_expect_eq(answer.addresses.error, EAI_SYSTEM);
    cr_expect_eq(answer.addresses.system_error, EIO);
}

Test(resolver, a_name_that_is_not_known_is_asked_for_without_a_network_too) {
    struct answer answer = { 0 };

    server_error = EAI_NONAME;
    ask_and_wait("broker.test", &answer);
    cr_expect_eq(answer.addresses.error, EAI_NONAME);
    cr_expect_eq(atomic_load(&asked), 2);
}

Test(resolver, may_be_freed_by_its_own_answer) {
    struct answer answer = { .frees_itself = true };

    ask_and_wait("127.0.0.1", &answer);
    cr_expect(has(&answer, "127.0.0.1"));
}

Test(resolver, a_dead_server_holds_up_nobody_and_answers_nobody_who_has_gone) {
    struct answer gone = { 0 };
    struct answer answer = { 0 };

    atomic_store(&server_hangs, true);
    ask("broker.test", &gone);
    cr_assert_eq(sd_event_run(loop, 20 * 1000), 0);
    gone.resolver = resolver_free(gone.resolver);
    ask_and_wait("127.0.0.1", &answer);
    atomic_store(&server_hangs, false);
    cr_assert_eq(sd_event_run(loop, 50 * 1000), 0);
    cr_expect_eq(gone.calls, 0);
    cr_expect_eq(answer.addresses.error, 0);
}

Test(resolver, many_in_a_row_leave_nothing_open) {
    unsigned files = folder_open_files();

    for (unsigned i = 0; i < 100; i++) {
        struct answer answer = { 0 };

        ask_and_wait("127.0.0.1", &answer);
    }
    for (unsigned ms = 0; ms < 1000 && folder_open_files() > files; ms++)
        (void)poll(NULL, 0, 1); /* the last threads end by themselves */
    cr_expect_leq(folder_open_files(), files);
}

Test(resolver, the_longest_name_is_taken_as_it_is) {
    struct answer answer = { 0 };
    char name[255];

    memset(name, 'a', sizeof(name));
    memcpy(name + sizeof(name) - 6, ".test", 6);
    for (size_t i = 60; i < sizeof(name) - 10; i += 61)
        name[i] = '.';
    ask_and_wait(name, &answer);
    cr_expect_eq(answer.addresses.error, 0, "it was cut");
    cr_expect_eq(atomic_load(&asked), 1);
}
