# SPDX-License-Identifier: MIT
"""Ends TLS on both sides between gateway and broker, reads their MQTT, and steals from it."""

import asyncio
import ssl
from collections.abc import Callable

from faulty_link import LoopThread
from pki import Pki
from rabbitmq import GATEWAY

PUBLISH, PUBACK = 3, 4


def steal_none(_nth: int) -> bool:
    return False


def steal_all(_nth: int) -> bool:
    return True


class PubackThief:
    """
    To the gateway it is the broker, to the broker it is the gateway.

        with PubackThief(broker.port, pki) as thief:
            thief.steals = lambda nth: nth % 7 == 0     # of each connection's PUBACKs, from 1
    """

    def __init__(self, target: int, pki: Pki, gateway: str = GATEWAY) -> None:
        self.target = target
        self.steals: Callable[[int], bool] = steal_none
        self.connections = 0
        self.published = 0
        self.stolen = 0
        self._to_gateway = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pki.ca)
        self._to_gateway.load_cert_chain(pki.certificate("localhost"), pki.key("localhost"))
        self._to_gateway.verify_mode = ssl.CERT_REQUIRED
        self._to_broker = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=pki.ca)
        self._to_broker.load_cert_chain(pki.certificate(gateway), pki.key(gateway))
        self._loop = LoopThread()
        self.port = self._loop.run(self._listen())

    def __enter__(self) -> "PubackThief":
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.run(self._stop())
        self._loop.close()

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._to_gateway
        )
        return self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self.target, ssl=self._to_broker, server_hostname="localhost"
            )
        except OSError:
            writer.transport.abort()
            return
        pumps = [self._pass_up(reader, far_writer), self._pass_down(far_reader, writer)]
        try:
            await asyncio.gather(*pumps)
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    async def _pass_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while packet := await read_packet(reader):
            self.published += packet[0] >> 4 == PUBLISH
            writer.write(packet)
            await drain(writer)
        writer.close()

    async def _pass_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pubacks = 0
        while packet := await read_packet(reader):
            if packet[0] >> 4 == PUBACK:
                pubacks += 1
                if self.steals(pubacks):
                    self.stolen += 1
                    continue
            writer.write(packet)
            await drain(writer)
        writer.close()


async def drain(writer: asyncio.StreamWriter) -> None:
    try:
        await writer.drain()
    except OSError:
        pass  # the other direction notices


async def read_packet(reader: asyncio.StreamReader) -> bytes:
    """One MQTT control packet; nothing at the end of the stream."""
    try:
        packet = await reader.readexactly(2)
        length, shift = packet[1] & 0x7F, 7
        while packet[-1] & 0x80:
            packet += await reader.readexactly(1)
            length |= (packet[-1] & 0x7F) << shift
            shift += 7
        return packet + await reader.readexactly(length)
    except (OSError, asyncio.IncompleteReadError):
        return b""
