/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Serial frame, version 1: what its writer and its reader must agree on.
 *
 *     $SGW1,R,1,9,17524,rh=61.0,t=-3.4*44FE CR LF
 *      |    | | | |     |              |
 *      |    | | | |     key=value ...  frame_crc() of all between $ and *, upper-case hex
 *      |    | | | up, ms since boot, 0..4294967295, wraps
 *      |    | | sequence 0..65535, wraps
 *      |    | node 1..65535
 *      |    enum frame_type
 *      version
 *
 * Constants only. Source of truth: docs/frame.md. Shared by the firmware and the daemon.
 */

#define FRAME_VERSION "SGW1"
#define FRAME_LINE_END "\r\n" /* written; a reader takes LF alone as well */

enum {
    FRAME_START = '$',
    FRAME_SEPARATOR = ',',
    FRAME_ASSIGN = '=',
    FRAME_CRC_MARK = '*',
};

/* Types C (command to a node) and A (its answer) are reserved: a reader counts them as others. */
enum frame_type {
    FRAME_HELLO = 'H',
    FRAME_READING = 'R',
    FRAME_SENSOR_ERROR = 'E',
};

enum {
    FRAME_SIZE_MAX = 96, /* from $ to LF, both included */
    FRAME_CRC_DIGITS = 4,
    FRAME_TAIL_SIZE = 1 + FRAME_CRC_DIGITS + 2, /* * CRC CR LF */
    FRAME_BODY_SIZE_MAX = FRAME_SIZE_MAX - 1 - FRAME_TAIL_SIZE,
    FRAME_KEY_SIZE_MAX = 8,        /* a-z 0-9 */
    FRAME_VALUE_SIZE_MAX = 24,     /* printable ASCII (20..7E) without $ * , = */
    FRAME_QUANTITY_DIGITS_MAX = 7, /* before the point; exactly one after it */
};

/* Keys of FRAME_HELLO. */
#define FRAME_KEY_FIRMWARE "fw"  /* version of the firmware */
#define FRAME_KEY_SENSOR "sens"  /* sensor type */
#define FRAME_KEY_INTERVAL "int" /* ms from one reading to the next */
#define FRAME_KEY_RESET "rst"    /* causes of the last reset: FRAME_RESET_... */

/* Keys of FRAME_READING: quantities, and the sensor's own bytes for the log. */
#define FRAME_KEY_HUMIDITY "rh"   /* %RH */
#define FRAME_KEY_TEMPERATURE "t" /* degrees Celsius */
#define FRAME_KEY_RAW "raw"       /* lower-case hex; no quantity */

/* Keys of FRAME_SENSOR_ERROR. Values of `err` for a DHT11: dht11_status_name(). */
#define FRAME_KEY_SOURCE "src" /* which sensor failed */
#define FRAME_KEY_ERROR "err"  /* how */
#define FRAME_KEY_BITS "bits"  /* bits received before it failed */
#define FRAME_KEY_FAILURES "n" /* failures in a row, this one included; stays at 65535 */

/* Letters of `rst`, in this order when there are several. */
enum {
    FRAME_RESET_POWER = 'P',
    FRAME_RESET_EXTERNAL = 'E',
    FRAME_RESET_BROWN_OUT = 'B',
    FRAME_RESET_WATCHDOG = 'W',
    FRAME_RESET_UNKNOWN = '-', /* alone: the boot loader had cleared the register */
};

/* From host to node. */
enum { FRAME_ASK_HELLO = '?' };
#define FRAME_SET_NODE "!node=" /* 1..65535 and CR follow; answered by a FRAME_HELLO */
