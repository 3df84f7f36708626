/* SPDX-License-Identifier: MIT */
#include "script.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_BITS_DEFAULT = 16, SHORT_BITS_MAX = 39 };

static const struct {
    const char *name;
    enum fault fault;
} faults[] = {
    { "none", FAULT_NONE },   { "noresp", FAULT_NO_RESPONSE }, { "cksum", FAULT_CHECKSUM },
    { "stuck", FAULT_STUCK }, { "zero", FAULT_ZERO },          { "dht22", FAULT_DHT22 },
    { "short", FAULT_SHORT },
};

static int parse_tenths(const char *text, int min, int max, int *ret) {
    char *end;
    double value = strtod(text, &end);
    long tenths = lround(value * 10);

    if (end == text || *end != '\0' || !isfinite(value) || tenths < min || tenths > max)
        return -EINVAL;

    *ret = (int)tenths;
    return 0;
}

/* A DHT11 has one byte before the point, and its temperature's sign in another. */
static int parse_temperature(const char *text, int *ret) {
    return parse_tenths(text, -2559, 2559, ret);
}

static int parse_humidity(const char *text, int *ret) {
    return parse_tenths(text, 0, 2559, ret);
}

static int parse_short(const char *text, struct conditions *ret) {
    int bits;
    int consumed = 0;

    if (sscanf(text, "short:%d%n", &bits, &consumed) != 1 || text[consumed] != '\0' || bits < 0 ||
        bits > SHORT_BITS_MAX)
        return -EINVAL;

    ret->fault = FAULT_SHORT;
    ret->short_bits = bits;
    return 0;
}

static int parse_fault(const char *text, struct conditions *ret) {
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (strcmp(text, faults[i].name) == 0) {
            ret->fault = faults[i].fault;
            ret->short_bits = SHORT_BITS_DEFAULT;
            return 0;
        }
    }
    return parse_short(text, ret);
}

static int parse_row(char *line, struct script_row *ret) {
    struct script_row row = { 0 };
    char *rest = line;
    const char *at = strsep(&rest, ",");
    const char *temperature = strsep(&rest, ",");
    const char *humidity = strsep(&rest, ",");
    const char *fault = strsep(&rest, ",");
    char *end;

    row.at_s = strtod(at, &end);
    if (*end != '\0' || !humidity || rest)
        return -EINVAL;
    if (parse_temperature(temperature, &row.conditions.temperature_tenths) < 0)
        return -EINVAL;
    if (parse_humidity(humidity, &row.conditions.humidity_tenths) < 0)
        return -EINVAL;
    if (fault && parse_fault(fault, &row.conditions) < 0)
        return -EINVAL;

    *ret = row;
    return 0;
}

static int add_row(struct script *script, const struct script_row *row) {
    struct script_row *rows;

    if (script->n_rows > 0 && row->at_s < script->rows[script->n_rows - 1].at_s)
        return -EINVAL;

    rows = realloc(script->rows, (script->n_rows + 1) * sizeof(*rows));
    if (!rows)
        return -ENOMEM;

    rows[script->n_rows] = *row;
    script->rows = rows;
    script->n_rows++;
    return 0;
}

static int load_lines(struct script *script, FILE *file, const char *path) {
    char line[256];
    struct script_row row;

    for (int n = 1; fgets(line, sizeof(line), file); n++) {
        int r;

        if (!isdigit((unsigned char)line[0]))
            continue;
        line[strcspn(line, "\r\n")] = '\0';
        r = parse_row(line, &row);
        if (r == 0)
            r = add_row(script, &row);
        if (r < 0) {
            fprintf(stderr, "%s:%d: not a row: %s\n", path, n, strerror(-r));
            return r;
        }
    }
    return 0;
}

/* From here on commands decide, beginning with what holds now. */
static void take_over(struct script *script, double time_s) {
    script->commanded = script_at(script, time_s);
    script_free_rows(script);
}

void script_init(struct script *script) {
    *script = (struct script){
        .commanded = { .temperature_tenths = 215, .humidity_tenths = 450 },
    };
}

void script_free_rows(struct script *script) {
    free(script->rows);
    script->rows = NULL;
    script->n_rows = 0;
}

int script_load(struct script *script, const char *path) {
    FILE *file = fopen(path, "re");
    int r;

    if (!file) {
        r = -errno;
        fprintf(stderr, "%s: %s\n", path, strerror(-r));
        return r;
    }
    r = load_lines(script, file, path);
    fclose(file);
    return r;
}

struct conditions script_at(const struct script *script, double time_s) {
    size_t begun = 0; /* rows */
    size_t not_begun = script->n_rows;

    while (begun < not_begun) {
        size_t middle = begun + (not_begun - begun) / 2;

        if (script->rows[middle].at_s <= time_s)
            begun = middle + 1;
        else
            not_begun = middle;
    }
    return begun > 0 ? script->rows[begun - 1].conditions : script->commanded;
}

int script_set_temperature(struct script *script, double time_s, const char *text) {
    int tenths;
    int r = parse_temperature(text, &tenths);

    if (r < 0)
        return r;
    take_over(script, time_s);
    script->commanded.temperature_tenths = tenths;
    return 0;
}

int script_set_humidity(struct script *script, double time_s, const char *text) {
    int tenths;
    int r = parse_humidity(text, &tenths);

    if (r < 0)
        return r;
    take_over(script, time_s);
    script->commanded.humidity_tenths = tenths;
    return 0;
}

int script_set_fault(struct script *script, double time_s, const char *text) {
    struct conditions wanted;
    int r = parse_fault(text, &wanted);

    if (r < 0)
        return r;
    take_over(script, time_s);
    script->commanded.fault = wanted.fault;
    script->commanded.short_bits = wanted.short_bits;
    return 0;
}
