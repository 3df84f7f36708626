/* SPDX-License-Identifier: MIT */
#include "io/source.h"

void source_add_status(struct status *status, const struct sensor_status *sensor) {
    if (status->sensor_count < STATUS_SENSORS)
        status->sensors[status->sensor_count++] = *sensor;
    else
        status->unlisted_sensors++;
}
