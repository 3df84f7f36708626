/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <errno.h>
#include <string.h>

#include "frame_crc.h"

static bool is_whole(const struct ledger *ledger) {
    const char *tail;
    char expected[FRAME_TAIL_SIZE + 1];
    size_t body_size;

    if (ledger->size_bytes < 1 + FRAME_TAIL_SIZE)
        return false;
    body_size = ledger->size_bytes - 1 - FRAME_TAIL_SIZE;
    tail = &ledger->frame[1 + body_size];
    snprintf(expected, sizeof(expected), "%c%04X" FRAME_LINE_END, FRAME_CRC_MARK,
             (unsigned)frame_crc(&ledger->frame[1], body_size));
    return memcmp(tail, expected, FRAME_TAIL_SIZE) == 0;
}

static void record(struct ledger *ledger) {
    int text_size = (int)(ledger->size_bytes - strlen(FRAME_LINE_END));

    ledger->n_frames++;
    if (!ledger->file)
        return;
    fprintf(ledger->file, "%.*s\n", text_size, ledger->frame);
    fflush(ledger->file);
}

int ledger_init(struct ledger *ledger, const char *path) {
    *ledger = (struct ledger){ .file = NULL };
    if (!path)
        return 0;

    ledger->file = fopen(path, "ae");
    return ledger->file ? 0 : -errno;
}

void ledger_deinit(struct ledger *ledger) {
    if (ledger->file)
        fclose(ledger->file);
    ledger->file = NULL;
}

void ledger_push(struct ledger *ledger, uint8_t byte) {
    if (byte == FRAME_START)
        ledger->size_bytes = 0;
    else if (ledger->size_bytes == 0)
        return;
    if (ledger->size_bytes == sizeof(ledger->frame)) {
        ledger_cut(ledger);
        return;
    }

    ledger->frame[ledger->size_bytes++] = (char)byte;
    if (byte != '\n')
        return;
    if (is_whole(ledger))
        record(ledger);
    ledger_cut(ledger);
}

void ledger_cut(struct ledger *ledger) {
    ledger->size_bytes = 0;
}
