/* SPDX-License-Identifier: MIT */
#include "commands/monitor_direct.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "commands/commands.h"
#include "io/loop.h"
#include "io/probe.h"

#define INTERVAL_US UINT64_C(2500000)

#define GPIO_PREFIX "gpio:"
#define IIO_PREFIX "iio:"

struct monitor {
    const struct monitor_direct_options *options;
    const struct probe_driver *driver;
    void *probe;
    sd_event *loop;
    sd_event_source *timer;
    bool is_fresh; /* it was asked a moment before: its answer is no older */
    struct monitor_counts counts;
};

bool monitor_direct_is(const char *device) {
    return strncmp(device, GPIO_PREFIX, strlen(GPIO_PREFIX)) == 0 ||
           strncmp(device, IIO_PREFIX, strlen(IIO_PREFIX)) == 0;
}

static int refuse(struct monitor *monitor, int error) {
    enum cause cause = error == -EBUSY                       ? CAUSE_DEVICE_BUSY
                       : error == -EACCES || error == -EPERM ? CAUSE_DEVICE_DENIED
                                                             : CAUSE_DEVICE_ABSENT;

    (void)fprintf(stderr, "sensorgw monitor: cannot have %s: %s. What to do: %s.\n",
                  monitor->options->device, strerror(-error),
                  direct_place_cure(monitor->driver->kind, cause));
    if (error == -EBUSY)
        (void)fputs("If it is the sensorgw service, `sensorgw status` shows what it reads there.\n",
                    stderr);
    return sd_event_exit(monitor->loop, EXIT_FAILED);
}

static void on_answer(const struct probe_answer *answer, void *userdata) {
    struct monitor *monitor = userdata;
    enum direct_kind kind = monitor->driver->kind;

    if (answer->error < 0) {
        (void)refuse(monitor, answer->error);
        return;
    }
    if (answer->failure) {
        monitor->counts.errors++;
        monitor_print_failure(&monitor->options->output, answer->failure, answer->detail,
                              direct_error_meaning(kind, answer->failure),
                              direct_error_cure(kind, answer->failure));
    } else if (monitor->is_fresh) {
        monitor->counts.readings++;
        monitor_print_reading(&monitor->options->output, &answer->reading, answer->detail);
    }
    monitor->is_fresh = true;
    if (monitor->options->count > 0 && monitor->counts.readings >= monitor->options->count)
        (void)sd_event_exit(monitor->loop, EXIT_DONE);
    loop_arm(monitor->timer, loop_now_us() + INTERVAL_US);
}

static int on_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct monitor *monitor = userdata;

    monitor->driver->ask(monitor->probe);
    return 0;
}

static int add_events(struct monitor *monitor) {
    int r;

    r = sd_event_add_signal(monitor->loop, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r < 0)
        return r;
    r = sd_event_add_signal(monitor->loop, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r < 0)
        return r;
    r = loop_add_timer(monitor->loop, on_timer, monitor, &monitor->timer);
    if (r == 0)
        loop_arm(monitor->timer, loop_now_us());
    return r;
}

static int watch(struct monitor *monitor, const struct source_settings *settings) {
    uint64_t begun_us = loop_now_us();
    int r = monitor->driver->start(monitor->loop, settings, on_answer, monitor, &monitor->probe);

    if (r < 0)
        return r;
    r = add_events(monitor);
    if (r >= 0)
        r = sd_event_loop(monitor->loop);
    monitor->counts.seconds = (double)(loop_now_us() - begun_us) / 1e6;
    (void)sd_event_source_disable_unref(monitor->timer);
    monitor->driver->stop(monitor->probe);
    if (r == EXIT_DONE)
        monitor_print_summary(&monitor->options->output, &monitor->counts);
    return r;
}

/* "gpio:CHIP:LINE": a label may hold colons, a line's number or name does not. */
static bool parse(char *name, struct source_settings *ret) {
    char *line;

    if (strncmp(name, IIO_PREFIX, strlen(IIO_PREFIX)) == 0) {
        ret->driver = "iio";
        /* iio:device0 is a folder's own name */
        ret->device = strncmp(name, "iio:device", 10) == 0 ? name : name + strlen(IIO_PREFIX);
        return ret->device[0] != '\0';
    }
    ret->driver = "gpio";
    ret->chip = name + strlen(GPIO_PREFIX);
    line = strrchr(ret->chip, ':');
    if (!line || line == ret->chip || line[1] == '\0')
        return false;
    *line = '\0';
    ret->line = line + 1;
    return true;
}

int monitor_direct(const struct monitor_direct_options *options) {
    CLEANUP(free_stringp) char *name = strdup(options->device);
    CLEANUP(sd_event_unrefp) sd_event *loop = NULL;
    struct source_settings settings = { .name = "sensor",
                                        .place = options->device,
                                        .model = options->model };
    struct monitor monitor = { .options = options };
    int r;

    if (!name)
        return EXIT_FAILED;
    if (!parse(name, &settings)) {
        (void)fputs("sensorgw monitor: say gpio:CHIP:LINE (gpio:pinctrl-bcm2711:4) or iio:NAME\n",
                    stderr);
        return EXIT_USAGE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    monitor.driver = probe_find(settings.driver);
    r = sd_event_new(&loop);
    monitor.loop = loop;
    if (r >= 0)
        r = watch(&monitor, &settings);
    if (r < 0)
        (void)fprintf(stderr, "sensorgw monitor: %s\n", strerror(-r));
    return r < 0 ? EXIT_FAILED : r;
}
