/* SPDX-License-Identifier: MIT */
#include "commands/commands.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "commands/monitor_direct.h"
#include "commands/monitor_line.h"
#include "commands/terminal.h"
#include "io/holder.h"
#include "io/serial_list.h"
#include "io/serial_port.h"

#define HINT_US UINT64_C(3000000)

enum {
    DEFAULT_BAUD = 115200,
    CHUNK_SIZE = 1024,
    HINTS = 4, /* while no frame comes */
};

struct options {
    const char *device; /* NULL: the only one there is */
    unsigned baud;
    uint64_t count; /* readings to wait for; 0: no end */
    bool as_json;
    const char *model; /* of a sensor on a GPIO line */
};

struct monitor {
    struct monitor_line line;
    struct serial_port port;
    sd_event *loop;
    unsigned hints;
    uint64_t wanted; /* readings; 0: no end */
};

static uint64_t now(const struct monitor *monitor) {
    uint64_t now_us = 0;

    (void)sd_event_now(monitor->loop, CLOCK_BOOTTIME, &now_us);
    return now_us;
}

static bool is_done(const struct monitor *monitor) {
    return monitor->wanted > 0 && monitor->line.counts.readings >= monitor->wanted;
}

static int on_readable(sd_event_source *event, int fd, uint32_t revents, void *userdata) {
    struct monitor *monitor = userdata;
    uint8_t chunk[CHUNK_SIZE];
    int n = serial_port_read(&monitor->port, chunk, sizeof(chunk));

    if (n == -EAGAIN && !(revents & (EPOLLHUP | EPOLLERR)))
        return 0;
    if (n < 0) {
        (void)fprintf(stderr, "sensorgw monitor: %s went away: unplugged, or without power\n",
                      monitor->port.path);
        return sd_event_exit(monitor->loop, EXIT_FAILED);
    }
    for (int i = 0; i < n && !is_done(monitor); i++)
        monitor_line_take(&monitor->line, chunk[i], now(monitor));
    return is_done(monitor) ? sd_event_exit(monitor->loop, EXIT_DONE) : 0;
}

static const char *hint_for(const struct monitor_line *line) {
    return line->size > 0 || line->counts.noise_bytes > 0
               ? "bytes arrive, but no frame: try another --baud, and see that the sensorgw sketch "
                 "is on the board"
               : "nothing arrives: is the sketch on the board? Press its reset button";
}

