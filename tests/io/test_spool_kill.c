/* SPDX-License-Identifier: MIT */
#include "io/spool.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "../core/seed.h"
#include "spool_bench.h"

/* A daemon that is killed: a child of the test, at moments that nobody chose. */
TestSuite(spool_kill, .init = bench_make, .fini = bench_remove, .timeout = 60);

struct note {
    uint64_t number;
    uint64_t place;
    char prefix[ID_PREFIX_LENGTH + 1];
    bool is_acknowledged;
};

/* Appends, reads and acknowledges until it is killed; tells the parent what it has read, and what
 * it is about to acknowledge. */
static _Noreturn void live_and_be_killed(int pipe, uint64_t place, struct dice dice) {
    struct spooled rows[BENCH_ROWS];
    uint64_t sent = 0;

    if (sd_event_new(&bench_loop) < 0) /* a loop is not inherited */
        _exit(2);
    if (spool_new(bench_loop, &bench_settings, &bench_spool) < 0)
        _exit(2);
    for (;;) {
        int n;

        for (size_t i = dice_roll(&dice, 40); i > 0; i--) {
            struct reading reading = bench_reading(place++);

            spool_append(&reading, bench_spool);
        }
        (void)sd_event_run(bench_loop, 0);
        n = spool_read(bench_spool, sent, rows, BENCH_ROWS);
        for (int i = 0; i < n; i++) {
            struct note note = { .number = sent = rows[i].number };

            note.place = (uint64_t)rows[i].reading.quantities[0].scaled;
            note.is_acknowledged = dice_roll(&dice, 2) == 0;
            memcpy(note.prefix, rows[i].prefix, sizeof(note.prefix));
            if (write(pipe, &note, sizeof(note)) != (ssize_t)sizeof(note))
                _exit(3);
            if (note.is_acknowledged)
                spool_acknowledge(bench_spool, note.number);
        }
    }
}

/* What the child told: place of each number that it read, by number. */
struct ledger {
    struct note *notes;
    size_t size;
    uint64_t last;
};

static void take_note(struct ledger *ledger, const struct note *note) {
    if (note->number >= ledger->size) {
        size_t size = (size_t)note->number * 2 + 1000;

        ledger->notes = realloc(ledger->notes, size * sizeof(*ledger->notes));
        cr_assert_not_null(ledger->notes);
        memset(ledger->notes + ledger->size, 0, (size - ledger->size) * sizeof(*ledger->notes));
        ledger->size = size;
    }
    if (ledger->notes[note->number].number != 0) {
        cr_assert_eq(ledger->notes[note->number].place, note->place, "number %llu was given twice",
                     (unsigned long long)note->number);
        cr_assert_str_eq(ledger->notes[note->number].prefix, note->prefix);
    }
    ledger->notes[note->number] = *note;
    if (note->number > ledger->last)
        ledger->last = note->number;
}

/* Starts a child and kills it after a while that nobody chose. */
static void let_one_live(struct ledger *ledger, uint64_t place, struct dice *dice) {
    struct note note;
    int ends[2];
    int status;
    pid_t child;
    size_t life_us = 5000 + dice_roll(dice, 40000);
    struct dice its_dice = { dice_next(dice) };

    cr_assert_eq(pipe(ends), 0);
    child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)close(ends[0]);
        live_and_be_killed(ends[1], place, its_dice);
    }
    (void)close(ends[1]);
    /* Its life begins with the first reading: a slow machine must not kill it before that. */
    cr_assert_eq(read(ends[0], &note, sizeof(note)), (ssize_t)sizeof(note));
    take_note(ledger, &note);
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (size_t lived_us = 0; lived_us < life_us; lived_us += 1000) {
        while (read(ends[0], &note, sizeof(note)) == (ssize_t)sizeof(note))
            take_note(ledger, &note);
        (void)usleep(1000);
    }
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFSIGNALED(status), "it ended by itself with %d", WEXITSTATUS(status));
    while (read(ends[0], &note, sizeof(note)) == (ssize_t)sizeof(note))
        take_note(ledger, &note);
    (void)close(ends[0]);
}

/* Every reading that was accepted and not acknowledged is there, as it was, and nothing twice. */
static uint64_t expect_all_of(const struct ledger *ledger) {
    struct spooled rows[BENCH_ROWS];
    uint64_t after = 0;
    uint64_t places = 0;
    int n;

    bench_open();
    for (uint64_t number = 1; number <= ledger->last; number++) {
        const struct note *note = &ledger->notes[number];

        if (note->number == 0 || note->is_acknowledged)
            continue;
        cr_assert_eq(spool_read(bench_spool, number - 1, rows, 1), 1, "%llu is gone",
                     (unsigned long long)number);
        cr_assert_eq(rows[0].number, number, "%llu is gone", (unsigned long long)number);
        cr_assert_eq(bench_place(&rows[0]), note->place);
        cr_assert_str_eq(rows[0].prefix, note->prefix);
    }
    while ((n = spool_read(bench_spool, after, rows, BENCH_ROWS)) > 0)
        for (int i = 0; i < n; i++) {
            cr_assert_gt(rows[i].number, after);
            after = rows[i].number;
            if (bench_place(&rows[i]) >= places)
                places = bench_place(&rows[i]) + 1;
        }
    bench_abandon();
    return places;
}

Test(spool_kill, loses_nothing_accepted_and_gives_no_number_twice) {
    enum { LIVES = 10 };
    struct dice dice = dice_from_seed("loses_nothing_accepted_and_gives_no_number_twice");
    struct ledger ledger = { 0 };
    uint64_t place = 0;

    for (unsigned life = 0; life < LIVES; life++) {
        let_one_live(&ledger, place, &dice);
        place = expect_all_of(&ledger) + 100000;
    }
    cr_expect_gt(ledger.last, LIVES);
    for (uint64_t number = 1; number <= ledger.last; number++)
        if (ledger.notes[number].number != 0)
            cr_assert_str_eq(ledger.notes[number].prefix, ledger.notes[ledger.last].prefix,
                             "the same boot has the same prefix");
    free(ledger.notes);
}
