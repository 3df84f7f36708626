/* SPDX-License-Identifier: MIT */
#include "core/sensor_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/direct_words.h"

static const struct {
    const char *error;
    const char *meaning;
    const char *cure;
} errors[] = {
    { "stuck", "the sensor's data line is held low",
      "look for a short circuit, and for plus and minus swapped at the sensor" },
    { "noresp", "the sensor does not answer",
      "look at its wires: 5 V, ground, data on the pin that the sketch names, 10 kOhm from data to "
      "5 V" },
    { "short", "the sensor's answer breaks off",
      "a loose wire or a long one: shorten it, add 10 kOhm from data to 5 V" },
    { "cksum", "the sensor's answer is garbled",
      "a long wire, or a weak pull-up: shorten it, add 10 kOhm from data to 5 V" },
    { "range", "the sensor gives what no DHT11 can measure",
      "is it a DHT22? That one needs another sketch; otherwise replace the sensor" },
};

enum { ERRORS = sizeof(errors) / sizeof(*errors) };

static size_t error_index(const char *error) {
    size_t i = 0;

    while (i < ERRORS && strcmp(error, errors[i].error) != 0)
        i++;
    return i;
}

const char *sensor_error_meaning(const char *error) {
    size_t i = error_index(error);

    return i < ERRORS ? errors[i].meaning : "the board cannot read its sensor";
}

const char *sensor_error_cure(const char *error) {
    size_t i = error_index(error);

    return i < ERRORS ? errors[i].cure : "the sketch's documentation knows this word";
}

static int length_of(int n, size_t size) {
    return n < 0 ? 0 : (size_t)n >= size ? (int)size - 1 : n;
}

static int explain_absent(const char *sensor, const struct sensor_place *place, char *text,
                          size_t size) {
    if (place->is_no_port)
        return snprintf(text, size,
                        "%s: %s is no serial port (%s). Correct `device`: `sensorgw ports` lists "
                        "what there is.",
                        sensor, place->device, place->error);
    return snprintf(text, size,
                    "%s: %s is not there%s%s. Plug the board in, or correct `device` (`sensorgw "
                    "ports` lists what there is); it is looked for once a second.",
                    sensor, place->device, place->error ? ": " : "",
                    place->error ? place->error : "");
}

static int explain_port(enum cause cause, const char *sensor, const struct sensor_place *place,
                        char *text, size_t size) {
    switch ((int)cause) {
    case CAUSE_NONE:
        return snprintf(text, size, "%s: %s is open at %u baud, waiting for the board.", sensor,
                        place->device, place->baud);
    case CAUSE_DEVICE_LOST:
        return snprintf(text, size,
                        "%s: %s went away: unplugged, or without power. Plug it in again; it is "
                        "looked for once a second.",
                        sensor, place->device);
    case CAUSE_DEVICE_DENIED:
        return snprintf(text, size,
                        "%s: no permission to open %s. Let the service's user into the group that "
                        "owns it (`ls -lL` names it, mostly dialout) and restart the service; as a "
                        "service, allow this kind of device in the unit (DeviceAllow=).",
                        sensor, place->device);
    case CAUSE_DEVICE_BUSY:
        return snprintf(text, size,
                        "%s: another program holds %s. `sudo sensorgw ports` names it: stop it; if "
                        "it is ModemManager, the udev rule keeps it away. Tried once a second.",
                        sensor, place->device);
    default:
        return explain_absent(sensor, place, text, size);
    }
}

int port_explain(enum cause cause, const char *sensor, const struct sensor_place *place, char *text,
                 size_t size) {
    return length_of(explain_port(cause, sensor, place, text, size), size);
}

static int explain_silence(const struct board *board, const struct sensor_place *place, char *text,
                           size_t size) {
    uint64_t tenths = board_patience_us(board) / 100000;

    if (place->is_later)
        return snprintf(text, size,
                        "%s: the board on %s speaks a later format than this sensorgw reads. "
                        "Upgrade sensorgw, or flash the board with the sketch of this version "
                        "(sensorgw-flash).",
                        board->sensor.name, place->device);
    if (place->has_noise)
        return snprintf(text, size,
                        "%s: bytes arrive on %s, but no frame for %" PRIu64 ".%" PRIu64 " s. Does "
                        "`baud` (%u) agree with the sketch, and is it the sensorgw sketch?",
                        board->sensor.name, place->device, tenths / 10, tenths % 10, place->baud);
    return snprintf(text, size,
                    "%s: nothing heard of board %u on %s for %" PRIu64 ".%" PRIu64 " s. Has it "
                    "power, and does its sketch run? Press its reset button, or flash it again.",
                    board->sensor.name, board->number, place->device, tenths / 10, tenths % 10);
}

static int explain_failure(const struct board *board, const struct sensor_place *place, char *text,
                           size_t size) {
    const char *error = board->sensor.last_error;

    if (board->sensor.cause != CAUSE_SENSOR_FAILING)
        return sensor_explain_values(&board->sensor, text, size);
    return snprintf(
        text, size,
        "%s: the board on %s is well, but %s (%s, three times running). What to do: %s.",
        board->sensor.name, place->device, sensor_error_meaning(error), error,
        sensor_error_cure(error));
}

static int explain_board(const struct board *board, const struct sensor_place *place, char *text,
                         size_t size) {
    const struct sensor *sensor = &board->sensor;

    switch (sensor->state) {
    case SENSOR_STARTING:
        return explain_port(CAUSE_NONE, sensor->name, place, text, size);
    case SENSOR_OK:
        return snprintf(text, size, "%s: readings arrive from board %u on %s.", sensor->name,
                        board->number, place->device);
    case SENSOR_ABSENT:
        return explain_port(sensor->cause, sensor->name, place, text, size);
    case SENSOR_SILENT:
        return explain_silence(board, place, text, size);
    case SENSOR_DAMAGED:
        return snprintf(text, size,
                        "%s: frames arrive damaged on %s and are thrown away. Look at plug, cable "
                        "and ground: a shorter cable, away from motors and mains; and does `baud` "
                        "(%u) agree with the sketch?",
                        sensor->name, place->device, place->baud);
    case SENSOR_FAILING:
        return explain_failure(board, place, text, size);
    case SENSOR_WRONG_BOARD:
        return snprintf(text, size,
                        "%s: the board on %s says that it is number %u, and number %u is wanted: "
                        "nothing of it is published. Swap the plugs, correct `node`, or number the "
                        "board anew (send it `!node=%u`).",
                        sensor->name, place->device, board->another, board->number, board->number);
    }
    return 0;
}

int board_explain(const struct board *board, const struct sensor_place *place, char *text,
                  size_t size) {
    return length_of(explain_board(board, place, text, size), size);
}
