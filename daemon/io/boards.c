/* SPDX-License-Identifier: MIT */
#include "io/boards.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "core/roster.h"
#include "io/log.h"
#include "io/source_log.h"

#define NEVER UINT64_MAX

struct boards {
    sd_event *loop;
    const struct source_settings *settings; /* borrowed from the configuration */
    struct source_output output;
    sd_event_source *silence;
    uint64_t silence_at_us; /* when that timer rings */
    struct frame_decoder decoder;
    bool in_step;               /* a frame has begun since the port was opened */
    bool has_told_unlisted;     /* since the port was opened */
    uint64_t damaged;           /* frames */
    uint64_t bytes_since_frame; /* since the last good one */
    struct roster roster;
    struct source_log logs[]; /* one for each of the roster's boards */
};

static uint64_t now(const struct boards *boards) {
    uint64_t now_us = 0;

    (void)sd_event_now(boards->loop, CLOCK_BOOTTIME, &now_us);
    return now_us;
}

static struct source_log *log_of(struct boards *boards, const struct board *board) {
    return &boards->logs[board - boards->roster.boards];
}

static void tell_changed(struct boards *boards, const struct board *board) {
    const struct sensor_place place = {
        .device = boards->settings->device,
        .baud = boards->settings->baud,
        .has_noise = boards->bytes_since_frame > 0,
        .is_later = boards->decoder.counters.unknown_version > 0,
    };

    source_log_board(log_of(boards, board), board, &place);
    boards->output.changed(boards->output.userdata);
}

/* Left where it is when something is heard: it finds out when it rings, and that is seldom. */
static int watch_silence(struct boards *boards) {
    uint64_t due_us = roster_due_us(&boards->roster);
    int r;

    if (due_us >= boards->silence_at_us)
        return 0;
    boards->silence_at_us = due_us;
    r = sd_event_source_set_time(boards->silence, due_us);
    return r < 0 ? r : sd_event_source_set_enabled(boards->silence, SD_EVENT_ONESHOT);
}

static int on_silence(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct boards *boards = userdata;

    boards->silence_at_us = NEVER;
    for (size_t i = 0; i < boards->roster.count; i++) {
        struct board *board = &boards->roster.boards[i];
        struct reading held;

        if (conditioning_release(&board->sensor.conditioning, now(boards), &held))
            boards->output.sink(&held, boards->output.userdata);
        if (board_check(board, now(boards)) > 0)
            tell_changed(boards, board);
    }
    return watch_silence(boards);
}

static void take_unlisted(struct boards *boards, uint16_t number) {
    struct board *wanted = boards->roster.only > 0 ? &boards->roster.boards[0] : NULL;

    if (wanted && !wanted->is_there) {
        if (board_replaced(wanted, number, now(boards)) > 0)
            tell_changed(boards, wanted);
        return;
    }
    if (!boards->has_told_unlisted)
        source_log_unlisted(boards->settings, number);
    boards->has_told_unlisted = true;
}

static void take_frame(struct boards *boards, struct frame *frame) {
    struct board *board = roster_find(&boards->roster, frame->node);
    unsigned news;

    boards->bytes_since_frame = 0;
    if (!board) {
        take_unlisted(boards, frame->node);
        return;
    }
    if (frame->type == FRAME_READING && frame->raw[0] != '\0')
        log_debug("a temperature below zero", { "SENSOR", board->sensor.name },
                  { "DETAIL", frame->raw });
    news = board_take(board, frame, now(boards));
    source_log_hello(log_of(boards, board), board, news, boards->settings->device, now(boards));
    if (news & BOARD_CHANGED)
        tell_changed(boards, board);
    if (news & BOARD_PUBLISH)
        boards->output.sink(&frame->reading, boards->output.userdata);
}

/* Nobody knows whose frame it was. */
static void take_damage(struct boards *boards) {
    boards->damaged++;
    for (size_t i = 0; i < boards->roster.count; i++)
        if (board_damaged(&boards->roster.boards[i], now(boards)) > 0)
            tell_changed(boards, &boards->roster.boards[i]);
}

