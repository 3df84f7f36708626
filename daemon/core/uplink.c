/* SPDX-License-Identifier: MIT */
#include "core/uplink.h"

/* Every state of an attempt can lose it in the same three ways. */
#define LOSES                                                      \
    [UPLINK_LOST_ADDRESS] = { UPLINK_CONNECTING, UPLINK_CONNECT }, \
    [UPLINK_LOST_BROKER] = { UPLINK_RESOLVING, UPLINK_RESOLVE },   \
    [UPLINK_LOST_ROUND] = { UPLINK_WAITING, UPLINK_BACK_OFF }

static const struct uplink_step steps[][UPLINK_EVENTS] = {
    [UPLINK_DOWN] = {
        [UPLINK_START] = { UPLINK_RESOLVING, UPLINK_RESOLVE },
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_RESOLVING] = {
        [UPLINK_RESOLVED] = { UPLINK_CONNECTING, UPLINK_CONNECT },
        LOSES,
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_CONNECTING] = {
        [UPLINK_CONNECTED] = { UPLINK_SECURING, UPLINK_AWAIT },
        LOSES,
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_SECURING] = {
        [UPLINK_SECURED] = { UPLINK_GREETING, UPLINK_AWAIT },
        LOSES,
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_GREETING] = {
        [UPLINK_ACCEPTED] = { UPLINK_ANNOUNCING, UPLINK_ANNOUNCE },
        LOSES,
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_ANNOUNCING] = {
        [UPLINK_ANNOUNCED] = { UPLINK_ONLINE, UPLINK_DRAIN },
        LOSES,
        [UPLINK_STOP] = { UPLINK_CLOSING, UPLINK_CLOSE },
    },
    [UPLINK_ONLINE] = {
        LOSES,
        [UPLINK_STOP] = { UPLINK_CLOSING, UPLINK_CLOSE },
    },
    [UPLINK_WAITING] = {
        [UPLINK_TIMER] = { UPLINK_RESOLVING, UPLINK_RESOLVE },
        [UPLINK_RETRY] = { UPLINK_RESOLVING, UPLINK_RESOLVE },
        [UPLINK_STOP] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_CLOSING] = {
        [UPLINK_LOST_ADDRESS] = { UPLINK_STOPPED, UPLINK_FINISH },
        [UPLINK_LOST_BROKER] = { UPLINK_STOPPED, UPLINK_FINISH },
        [UPLINK_LOST_ROUND] = { UPLINK_STOPPED, UPLINK_FINISH },
        [UPLINK_CLOSED] = { UPLINK_STOPPED, UPLINK_FINISH },
    },
    [UPLINK_STOPPED] = { { 0 } },
};

struct uplink_step uplink_next(enum uplink_state state, enum uplink_event event) {
    struct uplink_step step = steps[state][event];

    if (step.action == UPLINK_NOTHING)
        step.next = state;
    return step;
}

const char *uplink_state_name(enum uplink_state state) {
    static const char *const names[] = {
        [UPLINK_DOWN] = "down",
        [UPLINK_RESOLVING] = "resolving",
        [UPLINK_CONNECTING] = "connecting",
        [UPLINK_SECURING] = "securing",
        [UPLINK_GREETING] = "greeting",
        [UPLINK_ANNOUNCING] = "announcing",
        [UPLINK_ONLINE] = "online",
        [UPLINK_WAITING] = "waiting",
        [UPLINK_CLOSING] = "closing",
        [UPLINK_STOPPED] = "stopped",
    };

    return names[state];
}
