/* SPDX-License-Identifier: MIT */
#include "check/place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

void place_init(struct place *place, const struct check *check, size_t i) {
    const char *device = check->config->sources.sources[i].device;
    const char *path = check->ports[i].port.path;

    place->check = check;
    place->source = &check->config->sources.sources[i];
    place->port = &check->ports[i];
    if (path[0] == '\0' || strcmp(path, device) == 0)
        (void)snprintf(place->name, sizeof(place->name), "%s", device);
    else
        (void)snprintf(place->name, sizeof(place->name), "%s (%s)", path, device);
}

void place_tell_absent(const struct place *place, int error) {
    struct findings *findings = place->check->findings;

    findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_ABSENT,
                 error == ENOTTY ? "%s is no serial port" : "%s is not there", place->name);
    findings_cure(findings, "plug the board in, or correct device: sensorgw ports lists what there "
                            "is");
}

void place_tell_denied(const struct place *place) {
    struct findings *findings = place->check->findings;
    const struct eyes *eyes = &place->check->eyes;

    if (!eyes_can_judge(eyes)) {
        findings_add(findings, place->source->name, VERDICT_HIDDEN, CAUSE_NONE,
                     "%s is there, and not open to you", place->name);
        findings_cure(findings, "sudo sensorgw check looks with the service's eyes");
        return;
    }
    findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_DENIED,
                 "%s may not be opened by %s", place->name, eyes_owner(eyes));
    findings_cure(findings, "let it into the group that owns the port (ls -lL names it): sudo "
                            "usermod -aG dialout sensorgw, then restart the service");
}

/* ---- a port that someone has ---- */

static enum cause cause_from(const char *word) {
    enum cause cause = CAUSE_COUNT;

    while (word && --cause > CAUSE_NONE)
        if (strcmp(cause_name(cause), word) == 0)
            return cause;
    return CAUSE_NONE;
}

bool place_daemon_reads(const struct check *check, const struct source_settings *source) {
    const cJSON *sensors = cJSON_GetObjectItem(check->state, "sensors");
    const cJSON *sensor = cJSON_GetObjectItem(sensors, source->name);
    const char *device = cJSON_GetStringValue(cJSON_GetObjectItem(sensor, "device"));
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(sensor, "state"));

    return check->daemon > 0 && device && state && strcmp(device, source->place) == 0 &&
           strcmp(state, "absent") != 0;
}

void place_tell_daemon(const struct place *place) {
    const cJSON *sensor = cJSON_GetObjectItem(cJSON_GetObjectItem(place->check->state, "sensors"),
                                              place->source->name);
    const char *state = cJSON_GetStringValue(cJSON_GetObjectItem(sensor, "state"));
    const char *cause = cJSON_GetStringValue(cJSON_GetObjectItem(sensor, "cause"));
    const cJSON *age = cJSON_GetObjectItem(sensor, "age_s");
    struct findings *findings = place->check->findings;
    bool is_well = !state || strcmp(state, "ok") == 0 || strcmp(state, "starting") == 0;
    char last[64] = "";

    if (cJSON_IsNumber(age))
        (void)snprintf(last, sizeof(last), ", the last reading %.0f s ago", age->valuedouble);
    findings_add(findings, place->source->name, is_well ? VERDICT_OK : VERDICT_ERROR,
                 cause_from(cause), "%s is read by the daemon (pid %d): %s%s", place->name,
                 (int)place->check->daemon, state ? state : "no word of its state", last);
    if (!is_well)
        findings_cure(findings, "journalctl -u sensorgw says more");
}

void place_tell_held(const struct place *place) {
    const struct holder *holder = &place->port->holder;
    struct findings *findings = place->check->findings;

    findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_BUSY,
                 "%s is held by %s (pid %d)", place->name, holder->command, (int)holder->pid);
    if (strcmp(holder->command, "ModemManager") == 0)
        findings_cure(findings, "install the udev rule: it keeps ModemManager away");
    else
        findings_cure(findings, "end that program: a port is one reader's");
}

/* ---- a port that could be opened ---- */

/* More than one board fits the name: the first is taken, and the next day it is another. */
static void warn_of_guess(const struct place *place) {
    if (place->port->port.matches < 2)
        return;
    findings_add(place->check->findings, place->source->name, VERDICT_WARNING, CAUSE_WRONG_BOARD,
                 "%zu boards here are %s, and %s is a guess", place->port->port.matches,
                 place->source->device, place->port->port.path);
    findings_cure(place->check->findings, "add the serial number: sensorgw ports shows it");
}

static void warn_of_sandbox(const struct place *place) {
    char path[PATH_MAX];
    char cure[EYES_CURE_SIZE];

    if (!realpath(place->port->port.path, path) ||
        !eyes_sandbox_denies(&place->check->eyes, path, cure))
        return;
    findings_add(place->check->findings, place->source->name, VERDICT_WARNING, CAUSE_DEVICE_DENIED,
                 "%s: the sandbox of the service is closed to this kind of port", place->name);
    findings_cure(place->check->findings, "%s", cure);
}

void place_warn(const struct place *place) {
    warn_of_guess(place);
    warn_of_sandbox(place);
}

void place_tell_free(const struct place *place) {
    findings_add(place->check->findings, place->source->name, VERDICT_OK, CAUSE_NONE, "%s%s",
                 place->name, place->port->held == 0 ? ", held by nobody" : ", open to us");
}
