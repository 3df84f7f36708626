/* SPDX-License-Identifier: MIT */
#include "core/catalogue.h"

#include <criterion/criterion.h>
#include <string.h>

#include "core/cause.h"

static const char *const events[] = {
    EVENT_STARTED,
    EVENT_STOPPED,
    EVENT_CONNECTED,
    EVENT_CONFIGURATION_APPLIED,
    EVENT_CONFIGURATION_REFUSED,
    EVENT_CERTIFICATE_REPLACED,
    EVENT_CA_REPLACED,
    EVENT_CERTIFICATE_REFUSED,
    EVENT_CERTIFICATE_EXPIRES,
    EVENT_CLOCK_STEPPED,
    EVENT_READINGS_DROPPED,
};

enum { EVENTS = sizeof(events) / sizeof(*events), CAUSES = CAUSE_COUNT - 1 };

Test(catalogue, explains_every_cause_with_a_cure) {
    for (enum cause cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
        const struct catalogue_entry *entry = catalogue_find(cause_name(cause));

        cr_assert_not_null(entry, "no entry for %s", cause_name(cause));
        cr_assert_not_null(entry->cure, "no cure for %s", cause_name(cause));
    }
}

Test(catalogue, explains_every_event) {
    for (size_t i = 0; i < EVENTS; i++)
        cr_assert_not_null(catalogue_find(events[i]), "no entry for %s", events[i]);
}

Test(catalogue, has_no_entry_for_what_never_happens) {
    size_t count = 0;

    while (catalogue_at(count))
        count++;
    cr_assert_eq(count, (size_t)CAUSES + EVENTS);
    cr_assert_null(catalogue_find(""));
    cr_assert_null(catalogue_find("no-such-cause"));
}

Test(catalogue, gives_each_entry_an_id_of_its_own) {
    for (size_t i = 0; catalogue_at(i); i++) {
        const char *id = catalogue_at(i)->message_id;

        cr_assert_eq(strlen(id), 32);
        cr_assert_eq(strspn(id, "0123456789abcdef"), 32);
        for (size_t j = 0; j < i; j++)
            cr_assert_str_neq(id, catalogue_at(j)->message_id);
    }
}
