#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""./demo.sh --wire: one reading on two wires, as somebody sees it who only listens.

Left the unprotected way: mosquitto_pub with a password, to a plain broker. Right sensorgw to
RabbitMQ. Both brokers are throw-aways on loopback, and only their two ports are captured.

$SENSORGW_BUILD names the build tree. Exit status 0: all was readable on the left, and of what TLS
protects nothing on the right.
"""

import json
import os
import pwd
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chain import GATEWAY, SENSOR, Chain, heading, paint, paragraph, run
from rabbitmq import free_block, is_open
from waiting import wait_until

PASSWORD = "correct-horse"
TOPIC = f"sensors/{GATEWAY}/{SENSOR}"
WIDTH = 46  # of each of the two columns
CAPTURE_S = 60

CLIENT_HELLO, APPLICATION_DATA = b"\x16\x03\x01", 23
OVERHEAD = 7 + 29  # of PUBLISH, and of a record with AES-GCM


# --- listening


@dataclass
class Conversation:
    sent: bytes = b""
    answered: bytes = b""

    def shows(self, text: str) -> bool:
        return text.encode() in self.sent + self.answered


class Tap:
    """tcpdump on loopback, on our own ports alone."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self._ports = ports
        self._file, said = folder / "wire.pcap", folder / "tcpdump.log"
        # It ends by itself: what sudo started is not ours to kill. We write the file, because
        # tcpdump gives up its rights before it opens one.
        command = ["timeout", str(CAPTURE_S), "tcpdump", "-i", "lo", "-U", "-w", "-",
                   " or ".join(f"tcp port {port}" for port in ports)]
        if os.geteuid() != 0:
            command.insert(0, "sudo")
        with self._file.open("wb") as packets, said.open("wb") as words:
            self._process = subprocess.Popen(command, stdout=packets, stderr=words)

        def listens() -> bool:
            if self._process.poll() is not None:
                raise PermissionError(
                    "capturing is not permitted here, so there is no wire to show. It needs root"
                    " for tcpdump alone: run this where sudo works, or as root.\n"
                    + said.read_text(errors="replace"))
            return b"listening on" in said.read_bytes()

        wait_until(listens, CAPTURE_S, "tcpdump")

    def __enter__(self) -> "Tap":
        return self

    def __exit__(self, *_: object) -> None:
        if os.geteuid() == 0:
            self._process.terminate()
            self._process.wait(10)

    def conversations(self, port: int) -> list[Conversation]:
        """With each client of this port, in the order of their first words."""
        found: dict[int, Conversation] = {}
        for source, target, data in segments(self._file.read_bytes()):
            if port == target:
                found.setdefault(source, Conversation()).sent += data
            elif port == source:
                found.setdefault(target, Conversation()).answered += data
        return list(found.values())

    def handshakes(self, port: int) -> list[Conversation]:
        return [one for one in self.conversations(port) if one.sent.startswith(CLIENT_HELLO)]


