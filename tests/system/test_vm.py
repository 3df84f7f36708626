# SPDX-License-Identifier: MIT
"""
What needs a real kernel: a DHT11 on a GPIO line at true timing, boards that are plugged in and pulled
out, and the unit's sandbox around both.

The machine's clock counts instructions (-icount), so that it does not stall with this one's load: an
answer of 5 ms takes 5 ms there, to the microsecond.
"""

import binascii
import io
import json
import os
import re
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


# --- the installed service


BOARD_FRAMES = 400
STEPS = ("started", "line-read", "board-absent", "board-read", "board-lost", "board-back",
         "bridge-silent", "stopped")


def frame(sequence: int) -> str:
    body = f"SGW1,R,1,{sequence},{sequence * 1000},rh=45.0,t=21.5"
    return f"${body}*{binascii.crc_hqx(body.encode(), 0xFFFF):04X}"


@pytest.fixture(scope="module")
def plug_console(
    cache: Path, kernel: machine.Kernel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("the machine's disk is made as root")
    folder = tmp_path_factory.mktemp("plug")
    system = machine.System(cache, kernel, machine.plain_daemon(cache), folder)
    home = system.root / "root"
    (home / "frames").write_text("".join(frame(i) + "\n" for i in range(1, BOARD_FRAMES)))
    for source in (machine.PARTS / "plug-test", machine.sensor(cache), kernel.gpio_sim):
        (home / source.name).write_bytes(source.read_bytes())
        (home / source.name).chmod(0o755)
    (system.root / "etc/sensorgw.conf").write_bytes((machine.PARTS / "plug.conf").read_bytes())
    units = system.root / "etc/systemd/system"
    (units / "plug-test.service").write_bytes((machine.PARTS / "plug-test.service").read_bytes())
    wants = units / "multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "plug-test.service").symlink_to("/etc/systemd/system/plug-test.service")
    yield machine.boot(
        kernel.image,
        system.initrd(),
        folder / "console",
        MACHINE_S,
        ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1",
         "-drive", f"file={system.disk()},format=raw,if=virtio,cache=unsafe",
         "-device", "qemu-xhci", "-chardev", "null,id=bridge",
         "-device", "usb-serial,chardev=bridge,always-plugged=on"],
        "tsc=reliable systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service",
    )


@pytest.mark.parametrize("step", STEPS)
def test_confined_service_follows_lines_and_boards(plug_console: str, step: str) -> None:
    assert re.search(rf"^REACHED {step}$", plug_console, re.M), plug_console[-6000:]


def test_udev_names_boards_and_hands_devices_to_their_groups(plug_console: str) -> None:
    assert machine.part(plug_console, "chip").split() == [b"gpio", b"660"]
    assert machine.part(plug_console, "port").split() == [b"dialout", b"660"]
    links = machine.part(plug_console, "links").decode()
    assert re.search(r"^/dev/sensorgw/by-serial/7533 \S*ttyACM", links, re.M), links
    assert re.search(r"^/dev/sensorgw/by-path/\S+ \S*ttyACM", links, re.M), links
    assert "ID_MM_DEVICE_IGNORE=1" in machine.part(plug_console, "board").decode()


def test_service_has_never_been_restarted(plug_console: str) -> None:
    unit = machine.part(plug_console, "unit").decode()
    assert "NRestarts=0" in unit and "ActiveState=active" in unit
    journal = machine.part(plug_console, "journal").decode()
    assert "may not be opened" not in journal and "no permission" not in journal, journal
    lost = json.loads(machine.part(plug_console, "unplugged.json"))["sensors"]["desk"]
    assert lost["cause"] == "device-lost"
