/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * As much of Criterion as our tests use: for machines that Debian has no Criterion for (armhf), for
 * emulators, under which its workers cannot be started, and for AddressSanitizer, under which some
 * hang: they are forked out of a process with threads. `meson setup -Dcriterion=own`.
 *
 * The same words with the same meaning, so no test knows which of the two it runs on. Each test is
 * a process of its own.
 */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What -Wpedantic says of our words where they are used, clang only. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#pragma clang diagnostic ignored "-Wgnu-empty-initializer"
#endif

struct criterion_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* s; 0: that of the suite */
};

struct criterion_test_params {
    size_t size;
    void *params;
    size_t length;
};

struct criterion_test {
    const char *suite;
    const char *name; /* NULL: the options are the suite's */
    void (*run)(void);
    void (*run_with)(void *parameter);
    struct criterion_test_params (*parameters)(void);
    struct criterion_options options;
    struct criterion_test *next;
};

void criterion_add(struct criterion_test *test);

/* Notes the failure; ends the test if it is fatal. */
__attribute__((format(printf, 5, 6))) void criterion_failed(bool is_fatal, const char *file,
                                                            int line, const char *claim,
                                                            const char *format, ...);

__attribute__((format(printf, 2, 3), noreturn)) void criterion_skip(int unused, const char *format,
                                                                    ...);

#define CRITERION_ADD(id, ...)                                          \
    __attribute__((constructor)) static void criterion_add_##id(void) { \
        static struct criterion_test test = { __VA_ARGS__ };            \
        criterion_add(&test);                                           \
    }

#define Test(of_suite, of_name, ...)                                              \
    static void of_suite##_##of_name##_test(void);                                \
    CRITERION_ADD(of_suite##_##of_name, .suite = #of_suite, .name = #of_name,     \
                  .run = of_suite##_##of_name##_test, .options = { __VA_ARGS__ }) \
    static void of_suite##_##of_name##_test(void)

/* Its use ends in a semicolon, as a declaration does. */
#define TestSuite(of_suite, ...)                                                    \
    CRITERION_ADD(of_suite##_suite, .suite = #of_suite, .options = { __VA_ARGS__ }) \
    struct criterion_test

#define CRITERION_CHECK(is_fatal, holds, claim, ...)                                    \
    do {                                                                                \
        if (!(holds))                                                                   \
            criterion_failed((is_fatal), __FILE__, __LINE__, (claim), " " __VA_ARGS__); \
    } while (0)

#define CRITERION_COMPARE(is_fatal, a, operator, b, ...) \
    CRITERION_CHECK(is_fatal, (a) operator(b), #a " " #operator" " #b, ##__VA_ARGS__)

#define cr_skip_test(...) criterion_skip(0, " " __VA_ARGS__)

#define cr_assert_fail(...) CRITERION_CHECK(true, false, "this place is not reached", ##__VA_ARGS__)
#define cr_fail(...) cr_assert_fail(__VA_ARGS__)
#define cr_assert(a, ...) CRITERION_CHECK(true, (a), #a, ##__VA_ARGS__)
#define cr_assert_not(a, ...) CRITERION_CHECK(true, !(a), "not " #a, ##__VA_ARGS__)
#define cr_assert_null(a, ...) CRITERION_COMPARE(true, a, ==, NULL, ##__VA_ARGS__)
#define cr_assert_not_null(a, ...) CRITERION_COMPARE(true, a, !=, NULL, ##__VA_ARGS__)
#define cr_assert_eq(a, b, ...) CRITERION_COMPARE(true, a, ==, b, ##__VA_ARGS__)
#define cr_assert_neq(a, b, ...) CRITERION_COMPARE(true, a, !=, b, ##__VA_ARGS__)
#define cr_assert_lt(a, b, ...) CRITERION_COMPARE(true, a, <, b, ##__VA_ARGS__)
#define cr_assert_leq(a, b, ...) CRITERION_COMPARE(true, a, <=, b, ##__VA_ARGS__)
#define cr_assert_gt(a, b, ...) CRITERION_COMPARE(true, a, >, b, ##__VA_ARGS__)
#define cr_assert_geq(a, b, ...) CRITERION_COMPARE(true, a, >=, b, ##__VA_ARGS__)
#define cr_assert_str_eq(a, b, ...) \
    CRITERION_CHECK(true, strcmp((a), (b)) == 0, #a " is " #b, ##__VA_ARGS__)
#define cr_assert_str_neq(a, b, ...) \
    CRITERION_CHECK(true, strcmp((a), (b)) != 0, #a " is not " #b, ##__VA_ARGS__)
#define cr_assert_str_empty(a, ...) \
    CRITERION_CHECK(true, (a)[0] == '\0', #a " is empty", ##__VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) \
    CRITERION_CHECK(true, (a)[0] != '\0', #a " is not empty", ##__VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...) \
    CRITERION_CHECK(true, memcmp((a), (b), (size)) == 0, #a " has the bytes of " #b, ##__VA_ARGS__)
#define cr_assert_float_eq(a, b, slack, ...) \
    CRITERION_CHECK(true, fabs((a) - (b)) <= (slack), #a " is about " #b, ##__VA_ARGS__)

#define cr_expect_fail(...) \
    CRITERION_CHECK(false, false, "this place is not reached", ##__VA_ARGS__)
#define cr_expect(a, ...) CRITERION_CHECK(false, (a), #a, ##__VA_ARGS__)
#define cr_expect_not(a, ...) CRITERION_CHECK(false, !(a), "not " #a, ##__VA_ARGS__)
#define cr_expect_null(a, ...) CRITERION_COMPARE(false, a, ==, NULL, ##__VA_ARGS__)
#define cr_expect_not_null(a, ...) CRITERION_COMPARE(false, a, !=, NULL, ##__VA_ARGS__)
#define cr_expect_eq(a, b, ...) CRITERION_COMPARE(false, a, ==, b, ##__VA_ARGS__)
#define cr_expect_neq(a, b, ...) CRITERION_COMPARE(false, a, !=, b, ##__VA_ARGS__)
#define cr_expect_lt(a, b, ...) CRITERION_COMPARE(false, a, <, b, ##__VA_ARGS__)
#define cr_expect_leq(a, b, ...) CRITERION_COMPARE(false, a, <=, b, ##__VA_ARGS__)
#define cr_expect_gt(a, b, ...) CRITERION_COMPARE(false, a, >, b, ##__VA_ARGS__)
#define cr_expect_geq(a, b, ...) CRITERION_COMPARE(false, a, >=, b, ##__VA_ARGS__)
#define cr_expect_str_eq(a, b, ...) \
    CRITERION_CHECK(false, strcmp((a), (b)) == 0, #a " is " #b, ##__VA_ARGS__)
#define cr_expect_str_neq(a, b, ...) \
    CRITERION_CHECK(false, strcmp((a), (b)) != 0, #a " is not " #b, ##__VA_ARGS__)
#define cr_expect_str_empty(a, ...) \
    CRITERION_CHECK(false, (a)[0] == '\0', #a " is empty", ##__VA_ARGS__)
#define cr_expect_str_not_empty(a, ...) \
    CRITERION_CHECK(false, (a)[0] != '\0', #a " is not empty", ##__VA_ARGS__)
#define cr_expect_arr_eq(a, b, size, ...) \
    CRITERION_CHECK(false, memcmp((a), (b), (size)) == 0, #a " has the bytes of " #b, ##__VA_ARGS__)
#define cr_expect_float_eq(a, b, slack, ...) \
    CRITERION_CHECK(false, fabs((a) - (b)) <= (slack), #a " is about " #b, ##__VA_ARGS__)
