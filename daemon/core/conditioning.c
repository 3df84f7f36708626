/* SPDX-License-Identifier: MIT */
#include "core/conditioning.h"

#include <string.h>

#define VALUE_MAX (INT64_C(9999999) * CONDITIONING_SCALE) /* what the spool can read back */

static const struct {
    const char *model;
    struct quantity_limits limits;
} defaults[] = {
    { "dht11", { "temperature", -20 * CONDITIONING_SCALE, 60 * CONDITIONING_SCALE } },
    { "dht11", { "humidity", 0, 100 * CONDITIONING_SCALE } },
    { "dht22", { "temperature", -40 * CONDITIONING_SCALE, 80 * CONDITIONING_SCALE } },
    { "dht22", { "humidity", 0, 100 * CONDITIONING_SCALE } },
};

enum { DEFAULTS = sizeof(defaults) / sizeof(*defaults) };

static const struct conditioning_rules no_rules;

static const struct conditioning_rules *rules_of(const struct conditioning *conditioning) {
    return conditioning->rules ? conditioning->rules : &no_rules;
}

void conditioning_init(struct conditioning *conditioning) {
    *conditioning = (struct conditioning){ .rules = NULL };
}

void conditioning_know(struct conditioning *conditioning, const char *model) {
    conditioning->model = NULL;
    for (size_t i = 0; i < DEFAULTS; i++)
        if (strcmp(defaults[i].model, model) == 0)
            conditioning->model = defaults[i].model;
}

void conditioning_forget(struct conditioning *conditioning) {
    conditioning->unmoved_count = 0;
}

/* ---- values ---- */

static int64_t step_of(const struct quantity *quantity) {
    int64_t step = CONDITIONING_SCALE;

    for (unsigned i = 0; i < quantity->decimals; i++)
        step /= 10;
    return step;
}

static int64_t amount_of(const struct quantity *quantity) {
    return quantity->scaled * step_of(quantity);
}

static int64_t distance(int64_t a, int64_t b) {
    return a > b ? a - b : b - a;
}

/* Keeps the digits that the sensor gave; halves go away from zero. */
static bool add_offset(struct quantity *quantity, int64_t offset) {
    int64_t step = step_of(quantity);
    int64_t amount = amount_of(quantity) + offset;
    int64_t scaled = (amount < 0 ? amount - step / 2 : amount + step / 2) / step;

    if (distance(scaled * step, 0) > VALUE_MAX || distance(scaled, 0) > INT32_MAX)
        return false;
    quantity->scaled = (int32_t)scaled;
    return true;
}

static const struct quantity_amount *find_amount(const struct quantity_amount *amounts,
                                                 size_t count, const struct quantity *quantity) {
    const char *name = quantity_name(quantity->key);

    for (size_t i = 0; i < count; i++)
        if (strcmp(amounts[i].quantity, name) == 0)
            return &amounts[i];
    return NULL;
}

/* ---- limits ---- */

static const struct quantity_limits *limits_of(const struct conditioning *conditioning,
                                               const struct quantity *quantity) {
    const struct conditioning_rules *rules = rules_of(conditioning);
    const char *name = quantity_name(quantity->key);

    for (size_t i = 0; i < rules->limit_count; i++)
        if (strcmp(rules->limits[i].quantity, name) == 0)
            return &rules->limits[i];
    for (size_t i = 0; conditioning->model && i < DEFAULTS; i++)
        if (strcmp(defaults[i].model, conditioning->model) == 0 &&
            strcmp(defaults[i].limits.quantity, name) == 0)
            return &defaults[i].limits;
    return NULL;
}

static bool is_outside(struct conditioning *conditioning, const struct quantity *quantity) {
    const struct quantity_limits *limits = limits_of(conditioning, quantity);
    int64_t amount = amount_of(quantity);

    if (!limits || (amount >= limits->min && amount <= limits->max))
        return false;
    conditioning->stray = *quantity;
    conditioning->stray_limits = *limits;
    return true;
}

/* ---- values that never move ---- */

static struct unmoved *unmoved_of(struct conditioning *conditioning,
                                  const struct quantity *quantity) {
    for (size_t i = 0; i < conditioning->unmoved_count; i++)
        if (strcmp(conditioning->unmoved[i].quantity.key, quantity->key) == 0)
            return &conditioning->unmoved[i];
    return NULL;
}

static void watch(struct conditioning *conditioning, const struct quantity *quantity,
                  uint64_t now_us) {
    struct unmoved *unmoved = unmoved_of(conditioning, quantity);

    if (unmoved && amount_of(&unmoved->quantity) == amount_of(quantity))
        return;
    if (!unmoved && conditioning->unmoved_count < READING_QUANTITIES)
        unmoved = &conditioning->unmoved[conditioning->unmoved_count++];
    if (unmoved)
        *unmoved = (struct unmoved){ *quantity, now_us };
}

