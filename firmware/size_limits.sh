#!/bin/sh
# SPDX-License-Identifier: MIT
#
# size_limits.sh AVR_SIZE ELF FLASH_MAX RAM_MAX
#
# Fails if an image outgrows its limits, in bytes. RAM is what the linker places; the stack has the rest of 2048.
set -eu

"$1" -A "$2" | awk -v flash_max="$3" -v ram_max="$4" '
    $1 == ".text" || $1 == ".data" { flash += $2 }
    $1 == ".data" || $1 == ".bss" || $1 == ".noinit" { ram += $2 }
    END {
        printf "flash %d of %d bytes, static RAM %d of %d bytes\n", flash, flash_max, ram, ram_max
        exit !(flash > 0 && flash <= flash_max && ram > 0 && ram <= ram_max)
    }'
