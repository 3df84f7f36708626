# SPDX-License-Identifier: MIT
"""Every reading that a board sent against every one that a consumer got, one by one.

A reading carries its own identity: the quantity `n`, a running number over all boards of a port.
"""

import os
import random
import select
import termios
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consumer import Consumer, Message, is_reading
from fake_port import FakePort
from waiting import wait_until

# The daemon reads the port in pieces of 1 KiB, and what one piece gave is accepted before it comes
# back for the next: of what it has read, only the last piece can be in doubt when it is killed.
PIECE = 1024
SHORTEST_FRAME = 30

QUIET_S = 0.05


class Feed:
    """
    Boards that send n = 1, 2, 3 ... in turn, at a rate, from go_on() to pause().

        with Feed(port, per_s=100) as feed:
            feed.go_on()
    """

    def __init__(self, port: FakePort, per_s: float = 100, boards: Iterable[int] = (1, 2)) -> None:
        self.sent: list[float] = []  # when reading n was sent: sent[n - 1], time.monotonic()
        self.in_doubt: set[int] = set()  # killed before they were certainly accepted
        self.unread: set[int] = set()  # never read by any daemon
        self.port = port
        self._pause_s = 1 / per_s
        self._boards = list(boards)
        self._runs = threading.Event()
        self._ends = False
        self._busy = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Feed":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._runs.set()
        self._thread.join()

    def pause(self) -> int:
        """Returns how many have been sent."""
        self._runs.clear()
        with self._busy:
            return len(self.sent)

    def go_on(self) -> None:
        self._runs.set()

    def send(self, count: int = 1) -> None:
        """At once; not while it runs by itself."""
        for _ in range(count):
            self.sent.append(time.monotonic())
            n = len(self.sent)
            self.port.reading(self._boards[n % len(self._boards)], n=f"{n}.0")

    def take_back(self, within_s: float = 0) -> None:
        """The reader was killed: what it did not read is taken back, what it read last is in doubt.

        within_s    what was sent so shortly before is in doubt as well
        """
        self.pause()
        unread = self.port.take_back()
        last_read = len(self.sent) - unread
        doubtful = PIECE // SHORTEST_FRAME
        killed_at = time.monotonic()
        self.unread |= set(range(last_read + 1, len(self.sent) + 1))
        self.in_doubt |= set(range(max(1, last_read - doubtful), last_read + 1))
        recent = (n for n, at in enumerate(self.sent, 1) if killed_at - at < within_s)
        self.in_doubt |= set(recent) - self.unread

    def _run(self) -> None:
        due = time.monotonic()
        while not self._ends:
            self._runs.wait()
            with self._busy:
                if self._runs.is_set() and not self._ends:
                    self.send()
            due = max(due + self._pause_s, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))


class Port(FakePort):
    """One that outlives its readers."""

    def take_back(self) -> int:
        """Takes out what was not read; returns how many frames that were, or were begun."""
        frames = 0
        while select.select([self._terminal], [], [], QUIET_S)[0]:
            frames += os.read(self._terminal, 65536).count(b"\n")
        termios.tcflush(self._master, termios.TCIFLUSH)  # and what the reader had asked
        return frames


@dataclass
class Arrival:
    n: int
    id: str
    topic: str
    at: float  # time.monotonic()
    message: dict[str, Any]


