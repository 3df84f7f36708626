/* SPDX-License-Identifier: MIT */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "virtual_time.h"

enum { ANSWER_SIZE = 512 };

/* Each returns 0 or a negative errno; `answer` may be given more to say than "ok". */
typedef int (*command_handler)(struct emulator *emulator, const char *argument, char *answer);

static double now_s(const struct emulator *emulator) {
    return virtual_time_ms(emulator->board.avr->cycle) / 1000;
}

static int set_temperature(struct emulator *emulator, const char *argument, char *answer) {
    return script_set_temperature(&emulator->script, now_s(emulator), argument);
}

static int set_humidity(struct emulator *emulator, const char *argument, char *answer) {
    return script_set_humidity(&emulator->script, now_s(emulator), argument);
}

static int set_fault(struct emulator *emulator, const char *argument, char *answer) {
    return script_set_fault(&emulator->script, now_s(emulator), argument);
}

static int reset(struct emulator *emulator, const char *argument, char *answer) {
    if (!emulator->board.is_powered)
        return -ENOTCONN;
    board_reset(&emulator->board);
    return 0;
}

static int hang(struct emulator *emulator, const char *argument, char *answer) {
    return board_hang(&emulator->board);
}

static int unplug(struct emulator *emulator, const char *argument, char *answer) {
    int r = port_unplug(&emulator->port);

    if (r == 0)
        board_power_off(&emulator->board);
    return r;
}

static int plug(struct emulator *emulator, const char *argument, char *answer) {
    int r = port_plug(&emulator->port);

    if (r < 0)
        return r;
    board_power_on(&emulator->board);
    snprintf(answer, ANSWER_SIZE, " port=%s", emulator->port.path);
    return 0;
}

/* One byte of noise, which may be an escape. Returns how many characters it took, or 0. */
static int unescape(const char *text, uint8_t *ret) {
    unsigned byte;
    int n = 0;

    if (text[0] != '\\') {
        *ret = (uint8_t)text[0];
        return 1;
    }
    switch (text[1]) {
    case 'r':
        *ret = '\r';
        return 2;
    case 'n':
        *ret = '\n';
        return 2;
    case '\\':
        *ret = '\\';
        return 2;
    case 'x':
        if (sscanf(text + 2, "%2x%n", &byte, &n) != 1 || n != 2)
            return 0;
        *ret = (uint8_t)byte;
        return 4;
    default:
        return 0;
    }
}

static int make_noise(struct emulator *emulator, const char *argument, char *answer) {
    uint8_t bytes[sizeof(((struct commands *)0)->line)];
    size_t size_bytes = 0;

    if (!emulator->port.is_open)
        return -ENOTCONN;
    while (*argument) {
        int n = unescape(argument, &bytes[size_bytes]);

        if (n == 0)
            return -EINVAL;
        argument += n;
        size_bytes++;
    }
    port_send(&emulator->port, bytes, size_bytes);
    snprintf(answer, ANSWER_SIZE, " bytes=%zu", size_bytes);
    return 0;
}

static int tell_statistics(struct emulator *emulator, const char *argument, char *answer) {
    const struct board *board = &emulator->board;
    const struct port *port = &emulator->port;

    snprintf(answer, ANSWER_SIZE,
             " time_s=%.3f powered=%d open=%d opens=%lu resets=%lu watchdog_resets=%lu"
             " requests=%lu answers=%lu frames_sent=%lu bytes_sent=%lu bytes_dropped=%lu"
             " late_max_ms=%.0f",
             now_s(emulator), board->is_powered, port->is_open, port->n_opens, board->n_resets,
             board->n_watchdog_resets, board->sensor.n_requests, board->sensor.n_answers,
             emulator->ledger.n_frames, port->sent_bytes, port->dropped_bytes,
             emulator->late_max_s * 1000);
    return 0;
}

static int quit(struct emulator *emulator, const char *argument, char *answer) {
    emulator->wants_quit = true;
    return 0;
}

static const struct {
    const char *word;
    bool takes_argument;
    command_handler handler;
} table[] = {
    { "t", true, set_temperature },
    { "rh", true, set_humidity },
    { "fault", true, set_fault },
    { "reset", false, reset },
    { "hang", false, hang },
    { "unplug", false, unplug },
    { "plug", false, plug },
    { "noise", true, make_noise },
    { "stat", false, tell_statistics },
    { "quit", false, quit },
};

static command_handler find(const char *word, bool has_argument) {
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(word, table[i].word) == 0 && has_argument == table[i].takes_argument)
            return table[i].handler;
    }
    return NULL;
}

static void obey(struct emulator *emulator, char *line) {
    char answer[ANSWER_SIZE] = "";
    char *argument = line;
    const char *word = strsep(&argument, " ");
    command_handler handler = find(word, argument != NULL);
    int r = handler ? handler(emulator, argument, answer) : -ENOSYS;

    if (r < 0)
        printf("error %s: %s\n", word, strerror(-r));
    else
        printf("ok%s\n", answer);
    fflush(stdout);
}

static void obey_complete_lines(struct commands *commands) {
    char *end;

    while ((end = memchr(commands->line, '\n', commands->size_bytes))) {
        size_t line_size = (size_t)(end + 1 - commands->line);

        *end = '\0';
        obey(commands->emulator, commands->line);
        commands->size_bytes -= line_size;
        memmove(commands->line, end + 1, commands->size_bytes);
    }
}

void commands_init(struct commands *commands, struct emulator *emulator) {
    *commands = (struct commands){ .emulator = emulator };
}

void commands_read(struct commands *commands) {
    size_t room = sizeof(commands->line) - commands->size_bytes;
    ssize_t n = read(STDIN_FILENO, commands->line + commands->size_bytes, room);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) { /* its end; a line without one fills the buffer and ends here as well */
        commands->has_ended = true;
        return;
    }
    commands->size_bytes += (size_t)n;
    obey_complete_lines(commands);
}
