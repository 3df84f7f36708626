/* SPDX-License-Identifier: MIT */

/* The whole chain from sensor to broker, link by link, and what to do about each that is broken. */

#include "commands/commands.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "check/links.h"
#include "commands/terminal.h"

struct options {
    const char *path;
    bool is_offline;
    bool may_publish;
    bool as_json;
};

static inline cJSON *json_free(cJSON *json) {
    cJSON_Delete(json);
    return NULL;
}
DEFINE_CLEANUP(cJSON, json_free);

static size_t columns(void) {
    struct winsize size;

    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        return 0;
    return size.ws_col;
}

static void make_room(const struct check *check) {
    const struct config *config = check->config;

    for (size_t i = 0; i < config->sources.count; i++)
        findings_expect(check->findings, config->sources.sources[i].name);
    if (check->may_open)
        for (size_t i = 0; i < config->publisher.broker_count; i++)
            findings_expect(check->findings, config->publisher.brokers[i].host);
}

static void check_all(const struct check *check) {
    make_room(check);
    check_configuration(check);
    check_certificates(check);
    check_clock(check);
    check_spool(check);
    check_sensors(check);
    if (check->may_open)
        check_brokers(check);
}

/* What only root sees is looked for first; then root becomes the service. */
static int check_with_service_eyes(struct check *check) {
    CLEANUP(json_freep) cJSON *state = NULL;
    struct found_port *ports = calloc(check->config->sources.count + 1, sizeof(*ports));
    int r;

    if (!ports)
        return -ENOMEM;
    eyes_init(&check->eyes);
    check->daemon = running_find(check->config->spool.path);
    if (check->daemon > 0)
        state = running_read_state();
    check->state = state;
    check_find_ports(check->config, ports);
    check->ports = ports;
    r = eyes_become_service(&check->eyes);
    if (r == 0)
        check_all(check);
    free(ports);
    return r;
}

/* The log has told each error, with its line. */
static void tell_unsound(struct findings *findings, const char *path, int error) {
    if (error == -EINVAL) {
        findings_add(findings, "configuration", VERDICT_ERROR, CAUSE_NONE,
                     "%s is unsound: the errors stand above", path);
        findings_cure(findings, "mend the lines named there; all keys: man sensorgw.conf");
        return;
    }
    if (error == -EACCES) {
        findings_add(findings, "configuration", VERDICT_HIDDEN, CAUSE_NONE,
                     "%s is not visible to you, so nothing else is", path);
        findings_cure(findings, "sudo sensorgw check looks with the service's eyes");
        return;
    }
    findings_add(findings, "configuration", VERDICT_ERROR, CAUSE_UNREADABLE_FILE,
                 "%s cannot be read: %s", path, strerror(-error));
    findings_cure(findings, "sensorgw.conf(5) shows the few lines it needs");
}

/* Returns the exit status. */
static int check(const struct options *options) {
    CLEANUP(config_freep) struct config *config = NULL;
    CLEANUP(findings_freep) struct findings *findings = NULL;
    struct findings_style style = { stdout, options->as_json, terminal_wants_colour(), columns() };
    struct check check = { .may_open = !options->is_offline, .may_publish = options->may_publish };
    int status = EXIT_DONE;
    int r = findings_new(&style, &findings);

    if (r < 0)
        return EXIT_FAILED;
    r = config_load(options->path, &config); /* logs for itself: path and line */
    if (r < 0) {
        tell_unsound(findings, options->path, r);
        status = config_exit_status(r);
    } else {
        check.config = config;
        check.findings = findings;
        r = check_with_service_eyes(&check);
        if (r < 0)
            (void)fprintf(stderr, "sensorgw check: cannot become the service's user: %s\n",
                          strerror(-r));
        if (r < 0 || findings_worst(findings) == VERDICT_ERROR)
            status = EXIT_FAILED;
    }
    return findings_conclude(findings) < 0 ? EXIT_FAILED : status;
}

static int usage(FILE *out, int status) {
    (void)fputs("usage: sensorgw check [-c FILE] [--offline] [--no-publish] [--json]\n"
                "Looks at every link from the sensors to the brokers, and says what to do about "
                "each that\nis broken. --offline opens neither a port nor a connection; "
                "--no-publish sends no message.\nAs root it looks with the eyes of the service's "
                "user.\n",
                out);
    return status;
}

int command_check(int argc, char **argv) {
    static const struct option words[] = {
        { "config", required_argument, NULL, 'c' }, { "offline", no_argument, NULL, 'o' },
        { "no-publish", no_argument, NULL, 'n' },   { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    struct options options = { .path = DEFAULT_CONFIG_PATH, .may_publish = true };
    int option;

    while ((option = getopt_long(argc, argv, "c:h", words, NULL)) != -1)
        switch (option) {
        case 'c':
            options.path = optarg;
            break;
        case 'o':
            options.is_offline = true;
            break;
        case 'n':
            options.may_publish = false;
            break;
        case 'j':
            options.as_json = true;
            break;
        case 'h':
            return usage(stdout, EXIT_DONE);
        default:
            return usage(stderr, EXIT_USAGE);
        }
    return optind < argc ? usage(stderr, EXIT_USAGE) : check(&options);
}
