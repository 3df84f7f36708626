# SPDX-License-Identifier: MIT
"""
Sensors without a board: the kernel's by a tree of files such as it would show, a line that is not
there, and what the configuration does to readings. test_vm.py has a line that is.
"""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from board import Board, image_path
from consumer import Consumer
from gateway import Gateway, executable
from pki import Pki
from rabbitmq import GATEWAY, RabbitMQ
from waiting import wait_until

WAIT_S = 40
FAST = 5  # virtual seconds of the board in a real one

needs_board = pytest.mark.skipif(
    not image_path().exists(), reason="no firmware image: gcc-avr or arduino-core-avr is missing"
)


class Device:
    """A sensor as the kernel's IIO drivers show one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "name").write_text("bme280\n")
        self.measure(21500, 45000)

    def measure(self, temperature: object, humidity: object) -> None:
        (self.folder / "in_temp_input").write_text(f"{temperature}\n")
        (self.folder / "in_humidityrelative_input").write_text(f"{humidity}\n")

    def answer(self, *temperatures: int) -> None:
        """Each to one question, in turn; nobody gets an answer who has not asked."""
        files = [self.folder / "in_temp_input", self.folder / "in_humidityrelative_input"]
        for file in files:
            file.unlink()
            os.mkfifo(file)

        def work() -> None:
            for temperature in temperatures:
                for file, value in zip(files, (temperature, 45000)):
                    file.write_text(f"{value}\n")

        threading.Thread(target=work, daemon=True).start()

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"driver": "iio", "device": self.folder, "interval_s": 2, **more}


NO_LINE = {"driver": "gpio", "chip": "pinctrl-nobody", "line": 4}


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path / "iio:device0")


def readings_of(consumer: Consumer, sensor: str) -> list[dict[str, Any]]:
    return [message.json for message in consumer.on(f"sensors/{GATEWAY}/{sensor}")]


def wait_for_readings(consumer: Consumer, sensor: str, count: int) -> list[dict[str, Any]]:
    def enough() -> list[dict[str, Any]]:
        readings = readings_of(consumer, sensor)
        return readings if len(readings) >= count else []

    return wait_until(enough, WAIT_S, f"{count} readings of {sensor}")


def run(build: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [str(executable(build)), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board(tmp_path, speed=FAST) as board:
        yield board


@needs_board
def test_three_drivers_publish_and_fail_each_for_itself(
    tmp_path: Path, pki: Pki, broker: RabbitMQ, consumer: Consumer, board: Board, device: Device
) -> None:
    sensors = {"kitchen": board.link, "loft": device.settings(), "hall": NO_LINE}
    with Gateway(tmp_path, pki, broker.port, sensors) as gateway:
        loft = wait_for_readings(consumer, "loft", 2)[-1]
        assert (loft["temperature"], loft["humidity"]) == (21.5, 45.0)
        wait_for_readings(consumer, "kitchen", 2)
        gateway.wait_sensor("hall", "absent", "device-absent")

        device.measure("warm", 45000)
        failing = gateway.wait_sensor("loft", "failing", "sensor-failing")
        assert failing["failures"]["value"] >= 3
        count = len(readings_of(consumer, "kitchen"))
        wait_for_readings(consumer, "kitchen", count + 2)

        device.measure(22500, 46000)
        gateway.wait_sensor("loft", "ok")
        board.unplug()
        gateway.wait_sensor("kitchen", "absent", "device-lost")
        count = len(readings_of(consumer, "loft"))
        assert wait_for_readings(consumer, "loft", count + 2)[-1]["temperature"] == 22.5


def test_readings_are_corrected_limited_and_thinned_after_a_reload(
    tmp_path: Path, pki: Pki, broker: RabbitMQ, consumer: Consumer, device: Device
) -> None:
    def sensors(**more: Any) -> list[dict[str, Any]]:
        return [{"name": "loft", **device.settings(**more)}]

    sensor = {"loft": device.settings()}
    with Gateway(tmp_path, pki, broker.port, sensor, state={"interval_s": 1}) as gateway:
        wait_for_readings(consumer, "loft", 1)
        gateway.configure(
            sensors=sensors(offset=[{"quantity": "temperature", "value": -1.25}])
        )
        gateway.reload()
        wait_until(
            lambda: readings_of(consumer, "loft")[-1]["temperature"] == 20.3, WAIT_S, "the offset"
        )

        gateway.configure(
            sensors=sensors(limits=[{"quantity": "temperature", "min": 30, "max": 40}])
        )
        gateway.reload()
        refused = gateway.wait_sensor("loft", "failing", "sensor-range")
        assert refused["out_of_range"] >= 3 and refused["readings"] == 0

        gateway.configure(
            sensors=sensors(
                publish={
                    "interval_s": 3600,
                    "change": [{"quantity": "temperature", "value": 0.5}],
                }
            )
        )
        count = len(readings_of(consumer, "loft"))
        gateway.reload()
        wait_for_readings(consumer, "loft", count + 1)
        gateway.wait_state(lambda state: state["sensors"]["loft"]["readings"] >= 3, WAIT_S)
        assert len(readings_of(consumer, "loft")) == count + 1
        device.measure(22000, 45000)
        assert wait_for_readings(consumer, "loft", count + 2)[-1]["temperature"] == 22.0
        assert gateway.state()["sensors"]["loft"]["thinned"] >= 1


def test_check_asks_and_names_what_is_wrong(
    build: Path, tmp_path: Path, pki: Pki, device: Device
) -> None:
    gateway = Gateway(tmp_path, pki, 1, {"loft": device.settings(), "hall": NO_LINE})
    device.answer(10000, 21500)
    told = run(build, "check", "-c", gateway.configuration, "--no-publish").stdout
    assert f"{device.folder}: temperature 21.5, humidity 45.0" in told
    assert "gpio:pinctrl-nobody:4 is not there" in told
    assert "docs/gpio.md" in told

    offline = run(build, "check", "-c", gateway.configuration, "--offline").stdout
    assert f"{device.folder}, not asked" in offline


def test_monitor_asks_the_kernel_s_sensor(build: Path, device: Device) -> None:
    device.answer(10000, 21500)
    told = run(build, "monitor", f"iio:{device.folder}", "--count", 1)
    assert told.returncode == 0 and "21.5 °C  45.0 %" in told.stdout
    assert "10.0" not in told.stdout, "that is what it measured when it was asked before"

    device.answer(10000, 21500)
    objects = run(build, "monitor", f"iio:{device.folder}", "--count", 1, "--json").stdout
    reading, summary = map(json.loads, objects.splitlines())
    assert reading == {"type": "reading", "temperature": 21.5, "humidity": 45.0}
    assert summary["readings"] == 1


@pytest.mark.parametrize("name, status", [("gpio:4", 2), ("gpio::4", 2), ("gpio:pinctrl-nobody:4", 1)])
def test_monitor_refuses_a_line_that_is_none(build: Path, name: str, status: int) -> None:
    assert run(build, "monitor", name).returncode == status
