/* SPDX-License-Identifier: MIT */
#include "core/direct_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    enum direct_kind kind;
    const char *word;
    const char *meaning;
    const char *cure;
} errors[] = {
    { DIRECT_GPIO, "stuck", "the sensor's data line is held low",
      "look for a short circuit, and for plus and minus swapped at the sensor; without a sensor "
      "the line needs its pull-up" },
    { DIRECT_GPIO, "noresp", "the sensor does not answer",
      "look at its wires: 3.3 V, ground, data on this line (the GPIO's number, not the pin's), 4.7 "
      "to 10 kOhm from data to 3.3 V. A sensor that hangs comes back when its power is switched "
      "off and on" },
    { DIRECT_GPIO, "short", "edges of the sensor's answer are missing",
      "a loose wire, or a machine too busy to see them all: there the kernel's driver does better "
      "(docs/gpio.md)" },
    { DIRECT_GPIO, "cksum", "the sensor's answer is garbled",
      "a long wire or a weak pull-up: shorten it, put 4.7 kOhm from data to 3.3 V; or the machine "
      "is very busy" },
    { DIRECT_GPIO, "range", "the sensor gives what no sensor of its model can measure",
      "see that `model` is right; otherwise replace the sensor" },
    { DIRECT_IIO, "timeout", "the kernel's driver waited in vain for the sensor's whole answer",
      "look at its wires and its pull-up, and at the line in the overlay (gpiopin=)" },
    { DIRECT_IIO, "io", "the kernel's driver cannot make sense of the sensor's answer",
      "now and then this is damage on the wire. If no read ever succeeds it is a DHT11 that gives "
      "tenths, which the driver of Debian's kernels refuses: use driver = \"gpio\", or a Raspberry "
      "Pi kernel from November 2024 on" },
    { DIRECT_IIO, "clock", "this machine's clock is too coarse for the kernel's driver",
      "use driver = \"gpio\", or a board in between" },
    { DIRECT_IIO, "value", "the kernel's driver gives what is no value",
      "look with `cat` at the files in_*_input of the device" },
    { DIRECT_IIO, "repeated", "the kernel's driver repeated an answer instead of asking the sensor",
      "somebody else reads it too, and what comes so may be old or 0: end the other program" },
    { DIRECT_IIO, "range", "the kernel's driver gives what no DHT11 can measure",
      "it has misread a garbled answer: shorten the wire, put 4.7 kOhm from data to 3.3 V" },
    { DIRECT_IIO, "channels", "the device measures nothing that is published",
      "it needs in_temp_input, in_humidityrelative_input, in_pressure_input or "
      "in_illuminance_input: see that `device` is the right one" },
};

enum { ERRORS = sizeof(errors) / sizeof(*errors) };

static size_t error_index(enum direct_kind kind, const char *word) {
    size_t i = 0;

    while (i < ERRORS && (errors[i].kind != kind || strcmp(word, errors[i].word) != 0))
        i++;
    return i;
}

const char *direct_error_meaning(enum direct_kind kind, const char *word) {
    size_t i = error_index(kind, word);

    return i < ERRORS ? errors[i].meaning : "the sensor cannot be read";
}

const char *direct_error_cure(enum direct_kind kind, const char *word) {
    size_t i = error_index(kind, word);

    return i < ERRORS ? errors[i].cure : "look at its wires";
}

const char *direct_place_cure(enum direct_kind kind, enum cause cause) {
    switch ((int)cause) {
    case CAUSE_DEVICE_DENIED:
        return kind == DIRECT_GPIO ? "let the service's user into the group that owns "
                                     "/dev/gpiochip* (the udev rule "
                                     "makes it gpio) and restart the service"
                                   : "let the service's user read the device's files";
    case CAUSE_DEVICE_BUSY:
        return "another program, or a driver of the kernel, has the line: stop it, or take its "
               "overlay out of config.txt";
    default:
        return kind == DIRECT_GPIO
                   ? "correct `chip` and `line` (docs/gpio.md has the labels of each Raspberry Pi)"
                   : "load the sensor's driver (dtoverlay= in config.txt), or correct `device`: "
                     "cat /sys/bus/iio/devices/*/name lists what there is";
    }
}

