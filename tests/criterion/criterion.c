/* SPDX-License-Identifier: MIT */
#include "criterion/criterion.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SKIPPED = 77, LOOK_MS = 2 };

static struct criterion_test *tests;
static struct criterion_test **last = &tests;
static const struct criterion_options none;
static bool has_failed; /* in the process of a test */

void criterion_add(struct criterion_test *test) {
    *last = test;
    last = &test->next;
}

void criterion_failed(bool is_fatal, const char *file, int line, const char *claim,
                      const char *format, ...) {
    va_list arguments;

    (void)fprintf(stderr, "%s:%d: this does not hold: %s:", file, line, claim);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    has_failed = true;
    if (is_fatal)
        _exit(EXIT_FAILURE);
}

void criterion_skip(int unused, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    _exit(SKIPPED);
}

static const struct criterion_options *suite_options(const char *suite) {
    for (const struct criterion_test *test = tests; test; test = test->next)
        if (!test->name && strcmp(test->suite, suite) == 0)
            return &test->options;
    return &none;
}

static void run(const struct criterion_test *test, const struct criterion_options *suite,
                void *parameter) {
    if (suite->init)
        suite->init();
    if (test->options.init)
        test->options.init();
    if (parameter)
        test->run_with(parameter);
    else
        test->run();
    if (test->options.fini)
        test->options.fini();
    if (suite->fini)
        suite->fini();
    (void)fflush(NULL);
    _exit(has_failed ? EXIT_FAILURE : EXIT_SUCCESS);
}

static double now_s(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* An emulator is slow: SENSORGW_TEST_PATIENCE=10 waits ten times as long. */
static double patience(void) {
    const char *factor = getenv("SENSORGW_TEST_PATIENCE");

    return factor ? strtod(factor, NULL) : 1;
}

/* Returns the status of waitpid(2), or -1 when the time was up. */
static int wait_for(pid_t child, double timeout_s) {
    const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
    double deadline_s = now_s() + timeout_s;
    int status = 0;

    while (waitpid(child, &status, WNOHANG) == 0) {
        if (timeout_s > 0 && now_s() > deadline_s) {
            (void)kill(child, SIGKILL);
            (void)waitpid(child, &status, 0);
            return -1;
        }
        (void)nanosleep(&pause, NULL);
    }
    return status;
}

static bool judge(const struct criterion_test *test, size_t row, int status) {
    if (status == -1)
        (void)fprintf(stderr, "FAIL %s/%s [%zu]: not done in time\n", test->suite, test->name, row);
    else if (WIFSIGNALED(status))
        (void)fprintf(stderr, "FAIL %s/%s [%zu]: %s\n", test->suite, test->name, row,
                      strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == EXIT_SUCCESS || WEXITSTATUS(status) == SKIPPED)
        return true;
    else
        (void)fprintf(stderr, "FAIL %s/%s [%zu]\n", test->suite, test->name, row);
    return false;
}

static bool passes(const struct criterion_test *test, size_t row, void *parameter) {
    const struct criterion_options *suite = suite_options(test->suite);
    double timeout_s = test->options.timeout > 0 ? test->options.timeout : suite->timeout;
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    if (child == 0)
        run(test, suite, parameter);
    return child > 0 && judge(test, row, wait_for(child, timeout_s * patience()));
}

/* --filter SUITE/TEST, with * and ?: as Criterion has it; its other options are passed over. */
static const char *filter_of(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--filter") == 0)
            return argv[i + 1];
    return "*";
}

static bool is_wanted(const struct criterion_test *test, const char *filter) {
    char name[256];

    if (!test->name)
        return false; /* the options of a suite */
    (void)snprintf(name, sizeof(name), "%s/%s", test->suite, test->name);
    return fnmatch(filter, name, 0) == 0;
}

int main(int argc, char **argv) {
    const char *filter = filter_of(argc, argv);
    size_t count = 0;
    size_t failed = 0;

    for (const struct criterion_test *test = tests; test; test = test->next) {
        struct criterion_test_params rows = { .length = 1 };

        if (!is_wanted(test, filter))
            continue;
        if (test->parameters)
            rows = test->parameters();
        for (size_t i = 0; i < rows.length; i++) {
            void *row = rows.params ? (char *)rows.params + i * rows.size : NULL;

            count++;
            failed += !passes(test, i, row);
        }
    }
    (void)printf("%zu tests, %zu failed\n", count, failed);
    return count > 0 && failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
