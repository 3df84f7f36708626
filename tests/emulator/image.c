/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sim_elf.h"

/* What avr-libc ends every program with: cli; rjmp to itself. */
static uint32_t find_endless_loop(const uint8_t *flash, size_t size) {
    static const uint8_t code[] = { 0xf8, 0x94, 0xff, 0xcf };
    const uint8_t *found = memmem(flash, size, code, sizeof(code));

    return found ? (uint32_t)(found - flash) : 0;
}

static void free_elf(elf_firmware_t *elf) {
    for (uint32_t i = 0; i < elf->symbolcount; i++)
        free(elf->symbol[i]);
    free(elf->symbol);
    free(elf->flash);
    free(elf->eeprom);
}

int image_load_elf(avr_t *avr, const char *path, uint32_t *ret_hang_address) {
    elf_firmware_t elf = { 0 };

    if (access(path, R_OK) < 0)
        return -errno;
    if (elf_read_firmware(path, &elf) != 0)
        return -ENOEXEC;

    elf.frequency = avr->frequency;
    avr_load_firmware(avr, &elf);
    *ret_hang_address = find_endless_loop(elf.flash, elf.flashsize);
    free_elf(&elf);
    return 0;
}

/* One record of Intel hex. Types other than data, such as Optiboot's start address, are skipped:
 * simavr's own reader stumbles over them. */
static int load_record(avr_t *avr, const char *line, uint32_t *lowest) {
    unsigned size;
    unsigned address;
    unsigned type;

    if (sscanf(line, ":%2x%4x%2x", &size, &address, &type) != 3)
        return -EBADMSG;
    if (type != 0)
        return 0;
    if (address + size > avr->flashend + 1)
        return -ERANGE;

    for (unsigned i = 0; i < size; i++) {
        unsigned byte;

        if (sscanf(line + 9 + 2 * i, "%2x", &byte) != 1)
            return -EBADMSG;
        avr->flash[address + i] = (uint8_t)byte;
    }
    if (address < *lowest)
        *lowest = address;
    return 0;
}

int image_load_boot_loader(avr_t *avr, const char *path) {
    FILE *file = fopen(path, "re");
    uint32_t lowest = avr->flashend;
    char line[600];
    int r = 0;

    if (!file)
        return -errno;
    while (r == 0 && fgets(line, sizeof(line), file))
        r = load_record(avr, line, &lowest);
    fclose(file);
    if (r < 0)
        return r;

    avr->reset_pc = lowest;
    avr->codeend = avr->flashend;
    return 0;
}