/* Asks again as well: a board that was reset by the open has slept through the first question. */
static int on_hint(sd_event_source *timer, uint64_t usec, void *userdata) {
    struct monitor *monitor = userdata;
    int r;

    if (monitor->line.decoder.counters.frames > 0)
        return 0;
    serial_port_ask(&monitor->port);
    if (monitor->hints++ > 0)
        monitor_print_hint(&monitor->line.output, hint_for(&monitor->line));
    if (monitor->hints > HINTS)
        return 0;
    r = sd_event_source_set_time(timer, now(monitor) + HINT_US);
    return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

static int add_events(struct monitor *monitor) {
    int r;

    r = sd_event_add_signal(monitor->loop, NULL, SIGINT | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r < 0)
        return r;
    r = sd_event_add_signal(monitor->loop, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
    if (r < 0)
        return r;
    r = sd_event_add_io(monitor->loop, NULL, monitor->port.fd, EPOLLIN, on_readable, monitor);
    if (r < 0)
        return r;
    return sd_event_add_time(monitor->loop, NULL, CLOCK_BOOTTIME, now(monitor) + HINT_US, 0,
                             on_hint, monitor);
}

/* Returns the exit status, or < 0. */
static int watch(struct monitor *monitor) {
    uint64_t begun_us;
    int r = sd_event_default(&monitor->loop);

    if (r < 0)
        return r;
    begun_us = now(monitor);
    serial_port_ask(&monitor->port);
    r = add_events(monitor);
    if (r >= 0)
        r = sd_event_loop(monitor->loop);
    monitor->line.counts.seconds = (double)(now(monitor) - begun_us) / 1e6;
    monitor->loop = sd_event_unref(monitor->loop);
    if (r >= 0)
        monitor_print_summary(&monitor->line.output, &monitor->line.counts);
    return r;
}

/* Built-in ports are there on every machine: where there is a USB port, that one is meant. */
static size_t list_candidates(const struct serial_list *list, bool only_usb, const char **ret) {
    size_t count = 0;

    for (size_t i = 0; i < serial_list_count(list); i++) {
        const struct serial_device *device = serial_list_get(list, i);

        if (only_usb && !device->is_usb)
            continue;
        if (count++ == 0)
            *ret = device->path;
    }
    return count;
}

/* Writes the path of the only port there is. Returns an exit status. */
static int choose_port(char path[static SERIAL_PATH_SIZE]) {
    CLEANUP(serial_list_freep) struct serial_list *list = NULL;
    const char *first = "";
    size_t count;
    int r = serial_list_new(&list);

    if (r < 0) {
        (void)fprintf(stderr, "sensorgw monitor: cannot list the serial ports: %s\n", strerror(-r));
        return EXIT_FAILED;
    }
    count = list_candidates(list, true, &first);
    if (count == 0)
        count = list_candidates(list, false, &first);
    if (count != 1) {
        (void)fputs(count == 0 ? "sensorgw monitor: no serial port here: plug a board in\n"
                               : "sensorgw monitor: several ports are here: say which one "
                                 "(`sensorgw ports` lists them)\n",
                    stderr);
        return count == 0 ? EXIT_FAILED : EXIT_USAGE;
    }
    (void)snprintf(path, SERIAL_PATH_SIZE, "%s", first);
    return EXIT_DONE;
}

static int refuse_held(const char *path, const struct holder *holder) {
    if (!holder)
        (void)fprintf(stderr,
                      "sensorgw monitor: another program holds %s, and it is not visible to you: "
                      "`sudo sensorgw ports` names it.\n",
                      path);
    else
        (void)fprintf(stderr, "sensorgw monitor: %s is held by %s (pid %d).\n", path,
                      holder->command, (int)holder->pid);
    (void)fputs("If it is the sensorgw service, `sensorgw status` shows what it reads there; any "
                "other program must let go first.\n",
                stderr);
    return EXIT_FAILED;
}

static int refuse(const char *device, int error) {
    const char *cure = "";

    if (error == -EACCES)
        cure = " Join the group that owns it (`ls -lL` names it, mostly dialout) and log in anew, "
               "or use sudo.";
    else if (error == -ENOENT || error == -ENODEV)
        cure = " `sensorgw ports` lists what is there.";
    else if (error == -ENOTTY)
        cure = " It is no serial port.";
    (void)fprintf(stderr, "sensorgw monitor: cannot open %s: %s.%s\n", device, strerror(-error),
                  cure);
    return EXIT_FAILED;
}

/* A port that is held is not even opened: that alone may reset the board behind it. */
static int open_port(struct serial_port *port, const struct options *options) {
    struct holder holder;
    int r = serial_port_find(port, options->device);

    if (r < 0)
        return refuse(options->device, r);
    if (holder_find(port->path, &holder) > 0)
        return refuse_held(port->path, &holder);
    r = serial_port_open(port, options->device, options->baud);
    if (r == -EBUSY)
        return refuse_held(port->path, NULL);
    return r < 0 ? refuse(options->device, r) : EXIT_DONE;
}

static int run(const struct options *options) {
    const struct monitor_output output = { options->as_json, terminal_wants_colour() };
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    int r;

    if (!monitor)
        return EXIT_FAILED;
    monitor_line_init(&monitor->line, &output);
    serial_port_init(&monitor->port);
    monitor->wanted = options->count;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    r = open_port(&monitor->port, options);
    if (r == EXIT_DONE) {
        if (!options->as_json)
            (void)printf("%s at %u baud; Ctrl-C ends.\n", monitor->port.path, options->baud);
        r = watch(monitor);
    }
    if (r < 0)
        (void)fprintf(stderr, "sensorgw monitor: %s\n", strerror(-r));
    serial_port_close(&monitor->port);
    free(monitor);
    return r < 0 ? EXIT_FAILED : r;
}

static int run_direct(const struct options *options) {
    const struct monitor_direct_options direct = {
        .device = options->device,
        .model = options->model,
        .count = options->count,
        .output = { options->as_json, terminal_wants_colour() },
    };

    return monitor_direct(&direct);
}

static int usage(FILE *out, int status) {
    (void)fputs("usage: sensorgw monitor [DEVICE] [--baud N] [--model dht11|dht22] [--json] "
                "[--count N]\n"
                "Decodes what a board sends. DEVICE is a path or usb:VID:PID[:SERIAL]; without it "
                "the only\nport there is. Or asks a sensor without a board: gpio:CHIP:LINE or "
                "iio:NAME. --count ends\nafter so many readings.\n",
                out);
    return status;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret) {
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || number == 0 || number > max)
        return false;
    *ret = number;
    return true;
}

static bool parse_baud(const char *text, unsigned *ret) {
    uint64_t baud;

    if (!parse_number(text, UINT32_MAX, &baud) || !serial_baud_is_supported((unsigned)baud)) {
        (void)fprintf(stderr, "sensorgw monitor: no such speed: %s (115200, 9600, ...)\n", text);
        return false;
    }
    *ret = (unsigned)baud;
    return true;
}

static bool parse_option(int option, struct options *options) {
    switch (option) {
    case 'b':
        return parse_baud(optarg, &options->baud);
    case 'n':
        return parse_number(optarg, UINT64_MAX, &options->count);
    case 'j':
        options->as_json = true;
        return true;
    case 'm':
        options->model = optarg;
        return strcmp(optarg, "dht11") == 0 || strcmp(optarg, "dht22") == 0;
    default:
        return false;
    }
}

int command_monitor(int argc, char **argv) {
    static const struct option words[] = {
        { "baud", required_argument, NULL, 'b' }, { "count", required_argument, NULL, 'n' },
        { "json", no_argument, NULL, 'j' },       { "model", required_argument, NULL, 'm' },
        { "help", no_argument, NULL, 'h' },       { NULL, 0, NULL, 0 },
    };
    struct options options = { .baud = DEFAULT_BAUD, .model = "dht11" };
    char path[SERIAL_PATH_SIZE];
    int option;
    int r;

    optind = 1;
    while ((option = getopt_long(argc, argv, "b:n:h", words, NULL)) != -1) {
        if (option == 'h')
            return usage(stdout, EXIT_DONE);
        if (!parse_option(option, &options))
            return usage(stderr, EXIT_USAGE);
    }
    if (argc - optind > 1)
        return usage(stderr, EXIT_USAGE);
    options.device = argv[optind];
    if (!options.device) {
        r = choose_port(path);
        if (r != EXIT_DONE)
            return r;
        options.device = path;
    }
    return monitor_direct_is(options.device) ? run_direct(&options) : run(&options);
}
