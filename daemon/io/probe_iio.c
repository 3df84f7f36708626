/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/iio_channel.h"
#include "io/job.h"
#include "io/probe.h"

enum { PATH_SIZE = 512, TEXT_SIZE = 64 };

const char *probe_iio_devices = "/sys/bus/iio/devices";

struct iio_probe {
    sd_event *loop;
    const struct source_settings *settings; /* borrowed */
    probe_answered answered;
    void *userdata;
    struct job *job; /* a driver may take a second, and a bus may hang */
};

/* What the thread owns. */
struct task {
    char device[PATH_SIZE];
    char devices[PATH_SIZE];
    struct probe_answer answer;
};

/* ---- on the thread ---- */

/* Returns 0, or a positive errno. */
static int read_file(const char *folder, const char *file, char text[static TEXT_SIZE]) {
    CLEANUP(close_fdp) int fd = -1;
    char path[PATH_SIZE + TEXT_SIZE];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    n = read(fd, text, TEXT_SIZE - 1);
    if (n < 0)
        return errno;
    text[n] = '\0';
    return 0;
}

static void read_name(const char *folder, char name[static TEXT_SIZE]) {
    if (read_file(folder, "name", name) != 0)
        name[0] = '\0';
    name[strcspn(name, "\n")] = '\0';
}

static bool has_name(const char *folder, const char *wanted) {
    char name[TEXT_SIZE];

    read_name(folder, name);
    return strcmp(name, wanted) == 0;
}

/* By path; by the name of its folder; or by that of its chip. Returns 0, or a positive errno. */
static int find_folder(const struct task *task, char folder[static PATH_SIZE]) {
    DIR *devices;
    struct dirent *entry;
    bool is_found = false;

    if (task->device[0] == '/') {
        (void)snprintf(folder, PATH_SIZE, "%s", task->device);
        return access(folder, F_OK) < 0 ? errno : 0;
    }
    devices = opendir(task->devices);
    while (devices && !is_found && (entry = readdir(devices))) {
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(folder, PATH_SIZE, "%.250s/%.250s", task->devices, entry->d_name);
        is_found = strcmp(entry->d_name, task->device) == 0 || has_name(folder, task->device);
    }
    if (devices)
        (void)closedir(devices);
    return is_found ? 0 : ENODEV;
}

static void fail(struct probe_answer *answer, int error, const char *file) {
    answer->failure = iio_error_word(error);
    if (!answer->failure)
        answer->error = -error;
    else
        (void)snprintf(answer->detail, sizeof(answer->detail), "%s: %s", file, strerror(error));
}

/* Returns 0, also where there is no such channel, or a positive errno. */
static int read_channel(const char *folder, const struct iio_channel *channel,
                        struct reading *reading) {
    struct quantity quantity;
    char text[TEXT_SIZE];
    int r = read_file(folder, channel->file, text);

    if (r != 0)
        return r == ENOENT ? 0 : r;
    r = iio_channel_parse(channel, text, &quantity);
    if (r < 0)
        return -r;
    return -reading_add(reading, &quantity);
}

static uint64_t now_us(void) {
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* What was read without a fault, but was not measured, is no reading. */
static void judge(const char *folder, uint64_t took_us, struct probe_answer *answer) {
    const struct quantity *humidity;
    char name[TEXT_SIZE];
    char value[16] = "?";

    if (answer->reading.count == 0) {
        fail(answer, ENODATA, "in_*_input");
        return;
    }
    read_name(folder, name);
    answer->failure = iio_answer_fault(name, &answer->reading, took_us);
    if (!answer->failure)
        return;
    humidity = reading_find(&answer->reading, "humidity");
    if (humidity)
        (void)quantity_render_value(humidity, value, sizeof(value));
    (void)snprintf(answer->detail, sizeof(answer->detail), "%s %% after %" PRIu64 " us", value,
                   took_us);
}

static void run(void *data) {
    struct task *task = data;
    struct probe_answer *answer = &task->answer;
    char folder[PATH_SIZE];
    uint64_t begun_us;
    int r = find_folder(task, folder);

    if (r != 0) {
        answer->error = -r;
        return;
    }
    begun_us = now_us();
    for (size_t i = 0; i < iio_channel_count; i++) {
        r = read_channel(folder, &iio_channels[i], &answer->reading);
        if (r != 0) {
            fail(answer, r, iio_channels[i].file);
            return;
        }
    }
    judge(folder, now_us() - begun_us, answer);
}

/* ---- on the loop ---- */

static void on_done(void *data, void *userdata) {
    struct iio_probe *probe = userdata;
    const struct task *task = data;
    const struct probe_answer answer = task->answer;

    probe->job = job_free(probe->job);
    probe->answered(&answer, probe->userdata);
}

static int start_job(struct iio_probe *probe) {
    static const struct job_calls calls = { .run = run, .release = free, .done = on_done };
    struct task *task = calloc(1, sizeof(*task));
    int r;

    if (!task)
        return -ENOMEM;
    (void)snprintf(task->device, sizeof(task->device), "%s", probe->settings->device);
    (void)snprintf(task->devices, sizeof(task->devices), "%s", probe_iio_devices);
    r = job_new(probe->loop, &calls, task, probe, &probe->job);
    if (r < 0)
        free(task);
    return r;
}

static void ask(void *userdata) {
    struct iio_probe *probe = userdata;
    int r = start_job(probe);

    if (r < 0)
        probe->answered(&(struct probe_answer){ .error = r }, probe->userdata);
}

static int start(sd_event *loop, const struct source_settings *settings, probe_answered answered,
                 void *userdata, void **ret) {
    struct iio_probe *probe = calloc(1, sizeof(*probe));

    if (!probe)
        return -ENOMEM;
    probe->loop = sd_event_ref(loop);
    probe->settings = settings;
    probe->answered = answered;
    probe->userdata = userdata;
    *ret = probe;
    return 0;
}

static void stop(void *userdata) {
    struct iio_probe *probe = userdata;

    if (!probe)
        return;
    (void)job_free(probe->job);
    (void)sd_event_unref(probe->loop);
    free(probe);
}

static void adopt(void *userdata, const struct source_settings *settings) {
    struct iio_probe *probe = userdata;

    probe->settings = settings;
}

const struct probe_driver probe_iio = {
    .kind = DIRECT_IIO,
    .start = start,
    .stop = stop,
    .adopt = adopt,
    .ask = ask,
};
