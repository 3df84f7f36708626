/* SPDX-License-Identifier: MIT */
#include "dht11_model.h"

#include <stdlib.h>
#include <string.h>

#include "avr_extint.h"
#include "avr_ioport.h"
#include "sim_cycle_timers.h"
#include "virtual_time.h"

enum { PIN = 2, PIN_MASK = 1 << PIN };
enum { ANSWER_BITS = 40, ANSWER_BYTES = 5 };

static const double start_min_ms = 18;
static const double wake_up_ms = 1000;
static const double interval_min_ms = 1000;

/* Both are needed: any write to PORTD or DDRD sets the pin to the external value again. */
static void drive(struct dht11_model *model, bool is_high) {
    avr_ioport_external_t external = {
        .name = 'D',
        .mask = PIN_MASK,
        .value = is_high ? PIN_MASK : 0,
    };

    avr_ioctl(model->avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('D'), &external);
    avr_raise_irq(model->pin, is_high);
}

static double jitter_us(struct dht11_model *model) {
    return model->jitter_us * (2.0 * rand_r(&model->seed) / RAND_MAX - 1.0);
}

/* A cycle timer: plays one pulse, and asks to be called again at its end. */
static avr_cycle_count_t on_pulse_due(avr_t *avr, avr_cycle_count_t when, void *userdata) {
    struct dht11_model *model = userdata;
    const struct dht11_pulse *pulse = &model->pulses[model->next_pulse];

    if (model->next_pulse == model->n_pulses) {
        drive(model, true);
        return 0;
    }
    model->next_pulse++;
    drive(model, pulse->is_high);
    return when + virtual_time_cycles((pulse->duration_us + jitter_us(model)) / 1000);
}

static void add_pulse(struct dht11_model *model, bool is_high, double duration_us) {
    model->pulses[model->n_pulses++] = (struct dht11_pulse){ is_high, duration_us };
}

static void add_bit(struct dht11_model *model, bool bit) {
    add_pulse(model, false, 50);
    add_pulse(model, true, bit ? 70 : 27);
}

static void play(struct dht11_model *model, const uint8_t bytes[ANSWER_BYTES], int bits) {
    model->n_pulses = 0;
    model->next_pulse = 0;

    add_pulse(model, true, 30);
    add_pulse(model, false, 80);
    add_pulse(model, true, 80);
    for (int i = 0; i < bits; i++)
        add_bit(model, bytes[i / 8] >> (7 - i % 8) & 1);
    add_pulse(model, false, 50);

    avr_cycle_timer_register(model->avr, 1, on_pulse_due, model);
}

static void encode_dht11(const struct conditions *conditions, uint8_t ret[ANSWER_BYTES]) {
    int magnitude = abs(conditions->temperature_tenths);
    int sign = conditions->temperature_tenths < 0 ? 0x80 : 0;

    ret[0] = (uint8_t)(conditions->humidity_tenths / 10);
    ret[1] = (uint8_t)(conditions->humidity_tenths % 10);
    ret[2] = (uint8_t)(magnitude / 10);
    ret[3] = (uint8_t)(magnitude % 10 | sign);
}

static void encode_dht22(const struct conditions *conditions, uint8_t ret[ANSWER_BYTES]) {
    int magnitude = abs(conditions->temperature_tenths);
    int sign = conditions->temperature_tenths < 0 ? 0x80 : 0;

    ret[0] = (uint8_t)(conditions->humidity_tenths >> 8);
    ret[1] = (uint8_t)conditions->humidity_tenths;
    ret[2] = (uint8_t)(magnitude >> 8 | sign);
    ret[3] = (uint8_t)magnitude;
}

static void encode(const struct conditions *conditions, enum fault fault,
                   uint8_t ret[ANSWER_BYTES]) {
    memset(ret, 0, ANSWER_BYTES);
    if (fault == FAULT_ZERO)
        return;

    if (fault == FAULT_DHT22)
        encode_dht22(conditions, ret);
    else
        encode_dht11(conditions, ret);
    ret[4] = (uint8_t)(ret[0] + ret[1] + ret[2] + ret[3]);
    if (fault == FAULT_CHECKSUM)
        ret[4] ^= 0x40;
}

