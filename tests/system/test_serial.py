# SPDX-License-Identifier: MIT
"""`sensorgw ports` and `sensorgw monitor`, the latter on an emulated board."""

import json
import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board import Board, image_path
from gateway import executable
from waiting import wait_until

EXIT_FAILED = 1
EXIT_USAGE = 2
RUN_S = 60
FAST = 20  # virtual seconds in a real one

needs_board = pytest.mark.skipif(
    not image_path().exists(), reason="no firmware image: gcc-avr or arduino-core-avr is missing"
)


def run(build: Path, *arguments: Any) -> subprocess.CompletedProcess[str]:
    command = [str(executable(build)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=RUN_S)


class Monitor:
    """A running `sensorgw monitor`; what it says goes into a file."""

    def __init__(self, build: Path, folder: Path, *arguments: Any) -> None:
        self._output = folder / "monitor.out"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [executable(build), "monitor", *map(str, arguments)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def text(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.text, RUN_S, f"the monitor to say {text!r}")

    def interrupt(self) -> int:
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(RUN_S)

    def wait(self) -> int:
        return self._process.wait(RUN_S)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path, speed=FAST) as board:
        board.command("t 20.5")
        board.command("rh 45.0")
        yield board


@needs_board
def test_monitor_shows_hello_and_readings(build: Path, board: Board) -> None:
    result = run(build, "monitor", board.link, "--count", 3)
    assert result.returncode == 0, result.stderr
    assert "sensor dht11, a reading every 2.0 s" in result.stdout
    assert "board 1  20.5 °C  45.0 %" in result.stdout
    assert "readings 3, sensor errors 0, damaged frames 0, lost frames 0" in result.stdout
    assert "\x1b" not in result.stdout


@needs_board
def test_monitor_gives_an_object_per_frame(build: Path, board: Board) -> None:
    result = run(build, "monitor", board.link, "--json", "--count", 3)
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    kinds = [item["type"] for item in objects]
    assert kinds.count("reading") == 3 and "hello" in kinds and kinds[-1] == "summary"
    reading = [item for item in objects if item["type"] == "reading"][-1]
    assert reading["temperature"] == 20.5 and reading["humidity"] == 45.0
    assert reading["node"] == 1 and reading["lost_before"] == 0


@needs_board
def test_monitor_ends_on_interrupt_with_a_summary(
    build: Path, board: Board, tmp_path: Path
) -> None:
    with Monitor(build, tmp_path, board.link) as monitor:
        monitor.wait_for("°C")
        assert monitor.interrupt() == 0
        assert monitor.text.splitlines()[-1].startswith("readings ")


@needs_board
def test_monitor_words_a_failing_sensor(build: Path, board: Board, tmp_path: Path) -> None:
    with Monitor(build, tmp_path, board.link) as monitor:
        monitor.wait_for("°C")
        board.command("fault noresp")
        monitor.wait_for("the sensor does not answer (dht11 noresp")


@needs_board
def test_monitor_shows_noise_without_obeying_it(
    build: Path, board: Board, tmp_path: Path
) -> None:
    with Monitor(build, tmp_path, board.link) as monitor:
        monitor.wait_for("°C")
        board.command("noise \x1b[31mred")
        monitor.wait_for("\\x1b[31mred")
        assert "\x1b" not in monitor.text


@needs_board
def test_monitor_refuses_a_held_port_and_names_its_holder(
    build: Path, board: Board, tmp_path: Path
) -> None:
    with Monitor(build, tmp_path, board.link) as monitor:
        monitor.wait_for("°C")
        result = run(build, "monitor", board.link)
    assert result.returncode == EXIT_FAILED
    assert "is held by sensorgw (pid " in result.stderr
    assert "sensorgw status" in result.stderr


@needs_board
def test_monitor_ends_when_the_board_is_unplugged(
    build: Path, board: Board, tmp_path: Path
) -> None:
    with Monitor(build, tmp_path, board.link) as monitor:
        monitor.wait_for("°C")
        board.unplug()
        assert monitor.wait() == EXIT_FAILED
        assert "went away" in monitor.text


@needs_board
@pytest.mark.parametrize("no_colour", [False, True])
def test_monitor_has_colour_on_a_terminal_only_where_it_is_wanted(
    build: Path, board: Board, no_colour: bool
) -> None:
    environment = {**os.environ, "TERM": "xterm", **({"NO_COLOR": "1"} if no_colour else {})}
    if not no_colour:
        environment.pop("NO_COLOR", None)
    ours, theirs = pty.openpty()
    command = [executable(build), "monitor", board.link, "--count", "1"]
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        assert process.wait(RUN_S) == 0
    shown = os.read(ours, 65536)
    os.close(ours)
    assert b"hello" in shown or b"firmware" in shown
    assert (b"\x1b[36m" in shown) is not no_colour


def test_monitor_says_what_is_wrong_with_a_port(build: Path, tmp_path: Path) -> None:
    absent = run(build, "monitor", tmp_path / "nothing")
    assert absent.returncode == EXIT_FAILED and "sensorgw ports" in absent.stderr
    (tmp_path / "file").touch()
    no_port = run(build, "monitor", tmp_path / "file")
    assert no_port.returncode == EXIT_FAILED and "no serial port" in no_port.stderr


@pytest.mark.parametrize("arguments", [["--baud", "7"], ["--count", "0"], ["--odd"], ["a", "b"]])
def test_monitor_explains_its_use(build: Path, arguments: list[str]) -> None:
    result = run(build, "monitor", *arguments)
    assert result.returncode == EXIT_USAGE
    assert "usage: sensorgw monitor" in result.stderr and result.stdout == ""


def test_ports_are_listed_for_people_and_programs(build: Path) -> None:
    table = run(build, "ports")
    assert table.returncode == 0, table.stderr
    listed = json.loads(run(build, "ports", "--json").stdout)
    for port in listed:
        assert port["port"] in table.stdout and port["device"] in table.stdout
    if not listed:
        assert "No serial port here" in table.stdout


def test_ports_takes_no_argument(build: Path) -> None:
    assert run(build, "ports", "extra").returncode == EXIT_USAGE
