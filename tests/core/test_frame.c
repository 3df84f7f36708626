/* SPDX-License-Identifier: MIT */
#include "core/frame.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/frame_crc.h"
#include "seed.h"

#define HELLO "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=P"
#define READING "SGW1,R,1,1,1524,rh=45.0,t=21.5"
#define SENSOR_ERROR "SGW1,E,1,3,5501,src=dht11,err=stuck,bits=0,n=1"
#define READING_LINE "$" READING "*A5DD\r\n"

enum {
    VECTORS_MAX = 64,
    VECTOR_SIZE = 256,
    HEARD_MAX = 64,
    LINE_SIZE = 256,
};

/* A decoder, what it gave, and what it should have counted. */
struct listener {
    struct frame_decoder decoder;
    struct frame frames[HEARD_MAX]; /* the first ones */
    size_t count;
    uint64_t starts;  /* '$' */
    uint64_t outside; /* bytes between frames */
};

static void listener_init(struct listener *listener) {
    memset(listener, 0xa5, sizeof(*listener));
    frame_decoder_init(&listener->decoder);
    listener->count = 0;
    listener->starts = 0;
    listener->outside = 0;
}

/* Every frame that was begun has ended in one counter, but for the one that is going on. */
static void check_counters(const struct listener *listener) {
    const struct frame_counters *counters = &listener->decoder.counters;
    uint64_t ended = counters->frames + frame_damaged(counters) + counters->unknown_version +
                     counters->unknown_type;

    cr_assert_eq(counters->noise_bytes, listener->outside);
    cr_assert_eq(listener->starts, ended + (listener->decoder.length > 0));
    cr_assert_leq(listener->decoder.length, FRAME_SIZE_MAX);
}

/* Pushes bytes and holds every single answer against the counters. */
static void hear(struct listener *listener, const char *bytes, size_t size) {
    struct frame_decoder *decoder = &listener->decoder;

    for (size_t i = 0; i < size; i++) {
        struct frame_counters before = decoder->counters;
        struct frame untouched;
        struct frame frame;
        int r;

        memset(&untouched, 0x5a, sizeof(untouched));
        memset(&frame, 0x5a, sizeof(frame));
        if (bytes[i] == FRAME_START)
            listener->starts++;
        else if (decoder->length == 0)
            listener->outside++;
        r = frame_push(decoder, (uint8_t)bytes[i], &frame);

        cr_assert(r == 1 || r == 0 || r == -EBADMSG, "%d", r);
        cr_assert_eq(decoder->counters.frames - before.frames, r == 1);
        cr_assert_eq(frame_damaged(&decoder->counters) - frame_damaged(&before), r < 0);
        if (r <= 0)
            cr_assert_eq(memcmp(&frame, &untouched, sizeof(frame)), 0, "written without success");
        else if (listener->count < HEARD_MAX)
            listener->frames[listener->count++] = frame;
    }
    check_counters(listener);
}

static void hear_text(struct listener *listener, const char *text) {
    hear(listener, text, strlen(text));
}

/* "$body*CRC" and the end. */
static size_t write_line(char line[LINE_SIZE], const char *body, const char *line_end) {
    return (size_t)snprintf(line, LINE_SIZE, "$%s*%04X%s", body, frame_crc(body, strlen(body)),
                            line_end);
}

static void hear_body(struct listener *listener, const char *body) {
    char line[LINE_SIZE];

    hear(listener, line, write_line(line, body, "\r\n"));
}

/* The body that a frame was decoded from, if it was written as our boards write it. */
static void describe(const struct frame *frame, char text[LINE_SIZE]) {
    char quantities[READING_TEXT_SIZE];
    int n = snprintf(text, LINE_SIZE, "SGW1,%c,%u,%u,%u", (char)frame->type, frame->node,
                     frame->sequence, frame->up_ms);
    char *rest = text + n;
    size_t size = LINE_SIZE - (size_t)n;

    switch (frame->type) {
    case FRAME_HELLO:
        (void)snprintf(rest, size, ",fw=%s,sens=%s,int=%u,rst=%s", frame->hello.firmware,
                       frame->hello.sensor, frame->hello.interval_ms, frame->hello.reset);
        break;
    case FRAME_READING:
        cr_assert_gt(reading_render(&frame->reading, quantities, sizeof(quantities)), 0);
        (void)snprintf(rest, size, ",%s%s%s", quantities, frame->raw[0] ? ",raw=" : "", frame->raw);
        break;
    case FRAME_SENSOR_ERROR:
        (void)snprintf(rest, size, ",src=%s,err=%s,bits=%u,n=%u", frame->error.source,
                       frame->error.error, frame->error.bits, frame->error.failures);
        break;
    }
}

/* `line` is "$body*CRC" and whatever. */
static void expect_frame(const struct frame *frame, const char *line) {
    char body[LINE_SIZE];
    char text[LINE_SIZE];

    (void)snprintf(body, sizeof(body), "%.*s", (int)strcspn(line + 1, "*"), line + 1);
    describe(frame, text);
    cr_assert_str_eq(text, body);
}

static FILE *open_vectors(void) {
    char path[512];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/frames.txt", getenv("SENSORGW_VECTORS"));
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    return file;
}

/* The whole frames of the vectors, with CR LF. */
static size_t load_vectors(char vectors[VECTORS_MAX][VECTOR_SIZE]) {
    FILE *file = open_vectors();
    char line[VECTOR_SIZE];
    size_t count = 0;

    while (fgets(line, sizeof(line), file)) {
        char frame[VECTOR_SIZE - 3];

        if (sscanf(line, "frame %252[^\n]", frame) != 1)
            continue;
        cr_assert_lt(count, VECTORS_MAX);
        (void)snprintf(vectors[count++], VECTOR_SIZE, "%s\r\n", frame);
    }
    (void)fclose(file);
    cr_assert_gt(count, 10, "only %zu vectors", count);
    return count;
}

