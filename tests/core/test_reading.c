/* SPDX-License-Identifier: MIT */
#include "core/reading.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "seed.h"

static struct quantity quantity_of(const char *key, int32_t scaled, uint8_t decimals) {
    struct quantity quantity = { .scaled = scaled, .decimals = decimals };

    (void)snprintf(quantity.key, sizeof(quantity.key), "%s", key);
    return quantity;
}

static void expect_same(const struct quantity *quantity, const struct quantity *expected) {
    cr_expect_str_eq(quantity->key, expected->key);
    cr_expect_eq(quantity->scaled, expected->scaled, "%s: %d, not %d", expected->key,
                 quantity->scaled, expected->scaled);
    cr_expect_eq(quantity->decimals, expected->decimals, "%s", expected->key);
}

struct name_row {
    char name[32];
    char text[80];
    bool is_valid;
};

ParameterizedTestParameters(reading, names_are_checked) {
    static struct name_row rows[] = {
        { "word", "kitchen", true },
        { "one letter", "k", true },
        { "one digit", "7", true },
        { "capitals, _ and -", "Kitchen_Pi-2", true },
        { "ends in a dash", "kitchen-", true },
        { "64 characters", "a123456789012345678901234567890123456789012345678901234567890123",
          true },

        { "empty", "", false },
        { "65 characters", "a1234567890123456789012345678901234567890123456789012345678901234",
          false },
        { "starts with a dash", "-kitchen", false },
        { "starts with _", "_check", false },
        { "dot", "kitchen.pi", false },
        { "slash", "a/b", false },
        { "space", "my kitchen", false },
        { "plus", "a+", false },
        { "hash", "a#", false },
        { "dollar", "$SYS", false },
        { "quote", "a\"b", false },
        { "umlaut",
          "k\xc3\xbc"
          "che",
          false },
        { "line end", "a\n", false },
    };

    return cr_make_param_array(struct name_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct name_row *row, reading, names_are_checked) {
    cr_expect_eq(name_is_valid(row->text), row->is_valid, "%s: \"%s\"", row->name, row->text);
}

Test(reading, every_other_character_in_a_name_is_refused) {
    for (unsigned c = 1; c < 256; c++) {
        const char name[] = { 'a', (char)c, '\0' };
        bool is_allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                          (c >= 'a' && c <= 'z') || c == '_' || c == '-';

        cr_expect_eq(name_is_valid(name), is_allowed, "%02x", c);
    }
}

Test(reading, keys_have_their_published_names) {
    cr_expect_str_eq(quantity_name("t"), "temperature");
    cr_expect_str_eq(quantity_name("rh"), "humidity");
    cr_expect_str_eq(quantity_name("p"), "pressure");
    cr_expect_str_eq(quantity_name("lx"), "illuminance");
    cr_expect_str_eq(quantity_name("v"), "voltage");
    cr_expect_str_eq(quantity_name("co2"), "co2");
    cr_expect_str_eq(quantity_name("temp"), "temp");
}

struct parse_row {
    char name[32];
    char text[40];
    struct quantity quantity;
};

ParameterizedTestParameters(reading, parses_a_quantity) {
    static struct parse_row rows[] = {
        { "temperature", "t=21.5", { "t", 215, 1 } },
        { "below zero", "t=-3.4", { "t", -34, 1 } },
        { "just below zero", "t=-0.1", { "t", -1, 1 } },
        { "zero", "rh=0.0", { "rh", 0, 1 } },
        { "zero without point", "x=0", { "x", 0, 0 } },
        { "no point", "lx=1234567", { "lx", 1234567, 0 } },
        { "two decimals", "p=1013.25", { "p", 101325, 2 } },
        { "three decimals", "v=3.305", { "v", 3305, 3 } },
        { "a zero at the end is kept", "t=21.50", { "t", 2150, 2 } },
        { "leading zeros are not", "t=0021.5", { "t", 215, 1 } },
        { "seven digits", "x=9999999.9", { "x", 99999999, 1 } },
        { "seven digits below zero", "x=-9999999.9", { "x", -99999999, 1 } },
        { "seven digits, two decimals", "x=9999999.99", { "x", 999999999, 2 } },
        { "the most in thousandths", "x=2147483.647", { "x", INT32_MAX, 3 } },
        { "the least in thousandths", "x=-2147483.647", { "x", -INT32_MAX, 3 } },
        { "key of eight", "abcdefgh=1.0", { "abcdefgh", 10, 1 } },
        { "digits in a key", "2co2=400.0", { "2co2", 4000, 1 } },
    };

    return cr_make_param_array(struct parse_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct parse_row *row, reading, parses_a_quantity) {
    struct quantity quantity;

    cr_assert_eq(quantity_parse(row->text, strlen(row->text), &quantity), 0, "%s", row->name);
    expect_same(&quantity, &row->quantity);
}

struct refusal_row {
    char name[32];
    char text[40];
};

ParameterizedTestParameters(reading, refuses_a_quantity) {
    static struct refusal_row rows[] = {
        { "empty", "" },
        { "no assignment", "t21.5" },
        { "no key", "=21.5" },
        { "no value", "t=" },
        { "key of nine", "abcdefghi=1.0" },
        { "capital", "T=21.5" },
        { "underscore", "t_1=21.5" },
        { "space in the key", "t =21.5" },
        { "quote in the key", "t\"=21.5" },
        { "two assignments", "t==21.5" },
        { "space before the value", "t= 21.5" },
        { "space after the value", "t=21.5 " },
        { "plus", "t=+21.5" },
        { "minus alone", "t=-" },
        { "two minus", "t=--1.0" },
        { "minus at the end", "t=1.0-" },
        { "point alone", "t=." },
        { "nothing before the point", "t=.5" },
        { "minus and point", "t=-.5" },
        { "nothing after the point", "t=21." },
        { "two points", "t=2.1.5" },
        { "comma", "t=21,5" },
        { "four decimals", "t=21.5000" },
        { "eight digits", "t=12345678.0" },
        { "eight digits, leading zero", "t=01234567.0" },
        { "more thousandths than fit", "t=2147483.648" },
        { "fewer thousandths than fit", "t=-2147483.648" },
        { "far too many thousandths", "t=9999999.999" },
        { "negative zero", "t=-0.0" },
        { "negative zero, no point", "t=-0" },
        { "negative zero, long", "t=-00.000" },
        { "exponent", "t=1e5" },
        { "hex", "t=0x10" },
        { "nan", "t=nan" },
        { "inf", "t=inf" },
        { "letter after the point", "t=1.a" },
        { "high bit", "t=\xb1.0" },

        { "id", "id=1.0" },
        { "time", "time=1.0" },
        { "gateway", "gateway=1.0" },
        { "sensor", "sensor=1.0" },
        { "late", "late=1.0" },
        { "clock", "clock=1.0" },
        { "check", "check=1.0" },
        { "raw", "raw=1.0" },
        { "temperature", "temperature=1.0" },
        { "humidity", "humidity=1.0" },
        { "pressure", "pressure=1.0" },
        { "illuminance", "illuminance=1.0" },
        { "voltage", "voltage=1.0" },
    };

    return cr_make_param_array(struct refusal_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct refusal_row *row, reading, refuses_a_quantity) {
    struct quantity quantity = quantity_of("before", 77, 1);
    struct quantity before = quantity;

    cr_expect_eq(quantity_parse(row->text, strlen(row->text), &quantity), -EBADMSG, "%s: %s",
                 row->name, row->text);
    expect_same(&quantity, &before);
}

Test(reading, names_that_only_begin_like_reserved_ones_are_free) {
    static const char *const texts[] = { "i=1", "ids=1", "tim=1", "times=1", "rawt=1", "latest=1" };
    struct quantity quantity;

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        cr_expect_eq(quantity_parse(texts[i], strlen(texts[i]), &quantity), 0, "%s", texts[i]);
}

Test(reading, parsing_keeps_to_the_length_it_was_given) {
    struct quantity quantity;
    struct quantity expected = quantity_of("t", 2, 0);

    cr_expect_eq(quantity_parse("t=21.5", 3, &quantity), 0);
    expect_same(&quantity, &expected);
    cr_expect_eq(quantity_parse("t=21.5", 2, &quantity), -EBADMSG);
    cr_expect_eq(quantity_parse("t=21.5", 1, &quantity), -EBADMSG);
    cr_expect_eq(quantity_parse("t=21.5", 5, &quantity), -EBADMSG);
}

Test(reading, parsing_reads_no_byte_beyond_the_length) {
    static const char text[] = "abcdefgh=-1234567.891";
    struct quantity quantity;

    for (size_t length = 0; length < sizeof(text); length++) {
        char *exact = malloc(length); /* its exact size, for the address sanitizer */

        memcpy(exact, text, length);
        (void)quantity_parse(exact, length, &quantity);
        free(exact);
    }
}

Test(reading, every_other_byte_in_a_key_is_refused) {
    for (unsigned c = 0; c < 256; c++) {
        const char text[] = { 'x', (char)c, '=', '1' };
        bool is_allowed = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
        struct quantity quantity;

        cr_expect_eq(quantity_parse(text, sizeof(text), &quantity), is_allowed ? 0 : -EBADMSG,
                     "%02x", c);
    }
}

Test(reading, takes_eight_quantities_and_no_ninth) {
    struct reading reading = { 0 };
    struct quantity quantity;

    for (unsigned i = 0; i < READING_QUANTITIES; i++) {
        quantity = quantity_of("x0", (int32_t)i, 0);
        quantity.key[1] = (char)('0' + i);
        cr_expect_eq(reading_add(&reading, &quantity), 0, "%u", i);
    }
    quantity = quantity_of("y", 1, 0);
    cr_expect_eq(reading_add(&reading, &quantity), -ENOSPC);
    cr_expect_eq(reading.count, READING_QUANTITIES);
    cr_expect_str_eq(reading.quantities[7].key, "x7");
}

Test(reading, takes_a_key_once) {
    struct reading reading = { 0 };
    struct quantity first = quantity_of("t", 215, 1);
    struct quantity again = quantity_of("t", 216, 1);
    struct quantity longer = quantity_of("t1", 217, 1);

    cr_expect_eq(reading_add(&reading, &first), 0);
    cr_expect_eq(reading_add(&reading, &again), -EEXIST);
    cr_expect_eq(reading.count, 1);
    cr_expect_eq(reading.quantities[0].scaled, 215);
    cr_expect_eq(reading_add(&reading, &longer), 0);
}

Test(reading, a_key_once_more_is_said_also_when_it_is_full) {
    struct reading reading = { 0 };
    struct quantity quantity;

    cr_expect_eq(reading_parse("a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8", &reading), 0);
    quantity = quantity_of("h", 1, 0);
    cr_expect_eq(reading_add(&reading, &quantity), -EEXIST);
}

Test(reading, finds_a_quantity_by_its_published_name) {
    struct reading reading = { 0 };

    cr_assert_eq(reading_parse("t=21.5,co2=400", &reading), 0);
    cr_expect_eq(reading_find(&reading, "temperature"), &reading.quantities[0]);
    cr_expect_eq(reading_find(&reading, "co2"), &reading.quantities[1]);
    cr_expect_null(reading_find(&reading, "t"));
    cr_expect_null(reading_find(&reading, "humidity"));
    cr_expect_null(reading_find(&reading, ""));
}

struct value_row {
    char name[32];
    int32_t scaled;
    uint8_t decimals;
    char text[24];
};

ParameterizedTestParameters(reading, renders_a_value_with_its_digits) {
    static struct value_row rows[] = {
        { "one decimal", 215, 1, "21.5" },
        { "two decimals", 2150, 2, "21.50" },
        { "three decimals", 21500, 3, "21.500" },
        { "none", 215, 0, "215" },
        { "zero", 0, 0, "0" },
        { "zero with decimals", 0, 3, "0.000" },
        { "below one", 5, 1, "0.5" },
        { "far below one", 5, 3, "0.005" },
        { "just below zero", -5, 1, "-0.5" },
        { "far below zero", -5, 3, "-0.005" },
        { "minus one", -10, 1, "-1.0" },
        { "the most", INT32_MAX, 0, "2147483647" },
        { "the most, thousandths", INT32_MAX, 3, "2147483.647" },
        { "the least", INT32_MIN, 0, "-2147483648" },
        { "the least, thousandths", INT32_MIN, 3, "-2147483.648" },
    };

    return cr_make_param_array(struct value_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct value_row *row, reading, renders_a_value_with_its_digits) {
    struct quantity quantity = quantity_of("x", row->scaled, row->decimals);
    size_t needed = strlen(row->text) + 1;

    for (size_t size = 0; size < needed; size++) {
        char *text = malloc(size);

        cr_expect_eq(quantity_render_value(&quantity, text, size), -ENOSPC, "%s: %zu bytes",
                     row->name, size);
        free(text);
    }
    char *text = malloc(needed);

    cr_expect_eq(quantity_render_value(&quantity, text, needed), (int)needed - 1, "%s", row->name);
    cr_expect_str_eq(text, row->text, "%s", row->name);
    free(text);
}

Test(reading, renders_its_quantities_in_the_order_they_came) {
    struct reading reading = { 0 };
    char text[READING_TEXT_SIZE];

    cr_assert_eq(reading_parse("rh=45.0,t=-0.5,co2=400", &reading), 0);
    cr_expect_eq(reading_render(&reading, text, sizeof(text)), 22);
    cr_expect_str_eq(text, "rh=45.0,t=-0.5,co2=400");
}

Test(reading, without_quantities_it_renders_to_nothing) {
    struct reading reading = { 0 };
    char text[] = "before";

    cr_expect_eq(reading_render(&reading, text, sizeof(text)), 0);
    cr_expect_str_empty(text);
    cr_expect_eq(reading_render(&reading, text, 0), -ENOSPC);
}

/* Eight quantities of the longest keys and values. */
static struct reading biggest_reading(void) {
    struct reading reading = { 0 };

    for (unsigned i = 0; i < READING_QUANTITIES; i++) {
        struct quantity quantity = quantity_of("abcdefg0", -INT32_MAX, 3);

        quantity.key[7] = (char)('0' + i);
        cr_assert_eq(reading_add(&reading, &quantity), 0);
    }
    return reading;
}

Test(reading, the_text_size_suffices_for_the_biggest) {
    struct reading reading = biggest_reading();
    char text[READING_TEXT_SIZE];
    struct reading back = { 0 };

    cr_expect_eq(reading_render(&reading, text, sizeof(text)), 8 * (8 + 1 + 12) + 7);
    cr_expect_eq(reading_parse(text, &back), 0);
    cr_expect_eq(back.count, READING_QUANTITIES);
}

Test(reading, a_buffer_too_small_by_any_number_of_bytes_is_not_overrun) {
    struct reading reading = biggest_reading();
    char whole[READING_TEXT_SIZE];
    size_t needed = (size_t)reading_render(&reading, whole, sizeof(whole)) + 1;

    for (size_t size = 0; size <= needed; size++) {
        char *text = malloc(size);
        int r = reading_render(&reading, text, size);

        cr_expect_eq(r, size < needed ? -ENOSPC : (int)needed - 1, "%zu of %zu bytes: %d", size,
                     needed, r);
        free(text);
    }
}

struct list_row {
    char name[32];
    char text[80];
    int r;
};

ParameterizedTestParameters(reading, parses_a_list) {
    static struct list_row rows[] = {
        { "one", "t=21.5", 0 },
        { "two", "t=21.5,rh=45.0", 0 },
        { "eight", "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8", 0 },
        { "nine", "a=1,b=2,c=3,d=4,e=5,f=6,g=7,h=8,i=9", -ENOSPC },
        { "twice the same", "t=21.5,t=21.5", -EEXIST },
        { "empty", "", -EBADMSG },
        { "comma alone", ",", -EBADMSG },
        { "comma first", ",t=21.5", -EBADMSG },
        { "comma last", "t=21.5,", -EBADMSG },
        { "two commas", "t=21.5,,rh=45.0", -EBADMSG },
        { "space", "t=21.5, rh=45.0", -EBADMSG },
        { "a malformed second", "t=21.5,rh", -EBADMSG },
    };

    return cr_make_param_array(struct list_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct list_row *row, reading, parses_a_list) {
    struct reading reading = { 0 };

    cr_expect_eq(reading_parse(row->text, &reading), row->r, "%s", row->name);
}

/* Any value that can be parsed: up to seven digits before the point, up to three after it. */
static struct quantity random_quantity(struct dice *dice, char last) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const int64_t scales[] = { 1, 10, 100, 1000 };
    struct quantity quantity = { .decimals = (uint8_t)dice_roll(dice, QUANTITY_DECIMALS + 1) };
    size_t length = dice_roll(dice, QUANTITY_KEY_LENGTH - 1);
    int64_t most = 10000000 * scales[quantity.decimals] - 1;

    most = most > INT32_MAX ? INT32_MAX : most;
    quantity.scaled = (int32_t)((int64_t)dice_roll(dice, (size_t)(2 * most + 1)) - most);
    if (dice_roll(dice, 4) == 0)
        quantity.scaled %= 100;
    quantity.key[0] = 'q'; /* no reserved name begins so */
    for (size_t i = 1; i <= length; i++)
        quantity.key[i] = letters[dice_roll(dice, sizeof(letters) - 1)];
    quantity.key[length + (length == 0)] = last; /* and no two are alike */
    return quantity;
}

Test(reading, comes_back_the_same_from_its_text) {
    struct dice dice = dice_from_seed("reading round trip");

    for (unsigned round = 0; round < 5000; round++) {
        struct reading reading = { 0 };
        struct reading back = { 0 };
        size_t count = 1 + dice_roll(&dice, READING_QUANTITIES);
        char text[READING_TEXT_SIZE];
        char again[READING_TEXT_SIZE];

        for (size_t i = 0; i < count; i++) {
            struct quantity quantity = random_quantity(&dice, (char)('0' + i));

            cr_assert_eq(reading_add(&reading, &quantity), 0);
        }
        cr_assert_gt(reading_render(&reading, text, sizeof(text)), 0);
        cr_assert_eq(reading_parse(text, &back), 0, "%s", text);
        cr_assert_eq(back.count, reading.count, "%s", text);
        for (size_t i = 0; i < count; i++)
            expect_same(&back.quantities[i], &reading.quantities[i]);
        cr_assert_gt(reading_render(&back, again, sizeof(again)), 0);
        cr_assert_str_eq(again, text);
    }
}

Test(reading, random_text_is_parsed_or_refused_but_never_overruns) {
    static const char letters[] = "tx019-.,=. \xff";
    struct dice dice = dice_from_seed("reading random text");
    unsigned parsed = 0;

    for (unsigned round = 0; round < 20000; round++) {
        size_t length = dice_roll(&dice, 24);
        char *text = malloc(length + 1);
        struct reading reading = { 0 };

        for (size_t i = 0; i < length; i++)
            text[i] = letters[dice_roll(&dice, sizeof(letters) - 1)];
        text[length] = '\0';
        if (reading_parse(text, &reading) == 0) {
            char again[READING_TEXT_SIZE];

            parsed++;
            cr_expect_gt(reading_render(&reading, again, sizeof(again)), 0, "%s", text);
        }
        free(text);
    }
    cr_expect_gt(parsed, 0);
}
