/* SPDX-License-Identifier: MIT */

/* What a port that was listened to has said, in words. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "check/place.h"
#include "core/sensor_words.h"

static void tell_closed(const struct place *place, int error) {
    struct findings *findings = place->check->findings;

    switch (error) {
    case -EBUSY:
        findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_BUSY,
                     "%s is held by a program that is not visible to you", place->name);
        findings_cure(findings, "sudo sensorgw ports names it");
        return;
    case -EACCES:
        place_tell_denied(place);
        return;
    default:
        place_tell_absent(place, -error);
    }
}

static void tell_lost(const struct place *place) {
    findings_add(place->check->findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_LOST,
                 "%s went away while it was listened to", place->name);
    findings_cure(place->check->findings, "look at plug, cable and supply");
}

static void tell_silence(const struct place *place, const struct listener *listener) {
    struct findings *findings = place->check->findings;
    uint64_t damaged = frame_damaged(&listener->decoder.counters);

    if (listener->decoder.counters.unknown_version > 0) {
        findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_NODE_SILENT,
                     "%s: the board speaks a later format than this sensorgw reads", place->name);
        findings_cure(findings, "upgrade sensorgw, or flash the board with the sketch of this "
                                "version: sensorgw-flash");
    } else if (damaged > 0) {
        findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_FRAMES_DAMAGED,
                     "%s: all frames arrive damaged (%llu)", place->name,
                     (unsigned long long)damaged);
        findings_cure(findings,
                      "look at plug, cable and ground; a shorter cable; and does baud "
                      "(%u) agree with the sketch?",
                      listener->baud);
    } else if (listener->bytes > 0) {
        findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_NODE_SILENT,
                     "%s: %llu bytes arrived in %d s, and no frame", place->name,
                     (unsigned long long)listener->bytes, LISTEN_MS / 1000);
        findings_cure(findings,
                      "does baud (%u) agree with the sketch, and is it the sensorgw "
                      "sketch? sensorgw monitor shows what comes",
                      listener->baud);
    } else {
        findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_NODE_SILENT,
                     "%s: nothing heard in %d s", place->name, LISTEN_MS / 1000);
        findings_cure(findings, "has the board power, and does its sketch run? Press its reset "
                                "button, or flash it again");
    }
}

static void tell_wrong_board(const struct place *place, const struct listener *listener) {
    findings_add(place->check->findings, place->source->name, VERDICT_ERROR, CAUSE_WRONG_BOARD,
                 "%s: board %u answers, and board %u is wanted", place->name, listener->another,
                 listener->wanted);
    findings_cure(place->check->findings,
                  "swap the plugs, correct node, or number the board anew: send it !node=%u",
                  listener->wanted);
}

static void tell_failing(const struct place *place, const struct listener *listener) {
    const char *word = listener->error.error;

    findings_add(place->check->findings, place->source->name, VERDICT_ERROR, CAUSE_SENSOR_FAILING,
                 "%s: the board answers, but %s (%s)", place->name, sensor_error_meaning(word),
                 word);
    findings_cure(place->check->findings, "%s", sensor_error_cure(word));
}

void place_render_values(const struct reading *reading, char *text, size_t size) {
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < reading->count && used < size; i++) {
        const struct quantity *quantity = &reading->quantities[i];
        char value[24];
        int n;

        if (quantity_render_value(quantity, value, sizeof(value)) < 0)
            continue;
        n = snprintf(text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                     quantity_name(quantity->key), value);
        used += n > 0 ? (size_t)n : 0;
    }
}

static void tell_well(const struct place *place, const struct listener *listener) {
    const struct frame_hello *hello = &listener->hello;
    char values[READING_TEXT_SIZE] = "no reading yet";
    char firmware[PRINTABLE_SIZE] = "";
    char board[PRINTABLE_SIZE + 32];

    if (listener->has_reading)
        place_render_values(&listener->reading, values, sizeof(values));
    if (listener->has_hello)
        printable_string(hello->firmware, firmware);
    (void)snprintf(board, sizeof(board), "board %u%s%s", listener->number,
                   listener->has_hello ? ", firmware " : "", firmware);
    findings_add(place->check->findings, place->source->name, VERDICT_OK, CAUSE_NONE, "%s: %s, %s",
                 place->name, board, values);
}

void place_tell_heard(const struct place *place, const struct listener *listener) {
    if (listener->opened < 0)
        tell_closed(place, listener->opened);
    else if (listener->has_reading)
        tell_well(place, listener);
    else if (listener->has_error)
        tell_failing(place, listener);
    else if (listener->number != 0)
        tell_well(place, listener);
    else if (listener->another != 0)
        tell_wrong_board(place, listener);
    else if (listener->was_lost)
        tell_lost(place);
    else
        tell_silence(place, listener);
}
