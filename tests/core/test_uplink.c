/* SPDX-License-Identifier: MIT */
#include "core/uplink.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <string.h>

enum { STATES = UPLINK_STOPPED + 1 };

struct cell {
    enum uplink_state state;
    enum uplink_event event;
    struct uplink_step step;
};

/* The specification, cell by cell. Whatever is not here does not apply. */
static const struct cell cells[] = {
    { UPLINK_DOWN, UPLINK_START, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_DOWN, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_RESOLVING, UPLINK_RESOLVED, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_RESOLVING, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_RESOLVING, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_RESOLVING, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_RESOLVING, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_CONNECTING, UPLINK_CONNECTED, { UPLINK_SECURING, UPLINK_AWAIT } },
    { UPLINK_CONNECTING, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_CONNECTING, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_CONNECTING, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_CONNECTING, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_SECURING, UPLINK_SECURED, { UPLINK_GREETING, UPLINK_AWAIT } },
    { UPLINK_SECURING, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_SECURING, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_SECURING, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_SECURING, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_GREETING, UPLINK_ACCEPTED, { UPLINK_ANNOUNCING, UPLINK_ANNOUNCE } },
    { UPLINK_GREETING, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_GREETING, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_GREETING, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_GREETING, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_ANNOUNCING, UPLINK_ANNOUNCED, { UPLINK_ONLINE, UPLINK_DRAIN } },
    { UPLINK_ANNOUNCING, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_ANNOUNCING, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_ANNOUNCING, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_ANNOUNCING, UPLINK_STOP, { UPLINK_CLOSING, UPLINK_CLOSE } },

    { UPLINK_ONLINE, UPLINK_LOST_ADDRESS, { UPLINK_CONNECTING, UPLINK_CONNECT } },
    { UPLINK_ONLINE, UPLINK_LOST_BROKER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_ONLINE, UPLINK_LOST_ROUND, { UPLINK_WAITING, UPLINK_BACK_OFF } },
    { UPLINK_ONLINE, UPLINK_STOP, { UPLINK_CLOSING, UPLINK_CLOSE } },

    { UPLINK_WAITING, UPLINK_TIMER, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_WAITING, UPLINK_RETRY, { UPLINK_RESOLVING, UPLINK_RESOLVE } },
    { UPLINK_WAITING, UPLINK_STOP, { UPLINK_STOPPED, UPLINK_FINISH } },

    { UPLINK_CLOSING, UPLINK_LOST_ADDRESS, { UPLINK_STOPPED, UPLINK_FINISH } },
    { UPLINK_CLOSING, UPLINK_LOST_BROKER, { UPLINK_STOPPED, UPLINK_FINISH } },
    { UPLINK_CLOSING, UPLINK_LOST_ROUND, { UPLINK_STOPPED, UPLINK_FINISH } },
    { UPLINK_CLOSING, UPLINK_CLOSED, { UPLINK_STOPPED, UPLINK_FINISH } },
};

static struct uplink_step expected_step(enum uplink_state state, enum uplink_event event) {
    for (size_t i = 0; i < sizeof(cells) / sizeof(*cells); i++)
        if (cells[i].state == state && cells[i].event == event)
            return cells[i].step;
    return (struct uplink_step){ state, UPLINK_NOTHING };
}

Test(uplink, every_cell_is_as_specified) {
    for (enum uplink_state state = UPLINK_DOWN; state <= UPLINK_STOPPED; state++)
        for (enum uplink_event event = UPLINK_START; event < UPLINK_EVENTS; event++) {
            struct uplink_step expected = expected_step(state, event);
            struct uplink_step step = uplink_next(state, event);

            cr_expect_eq(step.next, expected.next, "%s, event %d: goes to %s, not to %s",
                         uplink_state_name(state), event, uplink_state_name(step.next),
                         uplink_state_name(expected.next));
            cr_expect_eq(step.action, expected.action, "%s, event %d: action %d, not %d",
                         uplink_state_name(state), event, step.action, expected.action);
        }
}

Test(uplink, every_state_has_a_name_of_its_own) {
    for (enum uplink_state one = UPLINK_DOWN; one <= UPLINK_STOPPED; one++) {
        cr_assert_not_null(uplink_state_name(one), "state %d", one);
        cr_expect_str_not_empty(uplink_state_name(one));
        for (enum uplink_state other = one + 1; other <= UPLINK_STOPPED; other++)
            cr_expect_str_neq(uplink_state_name(one), uplink_state_name(other));
    }
    cr_expect_str_eq(uplink_state_name(UPLINK_ONLINE), "online");
    cr_expect_str_eq(uplink_state_name(UPLINK_WAITING), "waiting");
}

/* Is there a path, by any events but the one to avoid? */
static bool is_reachable(enum uplink_state from, enum uplink_state to, enum uplink_event avoided) {
    bool reached[STATES] = { false };

    reached[from] = true;
    for (unsigned round = 0; round < STATES; round++)
        for (enum uplink_state state = UPLINK_DOWN; state <= UPLINK_STOPPED; state++)
            for (enum uplink_event event = UPLINK_START; event < UPLINK_EVENTS; event++)
                if (reached[state] && event != avoided)
                    reached[uplink_next(state, event).next] = true;
    return reached[to];
}

Test(uplink, online_is_reachable_until_it_is_asked_to_stop) {
    for (enum uplink_state state = UPLINK_DOWN; state < UPLINK_CLOSING; state++)
        cr_expect(is_reachable(state, UPLINK_ONLINE, UPLINK_STOP), "not from %s",
                  uplink_state_name(state));
}