static void take_byte(struct boards *boards, uint8_t byte) {
    struct frame frame;
    int r;

    boards->bytes_since_frame++;
    if (byte == FRAME_START)
        boards->in_step = true;
    if (!boards->in_step)
        return; /* the port was opened in the middle of a line */
    r = frame_push(&boards->decoder, byte, &frame);
    if (r > 0)
        take_frame(boards, &frame);
    else if (r < 0)
        take_damage(boards);
}

int boards_take(struct boards *boards, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        take_byte(boards, ((const uint8_t *)bytes)[i]);
    return watch_silence(boards);
}

int boards_come(struct boards *boards) {
    frame_decoder_init(&boards->decoder);
    boards->in_step = false;
    boards->has_told_unlisted = false;
    boards->bytes_since_frame = 0;
    for (size_t i = 0; i < boards->roster.count; i++)
        (void)board_came(&boards->roster.boards[i], now(boards));
    return watch_silence(boards);
}

void boards_go(struct boards *boards, enum cause cause) {
    for (size_t i = 0; i < boards->roster.count; i++)
        (void)board_went(&boards->roster.boards[i], cause);
}

bool boards_are_known(const struct boards *boards) {
    for (size_t i = 0; i < boards->roster.count; i++)
        if (!boards->roster.boards[i].has_hello)
            return false;
    return true;
}

static int fill_roster(struct boards *boards, size_t room) {
    const struct source_settings *settings = boards->settings;
    struct board *row = calloc(room, sizeof(*row));

    if (!row)
        return -ENOMEM;
    roster_init(&boards->roster, settings->name, settings->node, settings->silence_us, row,
                SOURCE_NODES);
    roster_condition(&boards->roster, &settings->rules);
    for (size_t i = 0; settings->node == 0 && i < settings->node_count; i++)
        roster_name(&boards->roster, settings->nodes[i].number, settings->nodes[i].name);
    return 0;
}

static int add_silence(struct boards *boards) {
    int r =
        sd_event_add_time(boards->loop, &boards->silence, CLOCK_BOOTTIME, 0, 0, on_silence, boards);

    boards->silence_at_us = NEVER;
    if (r < 0)
        return r;
    r = sd_event_source_set_enabled(boards->silence, SD_EVENT_OFF);
    return r < 0 ? r : sd_event_source_set_exit_on_failure(boards->silence, true);
}

int boards_new(sd_event *loop, const struct source_settings *settings,
               const struct source_output *output, struct boards **ret) {
    CLEANUP(boards_freep) struct boards *boards = NULL;
    size_t room = SOURCE_NODES + settings->node_count;
    int r;

    boards = calloc(1, sizeof(*boards) + room * sizeof(*boards->logs));
    if (!boards)
        return -ENOMEM;
    boards->loop = sd_event_ref(loop);
    boards->settings = settings;
    boards->output = *output;
    r = fill_roster(boards, room);
    if (r < 0)
        return r;
    r = add_silence(boards);
    if (r < 0)
        return r;
    *ret = boards;
    boards = NULL;
    return 0;
}

/* Whoever thins his readings wants the last one all the same. */
static void let_go(struct boards *boards) {
    struct reading held;

    for (size_t i = 0; i < boards->roster.count; i++)
        if (conditioning_let_go(&boards->roster.boards[i].sensor.conditioning, &held))
            boards->output.sink(&held, boards->output.userdata);
}

struct boards *boards_free(struct boards *boards) {
    if (!boards)
        return NULL;
    let_go(boards);
    (void)sd_event_source_disable_unref(boards->silence);
    (void)sd_event_unref(boards->loop);
    free(boards->roster.boards);
    free(boards);
    return NULL;
}

void boards_adopt(struct boards *boards, const struct source_settings *settings) {
    boards->settings = settings;
    roster_condition(&boards->roster, &settings->rules);
}

void boards_describe(const struct boards *boards, struct status *status) {
    for (size_t i = 0; i < boards->roster.count; i++) {
        const struct board *board = &boards->roster.boards[i];
        const struct sensor_status sensor = {
            .sensor = &board->sensor,
            .device = boards->settings->device,
            .node = boards->roster.stands_in ? 0 : board->number,
            .damaged = boards->damaged,
            .lost_frames = board->node.lost,
        };

        source_add_status(status, &sensor);
        status->lost_frames += board->node.lost;
    }
    status->damaged += boards->damaged;
}
