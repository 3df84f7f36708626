/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Rules among sensors: each has a driver, that driver's keys and a place of its own, and no name
 * can come from two boards.
 */

#include "config/document.h"

void sensor_rules_apply(struct config_document *document);
