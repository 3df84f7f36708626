/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * All that the daemon knows about itself at one moment: the source of the state topic, of
 * /run/sensorgw/state.json and of `sensorgw status`.
 *
 * Pure data. Each module fills in its part (spool_describe, publisher_describe, sources_describe);
 * io/report.c writes it as JSON.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cause.h"
#include "core/diagnosis.h"
#include "core/sensor.h"
#include "core/uplink.h"

enum {
    STATUS_SENSORS = 64,      /* described at most; more are counted */
    STATUS_BROKER_SIZE = 272, /* "host:port" */
    STATUS_CIPHER_SIZE = 64,
    STATUS_SENTENCE_SIZE = DIAGNOSIS_SENTENCE_SIZE,
};

struct link_status {
    enum uplink_state state;
    char broker[STATUS_BROKER_SIZE]; /* connected to, or tried last */
    char tls[16];                    /* "TLSv1.2" */
    char cipher[STATUS_CIPHER_SIZE]; /* OpenSSL's name */
    bool has_certificate;
    int certificate_days_left;
    enum cause cause;                    /* why it is not online */
    char sentence[STATUS_SENTENCE_SIZE]; /* the same in words */
    uint64_t next_attempt_us;            /* CLOCK_BOOTTIME; 0: none is waited for */
    uint64_t published;                  /* acknowledged by a broker, since start */
};

struct spool_status {
    uint64_t accepted; /* since start */
    uint64_t waiting;  /* not acknowledged yet */
    uint64_t dropped;  /* over all starts */
    bool clock_synchronised;
    enum cause cause;
};

struct sensor_status {
    const struct sensor *sensor; /* borrowed: valid until the loop turns again */
    const char *device;          /* as configured */
    uint16_t node;               /* 0: none */
    uint64_t damaged;            /* frames on its line */
    uint64_t lost_frames;
};

struct status {
    const char *gateway;
    uint64_t now_us; /* CLOCK_BOOTTIME */
    uint64_t started_us;
    struct link_status link;
    struct spool_status spool;
    size_t sensor_count;
    struct sensor_status sensors[STATUS_SENSORS];
    uint64_t unlisted_sensors;
    uint64_t damaged;     /* frames, over all lines */
    uint64_t lost_frames; /* over all boards */
};
