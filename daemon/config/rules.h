/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What concerns several keys, or the machine that they are read on: tells contradictions, and
 * settles whatever follows from more than one value.
 */

#include "config/document.h"

void rules_apply(struct config_document *document);
