/* SPDX-License-Identifier: MIT */
#pragma once

/* Settings of the build. Edit them here, or override each with -DNAME=VALUE. */

/* The number of a board whose EEPROM holds none. Set over serial: `!node=N` and Enter. */
#ifndef SGW_NODE_DEFAULT
#define SGW_NODE_DEFAULT 1
#endif
#if SGW_NODE_DEFAULT < 1 || SGW_NODE_DEFAULT > 65535
#error "SGW_NODE_DEFAULT must be 1..65535"
#endif

/* Any digital pin but 0 and 1, which are the serial port. */
#ifndef SGW_SENSOR_PIN
#define SGW_SENSOR_PIN 2
#endif

/* The DHT11's data sheet: not more often than every 2 s. */
#ifndef SGW_INTERVAL_MS
#define SGW_INTERVAL_MS 2000
#endif

/* The DHT11's data sheet: no request within 1 s of power-up. */
#ifndef SGW_SETTLE_MS
#define SGW_SETTLE_MS 1500
#endif

#ifndef SGW_BAUD
#define SGW_BAUD 115200
#endif

/* 0 for a Nano with its old boot loader, which never gets out of a watchdog reset: README.md. */
#ifndef SGW_WATCHDOG
#define SGW_WATCHDOG 1
#endif

#define SGW_FIRMWARE_VERSION "0.1.0"
