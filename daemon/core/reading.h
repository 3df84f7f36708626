/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The value that flows: what one sensor measured at one moment.
 *
 * Pure. A quantity keeps the digits its sensor gave: 21.5 is { 215, 1 } and 21.50 would be { 2150,
 * 2 }. On the wire and in the spool a reading's quantities are written "t=21.5,rh=45.0";
 * docs/frame.md has the keys and their units.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NAME_MAX_LENGTH = 64,    /* of a gateway or sensor: one part of a topic */
    QUANTITY_KEY_LENGTH = 8, /* on the wire */
    QUANTITY_DECIMALS = 3,   /* the kernel's IIO drivers give thousandths */
    READING_QUANTITIES = 8,  /* in one reading */
    READING_TEXT_SIZE = 192, /* enough for reading_render */
};

struct quantity {
    char key[QUANTITY_KEY_LENGTH + 1]; /* "t", "rh", ... */
    int32_t scaled;                    /* value times 10 to the power of decimals */
    uint8_t decimals;                  /* digits after the point, 0..QUANTITY_DECIMALS */
};

struct reading {
    uint64_t taken_us; /* CLOCK_BOOTTIME when it was taken */
    char sensor[NAME_MAX_LENGTH + 1];
    uint8_t count;
    struct quantity quantities[READING_QUANTITIES];
};

/* Takes a reading; it is the caller's again when the sink returns. */
typedef void (*reading_sink)(const struct reading *reading, void *userdata);

/* Is this a gateway's or a sensor's name: [A-Za-z0-9][A-Za-z0-9_-]{0,63}? */
bool name_is_valid(const char *name);

/* The name under which a key is published: "temperature" for "t", the key itself where it has no
 * other. */
const char *quantity_name(const char *key);

/* Is it one of the names that are published for another key: "temperature"? */
bool quantity_is_published(const char *name);

/*
 * Reads "key=value" of length bytes: key 1 to 8 of a-z 0-9, value -?d{1,7}(.d{1,3})?, within
 * +-2147483.647 when it has three decimals.
 *
 * Returns 0; -EBADMSG when it is malformed, is a negative zero, or the key would hide a field of
 * the published object.
 */
int quantity_parse(const char *text, size_t length, struct quantity *ret);

/* Adds a quantity. Returns 0; -EEXIST for a key it has already; -ENOSPC for one too many. */
int reading_add(struct reading *reading, const struct quantity *quantity);

/* The quantity published under this name, or NULL. */
const struct quantity *reading_find(const struct reading *reading, const char *name);

/* Writes value with its digits ("-0.5"). Returns the length, or -ENOSPC. */
int quantity_render_value(const struct quantity *quantity, char *text, size_t size);

/* Writes "t=21.5,rh=45.0". Returns the length, or -ENOSPC. */
int reading_render(const struct reading *reading, char *text, size_t size);

/* Adds what reading_render wrote. Returns 0, or as quantity_parse and reading_add. */
int reading_parse(const char *text, struct reading *reading);