Test(frame, every_vector_is_understood) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);

    for (size_t i = 0; i < count; i++) {
        struct listener listener;

        listener_init(&listener);
        hear_text(&listener, vectors[i]);
        cr_assert_eq(listener.count, 1, "%s", vectors[i]);
        expect_frame(&listener.frames[0], vectors[i]);
    }
}

/* Turns \xHH and \n into the bytes they stand for. */
static size_t unescape(const char *text, size_t length, char *bytes) {
    size_t size = 0;

    for (size_t i = 0; i < length; i++) {
        unsigned byte;

        if (text[i] != '\\') {
            bytes[size++] = text[i];
        } else if (text[i + 1] == 'n') {
            bytes[size++] = '\n';
            i++;
        } else {
            cr_assert_eq(sscanf(text + i, "\\x%2x", &byte), 1, "%s", text);
            bytes[size++] = (char)byte;
            i += 3;
        }
    }
    return size;
}

Test(frame, every_damaged_stream_of_the_vectors_gives_its_frame) {
    FILE *file = open_vectors();
    char line[1024];
    unsigned streams = 0;

    while (fgets(line, sizeof(line), file)) {
        const char *text = line + strlen("stream ");
        const char *arrow = strstr(line, " => ");
        struct listener listener;
        char bytes[sizeof(line)];

        if (strncmp(line, "stream ", strlen("stream ")) != 0)
            continue;
        cr_assert_not_null(arrow, "%s", line);
        listener_init(&listener);
        hear(&listener, bytes, unescape(text, (size_t)(arrow - text), bytes));
        cr_assert_eq(listener.count, 1, "%s", line);
        expect_frame(&listener.frames[0], arrow + strlen(" => "));
        streams++;
    }
    (void)fclose(file);
    cr_expect_gt(streams, 0);
}

Test(frame, the_damage_of_the_documentation_is_counted) {
    struct listener listener;
    struct frame_counters expected = { .frames = 1,
                                       .foreign_byte = 1, /* ff */
                                       .cut = 2 };        /* $$ and ZZ$ */

    listener_init(&listener);
    hear_text(&listener, "$SGW1,R,1,1,15\xff$$,*ZZ$SGW1,R,1,2,3524,rh=45.0,t=21.5*67F9\n");
    cr_assert_eq(listener.count, 1);
    expect_frame(&listener.frames[0], "$SGW1,R,1,2,3524,rh=45.0,t=21.5*67F9");
    cr_expect_eq(memcmp(&listener.decoder.counters, &expected, sizeof(expected)), 0);
}

Test(frame, a_hello_has_its_fields) {
    struct listener listener;

    listener_init(&listener);
    hear_text(&listener, "$SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000,rst=P*916E\r\n");
    cr_assert_eq(listener.count, 1);
    cr_expect_eq(listener.frames[0].type, FRAME_HELLO);
    cr_expect_eq(listener.frames[0].node, 1);
    cr_expect_eq(listener.frames[0].sequence, 0);
    cr_expect_eq(listener.frames[0].up_ms, 0);
    cr_expect_str_eq(listener.frames[0].hello.firmware, "0.1.0");
    cr_expect_str_eq(listener.frames[0].hello.sensor, "dht11");
    cr_expect_str_eq(listener.frames[0].hello.reset, "P");
    cr_expect_eq(listener.frames[0].hello.interval_ms, 2000);
}

Test(frame, a_reading_has_its_fields) {
    struct listener listener;
    const struct frame *frame = &listener.frames[0];

    listener_init(&listener);
    hear_text(&listener, "$SGW1,R,42,65535,4294967295,rh=95.0,t=-3.4*FC5A\r\n");
    cr_assert_eq(listener.count, 1);
    cr_expect_eq(frame->type, FRAME_READING);
    cr_expect_eq(frame->node, 42);
    cr_expect_eq(frame->sequence, 65535);
    cr_expect_eq(frame->up_ms, 4294967295);
    cr_assert_eq(frame->reading.count, 2);
    cr_expect_str_eq(frame->reading.quantities[0].key, "rh");
    cr_expect_eq(frame->reading.quantities[0].scaled, 950);
    cr_expect_eq(frame->reading.quantities[0].decimals, 1);
    cr_expect_str_eq(frame->reading.quantities[1].key, "t");
    cr_expect_eq(frame->reading.quantities[1].scaled, -34);
    cr_expect_eq(frame->reading.quantities[1].decimals, 1);
    cr_expect_str_empty(frame->raw);
    cr_expect_str_empty(frame->reading.sensor);
    cr_expect_eq(frame->reading.taken_us, 0);
}

Test(frame, a_sensor_error_has_its_fields) {
    struct listener listener;

    listener_init(&listener);
    hear_text(&listener, "$SGW1,E,1,5,9525,src=dht11,err=cksum,bits=40,n=2*803F\r\n");
    cr_assert_eq(listener.count, 1);
    cr_expect_eq(listener.frames[0].type, FRAME_SENSOR_ERROR);
    cr_expect_str_eq(listener.frames[0].error.source, "dht11");
    cr_expect_str_eq(listener.frames[0].error.error, "cksum");
    cr_expect_eq(listener.frames[0].error.bits, 40);
    cr_expect_eq(listener.frames[0].error.failures, 2);
}

Test(frame, raw_is_kept_and_is_no_quantity) {
    struct listener listener;

    listener_init(&listener);
    hear_body(&listener, "SGW1,R,1,10,19524,raw=2d000384b4,rh=45.0,t=-3.4");
    cr_assert_eq(listener.count, 1);
    cr_expect_str_eq(listener.frames[0].raw, "2d000384b4");
    cr_expect_eq(listener.frames[0].reading.count, 2);
}

Test(frame, raw_does_not_stay_for_the_next_reading) {
    struct listener listener;

    listener_init(&listener);
    hear_body(&listener, "SGW1,R,1,10,19524,t=-3.4,raw=2d000384b4");
    hear_body(&listener, "SGW1,R,1,11,21524,t=3.4");
    cr_assert_eq(listener.count, 2);
    cr_expect_str_empty(listener.frames[1].raw);
}

