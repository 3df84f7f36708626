/* SPDX-License-Identifier: MIT */
#include "io/job.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "folder.h"
#include "threads.h"

static sd_event *loop;

static void set_up(void) {
    cr_assert_eq(sd_event_new(&loop), 0);
}

static void tear_down(void) {
    loop = sd_event_unref(loop);
}

TestSuite(job, .init = set_up, .fini = tear_down, .timeout = 30);

/* What a job of these tests works on; it is the test's own, so that it can be looked at. */
struct work {
    atomic_bool may_end;
    atomic_bool has_begun;
    pthread_t thread;
    sigset_t blocked;
    unsigned answer;
    atomic_uint releases;
    unsigned done;
    struct job *job;
    bool frees_itself;
};

static void run(void *data) {
    struct work *work = data;

    work->thread = pthread_self();
    (void)pthread_sigmask(SIG_SETMASK, NULL, &work->blocked);
    atomic_store(&work->has_begun, true);
    while (!atomic_load(&work->may_end))
        (void)poll(NULL, 0, 1);
    work->answer = 42;
}

static void release(void *data) {
    struct work *work = data;

    atomic_fetch_add(&work->releases, 1);
}

static void done(void *data, void *userdata) {
    struct work *work = data;

    cr_assert_eq(userdata, loop);
    work->done++;
    if (work->frees_itself)
        work->job = job_free(work->job);
}

static const struct job_calls calls = { run, release, done };

static void start(struct work *work) {
    cr_assert_eq(job_new(loop, &calls, work, loop, &work->job), 0);
}

static void turn_until_done(struct work *work) {
    for (unsigned i = 0; i < 100 && work->done == 0; i++)
        cr_assert_geq(sd_event_run(loop, 100 * 1000), 0);
    cr_assert_eq(work->done, 1);
}

/* Waits for what a thread does by itself. */
static void wait_for_release(struct work *work) {
    for (unsigned i = 0; i < 5000 && atomic_load(&work->releases) == 0; i++)
        (void)poll(NULL, 0, 1);
    cr_assert_eq(atomic_load(&work->releases), 1);
}

Test(job, runs_on_a_thread_of_its_own_and_answers_on_the_loop) {
    struct work work = { .may_end = true };

    start(&work);
    turn_until_done(&work);
    cr_expect_eq(work.answer, 42);
    cr_expect_not(pthread_equal(work.thread, pthread_self()));
    work.job = job_free(work.job);
    wait_for_release(&work);
}

Test(job, answers_once) {
    struct work work = { .may_end = true };

    start(&work);
    turn_until_done(&work);
    for (unsigned i = 0; i < 3; i++)
        cr_assert_geq(sd_event_run(loop, 5 * 1000), 0);
    cr_expect_eq(work.done, 1);
    work.job = job_free(work.job);
    wait_for_release(&work);
}

Test(job, may_be_freed_by_its_own_answer) {
    struct work work = { .may_end = true, .frees_itself = true };

    start(&work);
    turn_until_done(&work);
    cr_expect_null(work.job);
    wait_for_release(&work);
}

Test(job, does_not_hold_up_the_loop) {
    struct work work = { .may_end = false };

    start(&work);
    for (unsigned i = 0; i < 10; i++)
        cr_assert_eq(sd_event_run(loop, 1000), 0);
    cr_expect_eq(work.done, 0);
    atomic_store(&work.may_end, true);
    turn_until_done(&work);
    work.job = job_free(work.job);
    wait_for_release(&work);
}

Test(job, freed_before_it_ends_it_ends_alone_and_answers_nobody) {
    struct work work = { .may_end = false };

    start(&work);
    work.job = job_free(work.job);
    (void)poll(NULL, 0, 20);
    cr_expect_eq(atomic_load(&work.releases), 0, "the thread still works on it");
    atomic_store(&work.may_end, true);
    wait_for_release(&work);
    cr_assert_eq(sd_event_run(loop, 20 * 1000), 0);
    cr_expect_eq(work.done, 0);
}

Test(job, freed_after_it_ended_and_before_it_answered_it_answers_nobody) {
    struct work work = { .may_end = true };

    start(&work);
    while (!atomic_load(&work.has_begun))
        (void)poll(NULL, 0, 1);
    (void)poll(NULL, 0, 20);
    work.job = job_free(work.job);
    cr_assert_eq(sd_event_run(loop, 20 * 1000), 0);
    cr_expect_eq(work.done, 0);
    wait_for_release(&work);
}

Test(job, outlives_the_loop) {
    struct work work = { .may_end = false };

    start(&work);
    work.job = job_free(work.job);
    loop = sd_event_unref(loop);
    atomic_store(&work.may_end, true);
    wait_for_release(&work);
}

Test(job, leaves_all_signals_to_the_loop) {
    static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGALRM };
    struct work work = { .may_end = true };
    sigset_t here;

    start(&work);
    turn_until_done(&work);
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
        cr_expect_eq(sigismember(&work.blocked, signals[i]), 1, "signal %d", signals[i]);
    cr_assert_eq(pthread_sigmask(SIG_SETMASK, NULL, &here), 0);
    cr_expect_eq(sigismember(&here, SIGUSR1), 0, "the loop keeps its own");
    work.job = job_free(work.job);
    wait_for_release(&work);
}

Test(job, many_in_a_row_leave_nothing_behind) {
    enum { MANY = 300 };
    unsigned files = folder_open_files();
    unsigned before = threads_count();

    for (unsigned i = 0; i < MANY; i++) {
        struct work work = { .may_end = true };

        start(&work);
        if (i % 3 > 0)
            turn_until_done(&work);
        work.job = job_free(work.job);
        wait_for_release(&work);
    }
    cr_expect(threads_wait_for(before));
    cr_expect_eq(folder_open_files(), files);
}

Test(job, that_cannot_be_made_leaves_its_data_to_the_caller) {
    struct work work = { .may_end = true };
    struct rlimit limit;

    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 0; /* no file more */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_eq(job_new(loop, &calls, &work, loop, &work.job), -EMFILE);
    limit.rlim_cur = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_null(work.job);
    cr_expect_eq(atomic_load(&work.releases), 0);
    cr_expect_not(atomic_load(&work.has_begun));
}

static void run_deep(void *data) {
    char local[64 * 1024];

    memset(local, 1, sizeof(local));
    *(volatile char *)data = local[sizeof(local) / 2];
}

static void done_deep(void *data, void *userdata) {
    *(bool *)userdata = true;
}

Test(job, has_stack_enough_for_a_name_server) {
    static const struct job_calls deep = { run_deep, NULL, done_deep };
    char data = 0;
    bool is_done = false;
    struct job *job = NULL;

    cr_assert_eq(job_new(loop, &deep, &data, &is_done, &job), 0);
    for (unsigned i = 0; i < 100 && !is_done; i++)
        cr_assert_geq(sd_event_run(loop, 100 * 1000), 0);
    cr_expect(is_done);
    cr_expect_eq(data, 1);
    job = job_free(job);
}
