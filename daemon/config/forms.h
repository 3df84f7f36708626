/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the texts of a configuration must look like.
 */

#include <stdbool.h>

#include "config/schema.h"

enum { FORM_SHOWN_SIZE = 64 };

/* What is wrong with it, as the end of a sentence that begins with the key; NULL: nothing. */
const char *form_check(const struct key *key, const char *text);

/* "a text", "a whole number": what a key must hold. */
const char *form_name(enum form form);

/* Is it usb:VID:PID[:SERIAL]? */
bool form_is_usb(const char *device);

/* A value as it may be shown: cut short, anything but printable ASCII as '?'. */
const char *form_show(const char *text, char shown[static FORM_SHOWN_SIZE]);
#define FORM_SHOW(text) (form_show((text), (char[FORM_SHOWN_SIZE]){ 0 }))
