/* SPDX-License-Identifier: MIT */

/*
 * argv -> the table of commands.
 */

#include <stdio.h>
#include <string.h>

#include "commands/commands.h"
#include "io/log.h"
#include "near_miss.h"

struct command {
    const char *word;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
    { "run", command_run },           { "status", command_status },   { "check", command_check },
    { "monitor", command_monitor },   { "ports", command_ports },     { "spool", command_spool },
    { "config", command_config },     { "version", command_version }, { "help", command_help },
    { "--version", command_version }, { "-V", command_version },      { "--help", command_help },
    { "-h", command_help },
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands) };

static const struct command *find(const char *word) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

static const char *suggest(const char *word) {
    const char *best = NULL;
    unsigned best_distance = NEAR_MISS_NONE;

    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned distance = near_miss(word, commands[i].word);

        if (distance < best_distance) {
            best = commands[i].word;
            best_distance = distance;
        }
    }
    return best;
}

static int refuse(const char *word) {
    const char *meant = suggest(word);

    (void)fprintf(stderr, "sensorgw: there is no command '%s'", word);
    if (meant)
        (void)fprintf(stderr, ", did you mean '%s'?\n", meant);
    else
        (void)fputs("; 'sensorgw help' lists them\n", stderr);
    return EXIT_USAGE;
}

/* `sensorgw -c FILE` is `sensorgw run -c FILE`: the program's name stands where the word would. */
int main(int argc, char **argv) {
    static char run[] = "run";
    const struct command *command;

    log_init();
    if (argc < 1)
        return EXIT_USAGE;
    command = argc > 1 ? find(argv[1]) : NULL;
    if (command && argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
        return command_help(argc - 1, argv + 1);
    if (command)
        return command->run(argc - 1, argv + 1);
    if (argc > 1 && argv[1][0] != '-')
        return refuse(argv[1]);
    argv[0] = run;
    return command_run(argc, argv);
}
