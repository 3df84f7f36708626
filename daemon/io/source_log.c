/* SPDX-License-Identifier: MIT */
#include "io/source_log.h"

#include <stdio.h>
#include <string.h>

#include "io/log.h"

#define MINUTE_US UINT64_C(60000000)

/* The last field of an entry: without a cause it ends the list one sooner. */
#define CAUSE_FIELD(cause) \
    { (cause) != CAUSE_NONE ? "CAUSE" : NULL, cause_name(cause) }

/* Those that stay until a person does something; the others may pass by themselves. */
static int priority_of(enum cause cause) {
    return cause == CAUSE_DEVICE_DENIED || cause == CAUSE_DEVICE_BUSY || cause == CAUSE_WRONG_BOARD
               ? LOG_ERR
               : LOG_WARNING;
}

/* What is well again is said as loudly as it was said to be ill; what is new, softly. */
static int next_priority(struct source_log *log, enum cause cause, bool is_over) {
    int priority = cause != CAUSE_NONE ? priority_of(cause) : log->priority;

    if (cause != CAUSE_NONE)
        log->priority = priority;
    else if (is_over)
        log->priority = 0;
    return priority > 0 ? priority : LOG_INFO;
}

void source_log_port(struct source_log *log, const struct source_settings *settings,
                     const struct sensor_place *place, enum cause cause) {
    char sentence[SENSOR_WORDS_SIZE];

    (void)port_explain(cause, settings->name, place, sentence, sizeof(sentence));
    (void)log_emit(next_priority(log, cause, true), 0, sentence,
                   LOG_FIELDS({ "DEVICE", settings->device }, { "SENSOR", settings->name },
                              CAUSE_FIELD(cause)));
}

void source_log_ambiguous(const struct source_settings *settings, const char *path,
                          size_t matches) {
    (void)log_warning(
        0,
        "more than one board carries the configured USB name: the first is taken. Add "
        "its serial number, or configure the port by its path",
        { "DEVICE", settings->device }, { "PATH", path }, { "SENSOR", settings->name },
        { "BOARDS", LOG_NUMBER((long long)matches) });
}

void source_log_board(struct source_log *log, const struct board *board,
                      const struct sensor_place *place) {
    const struct sensor *sensor = &board->sensor;
    char sentence[SENSOR_WORDS_SIZE];

    (void)board_explain(board, place, sentence, sizeof(sentence));
    (void)log_emit(next_priority(log, sensor->cause, sensor->state == SENSOR_OK), 0, sentence,
                   LOG_FIELDS({ "DEVICE", place->device }, { "SENSOR", sensor->name },
                              { "STATE", sensor_state_name(sensor->state) },
                              { "NODE", LOG_NUMBER(board->number) }, CAUSE_FIELD(sensor->cause)));
}

void source_log_direct(struct source_log *log, const struct sensor *sensor,
                       const struct direct_place *place) {
    char sentence[DIRECT_WORDS_SIZE];

    (void)direct_explain(sensor, place, sentence, sizeof(sentence));
    (void)log_emit(next_priority(log, sensor->cause, sensor->state == SENSOR_OK), 0, sentence,
                   LOG_FIELDS({ "DEVICE", place->name }, { "SENSOR", sensor->name },
                              { "STATE", sensor_state_name(sensor->state) },
                              CAUSE_FIELD(sensor->cause)));
}

static void log_restart(const struct board *board, unsigned news, const char *device,
                        uint64_t times) {
    const char *reset = news & BOARD_HELLO ? board->hello.reset : "-";
    bool by_watchdog = strchr(reset, FRAME_RESET_WATCHDOG) != NULL;

    (void)log_emit(by_watchdog ? LOG_WARNING : LOG_INFO, 0,
                   by_watchdog ? "the board was restarted by its watchdog: its sketch had hung"
                               : "the board restarted",
                   LOG_FIELDS({ "SENSOR", board->sensor.name }, { "DEVICE", device },
                              { "NODE", LOG_NUMBER(board->number) }, { "RESET", reset },
                              { "TIMES", LOG_NUMBER((long long)times) }));
}

static void log_hello(const struct board *board, const char *device) {
    const struct frame_hello *hello = &board->hello;

    log_info("board said hello", { "SENSOR", board->sensor.name }, { "DEVICE", device },
             { "NODE", LOG_NUMBER(board->number) }, { "FIRMWARE", hello->firmware },
             { "TYPE", hello->sensor }, { "INTERVAL_MS", LOG_NUMBER(hello->interval_ms) },
             { "RESET", hello->reset });
}

static bool is_too_much(struct source_log *log, uint64_t now_us) {
    if (log->minute_us == 0 || now_us >= log->minute_us + MINUTE_US) {
        log->minute_us = now_us;
        log->hellos = 0;
    }
    return log->hellos++ >= SOURCE_LOG_HELLOS;
}

void source_log_hello(struct source_log *log, const struct board *board, unsigned news,
                      const char *device, uint64_t now_us) {
    uint64_t restarts = board->node.restarts - log->restarts;

    if (!(news & (BOARD_HELLO | BOARD_RESTARTED)) || is_too_much(log, now_us))
        return;
    if (restarts > 0)
        log_restart(board, news, device, restarts);
    if (news & BOARD_HELLO)
        log_hello(board, device);
    log->restarts = board->node.restarts;
}

void source_log_unlisted(const struct source_settings *settings, uint16_t number) {
    (void)log_warning(0,
                      settings->node > 0
                          ? "another board speaks on this port too: it is not published"
                          : "more boards on this port than there is room for: name "
                            "them with `nodes`",
                      { "SENSOR", settings->name }, { "DEVICE", settings->device },
                      { "NODE", LOG_NUMBER(number) });
}
