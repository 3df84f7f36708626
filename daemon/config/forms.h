/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the texts of a configuration must look like.
 */

#include "config/schema.h"
#include "core/printable.h"

/* What is wrong with it, as the end of a sentence that begins with the key; NULL: nothing. */
const char *form_check(const struct key *key, const char *text);

/* The same for what a sensor's device must look like. */
const char *form_check_port(const char *text);
const char *form_check_iio(const char *text);

/* "a text", "a whole number": what a key must hold. */
const char *form_name(enum form form);

/* A value as it may be shown. */
const char *form_show(const char *text, char shown[static PRINTABLE_SIZE]);
#define FORM_SHOW(text) (form_show((text), (char[PRINTABLE_SIZE]){ 0 }))
