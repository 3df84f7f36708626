# SPDX-License-Identifier: MIT
"""firmware/flash.sh: avrdude, the boot loaders and the images are the real ones, the board is emulated."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from board import Board, image_path
from gateway import executable
from optiboot import OLD_NANO, build_optiboot
from terminal import Terminal
from waiting import wait_until

EXIT_FAILED = 1
EXIT_USAGE = 2
RUN_S = 150
SOURCE = Path(__file__).parents[2]

EMPTY = "int main(void) { for (;;) {} }\n"

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(not image_path().exists(), reason="no firmware image: see tests/packages.txt"),
]


@pytest.fixture(scope="module")
def optiboot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_optiboot(tmp_path_factory.mktemp("optiboot"))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board that has another program than ours, which says nothing."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "empty.c").write_text(EMPTY)
    elf = folder / "empty.elf"
    command = ["avr-gcc", "-Os", "-mmcu=atmega328p", folder / "empty.c", "-o", elf]
    subprocess.run(command, check=True, timeout=60)
    subprocess.run(
        ["avr-objcopy", "-O", "ihex", elf, elf.with_suffix(".hex")], check=True, timeout=60
    )
    return elf


class Flasher:
    """flash.sh of a checkout whose build folder is the one under test."""

    def __init__(self, build: Path, folder: Path) -> None:
        self.folder = folder
        sketch = folder / "firmware/sgw-node"
        sketch.mkdir(parents=True)
        shutil.copy(SOURCE / "firmware/sgw-node/sgw-node.ino", sketch)
        self.script = Path(shutil.copy(SOURCE / "firmware/flash.sh", folder / "firmware"))
        (folder / "build").symlink_to(build)

    def run(
        self, *words: Any, prefix: Sequence[str] = (), ports: list[dict[str, Any]] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """ports   what `sensorgw ports --json` shows, instead of this machine's"""
        environment = dict(os.environ)
        if ports is not None:
            environment["SENSORGW"] = str(self._sensorgw_with(ports))
        return subprocess.run(
            [*prefix, str(self.script), *map(str, words)], env=environment, timeout=RUN_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def _sensorgw_with(self, ports: list[dict[str, Any]]) -> Path:
        """The machine has no board, or somebody's own: only what is said of ports is put here."""
        (self.folder / "ports.json").write_text(json.dumps(ports, indent="\t") + "\n")
        program = self.folder / "sensorgw"
        daemon = executable(Path(os.environ["SENSORGW_BUILD"]))
        program.write_text(
            f'#!/bin/sh\nif [ "$1" = ports ]; then exec cat {self.folder}/ports.json; fi\n'
            f'exec {daemon} "$@"\n'
        )
        program.chmod(0o755)
        return program


@pytest.fixture
def flasher(build: Path, tmp_path: Path) -> Flasher:
    return Flasher(build, tmp_path / "checkout")


def uno(port: Any, serial: str = "7533", **more: Any) -> dict[str, Any]:
    """As `sensorgw ports --json` shows an Arduino UNO."""
    return {
        "port": str(port),
        "device": f"usb:2341:0043:{serial}",
        "description": "ttyACM0",
        "vendor_id": "2341",
        "product_id": "0043",
        "manufacturer": "Arduino (www.arduino.cc)",
        "product": "",
        "serial": serial,
        "holder_visible": True,
        "holder": None,
        **more,
    }


def test_an_empty_board_gives_its_first_reading(
    flasher: Flasher, tmp_path: Path, empty: Path, optiboot: Path
) -> None:
    with Board(tmp_path, "--bootloader", str(optiboot), "--strict-baud", elf=empty) as board:
        board.command("t 23.4")
        board.command("rh 56.7")
        done = flasher.run(ports=[uno(board.port)])
        assert done.returncode == 0, done.stdout
        assert f"{board.port}: Arduino UNO, usb:2341:0043:7533" in done.stdout
        assert "Flashing sgw-node.hex at 115200 baud" in done.stdout
        assert "23.4 °C" in done.stdout and "56.7 %" in done.stdout, done.stdout
        assert 'device = "usb:2341:0043:7533";' in done.stdout
        with Terminal(board.link) as terminal:
            assert terminal.frame("R").fields == {"rh": "56.7", "t": "23.4"}


def test_an_older_nano_is_found_out_and_gets_its_own_image(
    flasher: Flasher, tmp_path: Path, empty: Path
) -> None:
    with Board(tmp_path, "--bootloader", str(OLD_NANO), "--strict-baud", elf=empty) as board:
        done = flasher.run(board.link)
        assert done.returncode == 0, done.stdout
        assert "trying the boot loader of an older Nano" in done.stdout
        assert "Flashing sgw-node-old-nano.hex at 57600 baud" in done.stdout
        assert "21.5 °C" in done.stdout
        with Terminal(board.link) as terminal:
            terminal.frame("R")
            board.command("hang")
            resets = board.statistics()["watchdog_resets"]
            begin = board.statistics()["time_s"]
            wait_until(lambda: board.statistics()["time_s"] > begin + 4, 60, "four virtual seconds")
            assert board.statistics()["watchdog_resets"] == resets, "it has no watchdog"


@pytest.mark.parametrize("options", [[], ["--no-dtr"]], ids=["fresh", "had-open-by-sensorgw"])
def test_a_board_gets_its_number_and_keeps_it(
    flasher: Flasher, tmp_path: Path, options: list[str]
) -> None:
    with Board(tmp_path, *options) as board:
        done = flasher.run("--only-node", "--node", "4711", board.link)
        assert done.returncode == 0, done.stdout
        assert "The board is number 4711 now." in done.stdout and "Flashing" not in done.stdout
        with Terminal(board.link) as terminal:
            terminal.write(b"?")
            assert terminal.frame("H").node == 4711


def test_a_board_is_flashed_and_numbered_in_one_go(
    flasher: Flasher, tmp_path: Path, empty: Path, optiboot: Path
) -> None:
    with Board(tmp_path, "--bootloader", str(optiboot), elf=empty) as board:
        done = flasher.run("--board", "uno", "--node", "7", board.link)
        assert done.returncode == 0, done.stdout
        with Terminal(board.link) as terminal:
            assert terminal.frame("R").node == 7


def test_a_board_without_boot_loader_shows_what_avrdude_said(
    flasher: Flasher, tmp_path: Path
) -> None:
    with Board(tmp_path) as board:
        done = flasher.run("--board", "uno", board.link)
        assert done.returncode == EXIT_FAILED
        assert "not in sync" in done.stdout and "could not flash the board" in done.stdout
        assert "--board old-nano" in done.stdout, "and what to try"


def test_an_image_that_says_nothing_is_noticed(
    flasher: Flasher, tmp_path: Path, empty: Path, optiboot: Path
) -> None:
    with Board(tmp_path, "--bootloader", str(optiboot)) as board:
        done = flasher.run("--image", empty.with_suffix(".hex"), board.link)
        assert done.returncode == EXIT_FAILED
        assert "the board says nothing" in done.stdout, done.stdout


def test_a_board_whose_sensor_fails_is_told_from_a_silent_one(
    flasher: Flasher, tmp_path: Path
) -> None:
    with Board(tmp_path) as board:
        board.command("fault noresp")
        done = flasher.run("--only-node", "--node", "2", board.link)
        assert done.returncode == EXIT_FAILED
        assert "the board runs the sketch, its sensor gives no reading" in done.stdout
        assert "wiring" in done.stdout


def test_a_held_port_is_refused_and_its_holder_named(
    flasher: Flasher, build: Path, tmp_path: Path
) -> None:
    with Board(tmp_path) as board:
        with (tmp_path / "monitor.out").open("wb") as output:
            monitor = subprocess.Popen([executable(build), "monitor", board.link], stdout=output)
        try:
            wait_until(lambda: board.statistics()["open"], 30, "the monitor to open the port")
            holder = {"pid": monitor.pid, "command": "sensorgw"}
            visible = flasher.run(board.port, ports=[uno(board.port, holder=holder)])
            unseen = flasher.run(board.port, ports=[uno(board.port)])
            resets = board.statistics()["resets"]
        finally:
            monitor.kill()
            monitor.wait()
        assert visible.returncode == unseen.returncode == EXIT_FAILED
        assert f"is held by sensorgw (pid {monitor.pid})" in visible.stdout
        assert f"another program holds {board.port}" in unseen.stdout
        assert "sudo sensorgw ports" in unseen.stdout
        assert board.statistics()["resets"] == resets, "the board was left alone"


def test_a_port_without_permission_says_which_group(flasher: Flasher, tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        assert board.port
        board.port.chmod(0)
        # root may open everything, unless the capabilities for that are taken away
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
        prefix = drop if os.geteuid() == 0 else []
        done = flasher.run(board.port, ports=[uno(board.port)], prefix=prefix)
        assert done.returncode == EXIT_FAILED
        assert f"you may not open {board.port}" in done.stdout
        assert f"usermod -aG {board.port.group()}" in done.stdout


def test_boards_are_listed_and_must_be_chosen(flasher: Flasher) -> None:
    ports = [uno("/dev/ttyACM0", "1"), uno("/dev/ttyACM1", "2", holder={"pid": 77, "command": "cat"}),
             {"port": "/dev/ttyS0", "device": "/dev/ttyS0", "description": "ttyS0",
              "holder_visible": True, "holder": None}]  # fmt: skip
    listed = flasher.run("--list", ports=ports)
    assert listed.returncode == 0
    assert len(listed.stdout.splitlines()) == 2, "a port without a USB id is no board"
    assert "usb:2341:0043:2, held by cat (pid 77)" in listed.stdout
    undecided = flasher.run(ports=ports)
    assert undecided.returncode == EXIT_FAILED
    assert "there are 2 boards: /dev/ttyACM0 /dev/ttyACM1" in undecided.stdout


def test_no_board_is_an_error_with_a_cure(flasher: Flasher) -> None:
    for words in ((), ("--list",)):
        done = flasher.run(*words, ports=[])
        assert done.returncode == EXIT_FAILED
        assert "no board is plugged in" in done.stdout and "carries data" in done.stdout
    done = flasher.run("/dev/ttyACM7", ports=[])
    assert done.returncode == EXIT_FAILED and "there is no port /dev/ttyACM7" in done.stdout


@pytest.mark.parametrize(
    "words", [["--node"], ["--node", "0"], ["--node", "65536"], ["--board", "mega"], ["--nonsense"],
              ["--only-node"], ["a", "b"]]
)  # fmt: skip
def test_wrong_usage_is_explained(flasher: Flasher, words: list[str]) -> None:
    done = flasher.run(*words, ports=[])
    assert done.returncode == EXIT_USAGE and "usage: sensorgw-flash" in done.stdout