def segments(capture: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Source port, target port and payload of each TCP segment on loopback (IPv4)."""
    at = 24  # the file's header
    while at + 16 <= len(capture):
        (length,) = struct.unpack_from("=I", capture, at + 8)
        packet = capture[at + 16 + 14 : at + 16 + length]  # without the Ethernet header
        at += 16 + length
        if len(packet) < 40 or packet[0] >> 4 != 4:
            continue
        tcp = packet[(packet[0] & 15) * 4 : struct.unpack_from("!H", packet, 2)[0]]
        source, target = struct.unpack_from("!HH", tcp)
        yield source, target, tcp[(tcp[12] >> 4) * 4 :]


# --- the unprotected way


@contextmanager
def plain_broker(folder: Path) -> Iterator[int]:
    port = free_block()
    passwords, configuration = folder / "passwords", folder / "plain.conf"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, GATEWAY, PASSWORD],
                   check=True, capture_output=True, timeout=30)
    configuration.write_text(f"listener {port} 127.0.0.1\npassword_file {passwords}\n"
                             f"user {pwd.getpwuid(os.geteuid()).pw_name}\n")
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "mosquitto", "-c", configuration],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: is_open(port), 10, "the plain broker")
        yield port
    finally:
        process.kill()
        process.wait()


def publish_plain(port: int, payload: bytes) -> None:
    subprocess.run(
        ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-i", f"sensorgw-{GATEWAY}",
         "-u", GATEWAY, "-P", PASSWORD, "-q", "1", "-t", TOPIC, "-s"],
        input=payload, check=True, timeout=30,
    )


# --- what a person sees


def dump(data: bytes) -> list[str]:
    """As tcpdump -A shows it, with a dot for what is no letter."""
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)]


def record_of(stream: bytes, size: int) -> bytes:
    """The TLS record with data that is nearest to this size: nothing else tells what it holds."""
    at, records = 0, []
    while at + 5 <= len(stream):
        kind, _, length = struct.unpack_from("!BHH", stream, at)
        if kind == APPLICATION_DATA:
            records.append(stream[at : at + 5 + length])
        at += 5 + length
    return min(records, key=lambda record: abs(len(record) - size))


def side_by_side(titles: tuple[str, str], left: list[str], right: list[str]) -> None:
    bar = paint("2", "│")
    print(f"  {paint('1', titles[0].ljust(WIDTH))}  {bar}  {paint('1', titles[1])}")
    for i in range(max(len(left), len(right))):
        one, other = (column[i] if i < len(column) else "" for column in (left, right))
        print(f"  {paint('31', one.ljust(WIDTH))}  {bar}  {paint('32', other)}")


def row(name: str, text: str, cells: list[str], codes: list[str]) -> None:
    said = "".join(paint(code, f"{cell:<13}") for cell, code in zip(cells, codes))
    print(f"  {name:<11}  {text:<33}  {said}".rstrip())


def compare(reading: bytes, talks: dict[str, Conversation]) -> bool:
    """Prints what they show; returns whether it is as it should be."""
    plain, old, new = talks.values()
    heading("THE SAME READING ON TWO WIRES, as tcpdump sees it\n")
    side_by_side(("plain MQTT: who we are, and a reading", "MQTT in TLS 1.2: a reading"),
                 dump(plain.sent), dump(record_of(old.sent, len(TOPIC) + len(reading) + OVERHEAD)))

    heading("WHAT AN EAVESDROPPER FINDS in the whole conversation\n")
    row("", "", list(talks), ["1"] * 3)
    value = str(json.loads(reading)["temperature"])
    secrets = {"password": PASSWORD, "topic": TOPIC, "reading": f'"temperature":{value}'}
    as_it_should_be = True
    for name, text in {"user name": GATEWAY, **secrets}.items():
        shown = [talk.shows(text) for talk in talks.values()]
        hidden = "none is sent" if name == "password" else "hidden"
        row(name, text, ["readable" if one else hidden for one in shown],
            ["31" if one else "32" for one in shown])
        as_it_should_be &= shown == [True, name == "user name", False]
    print()
    paragraph("TLS 1.2 shows the names in the certificates, TLS 1.3 hides those too. No version hides"
              " that somebody talks, with whom, when, and how much.")
    return as_it_should_be


def next_reading(chain: Chain) -> bytes:
    known = len(chain.consumer.on(TOPIC))
    wait_until(lambda: len(chain.consumer.on(TOPIC)) > known, 30, "a reading")
    return chain.consumer.on(TOPIC)[-1].payload


def main() -> int:
    with Chain() as chain, plain_broker(chain.folder) as plain:
        tls = chain.broker.port
        with Tap(chain.folder, [plain, tls]) as tap:
            chain.start_gateway()
            reading = next_reading(chain)
            publish_plain(plain, reading)
            chain.gateway.configure(tls={"version": "1.3"})
            chain.gateway.reload()
            chain.gateway.wait_state(lambda state: state.get("tls") == "TLSv1.3", what="TLS 1.3")
            next_reading(chain)
            wait_until(lambda: len(tap.handshakes(tls)) > 1, 10, "the capture")
            (unprotected,), (old, new) = tap.conversations(plain), tap.handshakes(tls)
    return 0 if compare(reading, {"plain": unprotected, "TLS 1.2": old, "TLS 1.3": new}) else 1


if __name__ == "__main__":
    run(main)
