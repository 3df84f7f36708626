/* SPDX-License-Identifier: MIT */
#include "check/links.h"

static const char *plural(size_t n) {
    return n == 1 ? "" : "s";
}

/* It has been loaded, so it is sound; what is left is whether the service can load it too. */
void check_configuration(const struct check *check) {
    const struct config *config = check->config;
    size_t brokers = config->publisher.broker_count;
    size_t sensors = config->sources.count;

    if (check_file(check, "configuration", "the configuration", config->path))
        findings_add(check->findings, "configuration", VERDICT_OK, CAUSE_NONE,
                     "%s, gateway %s, %zu broker%s, %zu sensor%s", config->path, config->gateway,
                     brokers, plural(brokers), sensors, plural(sensors));
}