static void answer(struct dht11_model *model, const struct conditions *now) {
    struct conditions previous = model->has_measured ? model->measured : *now;
    uint8_t bytes[ANSWER_BYTES];

    model->measured = *now;
    model->has_measured = true;
    model->n_answers++;

    encode(&previous, now->fault, bytes);
    play(model, bytes, now->fault == FAULT_SHORT ? now->short_bits : ANSWER_BITS);
    if (model->is_verbose)
        virtual_time_log(model->avr, "dht11: answers %02x%02x%02x%02x%02x", bytes[0], bytes[1],
                         bytes[2], bytes[3], bytes[4]);
}

static double ms_since(const struct dht11_model *model, avr_cycle_count_t when) {
    return virtual_time_ms(model->avr->cycle - when);
}

static const char *reason_to_ignore(const struct dht11_model *model) {
    if (ms_since(model, model->pulled_low_at) < start_min_ms)
        return "start pulse too short";
    if (ms_since(model, model->powered_at) < wake_up_ms)
        return "asked too soon after power-up";
    if (model->asked_at > 0 && ms_since(model, model->asked_at) < interval_min_ms)
        return "asked too soon after the last request";
    return NULL;
}

static void on_request(struct dht11_model *model) {
    struct conditions now = script_at(model->script, virtual_time_ms(model->avr->cycle) / 1000);
    const char *reason = reason_to_ignore(model);

    model->n_requests++;
    if (reason) {
        virtual_time_log(model->avr, "dht11: ignores a request: %s", reason);
        return;
    }
    model->asked_at = model->avr->cycle;
    if (now.fault != FAULT_NO_RESPONSE && now.fault != FAULT_STUCK)
        answer(model, &now);
}

static void on_line_change(struct dht11_model *model) {
    bool is_pulled_low = (model->direction & PIN_MASK) && !(model->output & PIN_MASK);

    if (is_pulled_low == model->is_pulled_low)
        return;
    model->is_pulled_low = is_pulled_low;
    if (is_pulled_low) {
        model->pulled_low_at = model->avr->cycle;
        return;
    }
    drive(model, !model->is_holding_low);
    on_request(model);
}

/* Called before the register itself changes, hence the copies. */
static void on_direction(avr_irq_t *irq, uint32_t value, void *userdata) {
    struct dht11_model *model = userdata;

    model->direction = (uint8_t)value;
    on_line_change(model);
}

static void on_output(avr_irq_t *irq, uint32_t value, void *userdata) {
    struct dht11_model *model = userdata;

    model->output = (uint8_t)value;
    on_line_change(model);
}

static avr_irq_t *port_irq(avr_t *avr, int index) {
    return avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), index);
}

void dht11_model_init(struct dht11_model *model, avr_t *avr,
                      const struct dht11_model_settings *settings) {
    *model = (struct dht11_model){
        .avr = avr,
        .script = settings->script,
        .pin = port_irq(avr, IOPORT_IRQ_PIN0 + PIN),
        .jitter_us = settings->jitter_us,
        .seed = settings->seed,
        .is_verbose = settings->is_verbose,
    };
    avr_irq_register_notify(port_irq(avr, IOPORT_IRQ_DIRECTION_ALL), on_direction, model);
    avr_irq_register_notify(port_irq(avr, IOPORT_IRQ_REG_PORT), on_output, model);
}

void dht11_model_power_on(struct dht11_model *model) {
    model->powered_at = model->avr->cycle;
    model->asked_at = 0;
    model->has_measured = false;
}

/* The pin is set to 0 first because its irq is filtered: a 1 it still holds would not get through.
 */
void dht11_model_restore_line(struct dht11_model *model) {
    model->direction = 0;
    model->output = 0;
    model->is_pulled_low = false;
    model->n_pulses = 0;
    model->next_pulse = 0;
    avr_cycle_timer_cancel(model->avr, on_pulse_due, model);
    avr_raise_irq(model->pin, 0);
    drive(model, !model->is_holding_low);
}

void dht11_model_update(struct dht11_model *model) {
    struct conditions now = script_at(model->script, virtual_time_ms(model->avr->cycle) / 1000);
    bool holds_low = now.fault == FAULT_STUCK;

    /* D2 is INT0 as well, unused here. simavr would look at it in every cycle while it is low, and
     * comes back to this with every reset. */
    avr_extint_set_strict_lvl_trig(model->avr, 0, false);
    if (holds_low == model->is_holding_low)
        return;
    model->is_holding_low = holds_low;
    avr_cycle_timer_cancel(model->avr, on_pulse_due, model);
    drive(model, !holds_low);
}
