/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One sensor that hangs on this machine itself: asked at its interval, its state kept, the journal
 * told, its readings handed on.
 *
 *     asked at a fixed beat
 *     after a failed read: again two seconds later, DIRECT_RETRIES times, then at the next beat
 *     while its place is not to be had: once a second
 *
 * A DHT11 answers with what it measured when it was asked before, so after a pause it is asked
 * twice, and the first answer is thrown away.
 */

#include "io/probe.h"

enum { DIRECT_RETRIES = 3 };

extern const struct source_driver source_gpio_driver; /* "gpio" */
extern const struct source_driver source_iio_driver;  /* "iio" */
