/* SPDX-License-Identifier: MIT */
#include "core/printable.h"

#include <criterion/criterion.h>
#include <string.h>

Test(printable, leaves_plain_text_alone) {
    char text[PRINTABLE_SIZE];

    cr_assert_eq(printable("$SGW1,R ~", 9, text), 9);
    cr_assert_str_eq(text, "$SGW1,R ~");
}

Test(printable, escapes_what_a_terminal_would_obey) {
    char text[PRINTABLE_SIZE];

    cr_assert_eq(printable("\x1b[2J\r\n\0\x7f\xc2\x9b", 10, text), 10);
    cr_assert_str_eq(text, "\\x1b[2J\\x0d\\x0a\\x00\\x7f\\xc2\\x9b");
}

Test(printable, escapes_the_backslash_so_that_nothing_can_look_escaped) {
    char text[PRINTABLE_SIZE];

    printable_string("\\x1b", text);
    cr_assert_str_eq(text, "\\x5cx1b");
}

Test(printable, cuts_at_its_length_and_never_inside_an_escape) {
    char bytes[PRINTABLE_LENGTH + 10];
    char text[PRINTABLE_SIZE];

    memset(bytes, 'a', sizeof(bytes));
    cr_assert_eq(printable(bytes, sizeof(bytes), text), PRINTABLE_LENGTH);
    cr_assert_eq(strlen(text), PRINTABLE_LENGTH);
    bytes[PRINTABLE_LENGTH - 2] = '\n';
    cr_assert_eq(printable(bytes, sizeof(bytes), text), PRINTABLE_LENGTH - 2);
    cr_assert_eq(strlen(text), PRINTABLE_LENGTH - 2);
}

Test(printable, takes_nothing_for_an_empty_string) {
    char text[PRINTABLE_SIZE] = "x";

    printable_string(NULL, text);
    cr_assert_str_empty(text);
}