/* What a whole body with a right CRC counts as. */
struct body_row {
    char name[40];
    char body[96];
    size_t counter; /* its place in struct frame_counters */
};

#define GOOD offsetof(struct frame_counters, frames)
#define MALFORMED offsetof(struct frame_counters, malformed)
#define OTHER_VERSION offsetof(struct frame_counters, unknown_version)
#define OTHER_TYPE offsetof(struct frame_counters, unknown_type)

ParameterizedTestParameters(frame, a_body_is_taken_or_counted) {
    static struct body_row rows[] = {
        { "hello", HELLO, GOOD },
        { "reading", READING, GOOD },
        { "sensor error", SENSOR_ERROR, GOOD },

        { "version 2", "SGW2,R,1,1,1524,rh=45.0,t=21.5", OTHER_VERSION },
        { "version 0", "SGW0,R,1,1,1524,t=21.5", OTHER_VERSION },
        { "version 10", "SGW10,R,1,1,1524,t=21.5", OTHER_VERSION },
        { "version 2 and no comma", "SGW2;whatever it may be", MALFORMED },
        { "version 2, other fields", "SGW2,=,,x", OTHER_VERSION },
        { "version 2 alone", "SGW2", OTHER_VERSION },
        { "version 1 alone", "SGW1", MALFORMED },
        { "version without number", "SGW,R,1,1,1524,t=21.5", MALFORMED },
        { "version of letters", "SGWX,R,1,1,1524,t=21.5", MALFORMED },
        { "version in lower case", "sgw1,R,1,1,1524,t=21.5", MALFORMED },
        { "NMEA", "GPGGA,123519,4807.038,N", MALFORMED },
        { "empty", "", MALFORMED },
        { "comma", ",", MALFORMED },
        { "space before", " SGW1,R,1,1,1524,t=21.5", MALFORMED },

        { "type C", "SGW1,C,1,1,1524,x=1", OTHER_TYPE },
        { "type A", "SGW1,A,1,1,1524", OTHER_TYPE },
        { "type in lower case", "SGW1,r,1,1,1524,t=21.5", OTHER_TYPE },
        { "type C, odd fields", "SGW1,C,1,1,1524,,a,=", OTHER_TYPE },
        { "type C without head", "SGW1,C", MALFORMED },
        { "type of two letters", "SGW1,RR,1,1,1524,t=21.5", MALFORMED },
        { "empty type", "SGW1,,1,1,1524,t=21.5", MALFORMED },
        { "no type", "SGW1,", MALFORMED },

        { "node 65535", "SGW1,R,65535,1,1524,t=21.5", GOOD },
        { "node 0", "SGW1,R,0,1,1524,t=21.5", MALFORMED },
        { "node 65536", "SGW1,R,65536,1,1524,t=21.5", MALFORMED },
        { "node -1", "SGW1,R,-1,1,1524,t=21.5", MALFORMED },
        { "node +1", "SGW1,R,+1,1,1524,t=21.5", MALFORMED },
        { "node empty", "SGW1,R,,1,1524,t=21.5", MALFORMED },
        { "node in hex", "SGW1,R,0x1,1,1524,t=21.5", MALFORMED },
        { "node with a space", "SGW1,R, 1,1,1524,t=21.5", MALFORMED },
        { "node of 4294967297", "SGW1,R,4294967297,1,1524,t=21.5", MALFORMED },
        { "node of twenty digits", "SGW1,R,18446744073709551617,1,1524,t=21.5", MALFORMED },
        { "sequence 65535", "SGW1,R,1,65535,1524,t=21.5", GOOD },
        { "sequence 65536", "SGW1,R,1,65536,1524,t=21.5", MALFORMED },
        { "sequence empty", "SGW1,R,1,,1524,t=21.5", MALFORMED },
        { "sequence with a point", "SGW1,R,1,1.0,1524,t=21.5", MALFORMED },
        { "up 4294967295", "SGW1,R,1,1,4294967295,t=21.5", GOOD },
        { "up 4294967296", "SGW1,R,1,1,4294967296,t=21.5", MALFORMED },
        { "up of eleven digits", "SGW1,R,1,1,00000001524,t=21.5", MALFORMED },
        { "up missing", "SGW1,R,1,1,t=21.5", MALFORMED },
        { "nothing after the head", "SGW1,R,1,1,1524", MALFORMED },
        { "nothing after the head's comma", "SGW1,R,1,1,1524,", MALFORMED },

        { "hello without fw", "SGW1,H,1,0,0,sens=dht11,int=2000,rst=P", MALFORMED },
        { "hello without sens", "SGW1,H,1,0,0,fw=0.1.0,int=2000,rst=P", MALFORMED },
        { "hello without int", "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,rst=P", MALFORMED },
        { "hello without rst", "SGW1,H,1,0,0,fw=0.1.0,sens=dht11,int=2000", MALFORMED },
        { "hello without anything", "SGW1,H,1,0,0", MALFORMED },
        { "hello in another order", "SGW1,H,1,0,0,rst=P,int=2000,sens=dht11,fw=0.1.0", GOOD },
        { "hello with an unknown key", HELLO ",x=1,time=now", GOOD },
        { "hello with an unknown key twice", HELLO ",x=1,x=2", GOOD },
        { "hello with an unknown key first", "SGW1,H,1,0,0,x=1,fw=1,sens=d,int=1,rst=-", GOOD },
        { "hello with fw twice", HELLO ",fw=0.1.0", MALFORMED },
        { "hello with int twice", HELLO ",int=2000", MALFORMED },
        { "hello with fw empty", "SGW1,H,1,0,0,fw=,sens=dht11,int=2000,rst=P", MALFORMED },
        { "hello with int 0", "SGW1,H,1,0,0,fw=1,sens=d,int=0,rst=P", MALFORMED },
        { "hello with int 4294967295", "SGW1,H,1,0,0,fw=1,sens=d,int=4294967295,rst=P", GOOD },
        { "hello with int 4294967296", "SGW1,H,1,0,0,fw=1,sens=d,int=4294967296,rst=P", MALFORMED },
        { "hello with int 2s", "SGW1,H,1,0,0,fw=1,sens=d,int=2s,rst=P", MALFORMED },
        { "hello with int -1", "SGW1,H,1,0,0,fw=1,sens=d,int=-1,rst=P", MALFORMED },
        { "hello with several causes", "SGW1,H,1,0,0,fw=1,sens=d,int=1,rst=PEBW", GOOD },

        { "key of 8", HELLO ",abcdefgh=1", GOOD },
        { "key of 9", HELLO ",abcdefghi=1", MALFORMED },
        { "key with digits", HELLO ",0a9=1", GOOD },
        { "key in capitals", HELLO ",X=1", MALFORMED },
        { "key with _", HELLO ",a_b=1", MALFORMED },
        { "key empty", HELLO ",=1", MALFORMED },
        { "value of 24", HELLO ",x=123456789012345678901234", GOOD },
        { "value of 25", HELLO ",x=1234567890123456789012345", MALFORMED },
        { "value empty", HELLO ",x=", MALFORMED },
        { "value with spaces", HELLO ",x= a b ", GOOD },
        { "value with =", HELLO ",x=a=b", MALFORMED },
        { "value with *", HELLO ",x=a*b", MALFORMED },
        { "field without =", HELLO ",x", MALFORMED },
        { "field empty", "SGW1,H,1,0,0,,fw=0.1.0,sens=dht11,int=2000,rst=P", MALFORMED },
        { "field empty at the end", HELLO ",", MALFORMED },

        { "error without src", "SGW1,E,1,3,5501,err=stuck,bits=0,n=1", MALFORMED },
        { "error without err", "SGW1,E,1,3,5501,src=dht11,bits=0,n=1", MALFORMED },
        { "error without bits", "SGW1,E,1,3,5501,src=dht11,err=stuck,n=1", MALFORMED },
        { "error without n", "SGW1,E,1,3,5501,src=dht11,err=stuck,bits=0", MALFORMED },
        { "error with an unknown key", SENSOR_ERROR ",us=4000", GOOD },
        { "error with an unknown word", "SGW1,E,1,3,5501,src=bme280,err=i2c,bits=0,n=1", GOOD },
        { "error with err twice", SENSOR_ERROR ",err=stuck", MALFORMED },
        { "error with n twice", SENSOR_ERROR ",n=1", MALFORMED },
        { "error with n 65535", "SGW1,E,1,3,5501,src=d,err=e,bits=0,n=65535", GOOD },
        { "error with n 65536", "SGW1,E,1,3,5501,src=d,err=e,bits=0,n=65536", MALFORMED },
        { "error with bits 65536", "SGW1,E,1,3,5501,src=d,err=e,bits=65536,n=1", MALFORMED },
        { "error with bits -1", "SGW1,E,1,3,5501,src=d,err=e,bits=-1,n=1", MALFORMED },

        { "one quantity", "SGW1,R,1,1,1,t=21.5", GOOD },
        { "a quantity we do not know", "SGW1,R,1,1,1,co2=400.0", GOOD },
        { "eight quantities", "SGW1,R,1,1,1,a=1.0,b=1.0,c=1.0,d=1.0,e=1.0,f=1.0,g=1.0,h=1.0",
          GOOD },
        { "eight and raw", "SGW1,R,1,1,1,a=1.0,b=1.0,c=1.0,raw=0,d=1.0,e=1.0,f=1.0,g=1.0,h=1.0",
          GOOD },
        { "nine quantities", "SGW1,R,1,1,1,a=1.0,b=1.0,c=1.0,d=1.0,e=1.0,f=1.0,g=1.0,h=1.0,i=1.0",
          MALFORMED },
        { "a quantity twice", "SGW1,R,1,1,1,t=21.5,rh=45.0,t=21.5", MALFORMED },
        { "no quantity but raw", "SGW1,R,1,1,1,raw=2d000384b4", MALFORMED },
        { "raw twice", "SGW1,R,1,1,1,t=1.0,raw=00,raw=00", MALFORMED },
        { "raw of 24", "SGW1,R,1,1,1,t=1.0,raw=0123456789abcdef01234567", GOOD },
        { "raw of 25", "SGW1,R,1,1,1,t=1.0,raw=0123456789abcdef012345678", MALFORMED },
        { "raw empty", "SGW1,R,1,1,1,t=1.0,raw=", MALFORMED },
        { "quantity id", "SGW1,R,1,1,1,t=1.0,id=1.0", MALFORMED },
        { "quantity time", "SGW1,R,1,1,1,t=1.0,time=1.0", MALFORMED },
        { "quantity gateway", "SGW1,R,1,1,1,t=1.0,gateway=1.0", MALFORMED },
        { "quantity sensor", "SGW1,R,1,1,1,t=1.0,sensor=1.0", MALFORMED },
        { "quantity late", "SGW1,R,1,1,1,t=1.0,late=1.0", MALFORMED },
        { "quantity clock", "SGW1,R,1,1,1,t=1.0,clock=1.0", MALFORMED },
        { "quantity check", "SGW1,R,1,1,1,t=1.0,check=1.0", MALFORMED },
        { "quantity temperature", "SGW1,R,1,1,1,t=1.0,temperature=1.0", MALFORMED },
        { "quantity humidity", "SGW1,R,1,1,1,t=1.0,humidity=1.0", MALFORMED },
        { "quantity pressure", "SGW1,R,1,1,1,t=1.0,pressure=1.0", MALFORMED },
        { "quantity illuminance", "SGW1,R,1,1,1,t=1.0,illuminance=1.0", MALFORMED },
        { "quantity voltage", "SGW1,R,1,1,1,t=1.0,voltage=1.0", MALFORMED },

        { "zero", "SGW1,R,1,1,1,t=0.0", GOOD },
        { "negative zero", "SGW1,R,1,1,1,t=-0.0", MALFORMED },
        { "negative zero, two digits", "SGW1,R,1,1,1,t=-00.0", MALFORMED },
        { "just below zero", "SGW1,R,1,1,1,t=-0.1", GOOD },
        { "seven digits", "SGW1,R,1,1,1,t=9999999.9", GOOD },
        { "seven digits below zero", "SGW1,R,1,1,1,t=-9999999.9", GOOD },
        { "eight digits", "SGW1,R,1,1,1,t=12345678.9", MALFORMED },
        { "no decimal", "SGW1,R,1,1,1,t=21", MALFORMED },
        { "two decimals", "SGW1,R,1,1,1,t=21.50", MALFORMED },
        { "nothing before the point", "SGW1,R,1,1,1,t=.5", MALFORMED },
        { "nothing after the point", "SGW1,R,1,1,1,t=21.", MALFORMED },
        { "plus", "SGW1,R,1,1,1,t=+21.5", MALFORMED },
        { "two minus", "SGW1,R,1,1,1,t=--1.5", MALFORMED },
        { "space in the value", "SGW1,R,1,1,1,t= 21.5", MALFORMED },
        { "nan", "SGW1,R,1,1,1,t=nan", MALFORMED },
        { "exponent", "SGW1,R,1,1,1,t=2.1e1", MALFORMED },
        { "good quantity, malformed one", "SGW1,R,1,1,1,t=21.5,rh=x", MALFORMED },
    };

    return cr_make_param_array(struct body_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct body_row *row, frame, a_body_is_taken_or_counted) {
    struct frame_counters expected = { 0 };
    struct listener listener;
    uint64_t one = 1;

    memcpy((char *)&expected + row->counter, &one, sizeof(one));
    listener_init(&listener);
    hear_body(&listener, row->body);
    cr_expect_eq(memcmp(&listener.decoder.counters, &expected, sizeof(expected)), 0, "%s: %s",
                 row->name, row->body);
    hear_body(&listener, READING);
    cr_expect_eq(listener.decoder.counters.frames, expected.frames + 1, "%s: and goes on",
                 row->name);
}

/* What a line counts as, whatever is wrong with it. */
struct line_row {
    char name[40];
    char bytes[128];
    struct frame_counters counters;
};

ParameterizedTestParameters(frame, a_line_is_taken_or_counted) {
    static struct line_row rows[] = {
        { "CR LF", READING_LINE, { .frames = 1 } },
        { "LF alone", "$" READING "*A5DD\n", { .frames = 1 } },
        { "CR alone", "$" READING "*A5DD\r", { 0 } },
        { "no end", "$" READING "*A5DD", { 0 } },
        { "CR and then not LF", "$" READING "*A5DD\rx\n", { .foreign_byte = 1, .noise_bytes = 1 } },
        { "CR CR LF", "$" READING "*A5DD\r\r\n", { .foreign_byte = 1, .noise_bytes = 1 } },
        { "LF CR", "$" READING "*A5DD\n\r", { .frames = 1, .noise_bytes = 1 } },
        { "CR inside", "$SGW1,R,\r1,1,1524*0000\n", { .foreign_byte = 1, .noise_bytes = 13 } },
        { "CR at once", "$\r\n", { .bad_crc = 1 } },
        { "LF at once", "$\n", { .bad_crc = 1 } },
        { "CR and a new frame", "$" READING "*A5DD\r" READING_LINE, { .cut = 1, .frames = 1 } },

        { "noise before", "noise" READING_LINE, { .noise_bytes = 5, .frames = 1 } },
        { "noise after", READING_LINE "noise", { .noise_bytes = 5, .frames = 1 } },
        { "noise of the high half", "\x80\xff" READING_LINE, { .noise_bytes = 2, .frames = 1 } },
        { "empty lines", "\r\n\n" READING_LINE "\r\n", { .noise_bytes = 5, .frames = 1 } },
        { "a frame without its $", READING "*A5DD\r\n", { .noise_bytes = 37 } },
        { "one frame on another's heels", READING_LINE READING_LINE, { .frames = 2 } },

        { "cut by a frame", "$SGW1,R,1,1,15" READING_LINE, { .cut = 1, .frames = 1 } },
        { "a second $", "$" READING_LINE, { .cut = 1, .frames = 1 } },
        { "ten $", "$$$$$$$$$" READING_LINE, { .cut = 9, .frames = 1 } },
        { "cut in its CRC", "$" READING "*A5" READING_LINE, { .cut = 1, .frames = 1 } },

        { "high byte", "$SGW1,\xff" READING_LINE, { .foreign_byte = 1, .frames = 1 } },
        { "tab", "$SGW1,\t" READING_LINE, { .foreign_byte = 1, .frames = 1 } },
        { "delete", "$SGW1,\x7f" READING_LINE, { .foreign_byte = 1, .frames = 1 } },
        { "what follows a foreign byte",
          "$SGW1\x01 to LF\n" READING_LINE,
          { .foreign_byte = 1, .noise_bytes = 7, .frames = 1 } },
        { "foreign byte in the CRC",
          "$" READING "*A5\xc4"
          "D\r\n",
          { .foreign_byte = 1, .noise_bytes = 3 } },

        { "wrong CRC", "$" READING "*A5DC\r\n", { .bad_crc = 1 } },
        { "lower-case CRC", "$" READING "*a5dd\r\n", { .bad_crc = 1 } },
        { "one lower-case digit", "$" READING "*A5Dd\r\n", { .bad_crc = 1 } },
        { "CRC of three digits", "$" READING "*A5D\r\n", { .bad_crc = 1 } },
        { "CRC of five digits", "$" READING "*A5DD0\r\n", { .bad_crc = 1 } },
        { "CRC of zero digits", "$" READING "*\r\n", { .bad_crc = 1 } },
        { "no CRC", "$" READING "\r\n", { .bad_crc = 1 } },
        { "no mark", "$" READING "A5DD\r\n", { .bad_crc = 1 } },
        { "another mark", "$" READING "#A5DD\r\n", { .bad_crc = 1 } },
        { "space after the CRC", "$" READING "*A5DD \r\n", { .bad_crc = 1 } },
        { "CRC that is no hex", "$" READING "*A5DG\r\n", { .bad_crc = 1 } },
        { "nothing but a CRC", "$*FFFF\r\n", { .malformed = 1 } },
        { "CRC alone, too short", "$*FFF\r\n", { .bad_crc = 1 } },
        { "CRC alone, no mark", "$FFFF\r\n", { .bad_crc = 1 } },
        { "a wrong CRC hides a version", "$SGW2,R,1*0000\r\n", { .bad_crc = 1 } },
        { "a wrong CRC hides a type", "$SGW1,C,1,1,1*0000\r\n", { .bad_crc = 1 } },
        { "a wrong CRC hides malformed", "$SGW1,R*0000\r\n", { .bad_crc = 1 } },
    };

    return cr_make_param_array(struct line_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct line_row *row, frame, a_line_is_taken_or_counted) {
    struct listener listener;

    listener_init(&listener);
    hear_text(&listener, row->bytes);
    cr_expect_eq(memcmp(&listener.decoder.counters, &row->counters, sizeof(row->counters)), 0,
                 "%s: %s", row->name, row->bytes);
    for (size_t i = 0; i < listener.count; i++)
        expect_frame(&listener.frames[i], READING_LINE);
}

Test(frame, damaged_counts_every_kind_of_damage_and_nothing_else) {
    struct frame_counters counters = { .frames = 1,
                                       .noise_bytes = 10,
                                       .cut = 100,
                                       .overlong = 1000,
                                       .foreign_byte = 10000,
                                       .bad_crc = 100000,
                                       .malformed = 1000000,
                                       .unknown_version = 10000000,
                                       .unknown_type = 100000000 };

    cr_expect_eq(frame_damaged(&counters), 1111100);
}

Test(frame, init_forgets_everything) {
    struct frame_decoder decoder;
    struct frame_decoder clean = { 0 };

    memset(&decoder, 0xff, sizeof(decoder));
    frame_decoder_init(&decoder);
    cr_expect_eq(decoder.length, 0);
    cr_expect_eq(memcmp(&decoder.counters, &clean.counters, sizeof(clean.counters)), 0);
}

Test(frame, a_byte_in_a_value_is_taken_when_it_is_printable) {
    for (unsigned byte = 0; byte < 256; byte++) {
        static const char head[] = "SGW1,H,1,0,0,sens=dht11,int=2000,rst=P,fw=a";
        struct frame_counters expected = { 0 };
        struct listener listener;
        char body[LINE_SIZE];
        char tail[16];
        size_t size = strlen(head);

        memcpy(body, head, size);
        body[size++] = (char)byte;
        body[size++] = 'b';
        listener_init(&listener);
        hear(&listener, "$", 1);
        hear(&listener, body, size);
        (void)snprintf(tail, sizeof(tail), "*%04X\r\n", frame_crc(body, size));
        hear_text(&listener, tail);

        if (byte == '$')
            expected = (struct frame_counters){ .cut = 1, .bad_crc = 1 };
        else if (byte == '\n') /* the end, and no CRC before it */
            expected = (struct frame_counters){ .bad_crc = 1, .noise_bytes = 8 };
        else if (byte == '\r') /* its end, but 'b' follows */
            expected = (struct frame_counters){ .foreign_byte = 1, .noise_bytes = 7 };
        else if (byte < 0x20 || byte > 0x7e)
            expected = (struct frame_counters){ .foreign_byte = 1, .noise_bytes = 8 };
        else if (strchr("*,=", (int)byte))
            expected = (struct frame_counters){ .malformed = 1 };
        else
            expected = (struct frame_counters){ .frames = 1 };
        cr_expect_eq(memcmp(&listener.decoder.counters, &expected, sizeof(expected)), 0, "%02x",
                     byte);
    }
}

Test(frame, a_byte_in_a_key_is_taken_when_it_is_a_small_letter_or_a_digit) {
    for (int byte = 0x20; byte < 0x7f; byte++) {
        bool is_allowed = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
        struct listener listener;
        char body[LINE_SIZE];

        if (byte == '$') /* begins a frame */
            continue;
        (void)snprintf(body, sizeof(body), HELLO ",a%cb=1", byte);
        listener_init(&listener);
        hear_body(&listener, body);
        cr_expect_eq(listener.decoder.counters.frames, is_allowed, "%02x", (unsigned)byte);
        cr_expect_eq(listener.decoder.counters.malformed, !is_allowed, "%02x", (unsigned)byte);
    }
}

/* A hello whose body has this size: 78..100. */
static void write_body(char body[LINE_SIZE], size_t size) {
    static const char head[] = HELLO ",x=zzzzzzzzzzzzzzzzzzzzzzzz,y=";

    memcpy(body, head, sizeof(head) - 1);
    memset(body + sizeof(head) - 1, 'z', size - (sizeof(head) - 1));
    body[size] = '\0';
}

struct size_row {
    char name[32];
    size_t body_size;
    char line_end[4];
    struct frame_counters counters;
};

ParameterizedTestParameters(frame, ninety_six_bytes_are_taken_and_not_one_more) {
    static struct size_row rows[] = {
        { "95 with CR LF", 87, "\r\n", { .frames = 1 } },
        { "96 with CR LF", 88, "\r\n", { .frames = 1 } },
        { "97 with CR LF", 89, "\r\n", { .overlong = 1 } },
        { "98 with CR LF", 90, "\r\n", { .overlong = 1, .noise_bytes = 1 } },
        { "99 with CR LF", 91, "\r\n", { .overlong = 1, .noise_bytes = 2 } },
        { "95 with LF", 88, "\n", { .frames = 1 } },
        { "96 with LF", 89, "\n", { .frames = 1 } },
        { "97 with LF", 90, "\n", { .overlong = 1 } },
        { "98 with LF", 91, "\n", { .overlong = 1, .noise_bytes = 1 } },
    };

    return cr_make_param_array(struct size_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct size_row *row, frame, ninety_six_bytes_are_taken_and_not_one_more) {
    struct listener listener;
    char body[LINE_SIZE];
    char line[LINE_SIZE];

    write_body(body, row->body_size);
    listener_init(&listener);
    hear(&listener, line, write_line(line, body, row->line_end));
    cr_expect_eq(memcmp(&listener.decoder.counters, &row->counters, sizeof(row->counters)), 0, "%s",
                 row->name);
    hear_text(&listener, READING_LINE);
    cr_expect_eq(listener.decoder.counters.frames, row->counters.frames + 1, "%s: and goes on",
                 row->name);
}

Test(frame, the_longest_body_is_as_stated) {
    char body[LINE_SIZE];
    char line[LINE_SIZE];

    write_body(body, FRAME_BODY_SIZE_MAX);
    cr_expect_eq(write_line(line, body, FRAME_LINE_END), FRAME_SIZE_MAX);
}

Test(frame, a_megabyte_without_line_end_is_one_overlong_frame_and_noise) {
    enum { SIZE = 1 << 20 };
    struct listener listener;
    char *bytes = malloc(SIZE);

    memset(bytes, 'x', SIZE);
    bytes[0] = '$';
    listener_init(&listener);
    hear(&listener, bytes, SIZE);
    free(bytes);
    cr_expect_eq(listener.decoder.counters.overlong, 1);
    cr_expect_eq(listener.decoder.counters.noise_bytes, SIZE - FRAME_SIZE_MAX - 1);
    hear_text(&listener, READING_LINE);
    cr_expect_eq(listener.count, 1);
}

Test(frame, a_new_start_in_place_of_the_97th_byte_is_a_cut) {
    struct frame_counters expected = { .cut = 1, .frames = 1 };
    struct listener listener;

    listener_init(&listener);
    hear_text(&listener, "$");
    for (unsigned i = 1; i < FRAME_SIZE_MAX; i++)
        hear_text(&listener, "x");
    hear_text(&listener, READING_LINE);
    cr_expect_eq(memcmp(&listener.decoder.counters, &expected, sizeof(expected)), 0);
}

/* Only the frame after the damage may come out. */
static void expect_rejected(const char *damaged, size_t size, const char *what, size_t where) {
    struct listener listener;

    listener_init(&listener);
    hear(&listener, damaged, size);
    cr_assert_eq(listener.count, 0, "%s at %zu: %.*s", what, where, (int)size, damaged);
    hear_text(&listener, "$SGW1,R,7,0,0,rh=0.0,t=-0.5*3951\r\n");
    cr_assert_eq(listener.count, 1, "%s at %zu: does not find its way back", what, where);
    expect_frame(&listener.frames[0], "$SGW1,R,7,0,0,rh=0.0,t=-0.5*3951");
}

Test(frame, every_single_bit_flip_is_rejected) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);

    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(vectors[i]);

        for (size_t bit = 0; bit < size * 8; bit++) {
            char damaged[VECTOR_SIZE];

            memcpy(damaged, vectors[i], size);
            damaged[bit / 8] = (char)(damaged[bit / 8] ^ 1 << bit % 8);
            expect_rejected(damaged, size, "flip", bit);
        }
    }
}