Test(uplink, nothing_leads_back_from_stopping) {
    cr_expect_not(is_reachable(UPLINK_CLOSING, UPLINK_ONLINE, UPLINK_EVENTS));
    for (enum uplink_state state = UPLINK_DOWN; state < UPLINK_STOPPED; state++)
        cr_expect_not(is_reachable(UPLINK_STOPPED, state, UPLINK_EVENTS), "to %s",
                      uplink_state_name(state));
}

Test(uplink, stop_ends_it_from_every_state) {
    for (enum uplink_state state = UPLINK_DOWN; state < UPLINK_STOPPED; state++) {
        enum uplink_state next = uplink_next(state, UPLINK_STOP).next;

        cr_expect(next == UPLINK_STOPPED || next == UPLINK_CLOSING, "%s goes on to %s",
                  uplink_state_name(state), uplink_state_name(next));
        cr_expect_eq(uplink_next(next, UPLINK_CLOSED).next, UPLINK_STOPPED);
    }
}

Test(uplink, stopped_is_reached_only_by_finishing_and_once) {
    for (enum uplink_state state = UPLINK_DOWN; state <= UPLINK_STOPPED; state++)
        for (enum uplink_event event = UPLINK_START; event < UPLINK_EVENTS; event++) {
            struct uplink_step step = uplink_next(state, event);
            bool stops = state != UPLINK_STOPPED && step.next == UPLINK_STOPPED;

            cr_expect_eq(stops, step.action == UPLINK_FINISH, "%s, event %d",
                         uplink_state_name(state), event);
        }
}

Test(uplink, an_event_that_does_not_apply_changes_nothing) {
    struct uplink_step step = uplink_next(UPLINK_ONLINE, UPLINK_TIMER);

    cr_expect_eq(step.next, UPLINK_ONLINE);
    cr_expect_eq(step.action, UPLINK_NOTHING);
}

static void expect_steps(enum uplink_state state, const enum uplink_event *events, size_t count,
                         const enum uplink_action *actions, enum uplink_state last) {
    for (size_t i = 0; i < count; i++) {
        struct uplink_step step = uplink_next(state, events[i]);

        cr_expect_eq(step.action, actions[i], "step %zu, in %s", i, uplink_state_name(state));
        state = step.next;
    }
    cr_expect_eq(state, last, "ended in %s", uplink_state_name(state));
}

Test(uplink, goes_online_only_after_the_broker_accepted_and_took_the_state) {
    static const enum uplink_event events[] = { UPLINK_START,   UPLINK_RESOLVED, UPLINK_CONNECTED,
                                                UPLINK_SECURED, UPLINK_ACCEPTED, UPLINK_ANNOUNCED };
    static const enum uplink_action actions[] = { UPLINK_RESOLVE, UPLINK_CONNECT,  UPLINK_AWAIT,
                                                  UPLINK_AWAIT,   UPLINK_ANNOUNCE, UPLINK_DRAIN };

    expect_steps(UPLINK_DOWN, events, sizeof(events) / sizeof(*events), actions, UPLINK_ONLINE);
}

Test(uplink, drains_in_no_other_way_than_through_an_acknowledged_state) {
    for (enum uplink_state state = UPLINK_DOWN; state <= UPLINK_STOPPED; state++)
        for (enum uplink_event event = UPLINK_START; event < UPLINK_EVENTS; event++)
            if (state != UPLINK_ANNOUNCING || event != UPLINK_ANNOUNCED)
                cr_expect_neq(uplink_next(state, event).action, UPLINK_DRAIN, "%s, event %d",
                              uplink_state_name(state), event);
}

Test(uplink, lost_while_online_waits_then_tries_again) {
    static const enum uplink_event events[] = { UPLINK_LOST_ROUND, UPLINK_TIMER };
    static const enum uplink_action actions[] = { UPLINK_BACK_OFF, UPLINK_RESOLVE };

    expect_steps(UPLINK_ONLINE, events, sizeof(events) / sizeof(*events), actions,
                 UPLINK_RESOLVING);
}

Test(uplink, tries_the_next_broker_without_delay_inside_a_round) {
    static const enum uplink_event events[] = { UPLINK_LOST_BROKER, UPLINK_RESOLVED,
                                                UPLINK_LOST_ADDRESS, UPLINK_CONNECTED };
    static const enum uplink_action actions[] = { UPLINK_RESOLVE, UPLINK_CONNECT, UPLINK_CONNECT,
                                                  UPLINK_AWAIT };

    expect_steps(UPLINK_SECURING, events, sizeof(events) / sizeof(*events), actions,
                 UPLINK_SECURING);
}

Test(uplink, asked_to_stop_while_online_says_farewell_first) {
    static const enum uplink_event events[] = { UPLINK_STOP, UPLINK_CLOSED };
    static const enum uplink_action actions[] = { UPLINK_CLOSE, UPLINK_FINISH };

    expect_steps(UPLINK_ONLINE, events, sizeof(events) / sizeof(*events), actions, UPLINK_STOPPED);
}

Test(uplink, lost_during_the_farewell_stops_and_does_not_come_back) {
    static const enum uplink_event events[] = { UPLINK_STOP, UPLINK_LOST_BROKER, UPLINK_TIMER,
                                                UPLINK_RETRY, UPLINK_START };
    static const enum uplink_action actions[] = { UPLINK_CLOSE, UPLINK_FINISH, UPLINK_NOTHING,
                                                  UPLINK_NOTHING, UPLINK_NOTHING };

    expect_steps(UPLINK_ONLINE, events, sizeof(events) / sizeof(*events), actions, UPLINK_STOPPED);
}
