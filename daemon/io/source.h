/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What all source drivers share: their settings, where they send to, and what the table in
 * sources.c knows of each.
 */

#include <systemd/sd-event.h>

#include "core/conditioning.h"
#include "core/reading.h"
#include "core/status.h"

enum { SOURCE_NODES = 16 }; /* boards on one port that are not named */

struct node_settings {
    uint16_t number;
    const char *name;
};

struct source_settings {
    const char *name;   /* of the sensor */
    const char *driver; /* "serial", "gpio", "iio" */
    const char *place;  /* what it is read from, as it is called in sentences and in the state */
    struct conditioning_rules rules;

    /* serial, iio */
    const char *device; /* a path, or usb:VID:PID[:SERIAL]; a name or a path of the kernel's */

    /* serial */
    unsigned baud;
    uint64_t silence_us; /* 0: three times the board's interval */
    uint16_t node;       /* only this board; 0: any */
    const struct node_settings *nodes;
    size_t node_count;

    /* gpio, iio */
    uint64_t interval_us;

    /* gpio */
    const char *chip;  /* a path, or the chip's label */
    const char *line;  /* a number, or the line's name */
    const char *model; /* "dht11", "dht22" */
};

struct source_output {
    reading_sink sink;
    void (*changed)(void *userdata); /* a sensor's state or cause */
    void *userdata;
};

/* settings are borrowed until stop, or until adopt brings equal ones. */
struct source_driver {
    const char *name;
    int (*start)(sd_event *loop, const struct source_settings *settings,
                 const struct source_output *output, void **ret);
    void (*stop)(void *source);
    void (*adopt)(void *source, const struct source_settings *settings);
    void (*describe)(const void *source, struct status *status);
};

/* For describe: adds a sensor, or counts it where there is no room. */
void source_add_status(struct status *status, const struct sensor_status *sensor);
