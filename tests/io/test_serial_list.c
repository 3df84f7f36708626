/* SPDX-License-Identifier: MIT */
#include "io/serial_list.h"

#include <criterion/criterion.h>
#include <string.h>

Test(serial_list, lists_by_path_and_fits) {
    CLEANUP(serial_list_freep) struct serial_list *list = NULL;

    cr_assert_eq(serial_list_new(&list), 0);
    for (size_t i = 1; i < serial_list_count(list); i++)
        cr_assert_lt(strverscmp(serial_list_get(list, i - 1)->path, serial_list_get(list, i)->path),
                     0);
    cr_assert_null(serial_list_get(list, serial_list_count(list)));
}

Test(serial_list, board_that_is_not_there_is_not_found) {
    CLEANUP(serial_list_freep) struct serial_list *list = NULL;
    const struct serial_device *found = NULL;
    struct usb_name name;

    cr_assert_eq(usb_name_parse("usb:ffff:fffe:none", &name), 0);
    cr_assert_eq(serial_list_new(&list), 0);
    cr_assert_eq(serial_list_find(list, &name, &found), 0);
    cr_assert_null(found);
}

Test(serial_list, serial_number_makes_the_stable_name) {
    const struct serial_device device = {
        .path = "/dev/ttyACM0",
        .is_usb = true,
        .vendor_id = 0x2341,
        .product_id = 0x43,
        .serial = "75330303035351F0B1A1",
    };
    char name[SERIAL_PATH_SIZE];

    serial_device_stable_name(&device, name);
    cr_assert_str_eq(name, "usb:2341:0043:75330303035351F0B1A1");
}

Test(serial_list, escaped_serial_number_is_not_for_a_configuration) {
    const struct serial_device device = {
        .path = "/dev/no-such-port",
        .is_usb = true,
        .vendor_id = 0x1a86,
        .product_id = 0x7523,
        .serial = "\\x01\\x02",
    };
    char name[SERIAL_PATH_SIZE];

    serial_device_stable_name(&device, name);
    cr_assert_str_eq(name, "/dev/no-such-port");
}

Test(serial_list, port_without_a_better_name_keeps_its_path) {
    const struct serial_device device = { .path = "/dev/ttyS0" };
    char name[SERIAL_PATH_SIZE];

    serial_device_stable_name(&device, name);
    cr_assert(strcmp(name, "/dev/ttyS0") == 0 || strncmp(name, "/dev/serial/by-path/", 20) == 0);
}
