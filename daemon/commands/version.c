/* SPDX-License-Identifier: MIT */
#include <cjson/cJSON.h>
#include <libconfig.h>
#include <libserialport.h>
#include <mosquitto.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>

#include "commands/commands.h"

int command_version(int argc, char **argv) {
    int major;
    int minor;
    int revision;

    (void)mosquitto_lib_version(&major, &minor, &revision);
    (void)printf("sensorgw %s\n"
                 "\n"
                 "OpenSSL        %s\n"
                 "libmosquitto   %d.%d.%d\n"
                 "SQLite         %s\n"
                 "libserialport  %s\n"
                 "cJSON          %s\n"
                 "libconfig      %d.%d (built with)\n", /* it cannot be asked */
                 SENSORGW_VERSION, OpenSSL_version(OPENSSL_VERSION_STRING), major, minor, revision,
                 sqlite3_libversion(), sp_get_package_version_string(), cJSON_Version(),
                 LIBCONFIG_VER_MAJOR, LIBCONFIG_VER_MINOR);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
