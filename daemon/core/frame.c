/* SPDX-License-Identifier: MIT */
#include "core/frame.h"

#include <errno.h>
#include <string.h>

#include "core/frame_crc.h"

enum { FRAME_TENTHS_DECIMALS = 1 };

/* What is left of a body to read, field by field. */
struct fields {
    const char *at;
    const char *end;
};

/* One field, not terminated. */
struct field {
    const char *text;
    size_t length;
};

static bool take_field(struct fields *fields, struct field *ret) {
    const char *comma;

    if (!fields->at)
        return false;
    comma = memchr(fields->at, FRAME_SEPARATOR, (size_t)(fields->end - fields->at));
    ret->text = fields->at;
    ret->length = (size_t)((comma ? comma : fields->end) - fields->at);
    fields->at = comma ? comma + 1 : NULL;
    return true;
}

static bool field_is(const struct field *field, const char *text) {
    return field->length == strlen(text) && memcmp(field->text, text, field->length) == 0;
}

static bool parse_number(const struct field *field, uint32_t max, uint32_t *ret) {
    uint64_t number = 0;

    if (field->length < 1 || field->length > 10)
        return false;
    for (size_t i = 0; i < field->length; i++) {
        if (field->text[i] < '0' || field->text[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(field->text[i] - '0');
    }
    if (number > max)
        return false;
    *ret = (uint32_t)number;
    return true;
}

/* "key=value" in two. The decoder has let through printable bytes only. */
static bool split(const struct field *field, struct field *ret_key, struct field *ret_value) {
    const char *assign = memchr(field->text, FRAME_ASSIGN, field->length);

    if (!assign)
        return false;
    ret_key->text = field->text;
    ret_key->length = (size_t)(assign - field->text);
    ret_value->text = assign + 1;
    ret_value->length = field->length - ret_key->length - 1;
    if (ret_key->length < 1 || ret_key->length > FRAME_KEY_SIZE_MAX)
        return false;
    for (size_t i = 0; i < ret_key->length; i++) {
        char c = ret_key->text[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return ret_value->length >= 1 && ret_value->length <= FRAME_VALUE_SIZE_MAX &&
           !memchr(ret_value->text, FRAME_ASSIGN, ret_value->length) &&
           !memchr(ret_value->text, FRAME_CRC_MARK, ret_value->length);
}

/* Where a key's value goes. A key without a place is unknown, and ignored. */
struct place {
    const char *key;
    char *text;       /* FRAME_VALUE_SIZE_MAX + 1 bytes, or */
    uint32_t *number; /* up to max */
    uint32_t max;
    bool is_filled;
};

static bool fill(struct place *place, const struct field *value) {
    if (place->is_filled)
        return false;
    place->is_filled = true;
    if (place->number)
        return parse_number(value, place->max, place->number);
    memcpy(place->text, value->text, value->length);
    place->text[value->length] = '\0';
    return true;
}

/* Every place must be filled, once. */
static int parse_places(struct fields *fields, struct place *places, size_t count) {
    struct field field;

    while (take_field(fields, &field)) {
        struct field key;
        struct field value;

        if (!split(&field, &key, &value))
            return -EBADMSG;
        for (size_t i = 0; i < count; i++)
            if (field_is(&key, places[i].key) && !fill(&places[i], &value))
                return -EBADMSG;
    }
    for (size_t i = 0; i < count; i++)
        if (!places[i].is_filled)
            return -EBADMSG;
    return 0;
}

static int parse_hello(struct fields *fields, struct frame_hello *hello) {
    struct place places[] = {
        { .key = FRAME_KEY_FIRMWARE, .text = hello->firmware },
        { .key = FRAME_KEY_SENSOR, .text = hello->sensor },
        { .key = FRAME_KEY_RESET, .text = hello->reset },
        { .key = FRAME_KEY_INTERVAL, .number = &hello->interval_ms, .max = UINT32_MAX },
    };
    int r = parse_places(fields, places, sizeof(places) / sizeof(*places));

    return r < 0 ? r : hello->interval_ms > 0 ? 0 : -EBADMSG;
}

static int parse_error(struct fields *fields, struct frame_error *error) {
    struct place places[] = {
        { .key = FRAME_KEY_SOURCE, .text = error->source },
        { .key = FRAME_KEY_ERROR, .text = error->error },
        { .key = FRAME_KEY_BITS, .number = &error->bits, .max = UINT16_MAX },
        { .key = FRAME_KEY_FAILURES, .number = &error->failures, .max = UINT16_MAX },
    };

    return parse_places(fields, places, sizeof(places) / sizeof(*places));
}

static int parse_reading(struct fields *fields, struct frame *frame) {
    struct place raw = { .key = FRAME_KEY_RAW, .text = frame->raw };
    struct field field;

    frame->reading = (struct reading){ 0 };
    frame->raw[0] = '\0';
    while (take_field(fields, &field)) {
        struct field key;
        struct field value;
        struct quantity quantity;

        if (!split(&field, &key, &value))
            return -EBADMSG;
        if (field_is(&key, raw.key)) {
            if (!fill(&raw, &value))
                return -EBADMSG;
            continue;
        }
        if (quantity_parse(field.text, field.length, &quantity) < 0 ||
            quantity.decimals != FRAME_TENTHS_DECIMALS ||
            reading_add(&frame->reading, &quantity) < 0)
            return -EBADMSG;
    }
    return frame->reading.count > 0 ? 0 : -EBADMSG;
}

static bool parse_head(struct fields *fields, struct frame *frame) {
    struct field field;
    uint32_t node;
    uint32_t sequence;

    if (!take_field(fields, &field) || !parse_number(&field, UINT16_MAX, &node) || node == 0)
        return false;
    if (!take_field(fields, &field) || !parse_number(&field, UINT16_MAX, &sequence))
        return false;
    if (!take_field(fields, &field) || !parse_number(&field, UINT32_MAX, &frame->up_ms))
        return false;
    frame->node = (uint16_t)node;
    frame->sequence = (uint16_t)sequence;
    return true;
}

/* Another version of ours: SGW and a number. */
static bool is_other_version(const struct field *field) {
    uint32_t number;
    struct field digits = { field->text + 3, field->length - 3 };

    return field->length > 3 && memcmp(field->text, FRAME_VERSION, 3) == 0 &&
           parse_number(&digits, UINT32_MAX, &number);
}

static int parse_typed(struct fields *fields, const struct field *type, struct frame *frame,
                       struct frame_counters *counters) {
    int r = -EBADMSG;

    if (type->length != 1 || !parse_head(fields, frame))
        return -EBADMSG;
    switch (type->text[0]) {
    case FRAME_HELLO:
        frame->type = FRAME_HELLO;
        r = parse_hello(fields, &frame->hello);
        break;
    case FRAME_READING:
        frame->type = FRAME_READING;
        r = parse_reading(fields, frame);
        break;
    case FRAME_SENSOR_ERROR:
        frame->type = FRAME_SENSOR_ERROR;
        r = parse_error(fields, &frame->error);
        break;
    default:
        counters->unknown_type++;
        return 0;
    }
    return r < 0 ? r : 1;
}

static int parse_body(struct fields fields, struct frame_counters *counters, struct frame *ret) {
    struct frame frame = { .type = FRAME_HELLO };
    struct field version;
    struct field type;
    int r;

    if (!take_field(&fields, &version))
        return -EBADMSG;
    if (!field_is(&version, FRAME_VERSION)) {
        if (!is_other_version(&version))
            return -EBADMSG;
        counters->unknown_version++;
        return 0;
    }
    if (!take_field(&fields, &type))
        return -EBADMSG;
    r = parse_typed(&fields, &type, &frame, counters);
    if (r > 0)
        *ret = frame;
    return r;
}

static bool crc_agrees(const char *body, size_t size, const char digits[FRAME_CRC_DIGITS]) {
    static const char hex[] = "0123456789ABCDEF";
    uint16_t crc = frame_crc(body, size);

    for (unsigned i = 0; i < FRAME_CRC_DIGITS; i++)
        if (digits[i] != hex[crc >> (12 - 4 * i) & 15])
            return false;
    return true;
}

/* The line is whole: from '$', without its end. */
static int parse_line(struct frame_decoder *decoder, size_t length, struct frame *ret) {
    struct frame_counters *counters = &decoder->counters;
    const char *body = decoder->line + 1;
    size_t body_size;
    int r;

    if (length < 1 + 1 + FRAME_CRC_DIGITS ||
        decoder->line[length - 1 - FRAME_CRC_DIGITS] != FRAME_CRC_MARK) {
        counters->bad_crc++;
        return -EBADMSG;
    }
    body_size = length - 1 - 1 - FRAME_CRC_DIGITS;
    if (!crc_agrees(body, body_size, body + body_size + 1)) {
        counters->bad_crc++;
        return -EBADMSG;
    }
    r = parse_body((struct fields){ body, body + body_size }, counters, ret);
    if (r > 0)
        counters->frames++;
    else if (r < 0)
        counters->malformed++;
    return r;
}

void frame_decoder_init(struct frame_decoder *decoder) {
    *decoder = (struct frame_decoder){ 0 };
}

static int drop(struct frame_decoder *decoder, uint64_t *counter) {
    decoder->length = 0;
    (*counter)++;
    return -EBADMSG;
}

static int begin(struct frame_decoder *decoder) {
    bool was_inside = decoder->length > 0;

    decoder->line[0] = FRAME_START;
    decoder->length = 1;
    if (!was_inside)
        return 0;
    decoder->counters.cut++;
    return -EBADMSG;
}

static int end(struct frame_decoder *decoder, struct frame *ret) {
    size_t length = decoder->length;

    if (decoder->line[length - 1] == '\r')
        length--;
    decoder->length = 0;
    return parse_line(decoder, length, ret);
}

int frame_push(struct frame_decoder *decoder, uint8_t byte, struct frame *ret) {
    struct frame_counters *counters = &decoder->counters;

    if (byte == FRAME_START)
        return begin(decoder);
    if (decoder->length == 0) {
        counters->noise_bytes++;
        return 0;
    }
    if (decoder->length == FRAME_SIZE_MAX)
        return drop(decoder, &counters->overlong);
    if (decoder->line[decoder->length - 1] == '\r' && byte != '\n')
        return drop(decoder, &counters->foreign_byte);
    if (byte == '\n')
        return end(decoder, ret);
    if ((byte < 0x20 || byte > 0x7e) && byte != '\r')
        return drop(decoder, &counters->foreign_byte);
    decoder->line[decoder->length++] = (char)byte;
    return 0;
}

uint64_t frame_damaged(const struct frame_counters *counters) {
    return counters->cut + counters->overlong + counters->foreign_byte + counters->bad_crc +
           counters->malformed;
}
