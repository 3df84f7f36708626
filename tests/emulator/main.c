/* SPDX-License-Identifier: MIT */

/*
 * avrnode: the real firmware on a simulated Arduino, with a DHT11 on its pin and its serial port on
 * a pseudo-terminal. Paces itself against the clock, so that a reader cannot tell.
 *
 * A tool for tests only. It links libsimavr, which is under the GPL version 3, so the program built
 * from here is as well; nothing of it is part of sensorgw, and it is not installed.
 *
 * Prints "PORT /dev/pts/N" once the board runs. Commands: commands.h. Ends with its input.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "options.h"
#include "virtual_time.h"

/* A slice is 1 ms of virtual time: 11.5 bytes at 115200 baud. */
enum { SLICE_CYCLES = VIRTUAL_TIME_HZ / 1000, SLICE_BYTES_MAX = 11, EEPROM_SAVE_SLICES = 100 };

static volatile sig_atomic_t was_signalled;

static void on_signal(int number) {
    was_signalled = 1;
}

static void on_uart_byte(uint8_t byte, void *userdata) {
    struct emulator *emulator = userdata;

    emulator->port.board_baud = board_baud(&emulator->board);
    port_send(&emulator->port, &byte, 1);
}

static void deliver_input(struct emulator *emulator) {
    uint8_t bytes[SLICE_BYTES_MAX];
    size_t n;

    if (emulator->board.is_uart_input_full)
        return;
    emulator->port.board_baud = board_baud(&emulator->board);
    n = port_receive(&emulator->port, bytes, sizeof(bytes));
    for (size_t i = 0; i < n; i++)
        board_receive(&emulator->board, bytes[i]);
}

static void serve_port(struct emulator *emulator, const struct options *options, short revents) {
    enum port_event event = port_update(&emulator->port, revents);

    if (event != PORT_UNCHANGED)
        virtual_time_log(emulator->board.avr, "port %s",
                         event == PORT_OPENED ? "opened" : "closed");
    if (event == PORT_OPENED && !options->ignores_dtr)
        board_reset(&emulator->board);
    else if (event == PORT_UNCHANGED && emulator->port.is_open && (revents & POLLIN))
        deliver_input(emulator);
}

/* What the outside world did during the last slice. */
static void serve(struct emulator *emulator, struct commands *commands,
                  const struct options *options) {
    struct pollfd fds[] = {
        { .fd = emulator->port.master, .events = POLLIN },
        { .fd = commands->has_ended ? -1 : STDIN_FILENO, .events = POLLIN },
    };

    if (poll(fds, 2, 0) < 0)
        return;
    serve_port(emulator, options, fds[0].revents);
    if (fds[1].revents)
        commands_read(commands);
    if (commands->has_ended && !options->ignores_eof)
        emulator->wants_quit = true;
}

static double clock_s(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void sleep_s(double duration_s) {
    struct timespec duration = {
        .tv_sec = (time_t)duration_s,
        .tv_nsec = (long)((duration_s - (double)(time_t)duration_s) * 1e9),
    };

    nanosleep(&duration, NULL);
}

/* Waits until the clock has come as far as the board. */
static void pace(struct emulator *emulator, double began_s, double speed) {
    double virtual_s = virtual_time_ms(emulator->board.avr->cycle) / 1000;
    double ahead_s;

    if (speed == 0)
        return;
    ahead_s = began_s + virtual_s / speed - clock_s();
    if (ahead_s > 0)
        sleep_s(ahead_s);
    else if (-ahead_s > emulator->late_max_s)
        emulator->late_max_s = -ahead_s;
}

static int run(struct emulator *emulator, const struct options *options) {
    avr_cycle_count_t end = virtual_time_cycles(options->seconds * 1000);
    avr_cycle_count_t slice_end = 0;
    struct commands commands;
    double began_s = clock_s();

    commands_init(&commands, emulator);
    for (unsigned slice = 0; !emulator->wants_quit && !was_signalled; slice++) {
        int r;

        slice_end += SLICE_CYCLES;
        r = board_run(&emulator->board, slice_end);
        if (r < 0)
            return r;
        serve(emulator, &commands, options);
        if (slice % EEPROM_SAVE_SLICES == 0)
            board_save_eeprom(&emulator->board);
        if (end > 0 && slice_end >= end)
            return 0;
        pace(emulator, began_s, options->speed);
    }
    return 0;
}

static int start(struct emulator *emulator, const struct options *options) {
    int r;

    script_init(&emulator->script);
    if (options->csv) {
        r = script_load(&emulator->script, options->csv);
        if (r < 0)
            return r;
    }
    r = ledger_init(&emulator->ledger, options->ledger);
    if (r < 0) {
        fprintf(stderr, "avrnode: %s: %s\n", options->ledger, strerror(-r));
        return r;
    }
    r = board_init(&emulator->board, &options->board);
    if (r < 0)
        return r;
    r = port_plug(&emulator->port);
    if (r < 0) {
        fprintf(stderr, "avrnode: no serial port: %s\n", strerror(-r));
        return r;
    }
    board_power_on(&emulator->board);
    printf("PORT %s\n", emulator->port.path);
    fflush(stdout);
    return 0;
}

static void catch_signals(void) {
    struct sigaction action = { .sa_handler = on_signal };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv) {
    static struct emulator emulator;
    struct options options = options_parse(argc, argv);
    int r;

    options.board.sensor.script = &emulator.script;
    options.board.uart_sink = on_uart_byte;
    options.board.userdata = &emulator;
    port_init(&emulator.port, &options.port, &emulator.ledger);
    catch_signals();

    r = start(&emulator, &options);
    if (r == 0)
        r = run(&emulator, &options);

    (void)port_unplug(&emulator.port);
    board_deinit(&emulator.board);
    ledger_deinit(&emulator.ledger);
    script_free_rows(&emulator.script);
    return r < 0 ? 1 : 0;
}
