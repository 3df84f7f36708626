/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * With whose eyes files and devices are looked at. Root can read everything, so what root sees says
 * nothing about the service; an ordinary user sees less than the service, so what he does not see
 * is no fault.
 */

#include <stdbool.h>
#include <stddef.h>

enum { EYES_CURE_SIZE = 512 };

struct eyes {
    bool began_as_root;
    bool is_service; /* they are those of user sensorgw */
    bool has_unit;   /* the service is installed here, with its sandbox */
};

void eyes_init(struct eyes *eyes);

/* As root: becomes the service's user for good, where there is one. Returns 0 or < 0. */
int eyes_become_service(struct eyes *eyes);

/* Is what is not visible to us not visible to the service either? */
bool eyes_can_judge(const struct eyes *eyes);

/* "user sensorgw", or "you" */
const char *eyes_owner(const struct eyes *eyes);

/*
 * Does the unit's sandbox hide what we can see? Then a line that opens it is written to cure, which
 * has EYES_CURE_SIZE bytes. Only root is told: nobody else checks for the service.
 */
bool eyes_sandbox_hides(const struct eyes *eyes, const char *path, char *cure);
bool eyes_sandbox_protects(const struct eyes *eyes, const char *folder, char *cure);
bool eyes_sandbox_denies(const struct eyes *eyes, const char *device, char *cure);