Test(frame, every_swap_of_different_neighbours_is_rejected) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);

    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(vectors[i]);

        for (size_t at = 0; at + 1 < size; at++) {
            char damaged[VECTOR_SIZE];

            if (vectors[i][at] == vectors[i][at + 1])
                continue;
            if (vectors[i][at] == '\r') /* LF alone ends a frame, too, and CR is noise then */
                continue;
            memcpy(damaged, vectors[i], size);
            damaged[at] = vectors[i][at + 1];
            damaged[at + 1] = vectors[i][at];
            expect_rejected(damaged, size, "swap", at);
        }
    }
}

Test(frame, every_lost_byte_is_noticed) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);

    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(vectors[i]);

        for (size_t at = 0; at < size; at++) {
            char damaged[VECTOR_SIZE];

            if (vectors[i][at] == '\r')
                continue; /* no loss: LF alone is an end */
            memcpy(damaged, vectors[i], at);
            memcpy(damaged + at, vectors[i] + at + 1, size - at - 1);
            expect_rejected(damaged, size - 1, "loss", at);
        }
    }
}

Test(frame, a_frame_cut_at_any_position_is_dropped_and_the_next_one_is_whole) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);

    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(vectors[i]);

        for (size_t at = 1; at < size; at++) {
            struct frame_counters expected = { .cut = 1, .frames = 1 };
            struct listener listener;

            listener_init(&listener);
            hear(&listener, vectors[i], at);
            hear(&listener, vectors[i], size);
            cr_assert_eq(memcmp(&listener.decoder.counters, &expected, sizeof(expected)), 0,
                         "at %zu: %s", at, vectors[i]);
            expect_frame(&listener.frames[0], vectors[i]);
        }
    }
}

