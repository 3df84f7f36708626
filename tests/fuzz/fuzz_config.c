/* SPDX-License-Identifier: MIT */

/* Any configuration file: refused with its lines, or loaded, and then what is printed of it loads
 * again. */

#include <assert.h>

#include "config.h"
#include "scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(const struct config *config, const char *path) {
    CLEANUP(config_freep) struct config *again = NULL;
    FILE *file = fopen(path, "we");

    assert(file);
    config_print(config, file);
    (void)fclose(file);
    assert(config_load(path, &again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    CLEANUP(config_freep) struct config *config = NULL;
    char path[64];
    char printed[64];

    (void)snprintf(path, sizeof(path), "%s/a.conf", scratch_folder());
    (void)snprintf(printed, sizeof(printed), "%s/b.conf", scratch_folder());
    scratch_write(path, data, size);
    if (config_load(path, &config) == 0)
        check_print(config, printed);
    (void)unlink(path);
    (void)unlink(printed);
    return 0;
}
