/* SPDX-License-Identifier: MIT */

/* Sensors that hang on this machine itself: where they are, who has them, and what they answer. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/place.h"
#include "io/gpio_line.h"
#include "io/loop.h"
#include "io/probe.h"

#define ANSWER_US UINT64_C(5000000) /* a driver of the kernel may take a second for each file */
#define PAUSE_US UINT64_C(2200000)  /* a DHT11 must not be asked sooner again */

enum { QUESTIONS = 4 };

struct question {
    sd_event *loop;
    bool is_answered;
    struct probe_answer answer;
};

static void on_answer(const struct probe_answer *answer, void *userdata) {
    struct question *question = userdata;

    question->answer = *answer;
    question->is_answered = true;
}

/* Turns the loop until there is an answer, or for so long. */
static void turn(const struct question *question, uint64_t us) {
    uint64_t end_us = loop_now_us() + us;
    uint64_t now_us;

    while (!question->is_answered && (now_us = loop_now_us()) < end_us)
        if (sd_event_run(question->loop, end_us - now_us) < 0)
            return;
}

static void rest(const struct question *question) {
    const struct question nobody = { .loop = question->loop };

    turn(&nobody, PAUSE_US);
}

/* A failed read is normal for a DHT11: only several are worth a word. And what it answers first it
 * measured when it was asked before, whenever that was. */
static int ask(const struct probe_driver *driver, const struct source_settings *source,
               struct question *question) {
    void *probe = NULL;
    int r = driver->start(question->loop, source, on_answer, question, &probe);

    if (r < 0)
        return r;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        if (i > 0)
            rest(question);
        question->is_answered = false;
        driver->ask(probe);
        turn(question, ANSWER_US);
        if (!question->is_answered || question->answer.error < 0)
            break;
        if (i > 0 && !question->answer.failure)
            break;
    }
    driver->stop(probe);
    return question->is_answered ? question->answer.error : -ETIMEDOUT;
}

static void tell_denied(const struct check *check, const struct source_settings *source,
                        enum direct_kind kind) {
    if (!eyes_can_judge(&check->eyes)) {
        findings_add(check->findings, source->name, VERDICT_HIDDEN, CAUSE_NONE,
                     "%s is not open to you", source->place);
        findings_cure(check->findings, "sudo sensorgw check looks with the service's eyes");
        return;
    }
    findings_add(check->findings, source->name, VERDICT_ERROR, CAUSE_DEVICE_DENIED,
                 "%s may not be opened by %s", source->place, eyes_owner(&check->eyes));
    findings_cure(check->findings, "%s", direct_place_cure(kind, CAUSE_DEVICE_DENIED));
}

static void tell_busy(const struct check *check, const struct source_settings *source) {
    struct gpio_place place = { .consumer = "" };
    bool is_known =
        gpio_line_find(source->chip, source->line, &place) == 0 && place.consumer[0] != '\0';
    char consumer[PRINTABLE_SIZE] = "somebody";

    if (is_known)
        printable_string(place.consumer, consumer);
    findings_add(check->findings, source->name, VERDICT_ERROR, CAUSE_DEVICE_BUSY,
                 "%s is used by %s", source->place, consumer);
    findings_cure(check->findings, "%s", direct_place_cure(DIRECT_GPIO, CAUSE_DEVICE_BUSY));
}

static void tell_trouble(const struct check *check, const struct source_settings *source,
                         enum direct_kind kind, int error) {
    switch (-error) {
    case EACCES:
    case EPERM:
        tell_denied(check, source, kind);
        return;
    case EBUSY:
        tell_busy(check, source);
        return;
    case ETIMEDOUT:
        findings_add(check->findings, source->name, VERDICT_ERROR, CAUSE_NODE_SILENT,
                     "%s: the kernel's driver does not return from a read", source->place);
        findings_cure(check->findings, "is the sensor's bus stuck? switch its power off and on");
        return;
    default:
        findings_add(check->findings, source->name, VERDICT_ERROR, CAUSE_DEVICE_ABSENT,
                     "%s is not there: %s", source->place, strerror(-error));
        findings_cure(check->findings, "%s", direct_place_cure(kind, CAUSE_DEVICE_ABSENT));
    }
}

static void tell_answer(const struct check *check, const struct source_settings *source,
                        enum direct_kind kind, const struct probe_answer *answer) {
    char values[READING_TEXT_SIZE];

    if (!answer->failure) {
        place_render_values(&answer->reading, values, sizeof(values));
        findings_add(check->findings, source->name, VERDICT_OK, CAUSE_NONE, "%s: %s", source->place,
                     values);
        return;
    }
    findings_add(check->findings, source->name, VERDICT_ERROR, CAUSE_SENSOR_FAILING,
                 "%s: %s (%s%s%s)", source->place, direct_error_meaning(kind, answer->failure),
                 answer->failure, answer->detail[0] ? ", " : "", answer->detail);
    findings_cure(check->findings, "%s", direct_error_cure(kind, answer->failure));
}

static void ask_and_tell(const struct check *check, const struct source_settings *source) {
    CLEANUP(sd_event_unrefp) sd_event *loop = NULL;
    const struct probe_driver *driver = probe_find(source->driver);
    struct question question = { .is_answered = false };
    int r = sd_event_new(&loop);

    question.loop = loop;
    if (r >= 0)
        r = ask(driver, source, &question);
    if (r < 0)
        tell_trouble(check, source, driver->kind, r);
    else
        tell_answer(check, source, driver->kind, &question.answer);
}

/* The line is found, and not requested. */
static void look_and_tell(const struct check *check, const struct source_settings *source) {
    struct gpio_place place;
    int r = gpio_line_find(source->chip, source->line, &place);

    if (r == 0 && place.is_used)
        r = -EBUSY;
    if (r < 0) {
        tell_trouble(check, source, DIRECT_GPIO, r);
        return;
    }
    findings_add(check->findings, source->name, VERDICT_OK, CAUSE_NONE,
                 "%s is line %u of %s (%s), used by nobody", source->place, place.offset,
                 place.path, place.label);
}

void place_tell_direct(const struct check *check, const struct source_settings *source) {
    struct place place = { .check = check, .source = source };

    (void)snprintf(place.name, sizeof(place.name), "%s", source->place);
    if (place_daemon_reads(check, source))
        place_tell_daemon(&place);
    else if (check->may_open)
        ask_and_tell(check, source);
    else if (strcmp(source->driver, "gpio") == 0)
        look_and_tell(check, source);
    else
        findings_add(check->findings, source->name, VERDICT_OK, CAUSE_NONE, "%s, not asked",
                     source->place);
}
