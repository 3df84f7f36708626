# SPDX-License-Identifier: MIT
"""A throw-away Mosquitto with mutual TLS: the broker for tests that need a quick one."""

import os
import signal
import subprocess
from pathlib import Path

from pki import Pki
from rabbitmq import free_block, is_open
from waiting import wait_until

START_S = 20


class Mosquitto:
    """
    One broker. stop() and start() keep its sessions and their queues, without any bound on them.

        with Mosquitto(tmp_path, pki) as broker:
            ... broker.port ...
    """

    host = "localhost"

    def __init__(self, folder: Path, pki: Pki, name: str = "mosquitto") -> None:
        self.port = free_block()
        self.log = folder / f"{name}.log"
        self._configuration = folder / f"{name}.conf"
        data = folder / name
        data.mkdir()
        self._configuration.write_text(
            f"user root\n"
            f"listener {self.port} 127.0.0.1\n"
            f"cafile {pki.ca}\n"
            f"certfile {pki.certificate('localhost')}\n"
            f"keyfile {pki.key('localhost')}\n"
            f"require_certificate true\n"
            f"use_identity_as_username true\n"
            f"allow_anonymous false\n"
            f"persistence true\n"
            f"persistence_location {data}/\n"
            f"max_queued_messages 0\n"
            f"max_inflight_messages 1000\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Mosquitto":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        assert self._process is None, "already started"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "mosquitto", "-c", self._configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_up, START_S, "Mosquitto to start")

    def stop(self) -> None:
        """As a shutdown does: what it holds is saved."""
        if self._process is None:
            return
        self.thaw()
        self._process.terminate()
        try:
            self._process.wait(START_S)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"Mosquitto did not start:\n{self.log.read_text()}")
        return is_open(self.port)
