# SPDX-License-Identifier: MIT
"""A cable to one broker, then to another, that keeps what went through: the proof by capture."""

import select
import socket
import struct
import threading
from dataclasses import dataclass, field

HANDSHAKE, ALERT, APPLICATION_DATA = 22, 21, 23
CLIENT_HELLO = 1

SERVER_NAME, SUPPORTED_VERSIONS = 0, 43


@dataclass
class Capture:
    """One connection: what the gateway sent, and what it got."""

    sent: bytes = b""
    got: bytes = b""

    def records(self, data: bytes) -> list[tuple[int, bytes]]:
        """(type, content) of each whole TLS record."""
        found = []
        while len(data) >= 5:
            kind, _, length = struct.unpack("!BHH", data[:5])
            found.append((kind, data[5 : 5 + length]))
            data = data[5 + length :]
        return found

    def hello(self) -> "Hello":
        kind, content = self.records(self.sent)[0]
        assert (kind, content[0]) == (HANDSHAKE, CLIENT_HELLO)
        return Hello.parse(content[4:])

    def has_application_data(self) -> bool:
        both = self.records(self.sent) + self.records(self.got)
        return any(kind == APPLICATION_DATA for kind, _ in both)


@dataclass
class Hello:
    """What a ClientHello offers (RFC 8446, 4.1.2)."""

    ciphers: list[int]
    extensions: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: bytes) -> "Hello":
        at = 34 + 1 + body[34]
        length = int.from_bytes(body[at : at + 2], "big")
        ciphers = list(struct.unpack(f"!{length // 2}H", body[at + 2 : at + 2 + length]))
        at += 2 + length
        at += 1 + body[at]
        extensions, rest = {}, body[at + 2 :]
        while rest:
            kind, length = struct.unpack("!HH", rest[:4])
            extensions[kind] = rest[4 : 4 + length]
            rest = rest[4 + length :]
        return cls(ciphers, extensions)

    @property
    def versions(self) -> list[int]:
        """Without the extension it is TLS 1.2 at most."""
        offered = self.extensions.get(SUPPORTED_VERSIONS)
        if offered is None:
            return [0x0303]
        return list(struct.unpack(f"!{offered[0] // 2}H", offered[1:]))

    @property
    def server_name(self) -> str | None:
        named = self.extensions.get(SERVER_NAME)
        return named[5:].decode() if named else None


class Tap:
    """
    Listens on loopback from the start, and passes on to `target`, a port that may be set anew: new
    connections go there. None: it ends each new one.

        with Tap(server.port) as tap:
            ... tap.port ... tap.captures[-1].hello()
    """

    def __init__(self, target: int | None = None) -> None:
        self.target = target
        self.captures: list[Capture] = []
        self._ended = threading.Event()
        self._cut = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        # socket -> the one at the other side, what went through, is it the gateway's
        self._other: dict[socket.socket, tuple[socket.socket, Capture, bool]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Tap":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def cut(self) -> None:
        """Ends what goes through just now."""
        self._cut.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            for one in select.select([self._socket, *self._other], [], [], 0.02)[0]:
                if one is self._socket:
                    self._accept()
                elif one in self._other:
                    self._pass_on(one)
            if self._cut.is_set():
                self._cut.clear()
                self._close_all()
        self._close_all()

    def _close_all(self) -> None:
        for one, (target, _, _) in self._other.items():
            one.close()
            target.close()
        self._other.clear()

    def _accept(self) -> None:
        client = self._socket.accept()[0]
        capture = Capture()
        self.captures.append(capture)
        try:
            server = socket.create_connection(("127.0.0.1", self.target or 1), timeout=10)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._other[client] = server, capture, True
        self._other[server] = client, capture, False

    def _pass_on(self, one: socket.socket) -> None:
        target, capture, is_client = self._other[one]
        try:
            chunk = one.recv(65536)
        except OSError:
            self._reset(one, target)
            return
        if is_client:
            capture.sent += chunk
        else:
            capture.got += chunk
        try:
            if chunk:
                target.sendall(chunk)
            else:
                self._end(one, target)
        except OSError:
            self._reset(one, target)

    def _end(self, one: socket.socket, target: socket.socket) -> None:
        """One side has said all; the other may still have something to say."""
        del self._other[one]
        if target in self._other:
            target.shutdown(socket.SHUT_WR)
        else:
            one.close()
            target.close()

    def _reset(self, *both: socket.socket) -> None:
        for one in both:
            self._other.pop(one, None)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