/* One value is enough: a humidity that stands at 95 % while the temperature moves is no good. */
static bool is_frozen(struct conditioning *conditioning, const struct reading *reading) {
    uint64_t frozen_us = rules_of(conditioning)->frozen_us;
    bool frozen = false;

    if (frozen_us == 0)
        return false;
    for (size_t i = 0; i < reading->count; i++) {
        const struct unmoved *unmoved;

        watch(conditioning, &reading->quantities[i], reading->taken_us);
        unmoved = unmoved_of(conditioning, &reading->quantities[i]);
        if (frozen || !unmoved || reading->taken_us - unmoved->since_us < frozen_us)
            continue;
        conditioning->frozen = unmoved->quantity;
        frozen = true;
    }
    return frozen;
}

enum conditioning_verdict conditioning_apply(struct conditioning *conditioning,
                                             struct reading *reading) {
    const struct conditioning_rules *rules = rules_of(conditioning);

    for (size_t i = 0; i < reading->count; i++) {
        struct quantity *quantity = &reading->quantities[i];
        const struct quantity_amount *offset =
            find_amount(rules->offsets, rules->offset_count, quantity);

        if (offset && !add_offset(quantity, offset->amount)) {
            conditioning->stray = *quantity;
            conditioning->stray_limits =
                (struct quantity_limits){ offset->quantity, -VALUE_MAX, VALUE_MAX };
            return CONDITIONING_OUTSIDE;
        }
    }
    for (size_t i = 0; i < reading->count; i++)
        if (is_outside(conditioning, &reading->quantities[i]))
            return CONDITIONING_OUTSIDE;
    return is_frozen(conditioning, reading) ? CONDITIONING_FROZEN : CONDITIONING_SOUND;
}

/* ---- thinning ---- */

static bool has_moved(const struct conditioning *conditioning, const struct reading *reading) {
    const struct conditioning_rules *rules = rules_of(conditioning);

    for (size_t i = 0; i < reading->count; i++) {
        const struct quantity *quantity = &reading->quantities[i];
        const struct quantity_amount *change =
            find_amount(rules->changes, rules->change_count, quantity);
        const struct quantity *before;

        if (!change)
            continue;
        before = reading_find(&conditioning->published, quantity_name(quantity->key));
        if (!before || distance(amount_of(quantity), amount_of(before)) >= change->amount)
            return true;
    }
    return false;
}

static uint64_t end_of_interval_us(const struct conditioning *conditioning) {
    return conditioning->interval_us + rules_of(conditioning)->publish_us;
}

static void hold(struct conditioning *conditioning, const struct reading *reading) {
    conditioning->thinned += conditioning->has_held;
    conditioning->held = *reading;
    conditioning->has_held = true;
}

/* An interval begins. */
static bool publish(struct conditioning *conditioning, const struct reading *reading,
                    uint64_t now_us, struct reading *ret) {
    conditioning->interval_us = now_us;
    conditioning->published = *reading;
    conditioning->has_published = true;
    *ret = *reading;
    return true;
}

bool conditioning_thin(struct conditioning *conditioning, const struct reading *reading,
                       struct reading *ret) {
    const struct reading fresh = *reading; /* ret may be the same */
    bool is_over = fresh.taken_us >= end_of_interval_us(conditioning);

    if (rules_of(conditioning)->publish_us == 0) {
        *ret = fresh;
        return true;
    }
    if (!conditioning->has_published || has_moved(conditioning, &fresh)) {
        conditioning->thinned += conditioning->has_held;
        conditioning->has_held = false;
        return publish(conditioning, &fresh, fresh.taken_us, ret);
    }
    if (is_over && !conditioning->has_held)
        return publish(conditioning, &fresh, fresh.taken_us, ret);
    if (is_over) {
        (void)conditioning_release(conditioning, fresh.taken_us, ret);
        hold(conditioning, &fresh);
        return true;
    }
    hold(conditioning, &fresh);
    return false;
}

uint64_t conditioning_due_us(const struct conditioning *conditioning) {
    return conditioning->has_held ? end_of_interval_us(conditioning) : UINT64_MAX;
}

/* The next interval begins where this one ended, as long as anybody keeps up with them. */
bool conditioning_release(struct conditioning *conditioning, uint64_t now_us, struct reading *ret) {
    uint64_t end_us = end_of_interval_us(conditioning);
    uint64_t next_us = end_us + rules_of(conditioning)->publish_us;

    if (now_us < conditioning_due_us(conditioning))
        return false;
    conditioning->has_held = false;
    return publish(conditioning, &conditioning->held, now_us < next_us ? end_us : now_us, ret);
}

bool conditioning_let_go(struct conditioning *conditioning, struct reading *ret) {
    if (!conditioning->has_held)
        return false;
    conditioning->has_held = false;
    *ret = conditioning->held;
    return true;
}
