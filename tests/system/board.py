# SPDX-License-Identifier: MIT
"""An Arduino for tests: the real firmware image on tests/emulator/avrnode, driven by commands."""

import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

ANSWER_TIMEOUT_S = 10


def build_folder() -> Path:
    """The meson build folder under test: $SENSORGW_BUILD."""
    return Path(os.environ["SENSORGW_BUILD"]).resolve()


def emulator_path() -> Path:
    return build_folder() / "tests/emulator/avrnode"


def image_path(name: str = "sgw-node") -> Path:
    return build_folder() / "firmware" / f"{name}.elf"


class BoardError(Exception):
    """The emulator refused a command, did not answer, or has ended."""


class Board:
    """
    One emulated board. Its files are in `folder`: NAME (link to the serial port), NAME.ledger
    (frames handed to whoever had the port open), NAME.log (what the emulator says).

        with Board(tmp_path, node=7) as board:
            board.command("t 21.5")     # seen in the second reading after it, as with a real DHT11
            open(board.link) ...

    Options of avrnode that have no argument here go into `options`: Board(folder, "--no-dtr").
    Opening the port resets the board unless --no-dtr is given. The emulator ends when this process
    does, whatever happens to it.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        name: str = "ttySGW0",
        elf: Path | None = None,
        csv: str | None = None,
        node: int | None = None,
        speed: float = 1,
    ) -> None:
        self.link = folder / name
        self.ledger = folder / f"{name}.ledger"
        self.log = folder / f"{name}.log"
        self.port: Path | None = None  # the /dev/pts/N behind the link
        self._arguments: list[Any] = [emulator_path(), "--elf", elf or image_path()]
        self._arguments += ["--link", self.link, "--ledger", self.ledger, "--speed", f"{speed:g}"]
        if csv is not None:
            path = folder / f"{name}.csv"
            path.write_text(csv)
            self._arguments += ["--csv", path]
        if node is not None:
            self._arguments += ["--node", str(node)]
        self._arguments += options
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""

    def __enter__(self) -> "Board":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        assert self._process is None, "already started"
        self._pending = b""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        try:
            self.port = Path(self._read_line().removeprefix("PORT "))
        except BoardError:
            self.stop()
            raise

    def stop(self) -> int:
        """Ends the emulator, as if the board had been unplugged. Returns its exit status."""
        process = self._process
        if process is None:
            return 0
        self._process = None
        assert process.stdin and process.stdout
        process.stdin.close()
        try:
            return process.wait(ANSWER_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            process.stdout.close()

    def kill(self) -> None:
        """Ends it by SIGKILL: the port hangs up and the link is left dangling."""
        assert self._process is not None
        self._process.kill()
        self.stop()

    def command(self, command: str) -> str:
        """Gives one command; returns what follows "ok", or raises BoardError."""
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._error(f"ended before {command!r}") from error
        answer = self._read_line()
        if answer.split(" ")[0] != "ok":
            raise BoardError(f"{command!r}: {answer}")
        return answer.removeprefix("ok").strip()

    def statistics(self) -> dict[str, float]:
        """Counters of the emulator, see tests/emulator/commands.c."""
        pairs = (pair.split("=") for pair in self.command("stat").split())
        return {key: float(value) for key, value in pairs}

    def plug(self) -> None:
        answer = self.command("plug")
        self.port = Path(answer.removeprefix("port="))

    def unplug(self) -> None:
        self.command("unplug")
        self.port = None

    def frames_sent(self) -> list[str]:
        """Every whole frame that has been handed to an open port, without its line end."""
        if self._process is not None:
            self.command("stat")  # answered after what was handed over has been written down
        return self.ledger.read_text().splitlines()

    def _read_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        fd = self._process.stdout.fileno()
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while b"\n" not in self._pending:
            if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise self._error("no answer")
            chunk = os.read(fd, 4096)
            if not chunk:
                raise self._error("ended")
            self._pending += chunk
        line, self._pending = self._pending.split(b"\n", 1)
        return line.decode()

    def _error(self, what: str) -> BoardError:
        said = self.log.read_text(errors="replace").splitlines()[-5:]
        return BoardError(" | ".join([f"emulator: {what}", *said]))
