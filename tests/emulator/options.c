/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum option_code {
    BOOTLOADER = 256, /* above every letter */
    BOOT_MS,
    CSV,
    EEPROM,
    ELF,
    HELP,
    IGNORE_EOF,
    JITTER,
    LEDGER,
    LINK,
    NODE,
    NO_DTR,
    SECONDS,
    SEED,
    SPEED,
    STRICT_BAUD,
    VERBOSE = 'v',
};

static const struct option names[] = {
    { "bootloader", required_argument, NULL, BOOTLOADER },
    { "boot-ms", required_argument, NULL, BOOT_MS },
    { "csv", required_argument, NULL, CSV },
    { "eeprom", required_argument, NULL, EEPROM },
    { "elf", required_argument, NULL, ELF },
    { "help", no_argument, NULL, HELP },
    { "ignore-eof", no_argument, NULL, IGNORE_EOF },
    { "jitter", required_argument, NULL, JITTER },
    { "ledger", required_argument, NULL, LEDGER },
    { "link", required_argument, NULL, LINK },
    { "node", required_argument, NULL, NODE },
    { "no-dtr", no_argument, NULL, NO_DTR },
    { "seconds", required_argument, NULL, SECONDS },
    { "seed", required_argument, NULL, SEED },
    { "speed", required_argument, NULL, SPEED },
    { "strict-baud", no_argument, NULL, STRICT_BAUD },
    { NULL, 0, NULL, 0 },
};

static const char help[] =
    "avrnode --elf FILE [OPTION...]\n"
    "  --elf FILE         firmware image\n"
    "  --csv FILE         what the sensor stands in: at_s,temperature,humidity[,fault]\n"
    "  --link PATH        symbolic link to the serial port\n"
    "  --ledger FILE      append each frame that was handed to an open port\n"
    "  --speed N          virtual seconds in a real one; 0 as fast as it goes (1)\n"
    "  --seconds N        end after so many virtual seconds\n"
    "  --jitter US        make each pulse up to so much longer or shorter (0)\n"
    "  --seed N           of the jitter (1)\n"
    "  --no-dtr           opening the port does not reset the board\n"
    "  --boot-ms N        wait so long after each reset, as a boot loader does (0)\n"
    "  --bootloader HEX   run a real boot loader after each reset\n"
    "  --strict-baud      garble everything unless the port has the board's speed\n"
    "  --node N           put this node number into the EEPROM\n"
    "  --eeprom FILE      keep the EEPROM there\n"
    "  --ignore-eof       go on after the end of standard input\n"
    "  -v                 tell of each answer of the sensor\n";

static void refuse(void) {
    fputs(help, stderr);
    exit(2);
}

static double number(const char *text, double min, double max) {
    char *end;
    double value = strtod(text, &end);

    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        fprintf(stderr, "avrnode: %s is not a number from %g to %g\n", text, min, max);
        exit(2);
    }
    return value;
}

static void apply(struct options *options, enum option_code code, const char *text) {
    switch (code) {
    case BOOTLOADER:
        options->board.boot_loader = text;
        break;
    case BOOT_MS:
        options->board.boot_ms = number(text, 0, 60000);
        break;
    case CSV:
        options->csv = text;
        break;
    case EEPROM:
        options->board.eeprom = text;
        break;
    case ELF:
        options->board.elf = text;
        break;
    case HELP:
        fputs(help, stdout);
        exit(0);
    case IGNORE_EOF:
        options->ignores_eof = true;
        break;
    case JITTER:
        options->board.sensor.jitter_us = number(text, 0, 25);
        break;
    case LEDGER:
        options->ledger = text;
        break;
    case LINK:
        options->port.link = text;
        break;
    case NODE:
        options->board.node = (uint16_t)number(text, 1, 65535);
        break;
    case NO_DTR:
        options->ignores_dtr = true;
        break;
    case SECONDS:
        options->seconds = number(text, 0, 1e9);
        break;
    case SEED:
        options->board.sensor.seed = (unsigned)number(text, 0, 4e9);
        break;
    case SPEED:
        options->speed = number(text, 0, 1000);
        break;
    case STRICT_BAUD:
        options->port.checks_baud = true;
        break;
    case VERBOSE:
        options->board.sensor.is_verbose = true;
        break;
    }
}

struct options options_parse(int argc, char **argv) {
    struct options options = { .speed = 1, .board.sensor.seed = 1 };
    int code;

    while ((code = getopt_long(argc, argv, "v", names, NULL)) != -1) {
        if (code == '?')
            refuse();
        apply(&options, (enum option_code)code, optarg);
    }
    if (!options.board.elf || optind < argc)
        refuse();

    options.port.waits_for_room = options.speed == 0;
    return options;
}