/* All vectors, one after the other. */
static size_t write_stream(char *stream, char vectors[VECTORS_MAX][VECTOR_SIZE], size_t count) {
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        strcpy(stream + size, vectors[i]);
        size += strlen(vectors[i]);
    }
    return size;
}

static void expect_last_vectors(const struct listener *listener,
                                char vectors[VECTORS_MAX][VECTOR_SIZE], size_t count,
                                size_t expected) {
    cr_assert_eq(listener->count, expected);
    for (size_t i = 0; i < expected; i++)
        expect_frame(&listener->frames[i], vectors[count - expected + i]);
}

Test(frame, a_stream_gives_the_same_frames_whole_and_cut_at_every_position) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    char stream[VECTORS_MAX * VECTOR_SIZE];
    size_t count = load_vectors(vectors);
    size_t size = write_stream(stream, vectors, count);

    for (size_t at = 0; at <= size; at++) {
        struct listener listener;

        listener_init(&listener);
        hear(&listener, stream, at);
        hear(&listener, stream + at, size - at);
        expect_last_vectors(&listener, vectors, count, count);
        cr_assert_eq(listener.decoder.counters.noise_bytes, 0);
    }
}

Test(frame, a_stream_joined_at_any_position_gives_all_that_begin_after_it) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    char stream[VECTORS_MAX * VECTOR_SIZE];
    size_t count = load_vectors(vectors);
    size_t size = write_stream(stream, vectors, count);

    for (size_t at = 0; at < size; at++) {
        struct listener listener;
        size_t expected = 0;

        for (size_t i = at; i < size; i++)
            expected += stream[i] == '$';
        listener_init(&listener);
        hear(&listener, stream + at, size - at);
        expect_last_vectors(&listener, vectors, count, expected);
        cr_assert_eq(frame_damaged(&listener.decoder.counters), 0);
    }
}

