/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What libconfig would take in silence, found in the text before it is parsed.
 *
 * libconfig 1.5 wraps an integer that is too large (4294976179 becomes 8883), 1.7 reads 010 as 8,
 * both take @include from the working directory and swallow all that follows an unclosed comment.
 * So a number is decimal, without leading zeros and of nine digits at most; an @include, an
 * unclosed comment and a text that runs over its line are errors. Brackets are matched here as
 * well, because libconfig can only name the last line, and it loses a text that it does not expect.
 */

#include "config/document.h"

/*
 * Returns 0, with refused numbers told, marked in the document and overwritten in the text; -EINVAL
 * when parsing would be of no use.
 */
int scan_source(struct config_document *document, char *text);
