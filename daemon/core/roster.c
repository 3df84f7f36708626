/* SPDX-License-Identifier: MIT */
#include "core/roster.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_NUMBER = 1 }; /* of every board that was not told another */

void roster_init(struct roster *roster, const char *name, uint16_t only, uint64_t silence_us,
                 struct board *boards, size_t unnamed_max) {
    *roster = (struct roster){
        .only = only,
        .silence_us = silence_us,
        .boards = boards,
        .count = 1,
        .unnamed_max = unnamed_max,
        .stands_in = only == 0,
    };
    (void)snprintf(roster->name, sizeof(roster->name), "%s", name);
    board_init(&boards[0], only > 0 ? only : FIRST_NUMBER, name, silence_us);
}

void roster_condition(struct roster *roster, const struct conditioning_rules *rules) {
    roster->rules = rules;
    for (size_t i = 0; i < roster->count; i++)
        roster->boards[i].sensor.conditioning.rules = rules;
}

static void add_board(struct roster *roster, struct board *board, uint16_t number,
                      const char *name) {
    board_init(board, number, name, roster->silence_us);
    board->sensor.conditioning.rules = roster->rules;
}

void roster_name(struct roster *roster, uint16_t number, const char *name) {
    if (roster->stands_in)
        roster->count = 0;
    roster->stands_in = false;
    add_board(roster, &roster->boards[roster->count++], number, name);
}

int roster_render_name(const char *name, uint16_t number, char ret[static NAME_MAX_LENGTH + 1]) {
    char text[NAME_MAX_LENGTH + sizeof("-65535")];
    int n = number == FIRST_NUMBER ? snprintf(text, sizeof(text), "%s", name)
                                   : snprintf(text, sizeof(text), "%s-%u", name, number);

    if (n < 0 || n > NAME_MAX_LENGTH)
        return -ENAMETOOLONG;
    memcpy(ret, text, (size_t)n + 1);
    return 0;
}

static struct board *known(const struct roster *roster, uint16_t number) {
    for (size_t i = 0; i < roster->count; i++)
        if (roster->boards[i].number == number)
            return &roster->boards[i];
    return NULL;
}

/* The stand-in's place is the first comer's. */
static struct board *take_in(struct roster *roster, uint16_t number) {
    char name[NAME_MAX_LENGTH + 1];
    struct board *board;

    if (roster->only > 0 || roster->unnamed == roster->unnamed_max ||
        roster_render_name(roster->name, number, name) < 0)
        return NULL;
    board = &roster->boards[roster->stands_in ? 0 : roster->count++];
    if (!roster->stands_in || board->number != number)
        add_board(roster, board, number, name);
    roster->stands_in = false;
    roster->unnamed++;
    return board;
}

struct board *roster_find(struct roster *roster, uint16_t number) {
    struct board *board = roster->stands_in ? NULL : known(roster, number);

    if (!board)
        board = take_in(roster, number);
    if (!board)
        roster->unlisted++;
    return board;
}

uint64_t roster_due_us(const struct roster *roster) {
    uint64_t first_us = UINT64_MAX;

    for (size_t i = 0; i < roster->count; i++) {
        const struct board *board = &roster->boards[i];
        uint64_t silent_us = board_due_us(board);
        uint64_t held_us = conditioning_due_us(&board->sensor.conditioning);

        if (silent_us < first_us)
            first_us = silent_us;
        if (held_us < first_us)
            first_us = held_us;
    }
    return first_us;
}
