# SPDX-License-Identifier: MIT
"""`openssl s_server` as a broker: it does the TLS, and what it decrypts is answered here as MQTT."""

import os
import random
import select
import socket
import subprocess
import threading
from pathlib import Path

from authority import Certificate
from rabbitmq import is_free
from waiting import wait_until

CONNECT, PUBLISH, PINGREQ = 1, 3, 12
PINGRESP = bytes([0xD0, 0])


def is_listening(port: int) -> bool:
    """By /proc, since a connection to ask would be one that the server serves."""
    tables = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    return any(line[3] == "0A" and int(line[1].split(":")[1], 16) == port for line in lines)


given: set[int] = set()


def free_port() -> int:
    """One that was not given before, below those that outgoing connections take."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        if port not in given and is_free(port):
            given.add(port)
            return port
    raise OSError("no free port on loopback")


def split_packet(data: bytes) -> tuple[int, bytes, bytes] | None:
    """(first byte, body, rest), or None while it is not whole."""
    length = shift = 0
    for at, byte in enumerate(data[1:5], start=1):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            body = data[at + 1 :]
            return (data[0], body[:length], body[length:]) if len(body) >= length else None
    return None


class Mqtt:
    """What a broker answers, packet by packet.

    connack        its return code; None: it keeps silent
    acknowledges   PUBLISH, that is
    """

    def __init__(self, connack: int | None = 0, acknowledges: bool = True) -> None:
        self.connack = connack
        self.acknowledges = acknowledges
        self.connects: list[bytes] = []
        self.publishes: list[bytes] = []
        self._pending = b""

    def take(self, data: bytes) -> bytes:
        self._pending += data
        answer = b""
        while packet := split_packet(self._pending):
            first, body, self._pending = packet
            answer += self._answer(first >> 4, first, body)
        return answer

    def forget(self) -> None:
        """A new connection begins."""
        self._pending = b""

    def _answer(self, kind: int, first: int, body: bytes) -> bytes:
        if kind == CONNECT:
            self.connects.append(body)
            return b"" if self.connack is None else bytes([0x20, 2, 0, self.connack])
        if kind == PUBLISH and first & 0x06:
            self.publishes.append(body)
            length = int.from_bytes(body[:2], "big")
            return bytes([0x40, 2]) + body[2 + length : 4 + length] if self.acknowledges else b""
        return PINGRESP if kind == PINGREQ else b""


class OpensslServer:
    """
    with OpensslServer(certificate, "-tls1_2") as server:
        ... server.port ...

    clients    the CA of the certificates that it asks clients for; None: it asks for none
    """

    def __init__(
        self,
        certificate: Certificate,
        *options: object,
        clients: Path | None = None,
        mqtt: Mqtt | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.mqtt = mqtt or Mqtt()
        self.port = port or free_port()
        self._host = f"[{host}]" if ":" in host else host
        self._options = ["-cert", certificate.path, "-key", certificate.key, *options]
        if clients:
            self._options += ["-CAfile", clients, "-Verify", "4", "-verify_return_error"]
        self.said = ""

    def __enter__(self) -> "OpensslServer":
        self._process = subprocess.Popen(
            ["openssl", "s_server", "-quiet", "-accept", f"{self._host}:{self.port}",
             *map(str, self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

        def ready() -> bool:
            assert self._process.poll() is None, f"s_server has ended: {self.said}"
            return is_listening(self.port)

        wait_until(ready, 20, "openssl s_server")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()

    def _serve(self) -> None:
        data, errors = self._process.stdout, self._process.stderr
        open_pipes = [data, errors]
        while open_pipes:
            for pipe in select.select(open_pipes, [], [])[0]:
                chunk = os.read(pipe.fileno(), 65536)
                if not chunk:
                    open_pipes.remove(pipe)
                elif pipe is errors:
                    self.said += chunk.decode(errors="replace")
                else:
                    self._answer(chunk)

    def _answer(self, chunk: bytes) -> None:
        if chunk[0] >> 4 == CONNECT:
            self.mqtt.forget()
        answer = self.mqtt.take(chunk)
        try:
            self._process.stdin.write(answer)
            self._process.stdin.flush()
        except BrokenPipeError:
            pass


class Listener:
    """A socket that is no broker. `handle` gets each connection, and closes it by returning.

    backlog_is_full    it takes no connection at all, and refuses none
    """

    def __init__(self, handle=None, backlog_is_full: bool = False, port: int = 0) -> None:
        self._handle = handle
        self._backlog_is_full = backlog_is_full
        self._wanted = port
        self._ended = threading.Event()
        self.connections = 0

    def __enter__(self) -> "Listener":
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._wanted))
        self._socket.listen(0 if self._backlog_is_full else 16)
        self.port = self._socket.getsockname()[1]
        self._guests: list[socket.socket] = []
        self._thread = None
        if self._backlog_is_full:
            self._fill()
        else:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()
        for one in [self._socket, *self._guests]:
            one.close()

    def _fill(self) -> None:
        for _ in range(4):
            guest = socket.socket()
            guest.setblocking(False)
            guest.connect_ex(("127.0.0.1", self.port))
            self._guests.append(guest)

    def _run(self) -> None:
        self._socket.settimeout(0.05)
        while not self._ended.is_set():
            try:
                guest = self._socket.accept()[0]
            except TimeoutError:
                continue
            self.connections += 1
            guest.setblocking(True)
            keep = self._handle(guest)
            if keep:
                self._guests.append(guest)
            else:
                guest.close()


def says(text: bytes):
    """A service that speaks first, and not TLS."""

    def handle(guest: socket.socket) -> bool:
        guest.sendall(text)
        guest.settimeout(5)
        try:
            while guest.recv(4096):
                pass
        except OSError:
            pass
        return False

    return handle


def keeps_silent(guest: socket.socket) -> bool:
    return True


def hangs_up(guest: socket.socket) -> bool:
    guest.settimeout(5)
    guest.recv(4096)
    return False


def resets(guest: socket.socket) -> bool:
    guest.settimeout(5)
    guest.recv(4096)
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    return False
