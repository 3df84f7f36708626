# SPDX-License-Identifier: MIT
"""A cable to the broker that can be cut: what is sent to its port comes out at another."""

import os
import select
import socket
import threading

CHUNK = 65536


class Relay:
    """
    Listens on loopback while it is mended. Cut, it ends all connections and refuses new ones; the
    port stays ours meanwhile.

        with Relay(broker.port) as relay:
            ... relay.port ...
            relay.cut()
    """

    def __init__(self, target: int, mended: bool = True) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._reserved = new_socket()
        self._reserved.bind(("127.0.0.1", 0))
        self.port = self._reserved.getsockname()[1]
        self._wake, self._waker = os.pipe()
        self.connections = 0  # so far
        if mended:
            self.mend()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._reserved.close()
        os.close(self._wake)
        os.close(self._waker)

    def mend(self) -> None:
        assert self._thread is None
        self._listener = new_socket()
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen()
        self._thread = threading.Thread(target=self._run, args=[self._listener], daemon=True)
        self._thread.start()

    def cut(self) -> None:
        if self._thread is None:
            return
        os.write(self._waker, b"x")
        self._thread.join()
        self._thread = None
        os.read(self._wake, 1)

    def _run(self, listener: socket.socket) -> None:
        other: dict[socket.socket, socket.socket] = {}
        try:
            while True:
                ready = select.select([self._wake, listener, *other], [], [])[0]
                if self._wake in ready:
                    return
                for one in ready:
                    if one is listener:
                        self._accept(listener, other)
                    elif one in other:  # not closed in this round
                        self._pass_on(one, other)
        finally:
            for one in [listener, *other]:
                one.close()

    def _accept(self, listener: socket.socket, other: dict[socket.socket, socket.socket]) -> None:
        client = listener.accept()[0]
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=10)
        except OSError:
            client.close()
            return
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other[client], other[server] = server, client
        self.connections += 1

    def _pass_on(self, one: socket.socket, other: dict[socket.socket, socket.socket]) -> None:
        try:
            chunk = one.recv(CHUNK)
            if chunk:
                other[one].sendall(chunk)
                return
        except OSError:
            pass
        for closed in (other.pop(other[one]), other.pop(one)):
            closed.close()


def new_socket() -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return made
