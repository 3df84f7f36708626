/* SPDX-License-Identifier: MIT */
#include "commands/commands.h"

#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "io/holder.h"
#include "io/serial_list.h"

enum { COLUMNS = 6, CELL_SIZE = SERIAL_PATH_SIZE };

/* One port as it is shown. */
struct row {
    const struct serial_device *device;
    char stable[SERIAL_PATH_SIZE];
    struct holder holder;
    int held; /* as holder_find returned it */
};

static struct row row_of(const struct serial_device *device) {
    struct row row = { .device = device };

    serial_device_stable_name(device, row.stable);
    row.held = holder_find(device->path, &row.holder);
    return row;
}

static const char *or_dash(const char *text) {
    return text[0] == '\0' ? "-" : text;
}

static void render_holder(const struct row *row, char *text, size_t size) {
    if (row->held > 0)
        (void)snprintf(text, size, "%s (pid %d)", row->holder.command, (int)row->holder.pid);
    else
        (void)snprintf(text, size, "%s", row->held == 0 ? "nobody" : "not visible to you");
}

static void render_row(const struct row *row, char cells[COLUMNS][CELL_SIZE]) {
    const struct serial_device *device = row->device;

    (void)snprintf(cells[0], CELL_SIZE, "%s", device->path);
    (void)snprintf(cells[1], CELL_SIZE, "%s",
                   device->is_usb ? or_dash(device->product) : "built in");
    if (device->is_usb)
        (void)snprintf(cells[2], CELL_SIZE, "%04x:%04x", device->vendor_id, device->product_id);
    else
        (void)snprintf(cells[2], CELL_SIZE, "-");
    (void)snprintf(cells[3], CELL_SIZE, "%s", or_dash(device->serial));
    (void)snprintf(cells[4], CELL_SIZE, "%s", row->stable);
    render_holder(row, cells[5], CELL_SIZE);
}

static void print_cells(char cells[COLUMNS][CELL_SIZE], const size_t widths[COLUMNS]) {
    for (size_t i = 0; i < COLUMNS - 1; i++)
        (void)printf("%-*s  ", (int)widths[i], cells[i]);
    (void)printf("%s\n", cells[COLUMNS - 1]);
}

static void widen(size_t widths[COLUMNS], char cells[COLUMNS][CELL_SIZE]) {
    for (size_t i = 0; i < COLUMNS; i++)
        if (strlen(cells[i]) > widths[i])
            widths[i] = strlen(cells[i]);
}

static void print_table(const struct row *rows, size_t count) {
    char head[COLUMNS][CELL_SIZE] = {
        "PORT", "BOARD", "USB ID", "SERIAL NUMBER", "NAME TO CONFIGURE", "HELD BY",
    };
    char cells[COLUMNS][CELL_SIZE];
    size_t widths[COLUMNS] = { 0 };

    widen(widths, head);
    for (size_t i = 0; i < count; i++) {
        render_row(&rows[i], cells);
        widen(widths, cells);
    }
    print_cells(head, widths);
    for (size_t i = 0; i < count; i++) {
        render_row(&rows[i], cells);
        print_cells(cells, widths);
    }
}

static void add_usb(cJSON *object, const struct serial_device *device) {
    char id[8];

    (void)snprintf(id, sizeof(id), "%04x", device->vendor_id);
    (void)cJSON_AddStringToObject(object, "vendor_id", id);
    (void)snprintf(id, sizeof(id), "%04x", device->product_id);
    (void)cJSON_AddStringToObject(object, "product_id", id);
    (void)cJSON_AddStringToObject(object, "manufacturer", device->manufacturer);
    (void)cJSON_AddStringToObject(object, "product", device->product);
    (void)cJSON_AddStringToObject(object, "serial", device->serial);
}

static void add_holder(cJSON *object, const struct row *row) {
    cJSON *holder;

    (void)cJSON_AddBoolToObject(object, "holder_visible", row->held >= 0);
    if (row->held <= 0) {
        (void)cJSON_AddNullToObject(object, "holder");
        return;
    }
    holder = cJSON_AddObjectToObject(object, "holder");
    (void)cJSON_AddNumberToObject(holder, "pid", row->holder.pid);
    (void)cJSON_AddStringToObject(holder, "command", row->holder.command);
}

static void print_json(const struct row *rows, size_t count) {
    cJSON *array = cJSON_CreateArray();
    char *text;

    for (size_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();

        (void)cJSON_AddStringToObject(object, "port", rows[i].device->path);
        (void)cJSON_AddStringToObject(object, "device", rows[i].stable);
        (void)cJSON_AddStringToObject(object, "description", rows[i].device->description);
        if (rows[i].device->is_usb)
            add_usb(object, rows[i].device);
        add_holder(object, &rows[i]);
        (void)cJSON_AddItemToArray(array, object);
    }
    text = cJSON_Print(array);
    if (text)
        (void)puts(text);
    cJSON_free(text);
    cJSON_Delete(array);
}

static int show(bool as_json) {
    CLEANUP(serial_list_freep) struct serial_list *list = NULL;
    struct row *rows;
    size_t count;
    int r = serial_list_new(&list);

    if (r < 0) {
        (void)fprintf(stderr, "sensorgw ports: cannot list the serial ports: %s\n", strerror(-r));
        return EXIT_FAILED;
    }
    count = serial_list_count(list);
    rows = calloc(count + 1, sizeof(*rows));
    if (!rows)
        return EXIT_FAILED;
    for (size_t i = 0; i < count; i++)
        rows[i] = row_of(serial_list_get(list, i));
    if (as_json)
        print_json(rows, count);
    else if (count > 0)
        print_table(rows, count);
    else
        (void)puts(
            "No serial port here. Plug a board in, with a cable that carries data (some only "
            "charge);\n`sudo dmesg | tail` tells whether the kernel has seen it.");
    free(rows);
    return EXIT_DONE;
}

static int usage(FILE *out, int status) {
    (void)fputs("usage: sensorgw ports [--json]\n"
                "Lists the serial ports, and for each the name to put in the configuration as "
                "`device`.\n",
                out);
    return status;
}

int command_ports(int argc, char **argv) {
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool as_json = false;
    int option;

    optind = 1;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
        switch (option) {
        case 'j':
            as_json = true;
            break;
        case 'h':
            return usage(stdout, EXIT_DONE);
        default:
            return usage(stderr, EXIT_USAGE);
        }
    return optind < argc ? usage(stderr, EXIT_USAGE) : show(as_json);
}
