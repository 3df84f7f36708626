/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A sensor without a board: asked, it answers, and the loop does not wait for it.
 *
 * What is made of the answers, and when to ask, is io/direct.h's; `sensorgw check` and `sensorgw
 * monitor` ask the same probes.
 */

#include <systemd/sd-event.h>

#include "core/direct_words.h"
#include "core/reading.h"
#include "io/source.h"

struct probe_answer {
    int error;              /* < 0: the place is not to be had; its errno */
    const char *failure;    /* a read that failed: the word for it; NULL: there is a reading */
    char detail[96];        /* what is known beside: "17 of 42 edges"; "": nothing */
    struct reading reading; /* its quantities only */
};

typedef void (*probe_answered)(const struct probe_answer *answer, void *userdata);

/*
 * start     settings are borrowed until stop, or until adopt brings equal ones
 * ask       brings exactly one answer, at once or later; not asked again before
 * answered  may not stop the probe
 */
struct probe_driver {
    enum direct_kind kind;
    int (*start)(sd_event *loop, const struct source_settings *settings, probe_answered answered,
                 void *userdata, void **ret);
    void (*stop)(void *probe);
    void (*adopt)(void *probe, const struct source_settings *settings);
    void (*ask)(void *probe);
};

extern const struct probe_driver probe_gpio; /* a DHT11 or DHT22 on a line: probe_gpio.c */
extern const struct probe_driver probe_iio;  /* a driver of the kernel: probe_iio.c */

/* The probe of a source's driver; NULL: it is no such source. */
const struct probe_driver *probe_find(const char *driver);

/* Where the kernel shows its sensors; a test has another folder. */
extern const char *probe_iio_devices;
