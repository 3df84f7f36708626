# SPDX-License-Identifier: MIT
"""preload.c made and steered: a slow disk and a wrong clock for one process alone."""

import subprocess
from pathlib import Path

from gateway import executable

SOURCE = Path(__file__).with_name("preload.c")


class Sickness:
    """
    Gateway(..., wrapper=sickness.wrapper) runs under it; say(key=value, ...) takes effect at once,
    and replaces what was said before. The keys are preload.c's.
    """

    def __init__(self, folder: Path, build: Path) -> None:
        library = folder / "preload.so"
        self._orders = folder / "sick"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True, timeout=60
        )
        self.say()
        self.wrapper = [
            "env", f"SICK={self._orders}", f"LD_PRELOAD={':'.join([*sanitizer(build), str(library)])}"
        ]

    def say(self, **orders: int) -> None:
        fresh = self._orders.with_suffix(".new")
        fresh.write_text("".join(f"{key} {value}\n" for key, value in orders.items()))
        fresh.rename(self._orders)


def sanitizer(build: Path) -> list[str]:
    """Its runtime insists on being the first library."""
    linked = subprocess.run(
        ["ldd", executable(build)], check=True, capture_output=True, text=True, timeout=20
    ).stdout
    return [line.split()[2] for line in linked.splitlines() if "libasan" in line]
