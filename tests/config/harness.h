/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loads a text as a configuration file, and keeps what was said about it.
 */

#include "config.h"

/* The three lines of which every configuration has one. */
#define BROKERS "brokers = ( { host = \"broker.example\"; } );\n"
#define TLS "tls: { certificate = \"absent.pem\"; key = \"absent.key\"; };\n"
#define SENSORS "sensors = ( { name = \"kitchen\"; device = \"/dev/ttyACM0\"; } );\n"
#define SOUND BROKERS TLS SENSORS

enum { OUTCOME_LOG_SIZE = 64 * 1024 };

struct outcome {
    int result;
    struct config *config;
    unsigned errors;
    unsigned warnings;
    char log[OUTCOME_LOG_SIZE];
};

/* A folder for the files of this test. */
const char *harness_folder(void);

/* Writes a file there and returns its path, which the next call overwrites. */
const char *harness_write(const char *name, const char *text, size_t length);

void harness_load_file(const char *path, struct outcome *ret);
void harness_load(const char *text, struct outcome *ret);
void outcome_clear(struct outcome *outcome);

/* The configuration of a text that must be sound. */
struct config *harness_sound(const char *text);

/* What config_print() writes; to be freed. */
char *harness_printed(const struct config *config);

/* The same without its comments. */
char *harness_printed_values(const struct config *config);

/* A file as a text, to be freed. */
char *harness_read(const char *path);
