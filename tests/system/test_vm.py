# SPDX-License-Identifier: MIT
"""
What needs a real kernel: a DHT11 on a GPIO line at true timing, one behind the kernel's own driver,
boards that are plugged in and pulled out, and the unit's sandbox around all of them.

The machine's clock counts instructions (-icount), so that it does not stall with this one's load: an
answer of 5 ms takes 5 ms there, to the microsecond.
"""

import io
import json
import os
import re
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import machine
import manual
from pki import Pki

READINGS = 200
DRIVER_READINGS = 20
BUSY_FRAMES = 12
CYCLES = 50
MACHINE_S = 3600

pytestmark = [
    pytest.mark.timeout(2 * MACHINE_S),
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
            f"{self.name}: frames sent {len(self.sent)}, good {len(self.published)}, failed "
            f"{self.sensor['errors']} ({kinds}), wrong {self.wrong}"
        )

    @property
    def loose(self) -> int:
        """The first answer, which is that of a pause, and one that is under way at the end."""
        return len(self.sent) - len(self.published) - self.sensor["errors"]


def reading_of(raw: str) -> str:
    humidity, humidity_tenths, temperature, temperature_tenths, _ = bytes.fromhex(raw)
    return f"t={temperature}.{temperature_tenths},rh={humidity}.{humidity_tenths}"


def unpacked(archive: bytes, folder: Path) -> Path:
    if not folder.exists():
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder)
    return folder


def readings_in(spool: bytes, folder: Path, sensor: str) -> list[str]:
    with sqlite3.connect(unpacked(spool, folder) / "spool.db") as database:
        rows = database.execute(
            "SELECT quantities FROM reading WHERE sensor = ? ORDER BY number", (sensor,)
        ).fetchall()
    return [quantities for (quantities,) in rows]


