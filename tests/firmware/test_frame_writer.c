/* SPDX-License-Identifier: MIT */
#include "frame_writer.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame.h"

static void expect_line(struct frame_writer *frame, const char *line) {
    uint8_t size_bytes = frame_writer_end(frame);

    cr_expect_eq(size_bytes, strlen(line) + 2, "%.*s", size_bytes, frame->bytes);
    cr_expect_arr_eq(frame->bytes, line, strlen(line), "%.*s", size_bytes, frame->bytes);
    cr_expect_arr_eq(&frame->bytes[size_bytes - 2], "\r\n", 2);
}

/* What the daemon makes of it. */
static struct frame read_back(const struct frame_writer *frame) {
    struct frame_decoder decoder;
    struct frame read;
    int r = 0;

    frame_decoder_init(&decoder);
    for (uint8_t i = 0; i < frame->size_bytes; i++)
        r = frame_push(&decoder, (uint8_t)frame->bytes[i], &read);
    cr_assert_eq(r, 1, "the daemon does not take %.*s", frame->size_bytes, frame->bytes);
    return read;
}

Test(frame_writer, writes_a_hello) {
    struct frame_writer frame;

    frame_writer_begin(&frame, FRAME_HELLO, 1, 0, 0);
    frame_writer_text(&frame, FRAME_KEY_FIRMWARE, "0.1.0");
    frame_writer_text(&frame, FRAME_KEY_SENSOR, "dht11");
    frame_writer_number(&frame, FRAME_KEY_INTERVAL, 2000);
    frame_writer_text(&frame, FRAME_KEY_RESET, "P");
    expect_line(&frame, "$SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=P*916E");
}

Test(frame_writer, writes_a_reading) {
    struct frame_writer frame;

    frame_writer_begin(&frame, FRAME_READING, 42, 65535, 4294967295);
    frame_writer_tenths(&frame, FRAME_KEY_HUMIDITY, 950);
    frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, -34);
    expect_line(&frame, "$SGW1,R,42,65535,4294967295,rh=95.0,t=-3.4*FC5A");
}

Test(frame_writer, writes_the_bytes_beside_a_reading) {
    static const uint8_t raw[] = { 0x2d, 0x00, 0x03, 0x84, 0xb4 };
    struct frame_writer frame;

    frame_writer_begin(&frame, FRAME_READING, 1, 10, 19524);
    frame_writer_tenths(&frame, FRAME_KEY_HUMIDITY, 450);
    frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, -34);
    frame_writer_hex(&frame, FRAME_KEY_RAW, raw, sizeof(raw));
    expect_line(&frame, "$SGW1,R,1,10,19524,rh=45.0,t=-3.4,raw=2d000384b4*2F34");
}

Test(frame_writer, writes_a_sensor_error) {
    struct frame_writer frame;

    frame_writer_begin(&frame, FRAME_SENSOR_ERROR, 1, 6, 11523);
    frame_writer_text(&frame, FRAME_KEY_SOURCE, "dht11");
    frame_writer_text(&frame, FRAME_KEY_ERROR, "short");
    frame_writer_number(&frame, FRAME_KEY_BITS, 16);
    frame_writer_number(&frame, FRAME_KEY_FAILURES, 3);
    expect_line(&frame, "$SGW1,E,1,6,11523,src=dht11,err=short,bits=16,n=3*2153");
}

struct tenths_row {
    char name[32];
    int16_t tenths;
};

ParameterizedTestParameters(frame_writer, writes_tenths) {
    static struct tenths_row rows[] = {
        { "0.0", 0 },      { "0.5", 5 },      { "-0.5", -5 },          { "21.5", 215 },
        { "100.0", 1000 }, { "-60.0", -600 }, { "3276.7", INT16_MAX }, { "-3276.8", INT16_MIN },
    };

    return cr_make_param_array(struct tenths_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct tenths_row *row, frame_writer, writes_tenths) {
    struct frame_writer frame;
    char expected[64];

    frame_writer_begin(&frame, FRAME_READING, 1, 2, 3);
    frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, row->tenths);
    snprintf(expected, sizeof(expected), "$SGW1,R,1,2,3,t=%s*", row->name);
    cr_expect_gt(frame_writer_end(&frame), 0);
    cr_expect_arr_eq(frame.bytes, expected, strlen(expected), "%s", row->name);
}

Test(frame_writer, is_understood_by_the_daemon_at_every_extreme) {
    struct frame_writer frame;
    struct frame read;

    frame_writer_begin(&frame, FRAME_HELLO, 65535, 65535, 4294967295);
    frame_writer_text(&frame, FRAME_KEY_FIRMWARE, "0.1.0");
    frame_writer_text(&frame, FRAME_KEY_SENSOR, "dht11");
    frame_writer_number(&frame, FRAME_KEY_INTERVAL, 2000);
    frame_writer_text(&frame, FRAME_KEY_RESET, "PEBW");
    cr_expect_gt(frame_writer_end(&frame), 0);

    read = read_back(&frame);
    cr_expect_eq(read.type, FRAME_HELLO);
    cr_expect_eq(read.node, 65535);
    cr_expect_eq(read.sequence, 65535);
    cr_expect_eq(read.up_ms, 4294967295);
    cr_expect_str_eq(read.hello.reset, "PEBW");
    cr_expect_eq(read.hello.interval_ms, 2000);
}

Test(frame_writer, every_temperature_arrives_as_it_was_sent) {
    for (int16_t tenths = -600; tenths <= 600; tenths++) {
        struct frame_writer frame;
        struct frame read;
        const struct quantity *temperature;

        frame_writer_begin(&frame, FRAME_READING, 1, 1, 1524);
        frame_writer_tenths(&frame, FRAME_KEY_TEMPERATURE, tenths);
        cr_assert_gt(frame_writer_end(&frame), 0);
        read = read_back(&frame);
        temperature = reading_find(&read.reading, "temperature");
        cr_assert_not_null(temperature);
        cr_assert_eq(temperature->decimals, 1);
        cr_assert_eq(temperature->scaled, tenths);
    }
}

/* A body that leaves room for exactly its tail, and one that is a byte longer. */
Test(frame_writer, a_frame_fits_whole_or_comes_out_empty) {
    static const char head[] = "$SGW1,R,1,2,3,k=";
    char value[FRAME_SIZE_MAX] = { 0 };
    size_t room = FRAME_SIZE_MAX - FRAME_TAIL_SIZE - strlen(head);
    struct frame_writer frame;

    memset(value, 'x', room);
    frame_writer_begin(&frame, FRAME_READING, 1, 2, 3);
    frame_writer_text(&frame, "k", value);
    cr_expect_eq(frame_writer_end(&frame), FRAME_SIZE_MAX);

    value[room] = 'x';
    frame_writer_begin(&frame, FRAME_READING, 1, 2, 3);
    frame_writer_text(&frame, "k", value);
    cr_expect_eq(frame_writer_end(&frame), 0);

    frame_writer_begin(&frame, FRAME_READING, 1, 2, 3);
    for (int i = 0; i < 100; i++)
        frame_writer_number(&frame, "n", 4294967295);
    cr_expect_eq(frame_writer_end(&frame), 0);
}
