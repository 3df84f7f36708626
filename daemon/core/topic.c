/* SPDX-License-Identifier: MIT */
#include "core/topic.h"

#include <errno.h>
#include <string.h>

#include "core/reading.h"

static const char gateway_mark[] = "{gateway}";
static const char sensor_mark[] = "{sensor}";

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_topic_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
}

bool topic_template_is_valid(const char *template) {
    unsigned sensors = 0;
    unsigned gateways = 0;
    size_t part_length = 0;

    if (strlen(template) + 2 * NAME_MAX_LENGTH >= TOPIC_SIZE)
        return false;
    for (const char *at = template; *at != '\0';) {
        size_t step = 1;

        if (starts_with(at, sensor_mark)) {
            sensors++;
            step = strlen(sensor_mark);
        } else if (starts_with(at, gateway_mark)) {
            gateways++;
            step = strlen(gateway_mark);
        } else if (*at != '/' && !is_topic_character(*at)) {
            return false;
        }
        if (*at == '/' && part_length == 0)
            return false;
        part_length = *at == '/' ? 0 : part_length + step;
        at += step;
    }
    return part_length > 0 && sensors == 1 && gateways <= 1;
}

int topic_render(const char *template, const char *gateway, const char *sensor, char *topic,
                 size_t size) {
    size_t length = 0;

    for (const char *at = template; *at != '\0';) {
        const char *piece = at;
        size_t piece_length = 1;
        size_t step = 1;

        if (starts_with(at, sensor_mark)) {
            piece = sensor;
            piece_length = strlen(sensor);
            step = strlen(sensor_mark);
        } else if (starts_with(at, gateway_mark)) {
            piece = gateway;
            piece_length = strlen(gateway);
            step = strlen(gateway_mark);
        }
        if (piece_length >= size - length)
            return -ENOSPC;
        memcpy(topic + length, piece, piece_length);
        length += piece_length;
        at += step;
    }
    topic[length] = '\0';
    return (int)length;
}
