/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The words of the command line. Each takes its own arguments (argv[0] is the word) and returns the
 * exit status: EXIT_DONE, EXIT_FAILED, EXIT_USAGE or EXIT_CONFIG.
 */

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CONFIG = 78, /* EX_CONFIG: what editing the configuration file mends */
};

#define DEFAULT_CONFIG_PATH "/etc/sensorgw.conf"

int command_run(int argc, char **argv);
int command_status(int argc, char **argv);
int command_check(int argc, char **argv);
int command_monitor(int argc, char **argv);
int command_ports(int argc, char **argv);
int command_spool(int argc, char **argv);
int command_config(int argc, char **argv);
int command_version(int argc, char **argv);
int command_help(int argc, char **argv);
