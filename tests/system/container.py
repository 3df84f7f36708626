# SPDX-License-Identifier: MIT
"""A booted Debian: a real systemd in systemd-nspawn, with a network of its own, thrown away after.

The root is only read: what the container writes is in memory, and gone with it, unless asked for.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from board import Board
from roots import ENVIRONMENT, RootFailed
from waiting import wait_until

BOOT_S = 60  # about 1 s on an idle machine
STOP_S = 30
COMMAND_S = 180
HIERARCHIES = [Path("/sys/fs/cgroup") / name for name in ("systemd", "unified", "")]


class CommandFailed(Exception):
    """A command in the container ended with another status than 0."""


class Container:
    """
    One booted root. Commands run in it as root:

        with Container(root, tmp_path, "sgw-test") as machine:
            machine.run("systemctl", "start", "sensorgw")

    network   share the host's network instead of having an own with loopback alone
    writes    write into the root itself: for one that is a copy, and much that is written
    """

    def __init__(self, root: Path, folder: Path, name: str, network: bool = False,
                 writes: bool = False) -> None:  # fmt: skip
        self.name = f"{name}-{os.getpid()}"
        self.log = folder / f"{name}.console"
        self._root = root
        self._network = network
        self._writes = writes
        self._process: subprocess.Popen[bytes] | None = None
        self.leader = 0

    def __enter__(self) -> "Container":
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.power_off()

    # --- life

    def boot(self) -> None:
        groups = self._make_groups()
        network = [] if self._network else ["--private-network"]
        resolver = ["--resolv-conf=copy-host"] if self._network else ["--resolv-conf=off"]
        command = [
            "systemd-nspawn", "--quiet", "--boot", "--directory", str(self._root),
            f"--volatile={'no' if self._writes else 'overlay'}", "--keep-unit", "--register=no",
            f"--machine={self.name}",
            "--console=pipe", "--link-journal=no", "--timezone=off", *network, *resolver,
            # nspawn forbids even to ask whether the clock is synchronised. Setting it takes a
            # capability, which the container does not have.
            "--system-call-filter=adjtimex clock_adjtime",
        ]  # fmt: skip
        # In control groups of its own, so that nothing of it is in the host's root groups.
        enter = "".join(f"echo $$ > {group}/cgroup.procs; " for group in groups)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f"{enter} exec {shlex.join(command)}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
                start_new_session=True,
            )  # fmt: skip
        try:
            wait_until(self._has_booted, BOOT_S, f"{self.name} to boot")
        except BaseException:
            self.power_off()
            raise

    def power_off(self) -> None:
        """Ends it as `poweroff` does, and removes its control groups."""
        process, self._process = self._process, None
        if process is None:
            return
        self._signal(process, signal.SIGRTMIN + 4)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._signal(process, signal.SIGKILL)  # and with it all of its namespace
            process.kill()
            process.wait()
        wait_until(self._remove_groups, STOP_S, f"the control groups of {self.name} to go")

    def _signal(self, process: subprocess.Popen[bytes], number: int) -> None:
        if process.poll() is None and self._find_leader(process):
            try:
                os.kill(self.leader, number)
            except ProcessLookupError:
                pass

    def _find_leader(self, process: subprocess.Popen[bytes]) -> bool:
        """Its process 1. While it is being set up, others have their turn."""
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        except OSError:
            return False
        self.leader = int(children[0]) if children else 0
        return self.leader > 0

    def _groups(self) -> list[Path]:
        return [path / self.name for path in HIERARCHIES if (path / "cgroup.procs").exists()]

    def _make_groups(self) -> list[Path]:
        groups = self._groups()
        for group in groups:
            group.mkdir()
        return groups

    def _remove_groups(self) -> bool:
        for group in self._groups():
            for path, _, _ in os.walk(group, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    return False
        return True

    def _has_booted(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RootFailed(f"systemd-nspawn ended:\n{self.log.read_text(errors='replace')}")
        if not self._find_leader(self._process):
            return False
        done = self.try_run("systemctl", "is-system-running")
        return done.stdout.strip() in ("running", "degraded")

    # --- commands

    def command(self, *words: Any, user: str | None = None) -> list[str]:
        """The command as the host has to give it."""
        environment = {**ENVIRONMENT, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"}
        as_user = ["runuser", "-u", user, "--"] if user else []
        return ["nsenter", "--target", str(self.leader), "--mount", "--pid", "--uts", "--ipc",
                "--net", "--cgroup", "--root", "--wd", "--", "env", "-i",
                *(f"{key}={value}" for key, value in environment.items()),
                *as_user, *map(str, words)]  # fmt: skip

    def try_run(self, *words: Any, user: str | None = None,
                timeout: float = COMMAND_S) -> subprocess.CompletedProcess[str]:  # fmt: skip
        return subprocess.run(
            self.command(*words, user=user), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=timeout,
        )  # fmt: skip

    def run(self, *words: Any, user: str | None = None, timeout: float = COMMAND_S) -> str:
        done = self.try_run(*words, user=user, timeout=timeout)
        if done.returncode != 0:
            raise CommandFailed(
                f"{shlex.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def shell(self, text: str, timeout: float = COMMAND_S) -> str:
        return self.run("sh", "-ec", text, timeout=timeout)

    # --- files

    def path(self, inside: str | Path) -> Path:
        """Where the host sees a file of the container."""
        return Path(f"/proc/{self.leader}/root") / str(inside).lstrip("/")

    def put(self, source: Path, inside: str, mode: int = 0o644) -> None:
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(mode)

    def write(self, inside: str, text: str) -> None:
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    # --- systemd

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        text = self.run("systemctl", "show", unit, *(f"--property={name}" for name in properties))
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def journal(self, *words: str) -> list[dict[str, Any]]:
        """Entries as journald has them."""
        text = self.run("journalctl", "--no-pager", "--output=json", *words)
        return [json.loads(line) for line in text.splitlines()]

    def wait_show(self, unit: str, name: str, value: str, timeout: float = 30) -> float:
        """Waits for a property; returns how long it took."""
        begin = time.monotonic()
        wait_until(
            lambda: self.show(unit, name)[name] == value, timeout, f"{name}={value} of {unit}"
        )
        return time.monotonic() - begin


class ContainerBoard(Board):
    """The emulated board, in the container: its port is /run/board/NAME there."""

    def __init__(self, machine: Container, folder: Path, emulator: Path, elf: Path,
                 *options: str, **settings: Any) -> None:  # fmt: skip
        machine.put(emulator, "/opt/avrnode", 0o755)
        machine.put(elf, "/opt/sgw-node.elf")
        inside = Path("/run/board")
        machine.path(inside).mkdir(exist_ok=True)
        super().__init__(inside, *options, elf=Path("/opt/sgw-node.elf"), **settings)
        self._machine = machine
        self.ledger = machine.path(self.ledger)
        self.log = folder / "board.log"
        self._arguments[0:1] = machine.command("/opt/avrnode")

    def start(self) -> None:
        super().start()
        self._hand_over()

    def plug(self) -> None:
        super().plug()
        self._hand_over()

    def _hand_over(self) -> None:
        """As the kernel and udev do with a real port."""
        self._machine.shell(f"chgrp dialout {self.port}; chmod 0660 {self.port}")
