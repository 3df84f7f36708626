/* SPDX-License-Identifier: MIT */

/* Any topic template and any text for a reading: refused, or rendered within the sizes that are
 * promised. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "core/payload.h"
#include "core/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_SIZE = 512 };

static void render_topic(const char *template, const char *name) {
    char topic[TOPIC_SIZE];

    if (topic_template_is_valid(template) && name_is_valid(name))
        assert(topic_render(template, name, name, topic, sizeof(topic)) > 0);
}

static void render_payload(const char *text, int64_t wall_us, const char *name) {
    struct reading reading = { 0 };
    struct envelope envelope = {
        .gateway = name,
        .prefix = "0123abcd",
        .number = UINT64_MAX,
        .wall_us = wall_us,
        .late = true,
    };
    char payload[PAYLOAD_SIZE];

    if (!name_is_valid(name) || reading_parse(text, &reading) < 0)
        return;
    memcpy(reading.sensor, name, strlen(name) + 1);
    assert(payload_render(&envelope, &reading, payload, sizeof(payload)) > 0);
    assert(payload[strlen(payload) - 1] == '}');
}

/* Three texts, with zero bytes between them, and a time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char texts[3][TEXT_SIZE] = { { 0 } };
    int64_t wall_us = 0;
    size_t which = 0;
    size_t length = 0;

    if (size >= sizeof(wall_us))
        memcpy(&wall_us, data, sizeof(wall_us));
    for (size_t i = sizeof(wall_us); i < size && which < 3; i++) {
        if (data[i] == 0 || length == TEXT_SIZE - 1) {
            which++;
            length = 0;
        } else {
            texts[which][length++] = (char)data[i];
        }
    }
    render_topic(texts[0], texts[1]);
    render_payload(texts[2], wall_us, texts[1]);
    return 0;
}
