/* SPDX-License-Identifier: MIT */
#include "core/roster.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { UNNAMED = 4, ROOM = 8 };

static struct board boards[ROOM];

static struct roster new_roster(uint16_t only) {
    struct roster roster;

    roster_init(&roster, "kitchen", only, 0, boards, UNNAMED);
    return roster;
}

static const char *name_of(struct roster *roster, uint16_t number) {
    struct board *board = roster_find(roster, number);

    return board ? board->sensor.name : "";
}

Test(roster, first_board_is_the_sensor_itself_and_others_are_numbered) {
    struct roster roster = new_roster(0);

    cr_assert_eq(roster.count, 1);
    cr_assert_str_eq(boards[0].sensor.name, "kitchen");
    cr_assert_str_eq(name_of(&roster, 1), "kitchen");
    cr_assert_str_eq(name_of(&roster, 2), "kitchen-2");
    cr_assert_str_eq(name_of(&roster, 65535), "kitchen-65535");
    cr_assert_str_eq(name_of(&roster, 1), "kitchen");
    cr_assert_eq(roster.count, 3);
}

Test(roster, stand_in_gives_way_to_the_first_comer) {
    struct roster roster = new_roster(0);

    cr_assert(roster.stands_in);
    cr_assert_str_eq(name_of(&roster, 5), "kitchen-5");
    cr_assert_not(roster.stands_in);
    cr_assert_eq(roster.count, 1);
    cr_assert_str_eq(name_of(&roster, 1), "kitchen");
    cr_assert_eq(roster.count, 2);
}

Test(roster, stand_in_that_is_heard_keeps_what_happened_to_it) {
    struct roster roster = new_roster(0);

    (void)board_damaged(&boards[0], 1000);
    cr_assert_eq(roster_find(&roster, 1)->heard_us, 1000);
}

Test(roster, only_one_wanted_means_no_place_for_others) {
    struct roster roster = new_roster(7);

    cr_assert_str_eq(name_of(&roster, 7), "kitchen");
    cr_assert_null(roster_find(&roster, 1));
    cr_assert_null(roster_find(&roster, 8));
    cr_assert_eq(roster.unlisted, 2);
    cr_assert_eq(roster.count, 1);
}

Test(roster, named_boards_are_there_from_the_beginning) {
    struct roster roster = new_roster(0);

    roster_name(&roster, 1, "bath");
    roster_name(&roster, 5, "attic");
    cr_assert_eq(roster.count, 2);
    cr_assert_str_eq(name_of(&roster, 1), "bath");
    cr_assert_str_eq(name_of(&roster, 5), "attic");
    cr_assert_str_eq(name_of(&roster, 6), "kitchen-6");
    cr_assert_eq(roster.unnamed, 1);
}

Test(roster, takes_in_so_many_and_counts_the_rest) {
    struct roster roster = new_roster(0);

    roster_name(&roster, 100, "attic");
    for (uint16_t number = 1; number <= UNNAMED; number++)
        cr_assert_not_null(roster_find(&roster, number));
    cr_assert_null(roster_find(&roster, 9));
    cr_assert_null(roster_find(&roster, 10));
    cr_assert_not_null(roster_find(&roster, 100));
    cr_assert_not_null(roster_find(&roster, 1));
    cr_assert_eq(roster.unlisted, 2);
}

Test(roster, name_that_would_be_too_long_finds_no_place) {
    char name[NAME_MAX_LENGTH + 1];
    char rendered[NAME_MAX_LENGTH + 1];
    struct roster roster;

    memset(name, 'k', NAME_MAX_LENGTH);
    name[NAME_MAX_LENGTH] = '\0';
    roster_init(&roster, name, 0, 0, boards, UNNAMED);
    cr_assert_not_null(roster_find(&roster, 1));
    cr_assert_null(roster_find(&roster, 2));
    cr_assert_eq(roster_render_name(name, 2, rendered), -ENAMETOOLONG);
    name[NAME_MAX_LENGTH - 2] = '\0';
    cr_assert_eq(roster_render_name(name, 2, rendered), 0);
    cr_assert_eq(strlen(rendered), NAME_MAX_LENGTH);
}

Test(roster, is_due_when_the_first_of_its_boards_is) {
    struct roster roster = new_roster(0);

    cr_assert_eq(roster_due_us(&roster), UINT64_MAX);
    (void)board_came(roster_find(&roster, 1), 5000000);
    (void)board_came(roster_find(&roster, 2), 3000000);
    cr_assert_eq(roster_due_us(&roster), 3000000 + BOARD_SILENCE_US);
}

Test(roster, conditions_the_boards_it_has_and_those_that_come) {
    static const struct conditioning_rules rules = { .publish_us = 60000000 };
    struct roster roster = new_roster(0);
    struct reading reading = { .taken_us = 1000 };

    roster_condition(&roster, &rules);
    cr_assert_eq(roster_find(&roster, 1)->sensor.conditioning.rules, &rules);
    cr_assert_eq(roster_find(&roster, 2)->sensor.conditioning.rules, &rules);

    (void)sensor_take(&roster_find(&roster, 2)->sensor, &reading);
    cr_assert_eq(roster_due_us(&roster), UINT64_MAX);
    reading.taken_us = 2000;
    (void)sensor_take(&roster_find(&roster, 2)->sensor, &reading);
    cr_assert_eq(roster_due_us(&roster), 60001000, "when the held one is due");
}
