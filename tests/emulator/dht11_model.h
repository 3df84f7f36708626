/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A DHT11 on pin D2 (PD2) of the simulated board, pulse by pulse.
 *
 * As its data sheet says, it answers no request within a second of power-up, none whose start
 * pulse is under 18 ms, none sooner than a second after the last; and each answer is what it
 * measured at the request *before*: a change is seen with the second reading after it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "script.h"
#include "sim_avr.h"

enum { DHT11_MODEL_PULSES_MAX = 3 + 2 * 40 + 1 };

struct dht11_pulse {
    bool is_high;
    double duration_us;
};

struct dht11_model {
    avr_t *avr;                  /* borrowed from the board */
    const struct script *script; /* borrowed from main() */
    avr_irq_t *pin;
    double jitter_us; /* each pulse is up to this much longer or shorter */
    unsigned seed;
    bool is_verbose;

    uint8_t direction; /* DDRD and PORTD as last written */
    uint8_t output;
    bool is_pulled_low; /* by the board */
    avr_cycle_count_t pulled_low_at;

    bool is_holding_low; /* FAULT_STUCK */
    struct dht11_pulse pulses[DHT11_MODEL_PULSES_MAX];
    int n_pulses;
    int next_pulse;

    avr_cycle_count_t powered_at;
    avr_cycle_count_t asked_at; /* 0: not yet */
    struct conditions measured;
    bool has_measured;

    unsigned long n_requests;
    unsigned long n_answers;
};

struct dht11_model_settings {
    const struct script *script;
    double jitter_us;
    unsigned seed;
    bool is_verbose;
};

void dht11_model_init(struct dht11_model *model, avr_t *avr,
                      const struct dht11_model_settings *settings);

void dht11_model_power_on(struct dht11_model *model);

/* To be called after every reset of the processor: simavr forgets the level of the pin. */
void dht11_model_restore_line(struct dht11_model *model);

/* Follows the script where it acts on the line at any time, not only in an answer. */
void dht11_model_update(struct dht11_model *model);
