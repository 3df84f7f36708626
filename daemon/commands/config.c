/* SPDX-License-Identifier: MIT */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "commands/commands.h"
#include "io/log.h"

static int usage(void) {
    (void)fputs("usage: sensorgw config [-c FILE] [--quiet]\n", stderr);
    return EXIT_USAGE;
}

/* Not everybody may look into /etc/sensorgw, and the name is in there. */
static void warn_of_another_name(const struct config *config) {
    const char *certificate = config->publisher.tls.certificate;

    if (!config->publisher.gateway && certificate && access(certificate, R_OK) < 0 &&
        errno == EACCES)
        log_warning(-errno,
                    "cannot read the certificate that names the gateway, showing another "
                    "name in its place: use sudo",
                    { "PATH", certificate });
}

int command_config(int argc, char **argv) {
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "quiet", no_argument, NULL, 'q' },
        { 0 },
    };
    CLEANUP(config_freep) struct config *config = NULL;
    const char *path = DEFAULT_CONFIG_PATH;
    bool is_quiet = false;
    int option;
    int r;

    while ((option = getopt_long(argc, argv, "c:q", options, NULL)) != -1) {
        if (option == 'c')
            path = optarg;
        else if (option == 'q')
            is_quiet = true;
        else
            return usage();
    }
    if (optind < argc)
        return usage();
    r = config_load(path, &config); /* logs for itself: path and line */
    if (r < 0)
        return config_exit_status(r);
    if (!is_quiet) {
        warn_of_another_name(config);
        config_print(config, stdout);
    }
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
