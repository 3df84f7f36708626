/* SPDX-License-Identifier: MIT */
#include "core/in_flight.h"

#include <criterion/criterion.h>

static struct in_flight in_flight;

static void send(int count) {
    in_flight.count = 0;
    for (int i = 0; i < count; i++)
        in_flight_add(&in_flight, 100 + i, 7000 + (uint64_t)i);
}

Test(in_flight, acknowledged_in_any_order) {
    static const int order[] = { 102, 100, 104, 101, 103 };

    send(5);
    for (size_t i = 0; i < 5; i++) {
        uint64_t number = 0;

        cr_assert(in_flight_take(&in_flight, order[i], &number));
        cr_assert_eq(number, 7000 + (uint64_t)order[i] - 100);
        cr_assert_not(in_flight_has(&in_flight, number));
        cr_assert_eq(in_flight.count, 4 - i);
    }
}

Test(in_flight, others_stay) {
    uint64_t number;

    send(3);
    cr_assert(in_flight_take(&in_flight, 101, &number));
    cr_assert(in_flight_has(&in_flight, 7000));
    cr_assert(in_flight_has(&in_flight, 7002));
}

Test(in_flight, acknowledged_twice_or_never_sent_is_nothing) {
    uint64_t number = 42;

    send(2);
    cr_assert(in_flight_take(&in_flight, 100, &number));
    number = 42;
    cr_assert_not(in_flight_take(&in_flight, 100, &number));
    cr_assert_not(in_flight_take(&in_flight, 99, &number));
    cr_assert_eq(number, 42);
    cr_assert_eq(in_flight.count, 1);
}

Test(in_flight, full_is_emptied_from_either_end) {
    uint64_t number;

    send(IN_FLIGHT_MAX);
    cr_assert(in_flight_take(&in_flight, 100 + IN_FLIGHT_MAX - 1, &number));
    for (int i = 0; i < IN_FLIGHT_MAX - 1; i++)
        cr_assert(in_flight_take(&in_flight, 100 + i, &number));
    cr_assert_eq(in_flight.count, 0);
    cr_assert_not(in_flight_take(&in_flight, 100, &number));
}
