/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Walks the parsed file along the schema and stores each value, or its default, where it belongs.
 *
 * Tells every unknown key, wrong type, and value out of its range or form. What it refuses stays
 * unset: NULL, 0.
 */

#include "config/document.h"

void values_read(struct config_document *document);
