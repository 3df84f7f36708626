# SPDX-License-Identifier: MIT
"""
What needs a real kernel: a DHT11 on a GPIO line at true timing.

The machine's clock counts instructions (-icount), so that it does not stall with this one's load: an
answer of 5 ms takes 5 ms there, to the microsecond.
"""

import io
import json
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import machine

READINGS = 200
BUSY_FRAMES = 12
MACHINE_S = 900

pytestmark = [
    pytest.mark.timeout(2400),
    pytest.mark.skipif(machine.missing() is not None, reason=str(machine.missing())),
]


@dataclass(frozen=True)
class Report:
    """What a sensor sent, and what became of it."""

    name: str
    sent: list[str]  # as "t=21.5,rh=45.0"
    published: list[str]
    sensor: dict[str, Any]
    log: str

    @property
    def wrong(self) -> int:
        """Readings that were not sent, or not in this order."""
        at = 0
        wrong = 0
        for reading in self.published:
            try:
                at = self.sent.index(reading, at) + 1
            except ValueError:
                wrong += 1
        return wrong

    def __str__(self) -> str:
        failed = self.sensor.get("failures", {})
        kinds = ", ".join(f"{kind} {count}" for kind, count in failed.items()) or "none"
        return (
            f"{self.name}: frames asked {len(self.sent)}, good {len(self.published)}, failed "
            f"{self.sensor['errors']} ({kinds}), thrown away or under way {self.loose}, wrong "
            f"{self.wrong}"
        )

    @property
    def loose(self) -> int:
        """The first answer, which is that of a pause, and one that is under way at the end."""
        return len(self.sent) - len(self.published) - self.sensor["errors"]


def reading_of(raw: str) -> str:
    humidity, humidity_tenths, temperature, temperature_tenths, _ = bytes.fromhex(raw)
    return f"t={temperature}.{temperature_tenths},rh={humidity}.{humidity_tenths}"


def readings_in(spool: bytes, folder: Path) -> list[str]:
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(spool)) as archive:
        archive.extractall(folder)
    with sqlite3.connect(folder / "spool.db") as database:
        rows = database.execute("SELECT quantities FROM reading ORDER BY number").fetchall()
    return [quantities for (quantities,) in rows]


def report_of(console: str, name: str, folder: Path) -> Report:
    state = json.loads(machine.part(console, f"{name}-state"))
    return Report(
        name=name,
        sent=[reading_of(raw) for raw in machine.part(console, f"{name}-sent").decode().split()],
        published=readings_in(machine.part(console, f"{name}-spool"), folder / name),
        sensor=state["sensors"]["kitchen"],
        log=machine.part(console, f"{name}-log").decode(),
    )


@pytest.fixture(scope="module")
def cache(build: Path) -> Path:
    folder = build / "vm"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def kernel(cache: Path) -> machine.Kernel:
    return machine.Kernel(cache)


@pytest.fixture(scope="module")
def gpio_console(
    cache: Path, kernel: machine.Kernel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gpio")
    root = machine.Root(folder / "root")
    root.add(Path("/bin/busybox"), "/bin/busybox")
    root.add(machine.PARTS / "gpio-init", "/init")
    root.add(machine.PARTS / "gpio.conf", "/sensorgw.conf", 0o644)
    root.add_program(machine.plain_daemon(cache), "/bin/sensorgw")
    root.add(machine.sensor(cache), "/bin/dht11_sensor")
    root.add_modules([*kernel.modules(["configfs"]), kernel.gpio_sim])
    root.write("/plan", f"READINGS={READINGS}\nBUSY_FRAMES={BUSY_FRAMES}\n")
    yield machine.boot(
        kernel.image,
        root.pack(folder / "initrd.gz"),
        folder / "console",
        MACHINE_S,
        ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"],
        "tsc=reliable",
    )


@pytest.fixture(scope="module")
def gpio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


def test_two_hundred_frames_are_read_at_true_timing(
    gpio_console: str, gpio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(gpio_console, "idle", gpio_folder)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.wrong == 0, report.log
    assert len(report.published) >= READINGS
    assert report.sensor["state"] == "ok"
    assert 0 <= report.loose <= 2, report
    assert report.sensor["errors"] <= READINGS // 50, report


def test_busy_machine_fails_honestly(
    gpio_console: str, gpio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(gpio_console, "busy", gpio_folder)
    with capsys.disabled():
        print(f"\n{report}")
    assert report.wrong == 0, report.log
    assert sum(report.sensor.get("failures", {}).values()) == report.sensor["errors"]
    assert 0 <= report.loose <= 2, report
    assert report.sensor["errors"] > 0, "this machine was not busy at all"
    if not report.published:
        assert report.sensor["state"] == "failing"
        assert "edges of the sensor's answer are missing" in report.log