Test(frame, two_decoders_do_not_disturb_each_other) {
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    char stream[VECTORS_MAX * VECTOR_SIZE];
    size_t count = load_vectors(vectors);
    size_t size = write_stream(stream, vectors, count);
    struct listener one;
    struct listener other;

    listener_init(&one);
    listener_init(&other);
    for (size_t i = 0; i < size; i++) {
        hear(&one, stream + i, 1);
        if (i >= 20)
            hear(&other, stream + i - 20, 1);
    }
    hear(&other, stream + size - 20, 20);
    expect_last_vectors(&one, vectors, count, count);
    expect_last_vectors(&other, vectors, count, count);
}

/* Flips, loses, doubles and overwrites bytes in place. Returns the new size. */
static size_t damage(struct dice *dice, char *bytes, size_t size) {
    size_t times = 1 + dice_roll(dice, 4);

    for (size_t i = 0; i < times && size > 1; i++) {
        size_t at = dice_roll(dice, size);

        switch (dice_roll(dice, 5)) {
        case 0:
            bytes[at] = (char)(bytes[at] ^ 1 << dice_roll(dice, 8));
            break;
        case 1:
            memmove(bytes + at, bytes + at + 1, size - at - 1);
            size--;
            break;
        case 2:
            memmove(bytes + at + 1, bytes + at, size - at);
            size++;
            break;
        case 3:
            bytes[at] = (char)dice_roll(dice, 256);
            break;
        default:
            bytes[at] = "$*,=\r\n"[dice_roll(dice, 6)];
            break;
        }
    }
    return size;
}