def report_of(console: str, name: str, folder: Path, sensor: str, sent: str) -> Report:
    state = json.loads(machine.part(console, f"{name}-state"))
    return Report(
        name=f"{name}, {sensor}",
        sent=[reading_of(raw) for raw in machine.part(console, sent).decode().split()],
        published=readings_in(machine.part(console, f"{name}-spool"), folder / name, sensor),
        sensor=state["sensors"][sensor],
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
    for name in ("gpio.conf", "iio.conf", "both.conf"):
        root.add(machine.PARTS / name, f"/{name}", 0o644)
    root.add_program(machine.plain_daemon(cache), "/bin/sensorgw")
    root.add(machine.helper(cache, "dht11_sensor"), "/bin/dht11_sensor")
    root.add_modules(
        [*kernel.modules(["configfs", "industrialio"]), kernel.gpio_sim, *kernel.dht11]
    )
    root.write(
        "/plan",
        f"READINGS={READINGS}\nDRIVER_READINGS={DRIVER_READINGS}\nBUSY_FRAMES={BUSY_FRAMES}\n",
    )
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


def tell(capsys: pytest.CaptureFixture[str], *figures: object) -> None:
    with capsys.disabled():
        print()
        for figure in figures:
            print(figure)


def test_two_hundred_frames_are_read_at_true_timing(
    gpio_console: str, gpio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(gpio_console, "idle", gpio_folder, "kitchen", "idle-sent")
    tell(capsys, report)
    assert report.wrong == 0, report.log
    assert len(report.published) >= READINGS
    assert report.sensor["state"] == "ok"
    assert 0 <= report.loose <= 2, report
    assert report.sensor["errors"] <= READINGS // 50, report


@pytest.mark.parametrize(
    "way, word, said",
    [
        ("tenths", "io", "gives tenths, which the driver of Debian's kernels refuses"),
        ("silent", "timeout", "waited in vain"),
        ("garbled", "io", "cannot make sense"),
        ("short", "timeout", "waited in vain"),
        ("misread", "range", "gives what no DHT11 can measure"),
    ],
)
def test_kernel_s_driver_fails_and_is_understood(
    gpio_console: str, gpio_folder: Path, way: str, word: str, said: str
) -> None:
    state = json.loads(machine.part(gpio_console, f"driver-{way}"))["sensors"]["cellar"]
    assert (state["state"], state["cause"]) == ("failing", "sensor-failing")
    assert state["last_error"] == word
    assert said in machine.part(gpio_console, "driver-log").decode()


def test_kernel_s_driver_is_never_taken_at_its_word_when_it_repeats_itself(
    gpio_console: str, gpio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = machine.part(gpio_console, "driver-alone").decode().split()
    assert alone[0] == "refused" and alone[1] != "refused", "it does not repeat itself any more"
    report = report_of(gpio_console, "driver", gpio_folder, "cellar", "driver-answers")
    tell(capsys, report, f"the driver by itself, asked twice: {alone}")
    assert report.wrong == 0, report.log
    assert len(report.published) >= DRIVER_READINGS
    assert report.sensor["state"] == "ok"
    assert set(report.sensor["failures"]) == {"io", "timeout", "range"}


def test_busy_machine_fails_honestly(
    gpio_console: str, gpio_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = report_of(gpio_console, "busy", gpio_folder, "kitchen", "busy-sent")
    driver = report_of(gpio_console, "busy", gpio_folder, "cellar", "busy-answers")
    tell(capsys, report, driver)
    assert report.wrong == 0 and driver.wrong == 0, report.log
    for each in (report, driver):
        assert sum(each.sensor.get("failures", {}).values()) == each.sensor["errors"]
    assert 0 <= report.loose <= 2, report
    assert report.sensor["errors"] > 0, "this machine was not busy at all"
    if not report.published:
        assert report.sensor["state"] == "failing"
        assert "edges of the sensor's answer are missing" in report.log


# --- the installed service


STEPS = (
    "started", "sensors-read", "boards-absent", "boards-read",
    "board-fails-alone", "others-go-on-without-board", "board-is-back",
    "line-fails-alone", "others-go-on-without-line", "line-is-back",
    "driver-fails-alone", "others-go-on-without-driver", "driver-is-back",
    "cycles", "stopped",
    "addresses-allowed", "addresses-denied",
    "first-plug-starts", "first-unplug-stops", "second-plug-starts", "second-unplug-stops",
)
BOARDS = {"desk": "21.5", "shelf": "22.5", "bench": "23.5"}
REOPEN_S = 2


@pytest.fixture(scope="module")
def plug_console(
    cache: Path, kernel: machine.Kernel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    if os.geteuid() != 0:
        pytest.skip("the machine's disk is made as root")
    folder = tmp_path_factory.mktemp("plug")
    system = machine.System(cache, kernel, machine.plain_daemon(cache), folder)
    pki = Pki(folder / "pki")
    home = system.root / "root"
    settings = system.root / "etc/sensorgw"
    settings.mkdir(exist_ok=True)
    for client, target in (("vm", settings), ("listener", home)):
        pki.client(client)
        for path in (pki.ca, pki.certificate(client), pki.key(client)):
            shutil.copy(path, target)
    for path in (pki.certificate("localhost"), pki.key("localhost")):
        shutil.copy(path, home)
    (home / "plan").write_text(f"CYCLES={CYCLES}\n")
    for heading, name in (("Only these addresses", "addresses.conf"),
                          ("Start when a board is plugged in", "start.rules")):
        (home / name).write_text(manual.blocks(heading)[0])
    (home / "bound.conf").write_text("[Unit]\nBindsTo=dev-ttyACM0.device\n")
    for source in (machine.PARTS / "plug-test", machine.PARTS / "mosquitto.conf", kernel.gpio_sim,
                   *kernel.dht11, machine.helper(cache, "dht11_sensor"),
                   machine.helper(cache, "board")):
        (home / source.name).write_bytes(source.read_bytes())
        (home / source.name).chmod(0o755)
    (system.root / "etc/sensorgw.conf").write_bytes((machine.PARTS / "plug.conf").read_bytes())
    system.hand_over("etc/sensorgw.conf", *(f"etc/sensorgw/{file.name}" for file in settings.iterdir()))
    system.enable(machine.PARTS / "plug-test.service")
    hands = machine.Hands(folder)
    hands.begin()
    yield machine.boot(
        kernel.image,
        system.initrd(),
        folder / "console",
        MACHINE_S,
        ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1",
         "-drive", f"file={system.disk()},format=raw,if=virtio,cache=unsafe", *hands.arguments],
        "tsc=reliable systemd.show_status=0 systemd.mask=serial-getty@ttyS0.service "
        "systemd.mask=mosquitto.service",
    )


@pytest.fixture(scope="module")
def states(plug_console: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the service said of its sensors after each step."""
    folder = tmp_path_factory.mktemp("states") / "all"
    unpacked(machine.part(plug_console, "states.tar"), folder)
    return {path.stem: json.loads(path.read_text())["sensors"] for path in folder.glob("*.json")}


@pytest.fixture(scope="module")
def received(plug_console: str) -> dict[str, list[dict[str, Any]]]:
    """What the broker was given, by sensor."""
    readings: dict[str, list[dict[str, Any]]] = {}
    for line in machine.part(plug_console, "received").decode().splitlines():
        topic, _, text = line.partition(" ")
        readings.setdefault(topic.removeprefix("sensors/vm/"), []).append(json.loads(text))
    return readings


@pytest.mark.parametrize("step", STEPS)
def test_confined_service_follows_lines_and_boards(plug_console: str, step: str) -> None:
    assert re.search(rf"^REACHED {step}$", plug_console, re.M), plug_console[-6000:]


def test_nothing_failed_on_the_way(plug_console: str) -> None:
    assert re.findall(r"^FAILED .*$", plug_console, re.M) == []


@pytest.mark.parametrize(
    "step, sensor, cause",
    [
        ("boards-absent", "desk", "device-absent"),
        ("board-fails-alone", "desk", "device-lost"),
        ("line-fails-alone", "hall", "sensor-failing"),
        ("driver-fails-alone", "loft", "sensor-failing"),
    ],
)
def test_each_of_the_three_drivers_fails_for_itself(
    states: dict[str, Any], step: str, sensor: str, cause: str
) -> None:
    assert states[step][sensor]["cause"] == cause
    others = {"hall", "loft"} if step == "boards-absent" else {*BOARDS, "hall", "loft"} - {sensor}
    assert {states[step][other]["state"] for other in others} == {"ok"}


def test_each_of_the_three_drivers_is_published_and_gives_nobody_else_s_values(
    plug_console: str, received: dict[str, list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(capsys, "published: " + ", ".join(f"{name} {len(of)}" for name, of in received.items()))
    assert set(received) == {"hall", "loft", *BOARDS}
    for name, temperature in BOARDS.items():
        assert {str(reading["temperature"]) for reading in received[name]} == {temperature}
    for name, sent in (("hall", "sent"), ("loft", "sent-to-driver")):
        given = [reading_of(raw) for raw in machine.part(plug_console, sent).decode().split()]
        for reading in received[name]:
            assert f"t={reading['temperature']:.1f},rh={reading['humidity']:.1f}" in given


def test_udev_names_boards_and_hands_devices_to_their_groups(plug_console: str) -> None:
    assert machine.part(plug_console, "chip").split() == [b"gpio", b"660"]
    ports = machine.part(plug_console, "ports").decode().splitlines()
    assert ports == [f"/dev/{name} dialout 660" for name in ("ttyACM0", "ttyACM1", "ttyUSB0")]
    links = machine.part(plug_console, "links").decode()
    for serial, port in (("7533", "ttyACM0"), ("7534", "ttyACM1"), (machine.Hands.SERIAL, "ttyUSB0")):
        assert re.search(rf"^/dev/sensorgw/by-serial/{serial} \S*{port}$", links, re.M), links
        assert re.search(rf"^/dev/sensorgw/by-path/\S+ \S*{port}$", links, re.M), links


def test_udev_keeps_modem_manager_from_boards_and_leaves_bridges_alone(plug_console: str) -> None:
    board = machine.part(plug_console, "board-properties").decode()
    assert "ID_MM_DEVICE_IGNORE=1" in board and "ID_MM_PORT_IGNORE=1" in board
    assert "ID_MM" not in machine.part(plug_console, "bridge-properties").decode()


def test_service_is_never_restarted_and_never_complains_of_permission(plug_console: str) -> None:
    unit = machine.part(plug_console, "unit").decode()
    assert "NRestarts=0" in unit and "ActiveState=active" in unit
    journal = machine.part(plug_console, "journal").decode()
    for complaint in ("device-denied", "device-busy", "may not be opened", "no permission"):
        assert complaint not in journal


@dataclass(frozen=True)
class Entry:
    """Of the journal."""

    at_s: float
    message: str
    sensor: str  # "": not of the service
    is_kernel: bool


def journal_of(console: str) -> list[Entry]:
    entries = []
    for line in machine.part(console, "journal").decode().splitlines():
        entry = json.loads(line)
        is_kernel = entry.get("_TRANSPORT") == "kernel"
        at_us = entry.get("_SOURCE_MONOTONIC_TIMESTAMP") if is_kernel else None
        entries.append(
            Entry(int(at_us or entry["__MONOTONIC_TIMESTAMP"]) / 1e6, str(entry["MESSAGE"]),
                  entry.get("SENSORGW_SENSOR", ""), is_kernel)
        )
    entries = sorted(entries, key=lambda entry: entry.at_s)
    begin = next(i for i, entry in enumerate(entries) if entry.message == "BEGIN-CYCLES")
    return entries[begin:]


def ports_of_cycles(console: str) -> list[dict[str, str]]:
    """Which port each board had."""
    cycles = []
    for line in machine.part(console, "names").decode().splitlines():
        words = line.replace("/dev/", "").split()
        cycles.append({"bench": "ttyUSB0", **dict(zip(words[::2], words[1::2]))})
    return cycles


def test_boards_are_open_again_two_seconds_after_any_plug(
    plug_console: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the moment when the kernel has the port until the service has opened it."""
    ports = ports_of_cycles(plug_console)
    plugged: dict[str, float] = {}
    took: dict[str, list[float]] = {name: [] for name in BOARDS}
    for entry in journal_of(plug_console):
        port = re.search(r"(ttyACM\d+): USB ACM|attached to (ttyUSB\d+)", entry.message)
        if entry.is_kernel and port:
            plugged[port[1] or port[2]] = entry.at_s
        if entry.sensor in BOARDS and " is open at " in entry.message:
            name = ports[len(took[entry.sensor])][entry.sensor]
            took[entry.sensor].append(entry.at_s - plugged.pop(name))
    tell(capsys, *(f"{name}: plugged in {len(all_s)} times, open after {min(all_s):.2f} to "
                   f"{max(all_s):.2f} s, looked for in vain after the plug "
                   f"{sum(s > 1 for s in all_s)} times" for name, all_s in took.items()))
    for name, all_s in took.items():
        assert len(all_s) == CYCLES, name
        assert max(all_s) < REOPEN_S, name


def test_boards_are_followed_to_other_numbers(
    plug_console: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ports = ports_of_cycles(plug_console)
    assert len(ports) == CYCLES
    for i, of in enumerate(ports):
        assert (of["desk"], of["shelf"]) == (f"ttyACM{1 - i % 2}", f"ttyACM{i % 2}")
    tell(capsys, f"renumbered {CYCLES - 1} times")


def test_no_descriptor_is_leaked(plug_console: str, capsys: pytest.CaptureFixture[str]) -> None:
    counts = list(map(int, machine.part(plug_console, "descriptors").split()))
    tell(capsys, f"descriptors: {counts[0]} before, {counts[-1]} after, {max(counts)} at most")
    assert len(counts) == CYCLES + 1
    assert counts[-1] == counts[0]
