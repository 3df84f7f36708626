/* SPDX-License-Identifier: MIT */
#pragma once

/* Whether what is printed may be coloured. Source: no-color.org. */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Is standard output a terminal, and does nobody object to colours on it? */
static inline bool terminal_wants_colour(void) {
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && (!no_colour || no_colour[0] == '\0') &&
           !(terminal && strcmp(terminal, "dumb") == 0);
}
