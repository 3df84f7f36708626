/* SPDX-License-Identifier: MIT */

/* The sensors' ports, without opening any: where they are, who has them, who may have them. */

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check/links.h"

void check_find_ports(const struct config *config, struct found_port *ports) {
    for (size_t i = 0; i < config->sources.count; i++) {
        struct found_port *port = &ports[i];

        serial_port_init(&port->port);
        port->found = serial_port_find(&port->port, config->sources.sources[i].device);
        port->held = port->found < 0 ? -ENOENT : holder_find(port->port.path, &port->holder);
    }
}

/* What a finding is about: one sensor and its port. */
struct place {
    const struct check *check;
    const struct source_settings *source;
    const struct found_port *port;
    char name[2 * SERIAL_PORT_PATH_SIZE]; /* "/dev/ttyACM0 (usb:2341:0043)" */
};

static struct place place_of(const struct check *check, size_t i) {
    struct place place = {
        .check = check,
        .source = &check->config->sources.sources[i],
        .port = &check->ports[i],
    };
    const char *path = place.port->port.path;

    if (path[0] == '\0' || strcmp(path, place.source->device) == 0)
        (void)snprintf(place.name, sizeof(place.name), "%s", place.source->device);
    else
        (void)snprintf(place.name, sizeof(place.name), "%s (%s)", path, place.source->device);
    return place;
}

static void tell_absent(const struct place *place, int error) {
    struct findings *findings = place->check->findings;

    findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_ABSENT,
                 error == ENOTTY ? "%s is no serial port" : "%s is not there", place->name);
    findings_cure(findings, "plug the board in, or correct device: sensorgw ports lists what there "
                            "is");
}

static void tell_denied(const struct place *place) {
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

static void tell_of_daemon(const struct place *place) {
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

static void tell_held(const struct place *place) {
    const struct holder *holder = &place->port->holder;
    struct findings *findings = place->check->findings;

    findings_add(findings, place->source->name, VERDICT_ERROR, CAUSE_DEVICE_BUSY,
                 "%s is held by %s (pid %d)", place->name, holder->command, (int)holder->pid);
    if (strcmp(holder->command, "ModemManager") == 0)
        findings_cure(findings, "install the udev rule: it keeps ModemManager away");
    else
        findings_cure(findings, "end that program: a port is one reader's");
}

/* ---- one sensor ---- */

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

/* Returns 0 where there is a serial port, or a positive errno. */
static int look_at(const struct found_port *port) {
    struct stat status;

    if (port->found < 0)
        return -port->found;
    if (stat(port->port.path, &status) < 0)
        return errno;
    return S_ISCHR(status.st_mode) ? 0 : ENOTTY;
}

/* Returns whether the port could be opened. */
static bool check_port(const struct place *place) {
    const struct check *check = place->check;
    const struct found_port *port = place->port;
    int error = look_at(port);

    if (error == EACCES) {
        tell_denied(place);
        return false;
    }
    if (error != 0) {
        tell_absent(place, error);
        return false;
    }
    warn_of_guess(place);
    warn_of_sandbox(place);
    if (port->held > 0 && port->holder.pid == check->daemon) {
        tell_of_daemon(place);
        return false;
    }
    if (port->held > 0) {
        tell_held(place);
        return false;
    }
    if (access(port->port.path, R_OK | W_OK) < 0) {
        tell_denied(place);
        return false;
    }
    return true;
}

void check_sensors(const struct check *check) {
    for (size_t i = 0; i < check->config->sources.count; i++) {
        struct place place = place_of(check, i);

        if (check_port(&place))
            findings_add(check->findings, place.source->name, VERDICT_OK, CAUSE_NONE, "%s%s",
                         place.name, place.port->held == 0 ? ", held by nobody" : ", open to us");
    }
}
