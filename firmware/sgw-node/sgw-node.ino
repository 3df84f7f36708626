/* SPDX-License-Identifier: MIT */

/*
 * sensorgw node: a DHT11 on D2, one line on the USB serial port every two seconds.
 *
 * For an Arduino UNO or Nano (ATmega328P). Wiring, flashing and numbering: firmware/README.md.
 * The lines: docs/frame.md. Settings: config.h.
 */

#include <avr/sleep.h>
#include <avr/wdt.h>

#include "config.h"
#include "dht11_line.h"
#include "frame_writer.h"
#include "host_command.h"
#include "node_number.h"
#include "reset_cause.h"

static const char sensor[] = "dht11";

static uint16_t node;
static uint16_t sequence;
static uint16_t failures; /* in a row */
static uint32_t next_reading_ms;
static struct host_command command;

static void begin(struct frame_writer *frame, enum frame_type type) {
    frame_writer_begin(frame, type, node, sequence++, millis());
}

static void send(struct frame_writer *frame) {
    uint8_t size_bytes = frame_writer_end(frame);

    Serial.write((const uint8_t *)frame->bytes, size_bytes);
}

static void say_hello(void) {
    struct frame_writer frame;
    char causes[RESET_CAUSE_SIZE];

    reset_cause_letters(causes);
    begin(&frame, FRAME_HELLO);
    frame_writer_text(&frame, FRAME_KEY_FIRMWARE, SGW_FIRMWARE_VERSION);
    frame_writer_text(&frame, FRAME_KEY_SENSOR, sensor);
    frame_writer_number(&frame, FRAME_KEY_INTERVAL, SGW_INTERVAL_MS);
    frame_writer_text(&frame, FRAME_KEY_RESET, causes);
    send(&frame);
}

static void report_climate(const struct climate *climate, const uint8_t raw[DHT11_BYTES]) {
    struct frame_writer frame;

    failures = 0;
    begin(&frame, FRAME_READING);
    frame_writer_tenths(&frame, FRAME_KEY_HUMIDITY, climate->humidity_tenths);
    frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, climate->temperature_tenths);
    if (dht11_bytes_are_negative(raw))
        frame_writer_hex(&frame, FRAME_KEY_RAW, raw, DHT11_BYTES);
    send(&frame);
}

static void report_failure(enum dht11_status status, uint8_t bits) {
    struct frame_writer frame;

    if (failures < UINT16_MAX)
        failures++;
    begin(&frame, FRAME_SENSOR_ERROR);
    frame_writer_text(&frame, FRAME_KEY_SOURCE, sensor);
    frame_writer_text(&frame, FRAME_KEY_ERROR, dht11_status_name(status));
    frame_writer_number(&frame, FRAME_KEY_BITS, bits);
    frame_writer_number(&frame, FRAME_KEY_FAILURES, failures);
    send(&frame);
}

static void take_reading(void) {
    struct dht11_answer answer;
    struct climate climate;
    enum dht11_status status;

    Serial.flush(); /* fewer interrupts while the pulses are timed */
    status = dht11_line_read(&answer);
    if (status == DHT11_OK)
        status = dht11_bytes_decode(answer.raw, &climate);

    if (status == DHT11_OK)
        report_climate(&climate, answer.raw);
    else
        report_failure(status, answer.bits);
}

/* Only what has arrived by now, and one hello for all: a flood must not starve the sensor. */
static void listen(void) {
    bool wants_hello = false;

    for (int n = Serial.available(); n > 0; n--) {
        enum host_request request = host_command_push(&command, (char)Serial.read(), &node);

        if (request == HOST_SETS_NODE)
            node_number_store(node);
        if (request != HOST_NOTHING)
            wants_hello = true;
    }
    if (wants_hello)
        say_hello();
}

static bool is_due(void) {
    return (int32_t)(millis() - next_reading_ms) >= 0;
}

void setup() {
#if SGW_WATCHDOG
    wdt_enable(WDTO_2S);
#endif
    Serial.begin(SGW_BAUD);
    dht11_line_init();
    host_command_init(&command);
    node = node_number_load();

    say_hello();
    next_reading_ms = millis() + SGW_SETTLE_MS;
    set_sleep_mode(SLEEP_MODE_IDLE); /* the clock and the serial port run on */
}

void loop() {
    wdt_reset();
    listen();
    if (is_due()) {
        next_reading_ms += SGW_INTERVAL_MS;
        take_reading();
    }
    sleep_mode(); /* until the next interrupt: the clock's, within 1.024 ms */
}
