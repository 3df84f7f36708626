/* SPDX-License-Identifier: MIT */
#pragma once

/* avrnode's command line. */

#include <stdbool.h>

#include "board.h"
#include "port.h"

struct options {
    struct board_settings board;
    struct port_settings port;
    const char *csv;
    const char *ledger;
    double speed;   /* virtual seconds in a real one, 0: as fast as it goes */
    double seconds; /* virtual, 0: no end */
    bool ignores_dtr;
    bool ignores_eof;
};

/* Exits with 2 if the command line is wrong. */
struct options options_parse(int argc, char **argv);
