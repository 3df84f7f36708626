#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A consumer with a certificate of its own: a class for tests, a printer for people.

As a program it prints one line for each reading and each change of a gateway's state until
SIGTERM, SIGINT or --seconds, then says whether everything arrived, once and in order:

    consumer.py --port PORT --pki PKI [--name dashboard] [--seconds N] [--expect FILE.csv]

Exit status: 0 readings came, in order and without a gap (and with the values of --expect, if
given); 1 otherwise.
"""

import argparse
import csv
import json
import os
import re
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as mqtt

TOPICS = ("sensors/#", "gateways/#")
CONNECT_S = 30


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    retain: bool
    at: float  # time.time() when it came
    qos: int = 1

    @property
    def json(self) -> dict:
        return json.loads(self.payload)


class Consumer:
    """Subscribes with the certificate NAME.pem of a PKI folder and keeps what comes.

    persistent   the broker keeps what comes while we are away (QoS 1, clean session off)
    on_message   called for each message, on the network thread
    """

    def __init__(
        self,
        port: int,
        pki: Path,
        name: str = "dashboard",
        topics: Iterable[str] = TOPICS,
        host: str = "localhost",
        client_id: str | None = None,
        persistent: bool = False,
        on_message: Callable[[Message], None] | None = None,
    ):
        self._changed = threading.Condition()
        self._messages: list[Message] = []
        self._subscribed = False
        self._refusal: str | None = None
        self._topics = list(topics)
        self._listener = on_message

        # The client id begins with the user: its queue on the broker is named after it.
        self._client = mqtt.Client(
            client_id=client_id or f"{name}-{os.getpid()}-{id(self):x}",
            clean_session=not persistent,
            protocol=mqtt.MQTTv311,
        )
        self._client.tls_set(
            ca_certs=str(pki / "ca.pem"),
            certfile=str(pki / f"{name}.pem"),
            keyfile=str(pki / f"{name}.key"),
            tls_version=ssl.PROTOCOL_TLS_CLIENT,
        )
        self._client.reconnect_delay_set(min_delay=1, max_delay=2)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._address = (host, port)

    def __enter__(self) -> "Consumer":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, timeout: float = CONNECT_S) -> "Consumer":
        """Returns when the broker has confirmed the subscription; it is renewed if lost."""
        try:
            self._client.connect(*self._address, keepalive=15)
            self._client.loop_start()
            with self._changed:
                done = self._changed.wait_for(lambda: self._subscribed or self._refusal, timeout)
                if not done or self._refusal:
                    raise ConnectionError(self._refusal or f"no subscription within {timeout:g} s")
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def messages(self) -> list[Message]:
        with self._changed:
            return list(self._messages)

    def on(self, topic: str) -> list[Message]:
        return [message for message in self.messages if message.topic == topic]

    def readings(self) -> list[dict]:
        """Readings in the order of their arrival, duplicates included."""
        return [m.json for m in self.messages if m.topic.startswith("sensors/") and is_reading(m)]

    def states(self, gateway: str) -> list[dict]:
        return [message.json for message in self.on(f"gateways/{gateway}")]

    def wait_for(
        self, predicate: Callable[[list[Message]], object], timeout: float, what: str = "messages"
    ) -> list[Message]:
        """Waits until predicate(messages so far) is true; returns the messages."""
        with self._changed:
            if not self._changed.wait_for(lambda: predicate(self._messages), timeout):
                last = [f"{m.topic} {m.payload[:200]!r}" for m in self._messages[-5:]]
                raise TimeoutError(
                    f"waited {timeout:g} s for {what}; {len(self._messages)} messages, last {last}"
                )
            return list(self._messages)

    def wait_for_readings(self, count: int, timeout: float) -> list[dict]:
        self.wait_for(
            lambda messages: sum(map(is_reading, messages)) >= count, timeout, f"{count} readings"
        )
        return self.readings()

    # --- on the network thread

    def _on_connect(self, client: mqtt.Client, _userdata, _flags, code: int) -> None:
        if code == 0:
            client.subscribe([(topic, 1) for topic in self._topics])
        else:
            self._refuse(mqtt.connack_string(code))

    def _on_subscribe(self, _client, _userdata, _mid, granted: list[int]) -> None:
        if any(qos > 1 for qos in granted):
            self._refuse("the broker refused the subscription")
            return
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _on_disconnect(self, _client, _userdata, code: int) -> None:
        if code != 0 and not self._subscribed:
            self._refuse("the broker closed the connection; its log says why")

    def _on_message(self, _client, _userdata, message: mqtt.MQTTMessage) -> None:
        received = Message(
            message.topic, message.payload, bool(message.retain), time.time(), message.qos
        )
        with self._changed:
            self._messages.append(received)
            self._changed.notify_all()
        if self._listener:
            self._listener(received)

    def _refuse(self, reason: str) -> None:
        with self._changed:
            self._refusal = reason
            self._changed.notify_all()


def is_reading(message: Message) -> bool:
    """The probe of `sensorgw check` ({"check":true}) arrives under sensors/ too."""
    return message.topic.startswith("sensors/") and b'"id"' in message.payload


# --- did everything arrive, once and in order?


@dataclass
class Ledger:
    """Follows the ids of one gateway: PREFIX-NUMBER, the number rising by one."""

    first: int | None = None
    last: int | None = None
    prefix: str = ""
    count: int = 0
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def enter(self, reading: dict) -> str | None:
        """Returns a remark on this reading, None if there is nothing to say."""
        identity = reading["id"]
        if identity in self.seen:
            self.duplicates += 1
            return "again"
        self.seen.add(identity)
        self.count += 1
        prefix, _, number = identity.rpartition("-")
        number = int(number)
        remark = None
        if self.last is None:
            self.first = number
        elif prefix == self.prefix and number != self.last + 1:
            remark = f"{self.last + 1} was expected"
            self.faults.append(f"{identity}: {remark}")
        self.prefix, self.last = prefix, number
        return remark


class Script:
    """The rows of a board's script, in whose order the readings must come."""

    def __init__(self, path: Path):
        with path.open() as file:
            lines = (line for line in file if line.strip() and not line.startswith("#"))
            rows = [row for row in csv.reader(lines) if row[0].strip()[0].isdigit()]
        self.values = [(float(row[1]), float(row[2])) for row in rows]
        self.position = 0

    def enter(self, reading: dict) -> str | None:
        value = (reading.get("temperature"), reading.get("humidity"))
        for position in range(self.position, len(self.values)):
            if self.values[position] == value:
                self.position = position
                return None
        return "not what the board's sensor had to say"


