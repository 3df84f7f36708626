/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * MQTT topics from a template such as "sensors/{gateway}/{sensor}".
 *
 * Pure. RabbitMQ turns "/" into "." and matches permissions on the result, so every other character
 * of a topic is a letter, a digit, "_" or "-": a dot or a wildcard would be taken for something
 * else.
 */

#include <stdbool.h>
#include <stddef.h>

enum { TOPIC_SIZE = 256 }; /* enough for every valid template and its names */

#define TOPIC_GATEWAY_STATE "gateways/{gateway}"

/*
 * Is this a template for readings: parts of valid characters, {sensor} once, {gateway} at most
 * once, short enough for TOPIC_SIZE?
 */
bool topic_template_is_valid(const char *template);

/* Fills in the names. Returns the length, or -ENOSPC. */
int topic_render(const char *template, const char *gateway, const char *sensor, char *topic,
                 size_t size);
