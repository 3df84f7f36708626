/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Journal entries with fields; without the journal the same on stderr, "<3>message KEY=value".
 *
 * The message is a constant sentence that one can grep for, or a sentence of core/diagnosis; what
 * varies is a field. Keys, passwords and payloads are never logged.
 */

#include <sys/syslog.h>

struct log_field {
    const char *key; /* upper case, sent as SENSORGW_<key> */
    const char *value;
};

/* Sends one entry. Returns error, so a caller can log and return in one line. */
int log_emit(int priority, int error, const char *message, const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){ __VA_ARGS__, { NULL, NULL } })
#define log_error(error, message, ...) \
    log_emit(LOG_ERR, (error), (message), LOG_FIELDS(__VA_ARGS__))
#define log_warning(error, message, ...) \
    log_emit(LOG_WARNING, (error), (message), LOG_FIELDS(__VA_ARGS__))
#define log_info(message, ...) (void)log_emit(LOG_INFO, 0, (message), LOG_FIELDS(__VA_ARGS__))
#define log_notice(message, ...) (void)log_emit(LOG_NOTICE, 0, (message), LOG_FIELDS(__VA_ARGS__))
#define log_debug(message, ...) (void)log_emit(LOG_DEBUG, 0, (message), LOG_FIELDS(__VA_ARGS__))

/* Entries less urgent than this are left out; LOG_INFO unless SENSORGW_DEBUG is set. */
void log_init(void);

/* A number as a field's value, valid to the end of the full expression. */
#define LOG_NUMBER(number) (log_number((number), (char[24]){ 0 }))
const char *log_number(long long number, char text[static 24]);