class Witness:
    """
    A consumer that loses nothing: what comes while it is away, the broker keeps for it.

        with Witness(broker.port, pki.folder) as witness:
            witness.leave()
            ...
            witness.come_back()
    """

    def __init__(self, port: int, pki: Path, name: str = "dashboard") -> None:
        self.arrivals: list[Arrival] = []
        self.seen: set[int] = set()
        self.states: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._place = (port, pki, name)
        self._client_id = f"{name}-{os.getpid()}-{random.getrandbits(32):08x}"
        self._consumer: Consumer | None = None

    def __enter__(self) -> "Witness":
        self.come_back()
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        try:
            self._connect(persistent=False)  # the broker forgets what it kept
        except OSError:
            pass  # it is gone, and that with it
        self.leave()

    def come_back(self) -> None:
        self._connect(persistent=True)

    def leave(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None

    def wait_for(self, wanted: Iterable[int], timeout: float = 30) -> None:
        """Until all of these have arrived."""
        missing = set(wanted)

        def has_all() -> bool:
            missing.difference_update(self.seen)
            return not missing

        with self._changed:
            if not self._changed.wait_for(has_all, timeout):
                raise TimeoutError(
                    f"waited {timeout:g} s for {len(missing)} readings, {sorted(missing)[:10]} ..."
                )

    def wait_for_more(self, count: int = 1, timeout: float = 30) -> None:
        with self._changed:
            goal = len(self.seen) + count
            if not self._changed.wait_for(lambda: len(self.seen) >= goal, timeout):
                raise TimeoutError(f"waited {timeout:g} s for {count} more readings")

    def wait_for_state(
        self, predicate: Callable[[dict[str, Any]], object], timeout: float = 30
    ) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            return next(filter(predicate, self.states), None)

        with self._changed:
            if not self._changed.wait_for(found, timeout):
                raise TimeoutError(f"waited {timeout:g} s for a state; the last {self.states[-1:]}")
            return found() or {}

    def take_over(self, other: "Witness") -> None:
        """What another has seen, at another broker, counts as seen here."""
        self.arrivals = sorted(self.arrivals + other.arrivals, key=lambda arrival: arrival.at)
        self.seen |= other.seen

    def _connect(self, persistent: bool) -> None:
        port, pki, name = self._place
        self._consumer = Consumer(
            port,
            pki,
            name,
            client_id=self._client_id,
            persistent=persistent,
            on_message=self._on_message,
        )
        self._consumer.start()

    def _on_message(self, message: Message) -> None:
        content = message.json
        with self._changed:
            if is_reading(message):
                n = int(content["n"]) if "n" in content else len(self.seen) + 1
                arrival = Arrival(n, content["id"], message.topic, time.monotonic(), content)
                self.arrivals.append(arrival)
                self.seen.add(n)
            elif message.topic.startswith("gateways/") and not message.retain:
                self.states.append(content)
            self._changed.notify_all()


@dataclass
class Outcome:
    """The figures of one test, and what is wrong with them."""

    sent: int
    lost: list[int] = field(default_factory=list)
    invented: list[int] = field(default_factory=list)
    duplicates: int = 0
    out_of_order: list[int] = field(default_factory=list)
    two_ids: list[int] = field(default_factory=list)  # of one reading
    repeated_ids: list[str] = field(default_factory=list)  # of two readings
    holes: list[str] = field(default_factory=list)  # numbers missing within a prefix
    recovery_s: float | None = None

    def line(self, name: str) -> str:
        recovery = "" if self.recovery_s is None else f", recovery {self.recovery_s:.2f} s"
        return (
            f"{name}: sent {self.sent}, lost {len(self.lost)}, duplicates {self.duplicates},"
            f" out of order {len(self.out_of_order)}{recovery}"
        )

    def assert_sound(self, duplicates: int, holes: bool = False, order: bool = True) -> None:
        """Nothing lost, ids unique, at most so many duplicates."""
        assert not self.lost, f"lost: {self.lost[:20]}"
        assert not self.invented, f"never sent: {self.invented[:20]}"
        assert not self.repeated_ids, f"given to two readings: {self.repeated_ids[:20]}"
        assert not self.two_ids, f"under two ids: {self.two_ids[:20]}"
        assert holes or not self.holes, f"numbers missing: {self.holes[:20]}"
        assert not order or not self.out_of_order, f"out of order: {self.out_of_order[:20]}"
        assert self.duplicates <= duplicates, f"{self.duplicates} duplicates, at most {duplicates}"


def judge(feed: Feed, witness: Witness) -> Outcome:
    """What was sent and certainly accepted must be there; the order is that of first arrivals."""
    outcome = Outcome(len(feed.sent))
    outcome.lost = sorted(
        set(range(1, len(feed.sent) + 1)) - witness.seen - feed.unread - feed.in_doubt
    )
    outcome.invented = sorted(witness.seen - set(range(1, len(feed.sent) + 1)))
    id_of: dict[int, str] = {}
    n_of: dict[str, int] = {}
    highest: dict[str, int] = {}
    for arrival in witness.arrivals:
        if id_of.setdefault(arrival.n, arrival.id) != arrival.id:
            outcome.two_ids.append(arrival.n)
        if n_of.setdefault(arrival.id, arrival.n) != arrival.n:
            outcome.repeated_ids.append(arrival.id)
    firsts = set()
    for arrival in witness.arrivals:
        if arrival.n in firsts:
            outcome.duplicates += 1
            continue
        firsts.add(arrival.n)
        if arrival.n < highest.get(arrival.topic, 0):
            outcome.out_of_order.append(arrival.n)
        highest[arrival.topic] = max(highest.get(arrival.topic, 0), arrival.n)
    outcome.holes = holes_of(n_of)
    return outcome


def holes_of(ids: Iterable[str]) -> list[str]:
    numbers: dict[str, list[int]] = {}
    for identity in ids:
        prefix, _, number = identity.rpartition("-")
        numbers.setdefault(prefix, []).append(int(number))
    return [
        f"{prefix}-{number}"
        for prefix, given in numbers.items()
        for number in sorted(set(range(min(given), max(given))) - set(given))
    ]


def settle(feed: Feed, witness: Witness, timeout: float = 60) -> Outcome:
    """Stops the feed, waits until all that must come has come, and judges."""
    count = feed.pause()
    try:
        witness.wait_for(set(range(1, count + 1)) - feed.unread - feed.in_doubt, timeout)
    except TimeoutError:
        pass  # the outcome tells it better
    return judge(feed, witness)


def recovery(witness: Witness, since: float) -> float:
    """How long after `since` the first reading came."""
    wait_until(lambda: witness.arrivals and witness.arrivals[-1].at > since, 60, "a reading again")
    return next(arrival.at for arrival in witness.arrivals if arrival.at > since) - since
