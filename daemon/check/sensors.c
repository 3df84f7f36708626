/* SPDX-License-Identifier: MIT */

/* The sensors' ports: where they are, who has them, and what is heard on those that are free. */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "check/place.h"
#include "io/probe.h"

static bool is_direct(const struct source_settings *source) {
    return probe_find(source->driver) != NULL;
}

void check_find_ports(const struct config *config, struct found_port *ports) {
    for (size_t i = 0; i < config->sources.count; i++) {
        struct found_port *port = &ports[i];

        serial_port_init(&port->port);
        port->found = port->held = -ENOENT;
        if (is_direct(&config->sources.sources[i]))
            continue;
        port->found = serial_port_find(&port->port, config->sources.sources[i].device);
        port->held = port->found < 0 ? -ENOENT : holder_find(port->port.path, &port->holder);
    }
}

/* What is to be said of a port, or done with it. */
enum standing { STANDING_ABSENT, STANDING_DENIED, STANDING_DAEMON, STANDING_HELD, STANDING_FREE };

/* Returns 0 where there is a serial port, or a positive errno. */
static int look_at(const struct found_port *port) {
    struct stat status;

    if (port->found < 0)
        return -port->found;
    if (stat(port->port.path, &status) < 0)
        return errno;
    return S_ISCHR(status.st_mode) ? 0 : ENOTTY;
}

static enum standing standing_of(const struct place *place, int error) {
    const struct found_port *port = place->port;

    if (error != 0)
        return error == EACCES ? STANDING_DENIED : STANDING_ABSENT;
    if (port->held > 0)
        return port->holder.pid == place->check->daemon ? STANDING_DAEMON : STANDING_HELD;
    if (port->held < 0 && place_daemon_reads(place->check, place->source))
        return STANDING_DAEMON;
    return access(port->port.path, R_OK | W_OK) < 0 ? STANDING_DENIED : STANDING_FREE;
}

static struct listener listener_for(const struct place *place) {
    const struct source_settings *source = place->source;
    bool is_free = standing_of(place, look_at(place->port)) == STANDING_FREE;

    return (struct listener){
        .device = is_free ? source->device : NULL,
        .baud = source->baud,
        .wanted = source->node,
    };
}

static void tell(const struct place *place, const struct listener *listener) {
    int error = look_at(place->port);

    switch (standing_of(place, error)) {
    case STANDING_ABSENT:
        place_tell_absent(place, error);
        return;
    case STANDING_DENIED:
        place_tell_denied(place);
        return;
    case STANDING_DAEMON:
        place_warn(place);
        place_tell_daemon(place);
        return;
    case STANDING_HELD:
        place_tell_held(place);
        return;
    case STANDING_FREE:
        place_warn(place);
        if (listener->device)
            place_tell_heard(place, listener);
        else
            place_tell_free(place);
        return;
    }
}

/* All are listened to at once, before the first is told of: it takes as long as the slowest. */
void check_sensors(const struct check *check) {
    size_t count = check->config->sources.count;
    struct listener *listeners = calloc(count + 1, sizeof(*listeners));
    struct place place;

    if (!listeners)
        return;
    for (size_t i = 0; i < count && check->may_open; i++) {
        if (is_direct(&check->config->sources.sources[i]))
            continue;
        place_init(&place, check, i);
        listeners[i] = listener_for(&place);
    }
    if (check->may_open)
        (void)listen_all(listeners, count);
    for (size_t i = 0; i < count; i++) {
        if (is_direct(&check->config->sources.sources[i])) {
            place_tell_direct(check, &check->config->sources.sources[i]);
            continue;
        }
        place_init(&place, check, i);
        tell(&place, &listeners[i]);
    }
    free(listeners);
}
