# SPDX-License-Identifier: MIT
"""The demo's chain in one place: certificates, broker, board, gateway and a consumer that prints."""

import math
import shutil
import signal
import sys
import tempfile
import textwrap
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "system"))

from board import Board  # noqa: E402
from consumer import Consumer, Message, Paint  # noqa: E402
from gateway import Gateway  # noqa: E402
from pki import Pki  # noqa: E402
from rabbitmq import RabbitMQ  # noqa: E402

GATEWAY, CONSUMER, SENSOR = "demo-pi", "dashboard", "kitchen"

paint = Paint(sys.stdout)


class Chain:
    """Built by entering it, all but the gateway running; leaving it ends all and removes its files.

        with Chain() as chain:
            chain.start_gateway()
            chain.consumer.wait_for_readings(3, 20)

    on_message   called for each message that reaches the consumer
    """

    broker: RabbitMQ
    consumer: Consumer
    gateway: Gateway

    def __init__(self, on_message: Callable[[Message], None] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sensorgw-demo."))
        self._on_message = on_message
        self._parts = ExitStack()

    def __enter__(self) -> "Chain":
        self._parts.callback(shutil.rmtree, self.folder, ignore_errors=True)
        try:
            self._build()
        except BaseException:
            self._parts.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _build(self) -> None:
        step("certificates", f"a CA, and one each for localhost, {GATEWAY} and {CONSUMER}")
        self.pki = Pki(self.folder / "pki")
        self.pki.client(GATEWAY)
        self.pki.client(CONSUMER)

        step("RabbitMQ", "starting a node of its own")
        self.broker = self._parts.enter_context(
            RabbitMQ(self.pki.folder, self.folder / "rabbitmq", gateways=[GATEWAY],
                     consumers=[CONSUMER])
        )
        self.broker.start()
        step("board", "an emulated Arduino, flashed with firmware/sgw-node.elf")
        board = self._parts.enter_context(Board(self.folder, name="ttyACM0", csv=weather()))

        self.consumer = self._parts.enter_context(
            Consumer(self.broker.port, self.pki.folder, CONSUMER, client_id=f"{CONSUMER}-demo",
                     persistent=True, on_message=self._on_message)
        )
        self.gateway = Gateway(
            self.folder, self.pki, self.broker.port, {SENSOR: board.link}, name=GATEWAY,
            tls={"version": "1.2"}, reconnect={"max_s": 2},
        )
        self._parts.callback(self.gateway.kill)

    def start_gateway(self) -> None:
        step("sensorgw", f"reads {SENSOR}, publishes with TLS 1.2\n")
        self.gateway.start()


def weather() -> str:
    """A quarter of an hour in a kitchen: the drier the warmer, a new value every 3 s."""
    swings = ((at, math.sin(at / 150)) for at in range(0, 900, 3))
    return "".join(f"{at},{21.5 + 3 * swing:.1f},{45 - 8 * swing:.1f}\n" for at, swing in swings)


def step(name: str, text: str) -> None:
    print(paint("1", f"{name:<13}"), text, flush=True)


def heading(text: str) -> None:
    print(f"\n{paint('1', text)}", flush=True)


def paragraph(text: str, indent: str = "  ", code: str = "") -> None:
    width = min(shutil.get_terminal_size().columns, 100)
    filled = textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent,
                           break_long_words=False, break_on_hyphens=False)
    print(paint(code, filled) if code else filled, flush=True)


def run(main) -> None:
    """Runs main() so that every signal ends what it started; its result is the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(main())
    except (TimeoutError, AssertionError, OSError, RuntimeError) as error:
        print(paint("31", f"demo: {error}"), file=sys.stderr)
        sys.exit(1)

