/* SPDX-License-Identifier: MIT */
#include "commands/monitor_line.h"

#include <string.h>

void monitor_line_init(struct monitor_line *line, const struct monitor_output *output) {
    *line = (struct monitor_line){ .output = *output };
    frame_decoder_init(&line->decoder);
    roster_init(&line->roster, "board", 0, 0, line->boards, MONITOR_BOARDS);
}

static void keep(struct monitor_line *line, uint8_t byte) {
    if (line->size < sizeof(line->bytes))
        line->bytes[line->size++] = byte;
}

static void drop_line_end(struct monitor_line *line) {
    while (line->size > 0 &&
           (line->bytes[line->size - 1] == '\r' || line->bytes[line->size - 1] == '\n'))
        line->size--;
}

/* An empty line is not worth one. */
static void flush_noise(struct monitor_line *line) {
    drop_line_end(line);
    if (line->size > 0)
        monitor_print_noise(&line->output, line->bytes, line->size);
    line->size = 0;
}

static void take_noise(struct monitor_line *line, uint8_t byte) {
    line->counts.noise_bytes++;
    keep(line, byte);
    if (byte == '\n' || line->size == sizeof(line->bytes))
        flush_noise(line);
}

static void count(struct monitor_counts *counts, enum frame_type type) {
    switch (type) {
    case FRAME_HELLO:
        counts->hellos++;
        return;
    case FRAME_READING:
        counts->readings++;
        return;
    case FRAME_SENSOR_ERROR:
        counts->errors++;
        return;
    }
}

/* A line with more boards than there is room for is shown all the same, only not followed. */
static void take_frame(struct monitor_line *line, struct frame *frame, uint64_t now_us) {
    struct board *board = roster_find(&line->roster, frame->node);
    uint64_t lost = board ? board->node.lost : 0;

    if (board && !(board_take(board, frame, now_us) & BOARD_FRAME)) {
        line->counts.duplicates++;
        return;
    }
    lost = board ? board->node.lost - lost : 0;
    line->counts.lost += lost;
    count(&line->counts, frame->type);
    monitor_print_frame(&line->output, frame, lost);
}

/* The counter that moved tells. */
static const char *why_damaged(const struct frame_counters *before,
                               const struct frame_counters *after) {
    if (after->bad_crc > before->bad_crc)
        return "its CRC disagrees";
    if (after->cut > before->cut)
        return "another frame began inside";
    if (after->overlong > before->overlong)
        return "too long";
    if (after->foreign_byte > before->foreign_byte)
        return "a byte that no frame has";
    return "its CRC agrees, its fields make no sense";
}

static void take_damage(struct monitor_line *line, uint8_t byte,
                        const struct frame_counters *before) {
    if (byte != FRAME_START)
        keep(line, byte);
    drop_line_end(line);
    line->counts.damaged++;
    monitor_print_damaged(&line->output, why_damaged(before, &line->decoder.counters), line->bytes,
                          line->size);
}

static void take(struct monitor_line *line, uint8_t byte, uint64_t now_us) {
    const struct frame_counters before = line->decoder.counters;
    bool was_inside = line->decoder.length > 0;
    struct frame frame;
    int r;

    if (byte == FRAME_START && !was_inside)
        flush_noise(line);
    r = frame_push(&line->decoder, byte, &frame);
    if (!was_inside && line->decoder.length == 0) {
        take_noise(line, byte);
        return;
    }
    if (r > 0)
        take_frame(line, &frame, now_us);
    else if (r < 0)
        take_damage(line, byte, &before);
    if (r != 0 || line->decoder.length == 0)
        line->size = 0;
    if (line->decoder.length > 0)
        keep(line, byte);
}

/* The port may have been opened in the middle of a line: the rest of that one is nobody's fault. */
void monitor_line_take(struct monitor_line *line, uint8_t byte, uint64_t now_us) {
    if (!line->in_step && byte != FRAME_START) {
        keep(line, byte);
        line->in_step = byte == '\n' || line->size == sizeof(line->bytes);
        if (byte == '\n')
            line->size = 0;
        return;
    }
    if (!line->in_step)
        line->size = 0;
    line->in_step = true;
    take(line, byte, now_us);
}
