/* SPDX-License-Identifier: MIT */
#pragma once

/* What goes into the simulated flash. */

#include <stdint.h>

#include "sim_avr.h"

/*
 * Loads a firmware image.
 *
 * ret_hang_address  of the image's own endless loop (cli; rjmp .), 0 if it has none
 *
 * Returns 0 or a negative errno.
 */
int image_load_elf(avr_t *avr, const char *path, uint32_t *ret_hang_address);

/* Loads a boot loader beside it and lets the processor start there. */
int image_load_boot_loader(avr_t *avr, const char *path);
