/* SPDX-License-Identifier: MIT */
#include "commands/monitor_output.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/printable.h"
#include "core/sensor_words.h"

enum { LINE_SIZE = 512 };

static const struct {
    const char *key;
    const char *unit;
} units[] = {
    { "t", " °C" }, { "rh", " %" }, { "p", " hPa" }, { "lx", " lx" }, { "v", " V" },
};

enum { UNITS = sizeof(units) / sizeof(*units) };

enum colour { COLOUR_NONE, COLOUR_RED = 31, COLOUR_YELLOW = 33, COLOUR_CYAN = 36 };

__attribute__((format(printf, 3, 4))) static void
print_line(const struct monitor_output *output, enum colour colour, const char *format, ...) {
    time_t now = time(NULL);
    char clock[16] = "";
    struct tm local;
    va_list arguments;

    if (localtime_r(&now, &local))
        (void)strftime(clock, sizeof(clock), "%H:%M:%S", &local);
    (void)printf("%s  ", clock);
    if (output->has_colour && colour != COLOUR_NONE)
        (void)printf("\033[%dm", (int)colour);
    va_start(arguments, format);
    (void)vprintf(format, arguments);
    va_end(arguments);
    (void)puts(output->has_colour && colour != COLOUR_NONE ? "\033[0m" : "");
}

