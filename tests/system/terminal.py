# SPDX-License-Identifier: MIT
"""The host's end of a board's serial port."""

import os
import select
import termios
import time
import tty
from collections.abc import Callable
from pathlib import Path

from frame import Frame


class HungUp(Exception):
    """The port is gone: unplugged, or its board has ended."""


class Terminal:
    """
    A serial port, open and raw at 115200 baud. Everything that was no frame is kept in `damaged`.

        with Terminal(board.link) as terminal:
            frame = terminal.frame("R")
    """

    def __init__(self, path: Path, baud: int = termios.B115200) -> None:
        self.damaged: list[bytes] = []
        self._pending = b""
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._fd, termios.TCSANOW)  # its default throws away what the board has said
        settings = termios.tcgetattr(self._fd)
        settings[4] = settings[5] = baud
        termios.tcsetattr(self._fd, termios.TCSANOW, settings)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)

    def frame(
        self,
        types: str = "HRE",
        where: Callable[[Frame], bool] = lambda _: True,
        timeout: float = 20,
    ) -> Frame:
        """The next frame of one of `types` for which `where` holds; others are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            line = self._line(deadline)
            begin = max(line.rfind(b"$"), 0)
            try:
                frame = Frame.parse(line[begin:])
            except ValueError:
                self.damaged.append(line)
                continue
            if begin > 0:
                self.damaged.append(line[:begin])
            if frame.type in types and where(frame):
                return frame

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._pending:
            if not select.select([self._fd], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(f"no more lines; unfinished: {self._pending!r}")
            self._pending += self._read()
        line, self._pending = self._pending.split(b"\n", 1)
        return line.removesuffix(b"\r")

    def _read(self) -> bytes:
        try:
            chunk = os.read(self._fd, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:  # EIO
            raise HungUp from error
        if not chunk:
            raise HungUp
        return chunk