Test(frame, random_damage_is_accounted_for_and_left_behind) {
    struct dice dice = dice_from_seed("frame damage");
    char vectors[VECTORS_MAX][VECTOR_SIZE];
    size_t count = load_vectors(vectors);
    struct listener listener;

    listener_init(&listener);
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[VECTOR_SIZE + 8];
        const char *sound = vectors[dice_roll(&dice, count)];
        size_t size;

        (void)strcpy(bytes, vectors[dice_roll(&dice, count)]);
        size = damage(&dice, bytes, strlen(bytes));
        hear(&listener, bytes, size);
        listener.count = 0;
        hear_text(&listener, sound);
        cr_assert_eq(listener.count, 1, "after %.*s", (int)size, bytes);
        expect_frame(&listener.frames[0], sound);
    }
    cr_expect_geq(listener.decoder.counters.frames, 20000);
    cr_expect_gt(listener.decoder.counters.cut, 0);
    cr_expect_gt(listener.decoder.counters.foreign_byte, 0);
    cr_expect_gt(listener.decoder.counters.bad_crc, 0);
    cr_expect_gt(listener.decoder.counters.noise_bytes, 0);
}

Test(frame, random_bytes_are_accounted_for) {
    struct dice dice = dice_from_seed("frame noise");
    struct listener listener;

    listener_init(&listener);
    for (unsigned round = 0; round < 2000; round++) {
        char bytes[256];

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (char)dice_roll(&dice, 256);
        hear(&listener, bytes, sizeof(bytes));
        listener.count = 0;
    }
}