static void print_object(cJSON *object) {
    char *text = cJSON_PrintUnformatted(object);

    if (text)
        (void)puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

static cJSON *new_object(const char *type) {
    cJSON *object = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(object, "type", type);
    return object;
}

static const struct quantity *find_quantity(const struct reading *reading, const char *key) {
    for (size_t i = 0; i < reading->count; i++)
        if (strcmp(reading->quantities[i].key, key) == 0)
            return &reading->quantities[i];
    return NULL;
}

static bool has_unit(const struct quantity *quantity) {
    for (size_t i = 0; i < UNITS; i++)
        if (strcmp(units[i].key, quantity->key) == 0)
            return true;
    return false;
}

/* Appends what fits. */
__attribute__((format(printf, 2, 3))) static void append(char line[static LINE_SIZE],
                                                         const char *format, ...) {
    size_t length = strlen(line);
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(line + length, LINE_SIZE - length, format, arguments);
    va_end(arguments);
}

static const char *value_of(const struct quantity *quantity, char text[static 24]) {
    return quantity_render_value(quantity, text, 24) < 0 ? "?" : text;
}

/* The known ones first, in their order: a temperature is looked for in front. */
static void render_reading(const struct reading *reading, char line[static LINE_SIZE]) {
    char value[24];

    line[0] = '\0';
    for (size_t i = 0; i < UNITS; i++) {
        const struct quantity *quantity = find_quantity(reading, units[i].key);

        if (quantity)
            append(line, "%s%s%s", line[0] ? "  " : "", value_of(quantity, value), units[i].unit);
    }
    for (size_t i = 0; i < reading->count; i++) {
        const struct quantity *quantity = &reading->quantities[i];

        if (!has_unit(quantity))
            append(line, "%s%s %s", line[0] ? "  " : "", quantity->key, value_of(quantity, value));
    }
}

static void render_reset(const char *letters, char line[static LINE_SIZE]) {
    static const struct {
        char letter;
        const char *name;
    } causes[] = {
        { FRAME_RESET_POWER, "power on" },
        { FRAME_RESET_EXTERNAL, "reset button or port opened" },
        { FRAME_RESET_BROWN_OUT, "supply voltage broke down" },
        { FRAME_RESET_WATCHDOG, "watchdog: the sketch had hung" },
    };

    line[0] = '\0';
    for (size_t i = 0; i < sizeof(causes) / sizeof(*causes); i++)
        if (strchr(letters, causes[i].letter))
            append(line, "%s%s", line[0] ? ", " : "", causes[i].name);
    if (line[0] == '\0')
        append(line, "unknown");
}

static void print_hello(const struct monitor_output *output, const struct frame *frame) {
    const struct frame_hello *hello = &frame->hello;
    char reset[LINE_SIZE];

    render_reset(hello->reset, reset);
    print_line(output, COLOUR_CYAN,
               "board %u  firmware %s, sensor %s, a reading every %" PRIu32 ".%" PRIu32
               " s, last reset: %s",
               frame->node, hello->firmware, hello->sensor, hello->interval_ms / 1000,
               hello->interval_ms % 1000 / 100, reset);
}

static void print_error(const struct monitor_output *output, const struct frame *frame) {
    const struct frame_error *error = &frame->error;

    print_line(output, COLOUR_YELLOW,
               "board %u  %s (%s %s, %" PRIu32 " of 40 bits, %" PRIu32 " in a row): %s",
               frame->node, sensor_error_meaning(error->error), error->source, error->error,
               error->bits, error->failures, sensor_error_cure(error->error));
}

static void print_for_people(const struct monitor_output *output, const struct frame *frame) {
    char line[LINE_SIZE];

    switch (frame->type) {
    case FRAME_HELLO:
        print_hello(output, frame);
        return;
    case FRAME_READING:
        render_reading(&frame->reading, line);
        print_line(output, COLOUR_NONE, "board %u  %s%s%s", frame->node, line,
                   frame->raw[0] ? "  raw " : "", frame->raw);
        return;
    case FRAME_SENSOR_ERROR:
        print_error(output, frame);
        return;
    }
}

static void add_hello(cJSON *object, const struct frame_hello *hello) {
    (void)cJSON_AddStringToObject(object, "firmware", hello->firmware);
    (void)cJSON_AddStringToObject(object, "sensor", hello->sensor);
    (void)cJSON_AddNumberToObject(object, "interval_ms", hello->interval_ms);
    (void)cJSON_AddStringToObject(object, "reset", hello->reset);
}

static void add_values(cJSON *object, const struct reading *reading) {
    char value[24];

    for (size_t i = 0; i < reading->count; i++) {
        const struct quantity *quantity = &reading->quantities[i];

        (void)cJSON_AddRawToObject(object, quantity_name(quantity->key), value_of(quantity, value));
    }
}

static void add_reading(cJSON *object, const struct frame *frame) {
    add_values(object, &frame->reading);
    if (frame->raw[0])
        (void)cJSON_AddStringToObject(object, "raw", frame->raw);
}

static void add_error(cJSON *object, const struct frame_error *error) {
    (void)cJSON_AddStringToObject(object, "source", error->source);
    (void)cJSON_AddStringToObject(object, "error", error->error);
    (void)cJSON_AddNumberToObject(object, "bits", error->bits);
    (void)cJSON_AddNumberToObject(object, "failures", error->failures);
    (void)cJSON_AddStringToObject(object, "meaning", sensor_error_meaning(error->error));
}

static const char *type_name(enum frame_type type) {
    switch (type) {
    case FRAME_HELLO:
        return "hello";
    case FRAME_READING:
        return "reading";
    case FRAME_SENSOR_ERROR:
        return "error";
    }
    return "";
}

static void print_for_programs(const struct frame *frame, uint64_t lost) {
    cJSON *object = new_object(type_name(frame->type));

    (void)cJSON_AddNumberToObject(object, "node", frame->node);
    (void)cJSON_AddNumberToObject(object, "sequence", frame->sequence);
    (void)cJSON_AddNumberToObject(object, "up_ms", frame->up_ms);
    (void)cJSON_AddNumberToObject(object, "lost_before", (double)lost);
    switch (frame->type) {
    case FRAME_HELLO:
        add_hello(object, &frame->hello);
        break;
    case FRAME_READING:
        add_reading(object, frame);
        break;
    case FRAME_SENSOR_ERROR:
        add_error(object, &frame->error);
        break;
    }
    print_object(object);
}

void monitor_print_frame(const struct monitor_output *output, const struct frame *frame,
                         uint64_t lost) {
    if (output->as_json) {
        print_for_programs(frame, lost);
        return;
    }
    if (lost > 0)
        print_line(output, COLOUR_RED, "board %u  frames lost on the way: %" PRIu64, frame->node,
                   lost);
    print_for_people(output, frame);
}

void monitor_print_reading(const struct monitor_output *output, const struct reading *reading,
                           const char *detail) {
    char line[LINE_SIZE];
    cJSON *object;

    if (!output->as_json) {
        render_reading(reading, line);
        print_line(output, COLOUR_NONE, "%s%s%s", line, detail[0] ? "  " : "", detail);
        return;
    }
    object = new_object("reading");
    add_values(object, reading);
    if (detail[0])
        (void)cJSON_AddStringToObject(object, "detail", detail);
    print_object(object);
}

void monitor_print_failure(const struct monitor_output *output, const char *word,
                           const char *detail, const char *meaning, const char *cure) {
    cJSON *object;

    if (!output->as_json) {
        print_line(output, COLOUR_YELLOW, "%s (%s%s%s): %s", meaning, word, detail[0] ? ", " : "",
                   detail, cure);
        return;
    }
    object = new_object("error");
    (void)cJSON_AddStringToObject(object, "error", word);
    if (detail[0])
        (void)cJSON_AddStringToObject(object, "detail", detail);
    (void)cJSON_AddStringToObject(object, "meaning", meaning);
    print_object(object);
}

static void print_bytes(const struct monitor_output *output, const char *type, enum colour colour,
                        const char *why, const void *bytes, size_t size) {
    char text[PRINTABLE_SIZE];
    cJSON *object;

    (void)printable(bytes, size, text);
    if (!output->as_json) {
        print_line(output, colour, "%s%s%s: %s", type, why ? ", " : "", why ? why : "", text);
        return;
    }
    object = new_object(type);
    if (why)
        (void)cJSON_AddStringToObject(object, "why", why);
    (void)cJSON_AddStringToObject(object, "text", text);
    print_object(object);
}

void monitor_print_damaged(const struct monitor_output *output, const char *why, const void *bytes,
                           size_t size) {
    print_bytes(output, "damaged", COLOUR_RED, why, bytes, size);
}

void monitor_print_noise(const struct monitor_output *output, const void *bytes, size_t size) {
    print_bytes(output, "noise", COLOUR_YELLOW, NULL, bytes, size);
}

void monitor_print_hint(const struct monitor_output *output, const char *hint) {
    if (!output->as_json)
        print_line(output, COLOUR_YELLOW, "%s", hint);
}

void monitor_print_summary(const struct monitor_output *output,
                           const struct monitor_counts *counts) {
    cJSON *object;

    if (!output->as_json) {
        (void)printf("\nreadings %" PRIu64 ", sensor errors %" PRIu64 ", damaged frames %" PRIu64
                     ", lost frames %" PRIu64 ", duplicates %" PRIu64 ", noise %" PRIu64
                     " bytes, in %.0f s\n",
                     counts->readings, counts->errors, counts->damaged, counts->lost,
                     counts->duplicates, counts->noise_bytes, counts->seconds);
        return;
    }
    object = new_object("summary");
    (void)cJSON_AddNumberToObject(object, "readings", (double)counts->readings);
    (void)cJSON_AddNumberToObject(object, "errors", (double)counts->errors);
    (void)cJSON_AddNumberToObject(object, "hellos", (double)counts->hellos);
    (void)cJSON_AddNumberToObject(object, "damaged", (double)counts->damaged);
    (void)cJSON_AddNumberToObject(object, "lost", (double)counts->lost);
    (void)cJSON_AddNumberToObject(object, "duplicates", (double)counts->duplicates);
    (void)cJSON_AddNumberToObject(object, "noise_bytes", (double)counts->noise_bytes);
    (void)cJSON_AddNumberToObject(object, "seconds", counts->seconds);
    print_object(object);
}
