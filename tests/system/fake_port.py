# SPDX-License-Identifier: MIT
"""A serial port whose board is the test itself: it writes each frame, or what is none."""

import binascii
import fcntl
import os
import pty
import select
import termios
import tty
from pathlib import Path

from waiting import wait_until


def framed(kind: str, node: int, seq: int, up_ms: int, **fields: str) -> str:
    """One line of docs/frame.md, without its end."""
    pairs = [f"{key}={value}" for key, value in fields.items()]
    body = ",".join(["SGW1", kind, str(node), str(seq), str(up_ms), *pairs])
    return f"${body}*{binascii.crc_hqx(body.encode(), 0xFFFF):04X}"


class FakePort:
    """
    A pseudo-terminal. Any number of nodes speak on it; each has a seq and an uptime of its own.

        with FakePort() as port:            # port.path is the device
            port.wait_for_reader()
            port.reading(7, t="21.5", rh="45.0")
    """

    def __init__(self) -> None:
        self._master, self._terminal = pty.openpty()
        tty.setraw(self._terminal)
        self.path = Path(os.ttyname(self._terminal))
        self._seq: dict[int, int] = {}
        self._up_ms: dict[int, int] = {}
        self._last = b""

    def __enter__(self) -> "FakePort":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Pulls the plug."""
        for fd in (self._terminal, self._master):
            if fd >= 0:
                os.close(fd)
        self._terminal = self._master = -1

    def forget_reader(self) -> None:
        """
        After a reader's death. A port is gone with its last reader, and so is his claim to have it
        alone; a terminal whose other end is open remembers it, and lets in nobody but root.
        """
        fcntl.ioctl(self._terminal, termios.TIOCNXCL)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._master, data) :]

    def line(self, kind: str, node: int, **fields: str) -> None:
        """The node's next frame, two seconds of its time after the last."""
        seq = self._seq[node] = (self._seq.get(node, -1) + 1) % 65536
        up_ms = self._up_ms[node] = self._up_ms.get(node, -2000) + 2000
        self._last = framed(kind, node, seq, up_ms, **fields).encode() + b"\r\n"
        self.write(self._last)

    def hello(self, node: int = 1, interval_ms: int = 2000) -> None:
        self.line("H", node, fw="0.1.0", sens="dht11", int=str(interval_ms), rst="P")

    def reading(self, node: int = 1, **quantities: str) -> None:
        self.line("R", node, **quantities)

    def error(self, node: int = 1, err: str = "noresp") -> None:
        self.line("E", node, src="dht11", err=err, bits="0", n="1")

    def lose(self, frames: int, node: int = 1) -> None:
        """These frames of the node got lost on the way."""
        self._seq[node] += frames
        self._up_ms[node] += 2000 * frames

    def double_last(self) -> None:
        self.write(self._last)

    def restart(self, node: int = 1) -> None:
        del self._seq[node], self._up_ms[node]

    def wait_for_reader(self, timeout: float = 30) -> None:
        """
        Whoever opens the port asks for a hello, and again some seconds later: for the first reader
        of this port. Of a later one wait for its log entry (Gateway.wait_open).
        """

        def asked() -> bool:
            ready = select.select([self._master], [], [], 0)[0]
            return bool(ready) and b"?" in os.read(self._master, 256)

        wait_until(asked, timeout, "somebody to open the port")
