/* SPDX-License-Identifier: MIT */
#include "io/serial_list.h"

#include <dirent.h>
#include <errno.h>
#include <libserialport.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BY_PATH "/dev/serial/by-path"
#define TTY_CLASS "/sys/class/tty"

struct serial_list {
    size_t count;
    struct serial_device devices[];
};

static void take_usb(struct sp_port *port, struct serial_device *device) {
    int vendor;
    int product;

    if (sp_get_port_transport(port) != SP_TRANSPORT_USB ||
        sp_get_port_usb_vid_pid(port, &vendor, &product) != SP_OK)
        return;
    device->is_usb = true;
    device->vendor_id = (uint16_t)vendor;
    device->product_id = (uint16_t)product;
    printable_string(sp_get_port_usb_manufacturer(port), device->manufacturer);
    printable_string(sp_get_port_usb_product(port), device->product);
    printable_string(sp_get_port_usb_serial(port), device->serial);
}

static void take(struct sp_port *port, struct serial_device *device) {
    (void)snprintf(device->path, sizeof(device->path), "%s", sp_get_port_name(port));
    printable_string(sp_get_port_description(port), device->description);
    take_usb(port, device);
}

/* ttyACM10 after ttyACM9. */
static int compare(const void *a, const void *b) {
    return strverscmp(((const struct serial_device *)a)->path,
                      ((const struct serial_device *)b)->path);
}

/* A driver with room for more ports than there are says so of each: type 0, PORT_UNKNOWN. */
static bool has_hardware(const char *name) {
    CLEANUP(close_filep) FILE *file = NULL;
    char path[SERIAL_PATH_SIZE];
    int type;

    (void)snprintf(path, sizeof(path), TTY_CLASS "/%s/device", name);
    if (access(path, F_OK) < 0)
        return false; /* a console, a pseudo-terminal */
    (void)snprintf(path, sizeof(path), TTY_CLASS "/%s/type", name);
    file = fopen(path, "re");
    return !file || fscanf(file, "%d", &type) != 1 || type != 0;
}

static int add(struct serial_list **list, struct sp_port *port) {
    size_t count = (*list)->count + 1;
    struct serial_list *longer = realloc(*list, sizeof(**list) + count * sizeof(*(*list)->devices));

    if (!longer)
        return -ENOMEM;
    *list = longer;
    longer->devices[longer->count] = (struct serial_device){ 0 };
    take(port, &longer->devices[longer->count++]);
    return 0;
}

/* A port that the kernel knows and this /dev does not, as in a container, is passed over. */
static int add_named(struct serial_list **list, const char *name) {
    struct sp_port *port;
    char path[SERIAL_PATH_SIZE];
    int n = snprintf(path, sizeof(path), "/dev/%s", name);
    int r;

    if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) < 0 ||
        sp_get_port_by_name(path, &port) != SP_OK)
        return 0;
    r = add(list, port);
    sp_free_port(port);
    return r;
}

/* Not by sp_list_ports(): libserialport 0.1.2 lists no port at all where one has no device node. */
int serial_list_new(struct serial_list **ret) {
    CLEANUP(serial_list_freep) struct serial_list *list = calloc(1, sizeof(*list));
    CLEANUP(close_folderp) DIR *folder = opendir(TTY_CLASS);
    const struct dirent *entry;

    if (!list)
        return -ENOMEM;
    if (!folder)
        return -errno;
    while ((entry = readdir(folder))) {
        int r = entry->d_name[0] != '.' && has_hardware(entry->d_name)
                    ? add_named(&list, entry->d_name)
                    : 0;

        if (r < 0)
            return r;
    }
    qsort(list->devices, list->count, sizeof(*list->devices), compare);
    *ret = list;
    list = NULL;
    return 0;
}

struct serial_list *serial_list_free(struct serial_list *list) {
    free(list);
    return NULL;
}

size_t serial_list_count(const struct serial_list *list) {
    return list->count;
}

const struct serial_device *serial_list_get(const struct serial_list *list, size_t index) {
    return index < list->count ? &list->devices[index] : NULL;
}

size_t serial_list_find(const struct serial_list *list, const struct usb_name *name,
                        const struct serial_device **ret) {
    size_t matches = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct serial_device *device = &list->devices[i];

        if (!device->is_usb ||
            !usb_name_matches(name, device->vendor_id, device->product_id, device->serial))
            continue;
        if (matches++ == 0)
            *ret = device;
    }
    return matches;
}

static bool is_link_to(const char *link, const struct stat *device) {
    struct stat status;

    return stat(link, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == device->st_rdev;
}

/* Debian 12 and 13 make two links per port, ...-usb-0:1:1.0 and ...-usbv2-0:1:1.0: the first one.
 */
static bool find_by_path(const char *path, char *text) {
    CLEANUP(close_folderp) DIR *folder = opendir(BY_PATH);
    struct stat device;
    struct dirent *entry;
    bool found = false;

    if (!folder)
        return false;
    if (stat(path, &device) == 0) {
        while ((entry = readdir(folder))) {
            char link[SERIAL_PATH_SIZE];
            int n = snprintf(link, sizeof(link), "%s/%s", BY_PATH, entry->d_name);

            if (n < 0 || (size_t)n >= sizeof(link) || !is_link_to(link, &device))
                continue;
            if (!found || strcmp(link, text) < 0)
                memcpy(text, link, (size_t)n + 1);
            found = true;
        }
    }
    return found;
}

/* A serial number that had to be escaped cannot be typed into a configuration. */
static bool is_plain(const char *serial) {
    return serial[0] != '\0' && !strpbrk(serial, "\\\"");
}

void serial_device_stable_name(const struct serial_device *device, char *text) {
    struct usb_name name = { .vendor = device->vendor_id, .product = device->product_id };

    if (device->is_usb && is_plain(device->serial)) {
        memcpy(name.serial, device->serial, sizeof(name.serial));
        if (usb_name_render(&name, text, SERIAL_PATH_SIZE) >= 0)
            return;
    }
    if (!find_by_path(device->path, text))
        (void)snprintf(text, SERIAL_PATH_SIZE, "%s", device->path);
}
