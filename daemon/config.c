/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>

#include "commands/commands.h"
#include "config/document.h"
#include "config/rules.h"
#include "config/values.h"

int config_load(const char *path, struct config **ret) {
    CLEANUP(document_freep) struct config_document *document = NULL;
    int r;

    r = document_new(path, &document);
    if (r < 0)
        return r;
    values_read(document);
    rules_apply(document);
    r = document_conclude(document);
    if (r < 0)
        return r;
    *ret = &document->config;
    document = NULL;
    return 0;
}

struct config *config_free(struct config *config) {
    if (config)
        (void)document_free(config->document);
    return NULL;
}

int config_exit_status(int error) {
    return error == -EINVAL || error == -ENOENT ? EXIT_CONFIG : EXIT_FAILED;
}
