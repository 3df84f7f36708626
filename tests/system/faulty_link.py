# SPDX-License-Identifier: MIT
"""A link to the broker with every illness that a network can have, on command."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

CHUNK = 65536
TRICKLE = 50  # bytes at a time
ORDER_S = 10

UP, DOWN = "up", "down"  # towards the broker, towards the gateway


class LoopThread:
    """An asyncio loop beside the test. Everything in it happens there, one thing at a time."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(ORDER_S)

    def close(self) -> None:
        self.run(self._cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(ORDER_S)
        self._loop.close()

    async def _cancel_all(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FaultyLink:
    """
    Listens on loopback and passes on to the broker's port.

        with FaultyLink(broker.port) as link:
            link.cut()          connections are reset, new ones refused
            link.refuse()       new ones refused, the others live on
            link.black_hole()   nothing passes and nobody is told; (UP) or (DOWN): one way only
            link.delay(0.3)     seconds each way
            link.trickle(400)   bytes a second each way
            link.mend()         what was held back comes through after all
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.connections = 0  # so far
        self._loop = LoopThread()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._gates: dict[str, asyncio.Event] = {}
        self._delay_s = 0.0
        self._bytes_per_s = 0
        self.port = 0
        self._loop.run(self._listen())
        self.mend()

    def __enter__(self) -> "FaultyLink":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._loop.close()

    def mend(self) -> None:
        self._loop.run(self._mend())

    def cut(self) -> None:
        self._loop.run(self._cut())

    def refuse(self) -> None:
        self._loop.run(self._refuse())

    def black_hole(self, *ways: str) -> None:
        self._loop.run(self._close_gates(ways or (UP, DOWN)))

    def delay(self, seconds: float) -> None:
        self._delay_s = seconds

    def trickle(self, bytes_per_s: int) -> None:
        self._bytes_per_s = bytes_per_s

    # --- in the loop

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _mend(self) -> None:
        if self._server is None:
            await self._listen()
        self._delay_s = self._bytes_per_s = 0
        for way in (UP, DOWN):
            self._gates.setdefault(way, asyncio.Event()).set()

    async def _close_gates(self, ways: tuple[str, ...]) -> None:
        for way in ways:
            self._gates[way].clear()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None

    async def _cut(self) -> None:
        await self._refuse()
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        mine = {writer, far_writer}
        self._writers |= mine
        pumps = [self._pump(reader, far_writer, UP), self._pump(far_reader, writer, DOWN)]
        try:
            await asyncio.gather(*pumps)
        finally:
            self._writers -= mine
            for one in mine:
                one.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str
    ) -> None:
        """The end of one direction is the other's end as well, once it gets through."""
        try:
            while True:
                chunk = await reader.read(CHUNK)
                await self._gates[way].wait()
                await asyncio.sleep(self._delay_s)
                if not chunk:
                    break
                await self._write(chunk, writer, way)
        except OSError:
            await self._gates[way].wait()
        writer.transport.abort() if reader.exception() else writer.close()

    async def _write(self, chunk: bytes, writer: asyncio.StreamWriter, way: str) -> None:
        while chunk:
            size = TRICKLE if self._bytes_per_s else len(chunk)
            if self._bytes_per_s:
                await asyncio.sleep(TRICKLE / self._bytes_per_s)
            await self._gates[way].wait()
            writer.write(chunk[:size])
            await writer.drain()
            chunk = chunk[size:]
