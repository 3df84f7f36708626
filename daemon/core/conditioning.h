/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is done to a sensor's readings on their way from any driver to the spool: corrected by an
 * offset, held back outside their limits, suspected when they never move, and thinned.
 *
 *     reading --offset--> --limits--> --frozen?--> --thinning--> published
 *                            |                         |
 *                        out of range               thinned        both counted
 *
 * Thinning publishes the last reading of each interval, when that ends, and at once what has moved
 * enough since the last that was published; the first there is begins.
 *
 * Pure. Values are thousandths of the published unit; time is CLOCK_BOOTTIME.
 */

#include "core/reading.h"

enum { CONDITIONING_SCALE = 1000 };

struct quantity_limits {
    const char *quantity; /* as it is published: "temperature" */
    int64_t min;
    int64_t max;
};

struct quantity_amount {
    const char *quantity;
    int64_t amount;
};

/* As configured. */
struct conditioning_rules {
    const struct quantity_limits *limits; /* of a quantity with none here: the model's */
    size_t limit_count;
    const struct quantity_amount *offsets;
    size_t offset_count;
    uint64_t frozen_us;  /* 0: never suspected */
    uint64_t publish_us; /* 0: every reading is published */
    const struct quantity_amount *changes;
    size_t change_count;
};

/* A value that has been the same since. */
struct unmoved {
    struct quantity quantity;
    uint64_t since_us;
};

struct conditioning {
    const struct conditioning_rules *rules; /* borrowed; NULL: none */
    const char *model;                      /* whose limits hold; NULL: unknown */
    struct quantity stray;                  /* the last value outside its limits, and these */
    struct quantity_limits stray_limits;
    struct unmoved unmoved[READING_QUANTITIES];
    size_t unmoved_count;
    struct quantity frozen; /* the last that was suspected */
    uint64_t interval_us;   /* when the present one began */
    bool has_published;
    bool has_held;
    struct reading published;
    struct reading held;
    uint64_t thinned; /* readings that were not published because later ones are */
};

enum conditioning_verdict {
    CONDITIONING_SOUND,
    CONDITIONING_FROZEN,  /* publish it all the same */
    CONDITIONING_OUTSIDE, /* do not */
};

void conditioning_init(struct conditioning *conditioning);

/* "dht11", "dht22": their limits hold where no others are set; another name has none. */
void conditioning_know(struct conditioning *conditioning, const char *model);

/* The sensor was away: what its values were before says nothing. */
void conditioning_forget(struct conditioning *conditioning);

/* Adds the offsets to a reading, and judges it. */
enum conditioning_verdict conditioning_apply(struct conditioning *conditioning,
                                             struct reading *reading);

/* Is a reading to be published now? Then it is written to ret: this one, or one held before. */
bool conditioning_thin(struct conditioning *conditioning, const struct reading *reading,
                       struct reading *ret);

/* When a held one is due; UINT64_MAX: none is held. */
uint64_t conditioning_due_us(const struct conditioning *conditioning);

/* The same for one that is held: it is due; or whatever the time, because this is the end. */
bool conditioning_release(struct conditioning *conditioning, uint64_t now_us, struct reading *ret);
bool conditioning_let_go(struct conditioning *conditioning, struct reading *ret);
