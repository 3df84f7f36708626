/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Boards on a serial port. One object per configured source, and all of its state is in it.
 *
 *     looking (once a second, for as long as it takes) --open--> reading --hang-up--> looking
 *
 * A port that is not there is no error. io/boards.h takes what it brings.
 */

#include "io/source.h"

extern const struct source_driver source_serial_driver; /* "serial" */
