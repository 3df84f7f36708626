/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "commands/commands.h"

static const char text[] =
    "sensorgw reads sensors on serial ports and publishes every reading over MQTT with TLS.\n"
    "\n"
    "  sensorgw ports [--json]             which boards are plugged in, and what to call them\n"
    "  sensorgw monitor [DEVICE]           what a board says, right after it was flashed; or a\n"
    "           [--baud N] [--model NAME]  sensor without a board, gpio:CHIP:LINE or iio:NAME\n"
    "           [--count N] [--json]\n"
    "  sensorgw config [--quiet]           the configuration with its defaults; or is it sound?\n"
    "  sensorgw check [--offline]          the whole way from sensor to broker, link by link,\n"
    "           [--no-publish] [--json]    and what to do about each that is broken\n"
    "  sensorgw [run]                      the gateway itself, in the foreground\n"
    "  sensorgw status [--json]            how the running gateway is\n"
    "  sensorgw spool [--export]           what waits on disk; --export prints it as JSON lines\n"
    "  sensorgw version                    this version, and those of its libraries\n"
    "\n"
    "-c FILE reads another configuration than " DEFAULT_CONFIG_PATH ".\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 78 the configuration file needs an edit.\n"
    "\n"
    "As a service: systemctl start sensorgw, and journalctl -u sensorgw to follow it.\n";

int command_help(int argc, char **argv) {
    (void)fputs(text, stdout);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