/* Random fields under a right CRC: what the parser behind it may meet. */
Test(frame, random_bodies_are_accounted_for) {
    static const char *const pieces[] = {
        "SGW1", "SGW2", ",",  ",",    ",",    ",R,1,1,1,", ",H,1,0,0,", ",E,1,1,1,", "=",  "*",
        "t=",   "rh=",  ".",  "21.5", "-0.0", "raw=",      "fw=",       "sens=",     "0",  "65536",
        "int=", "rst=", "n=", "err=", "src=", "bits=",     "dht11",     "temper",    "-1", " ",
    };
    struct dice dice = dice_from_seed("frame bodies");
    struct listener listener;

    listener_init(&listener);
    for (unsigned round = 0; round < 20000; round++) {
        char body[LINE_SIZE] = "";
        size_t count = dice_roll(&dice, 16);

        if (dice_roll(&dice, 8) > 0)
            (void)strcpy(body, dice_roll(&dice, 2) ? "SGW1,R,1,1,1," : "SGW1,H,1,0,0,fw=1,");
        for (size_t i = 0; i < count; i++)
            (void)strcat(body, pieces[dice_roll(&dice, sizeof(pieces) / sizeof(*pieces))]);
        hear_body(&listener, body);
        listener.count = 0;
    }
    cr_expect_gt(listener.decoder.counters.malformed, 0);
    cr_expect_gt(listener.decoder.counters.frames, 0);
}