# --- for people


UNITS = {
    "temperature": "°C",
    "humidity": "%",
    "pressure": "hPa",
    "illuminance": "lx",
    "voltage": "V",
}
ENVELOPE = {"id", "time", "gateway", "sensor", "late", "clock"}


class Paint:
    """Colours, for a terminal only and not against NO_COLOR."""

    def __init__(self, stream):
        self.on = stream.isatty() and not os.environ.get("NO_COLOR")

    def __call__(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


def printable(text: object) -> str:
    return re.sub(r"[^\x20-\x7e°-ÿ]", "?", str(text))[:128]


class Printer:
    def __init__(self, script: Script | None = None):
        self.script = script
        self.ledgers: dict[str, Ledger] = {}
        self.faults: list[str] = []
        self.states: dict[str, tuple] = {}
        self.paint = Paint(sys.stdout)

    def show(self, message: Message) -> None:
        try:
            if is_reading(message):
                self._show_reading(message.json)
            elif message.topic.startswith("gateways/"):
                self._show_state(message.topic.split("/", 1)[1], message.json)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self.faults.append(f"{message.topic}: {error!r}")
            print(self.paint("31", f"{printable(message.topic)}  not understood: {error!r}"))
        sys.stdout.flush()

    def _show_reading(self, reading: dict) -> None:
        taken = datetime.fromisoformat(reading["time"]).astimezone()
        values = "  ".join(
            f"{printable(reading[name]):>6} {UNITS.get(name, printable(name)):<2}"
            for name in reading
            if name not in ENVELOPE
        )
        remarks = [self.paint("33", "late")] if reading.get("late") else []
        about = "~" if "clock" in reading else " "  # the state says why, once

        ledger = self.ledgers.setdefault(reading["gateway"], Ledger())
        remark = ledger.enter(reading)
        if remark:
            remarks.append(self.paint("33" if remark == "again" else "31", remark))
        wrong = self.script.enter(reading) if self.script and remark != "again" else None
        if wrong:
            self.faults.append(f"{reading['id']}: {wrong}")
            remarks.append(self.paint("31", wrong))

        print(
            f"{about}{taken:%H:%M:%S}  {printable(reading['sensor']):<10}",
            self.paint("1", values),
            self.paint("2", printable(reading["id"])),
            *remarks,
            sep="  ",
        )

    def _show_state(self, gateway: str, state: dict) -> None:
        """Prints changes only: the state comes once a minute whether or not it changed."""
        sensors = state.get("sensors", {})
        if isinstance(sensors, list):
            sensors = {sensor["name"]: sensor for sensor in sensors}
        links = {name: (one.get("state"), one.get("cause")) for name, one in sensors.items()}
        session = (state.get("tls"), state.get("cipher"), state.get("clock"))
        now = (state.get("state"), session, tuple(links.items()))
        before, self.states[gateway] = self.states.get(gateway), now
        if now == before:
            return

        how = state.get("state", "unknown")
        parts = [self.paint("32" if how == "online" else "33", printable(how))]
        if state.get("tls") and (before is None or before[1] != session):
            parts.append(printable(f"{state['tls']} {state.get('cipher', '')}"))
            if state.get("clock") == "unsynchronised":
                parts.append("clock not synchronised: times are marked ~")
        parts += [
            printable(f"{name} {link}" + (f" ({cause})" if cause else ""))
            for name, (link, cause) in links.items()
        ]
        print(f" {datetime.now():%H:%M:%S}  {printable(gateway):<10}  {', '.join(parts)}")

    def verdict(self) -> int:
        """Says in one line what arrived; returns the exit status."""
        faults = list(self.faults)
        for gateway, ledger in self.ledgers.items():
            faults += ledger.faults
            doubled = f", {ledger.duplicates} twice" if ledger.duplicates else ""
            print(
                f"{ledger.count} readings of {printable(gateway)}, numbers {ledger.first} to"
                f" {ledger.last}{doubled}:",
                "in order, none missing" if not ledger.faults else "NOT complete",
            )
        if self.script and self.ledgers and not self.faults:
            print("every value is one that the sensor gave, in its order")
        for fault in faults[:10]:
            print(f"  {printable(fault)}")
        if not self.ledgers:
            print("no readings arrived")
        return 1 if faults or not self.ledgers else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="prints what arrives at the broker")
    parser.add_argument("--host", default="localhost")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pki", type=Path, required=True, help="folder with ca.pem, NAME.pem, NAME.key")
    parser.add_argument("--name", default="dashboard", help="our certificate (dashboard)")
    parser.add_argument("--seconds", type=float, help="stop by itself")
    parser.add_argument("--expect", type=Path, help="the board's script: readings must follow it")
    arguments = parser.parse_args()

    printer = Printer(Script(arguments.expect) if arguments.expect else None)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        consumer = Consumer(
            arguments.port, arguments.pki, arguments.name, host=arguments.host, on_message=printer.show
        )
        with consumer:
            print("SUBSCRIBED", file=sys.stderr, flush=True)
            ended.wait(arguments.seconds)
    except (OSError, ssl.SSLError) as error:
        print(f"consumer.py: {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return 1
    return printer.verdict()


if __name__ == "__main__":
    sys.exit(main())