static int length_of(int n, size_t size) {
    return n < 0 ? 0 : (size_t)n >= size ? (int)size - 1 : n;
}

static const char *what_happened(enum cause cause) {
    switch ((int)cause) {
    case CAUSE_DEVICE_DENIED:
        return "may not be opened";
    case CAUSE_DEVICE_BUSY:
        return "is in use";
    case CAUSE_DEVICE_LOST:
        return "went away";
    default:
        return "is not there";
    }
}

static int explain_absent(const struct sensor *sensor, const struct direct_place *place, char *text,
                          size_t size) {
    bool has_error = place->error[0] != '\0';

    return snprintf(text, size, "%s: %s %s%s%s. What to do: %s. It is tried once a second.",
                    sensor->name, place->name, what_happened(sensor->cause), has_error ? ": " : "",
                    place->error, direct_place_cure(place->kind, sensor->cause));
}

static int explain_stray(const struct sensor *sensor, char *text, size_t size) {
    const struct conditioning *conditioning = &sensor->conditioning;
    const struct quantity_limits *limits = &conditioning->stray_limits;
    char value[24] = "?";

    (void)quantity_render_value(&conditioning->stray, value, sizeof(value));
    return snprintf(text, size,
                    "%s: %s %s is outside its limits, %g to %g, three times running; such readings "
                    "are not published, but counted. Look at the sensor, or widen `limits` if it "
                    "is right.",
                    sensor->name, quantity_name(conditioning->stray.key), value,
                    (double)limits->min / CONDITIONING_SCALE,
                    (double)limits->max / CONDITIONING_SCALE);
}

static int explain_frozen(const struct sensor *sensor, char *text, size_t size) {
    const struct conditioning *conditioning = &sensor->conditioning;
    uint64_t minutes =
        conditioning->rules ? conditioning->rules->frozen_us / UINT64_C(60000000) : 0;
    char value[24] = "?";

    (void)quantity_render_value(&conditioning->frozen, value, sizeof(value));
    return snprintf(text, size,
                    "%s: %s has been %s for more than %" PRIu64 " h %" PRIu64 " min (frozen_h). It "
                    "is published all the same. Compare it with another sensor, and switch its "
                    "power off and on.",
                    sensor->name, quantity_name(conditioning->frozen.key), value, minutes / 60,
                    minutes % 60);
}

int sensor_explain_values(const struct sensor *sensor, char *text, size_t size) {
    return length_of(sensor->cause == CAUSE_SENSOR_FROZEN ? explain_frozen(sensor, text, size)
                                                          : explain_stray(sensor, text, size),
                     size);
}

static int explain_failure(const struct sensor *sensor, const struct direct_place *place,
                           char *text, size_t size) {
    const char *word = sensor->last_error;
    bool has_detail = place->detail[0] != '\0';

    if (sensor->cause != CAUSE_SENSOR_FAILING)
        return sensor_explain_values(sensor, text, size);
    return snprintf(text, size, "%s: %s (%s on %s%s%s), three times running. What to do: %s.",
                    sensor->name, direct_error_meaning(place->kind, word), word, place->name,
                    has_detail ? ", " : "", place->detail, direct_error_cure(place->kind, word));
}

static int explain(const struct sensor *sensor, const struct direct_place *place, char *text,
                   size_t size) {
    switch (sensor->state) {
    case SENSOR_STARTING:
    case SENSOR_WRONG_BOARD:
    case SENSOR_DAMAGED:
        return snprintf(text, size, "%s: %s is there, waiting for the sensor.", sensor->name,
                        place->name);
    case SENSOR_OK:
        return snprintf(text, size, "%s: readings arrive from %s.", sensor->name, place->name);
    case SENSOR_ABSENT:
        return explain_absent(sensor, place, text, size);
    case SENSOR_SILENT:
        return snprintf(text, size,
                        "%s: the kernel's driver does not return from reading %s. Is the sensor's "
                        "bus stuck? `dmesg` may tell; switch the sensor's power off and on.",
                        sensor->name, place->name);
    case SENSOR_FAILING:
        return explain_failure(sensor, place, text, size);
    }
    return 0;
}

int direct_explain(const struct sensor *sensor, const struct direct_place *place, char *text,
                   size_t size) {
    return length_of(explain(sensor, place, text, size), size);
}
