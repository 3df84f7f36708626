# SPDX-License-Identifier: MIT
"""The boot loaders of real boards, from arduino-core-avr."""

import subprocess
from pathlib import Path

_FOLDER = Path("/usr/share/arduino/hardware/arduino/avr/bootloaders")
_OPTIBOOT = _FOLDER / "optiboot/optiboot.c"

# Of a Nano from before 2018.
OLD_NANO = _FOLDER / "atmega/ATmegaBOOT_168_atmega328.hex"


def build_optiboot(folder: Path) -> Path:
    """
    The UNO's, built from its source. Its ready-made image will not do: Debian's compiler made it 532
    bytes long, 20 of them beyond the end of the flash. Without the blinking at start it fits.
    """
    elf = folder / "optiboot.elf"
    image = elf.with_suffix(".hex")
    compiler = ["avr-gcc", "-w", "-std=gnu99", "-Os", "-mmcu=atmega328p", "-mrelax"]
    compiler += ["-DF_CPU=16000000L", "-DBAUD_RATE=115200", "-DLED_START_FLASHES=0"]
    compiler += ["-fwhole-program", "-fno-inline-small-functions", "-fno-split-wide-types"]
    compiler += ["-nostartfiles", "-nostdlib", "-Wl,--relax"]
    compiler += ["-Wl,--section-start=.text=0x7e00", "-Wl,--section-start=.version=0x7ffe"]
    subprocess.run([*compiler, _OPTIBOOT, "-o", elf], check=True, timeout=60)
    subprocess.run(["avr-objcopy", "-O", "ihex", elf, image], check=True, timeout=60)
    return image
