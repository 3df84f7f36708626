/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Commands on standard input, each answered by one line on standard output: "ok ..." when it has
 * been done, "error ..." when it has not.
 *
 *     t 21.5, rh 40         what the sensor stands in
 *     fault NAME            none noresp cksum short:N stuck zero dht22
 *     reset, hang           the reset line; an endless loop that only the watchdog ends
 *     unplug, plug          the USB cable, which is also the power
 *     noise TEXT            bytes on the line; \xHH, \r, \n and \\ are taken
 *     stat                  counters as key=value
 *     quit
 */

#include <stdbool.h>
#include <stddef.h>

#include "board.h"
#include "port.h"
#include "script.h"

struct emulator {
    struct script script;
    struct ledger ledger;
    struct port port;
    struct board board;
    double late_max_s; /* how far behind the clock it has been */
    bool wants_quit;
};

struct commands {
    struct emulator *emulator; /* borrowed from main() */
    char line[1024];
    size_t size_bytes;
    bool has_ended;
};

void commands_init(struct commands *commands, struct emulator *emulator);

/* Reads what there is and does what is complete. Notes the end of the input in has_ended. */
void commands_read(struct commands *commands);
