/* SPDX-License-Identifier: MIT */
#include "core/usb_name.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct bad_row {
    char name[32];
};

ParameterizedTestParameters(usb_name, refuses) {
    static struct bad_row rows[] = {
        { "" },
        { "usb:" },
        { "usb:2341" },
        { "usb:2341:" },
        { "usb:2341:43" },
        { "usb:2341:00434" },
        { "usb:2341:0043:" },
        { "usb:2341-0043" },
        { "usb:234g:0043" },
        { "USB:2341:0043" },
        { " usb:2341:0043" },
        { "usb:2341:0043 " },
        { "/dev/ttyACM0" },
    };

    return cr_make_param_array(struct bad_row, rows, sizeof(rows) / sizeof(*rows));
}

ParameterizedTest(struct bad_row *row, usb_name, refuses) {
    struct usb_name name;

    cr_assert_eq(usb_name_parse(row->name, &name), -EINVAL, "%s", row->name);
}

Test(usb_name, is_read_with_and_without_a_serial_number) {
    struct usb_name name;

    cr_assert_eq(usb_name_parse("usb:2341:0043", &name), 0);
    cr_assert_eq(name.vendor, 0x2341);
    cr_assert_eq(name.product, 0x0043);
    cr_assert_str_empty(name.serial);
    cr_assert_eq(usb_name_parse("usb:1A86:7523:A:B 1", &name), 0);
    cr_assert_eq(name.vendor, 0x1a86);
    cr_assert_str_eq(name.serial, "A:B 1");
}

Test(usb_name, of_128_bytes_of_serial_number_is_the_longest) {
    char text[USB_NAME_SIZE + 2] = "usb:2341:0043:";
    struct usb_name name;

    memset(text + 14, '7', PRINTABLE_LENGTH);
    cr_assert_eq(usb_name_parse(text, &name), 0);
    cr_assert_eq(usb_name_render(&name, text, USB_NAME_SIZE), USB_NAME_SIZE - 1);
    text[14 + PRINTABLE_LENGTH] = '7';
    text[15 + PRINTABLE_LENGTH] = '\0';
    cr_assert_eq(usb_name_parse(text, &name), -EINVAL);
}

Test(usb_name, matches_by_numbers_and_by_serial_number_where_it_has_one) {
    struct usb_name name;

    cr_assert_eq(usb_name_parse("usb:2341:0043", &name), 0);
    cr_assert(usb_name_matches(&name, 0x2341, 0x43, ""));
    cr_assert(usb_name_matches(&name, 0x2341, 0x43, "7533"));
    cr_assert_not(usb_name_matches(&name, 0x2341, 0x42, ""));
    cr_assert_not(usb_name_matches(&name, 0x2342, 0x43, ""));
    cr_assert_eq(usb_name_parse("usb:2341:0043:7533", &name), 0);
    cr_assert(usb_name_matches(&name, 0x2341, 0x43, "7533"));
    cr_assert_not(usb_name_matches(&name, 0x2341, 0x43, "75330"));
    cr_assert_not(usb_name_matches(&name, 0x2341, 0x43, ""));
}

Test(usb_name, is_written_as_it_is_read) {
    const struct usb_name name = { 0x2341, 0x43, "7533" };
    char text[USB_NAME_SIZE];

    cr_assert_eq(usb_name_render(&name, text, sizeof(text)), 18);
    cr_assert_str_eq(text, "usb:2341:0043:7533");
    cr_assert_eq(usb_name_render(&name, text, 18), -ENOSPC);
}
