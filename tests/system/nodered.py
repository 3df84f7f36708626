#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A throw-away Node-RED with the shipped flow and dashboard.

As a program it starts one, prints `URL u` and runs until SIGTERM, SIGINT or the end of its
standard input:

    nodered.py --pki PKI --port PORT --dir DIR --modules DIR [--name dashboard]
"""

import argparse
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from rabbitmq import free_block, is_open
from waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "conf" / "node-red"

INSTALL_S = 600  # 30 to 50 s, from npm's registry; once for each build folder
START_S = 60  # about 3 s on an idle machine

NODE = os.environ.get("SENSORGW_NODE", "node")  # another Node.js than the machine's own


def installed(folder: Path, source: Path) -> Path:
    """`folder` with the packages of source/package-lock.json, exactly; fetched when that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (source / "package-lock.json").read_bytes()
    done = folder / "installed.json"
    if not done.exists() or done.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder / name)
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_S,
        )
        done.write_bytes(lock)
    return folder


class NodeRed:
    """
    One Node-RED. Its files are in `folder`: flows.json, settings.js (the shipped ones unless they
    are there), nodered.log.

        with NodeRed(tmp_path, modules, pki.folder, broker.port) as nodered:
            ... nodered.dashboard ...

    modules       where `installed` has put its packages
    environment   more variables for settings.js, such as SENSORGW_EDITOR_HASH
    """

    def __init__(self, folder: Path, modules: Path, pki: Path, port: int, name: str = "dashboard",
                 environment: Mapping[str, str] | None = None) -> None:
        self.port = free_block()
        scheme = "https" if "SENSORGW_HTTPS_CERT" in (environment or {}) else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._tls = ssl.create_default_context(cafile=str(pki / "ca.pem"))
        self.dashboard = f"{self.url}/dashboard/sensors"
        self.log = folder / "nodered.log"
        self._folder, self._modules = folder, modules
        folder.mkdir(parents=True, exist_ok=True)
        for file in ("flows.json", "settings.js"):
            if not (folder / file).exists():
                shutil.copy(SHIPPED / file, folder / file)
        self._environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8",
            "SENSORGW_HTTP_PORT": str(self.port),
            "SENSORGW_MQTT_HOST": "localhost", "SENSORGW_MQTT_PORT": str(port),
            "SENSORGW_CLIENT_ID": f"{name}-nodered", "SENSORGW_CA": str(pki / "ca.pem"),
            "SENSORGW_CERT": str(pki / f"{name}.pem"), "SENSORGW_KEY": str(pki / f"{name}.key"),
            **(environment or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "NodeRed":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, connected: bool = True, path: str = "/dashboard") -> None:
        """Returns when the dashboard answers, and unless told otherwise the broker too."""
        assert self._process is None, "already started"
        since = len(self.log_text())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", NODE, "node_modules/node-red/red.js",
                 "--userDir", self._folder, "--settings", self._folder / "settings.js"],
                cwd=self._modules, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )

        def ready() -> bool:
            if self._process.poll() is not None:
                raise RuntimeError(f"Node-RED did not start:\n{self.log_text()[since:]}")
            if connected and "Connected to broker" not in self.log_text()[since:]:
                return False
            return is_open(self.port) and b"<html" in self.get(path)[:400].lower()

        wait_until(ready, START_S, "Node-RED to start")

    def stop(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def get(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(self.url + path, timeout=10, context=self._tls) as answer:
                return answer.read()
        except OSError:
            return b""

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="a throw-away Node-RED on loopback")
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True, help="of the broker")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--modules", type=Path, required=True, help="for npm's packages, kept")
    parser.add_argument("--name", default="dashboard")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    modules = installed(options.modules.resolve(), SHIPPED)
    with NodeRed(options.dir.resolve(), modules, options.pki.resolve(), options.port,
                 options.name) as one:
        print(f"URL {one.dashboard}", flush=True)
        while True:
            select.select([sys.stdin], [], [])
            if not os.read(sys.stdin.fileno(), 4096):
                return 0


if __name__ == "__main__":
    sys.exit(main())
