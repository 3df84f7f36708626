# SPDX-License-Identifier: MIT
"""
Power cuts: everything that the daemon did to its disk is recorded, then replayed up to any moment, less any part of
what was not yet synced. SENSORGW_CUTS is how many moments are tried, SENSORGW_TEST_SEED repeats a run.
"""

import os
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer import Consumer, Message
from disk_record import SYNC, DiskRecorder, durable, read_files, replay
from fake_port import FakePort
from gateway import Gateway
from mosquitto import Mosquitto
from pki import Pki

CUTS = int(os.environ.get("SENSORGW_CUTS", "60"))
SEED = int(os.environ.get("SENSORGW_TEST_SEED", random.randrange(2**32)))
READINGS = 3000  # enough for a checkpoint of the log, and for a sync between two portions
PORTION = 300
BOUND_S = 1.0  # what `crash` may lose, and the time that a sync takes
SLACK_S = 1.5


@pytest.fixture
def chance() -> random.Random:
    print(f"\nSENSORGW_TEST_SEED={SEED}")
    return random.Random(SEED)


@pytest.fixture
def mosquitto(tmp_path: Path, pki: Pki) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, pki) as broker:
        yield broker


def feed(port: FakePort, gateway: Gateway, count: int) -> None:
    """Sends readings as fast as they are taken, a portion at a time."""
    for number in range(1, count + 1):
        port.reading(1, n=f"{number}.0")
        if number % PORTION == 0:
            gateway.wait_state(lambda state, n=number: state["accepted"] >= n, what=f"{number}")


def numbers_in(spool: Path) -> set[int]:
    with sqlite3.connect(spool) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not database.execute("SELECT * FROM sqlite_master").fetchall():
            return set()  # the power failed before the tables were on the medium
        return {n for (n,) in database.execute("SELECT number FROM reading WHERE sensor <> ''")}


def taken_at(spool: Path) -> dict[int, float]:
    """When each reading came, by time.monotonic(): it is committed in the same turn of the loop."""
    skew_s = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
    with sqlite3.connect(spool) as database:
        rows = database.execute("SELECT number, taken_us FROM reading").fetchall()
    return {number: taken_us / 1e6 - skew_s for number, taken_us in rows}


@pytest.mark.timeout(300)
def test_a_power_cut_takes_a_second_at_most(
    tmp_path: Path, build: Path, pki: Pki, chance: random.Random
) -> None:
    """`crash`, with the broker away: what was synced is there, and what is older than the bound."""
    replica = tmp_path / "replica.db"
    with FakePort() as port:
        gateway = Gateway(tmp_path, pki, 1, {"kitchen": port.path})  # nobody listens on port 1
        recorder = DiskRecorder(tmp_path, gateway.spool, build)
        gateway = Gateway(tmp_path, pki, 1, {"kitchen": port.path}, wrapper=recorder.wrapper("a"))
        with gateway:
            port.wait_for_reader()
            feed(port, gateway, READINGS)
            gateway.kill()
    operations = recorder.operations()
    replay(operations, len(operations), replica)
    committed = taken_at(replica)
    assert len(committed) == READINGS
    most_lost = 0
    for _ in range(CUTS):
        cut = chance.randrange(1, len(operations) + 1)
        end_s = operations[cut - 1].at_s
        replay(operations, durable(operations, cut).get("-wal", 0), replica)
        synced = numbers_in(replica)
        replay(operations, cut, replica, chance)
        left = numbers_in(replica)
        assert synced <= left, f"cut {cut}: synced and lost: {sorted(synced - left)[:5]}"
        due = {n for n, at_s in committed.items() if at_s < end_s - BOUND_S - SLACK_S}
        assert due <= left, f"cut {cut}: older than the bound and lost: {sorted(due - left)[:5]}"
        accepted = {n for n, at_s in committed.items() if at_s <= end_s}
        most_lost = max(most_lost, len(accepted - left))
    syncs = sum(operation.kind == SYNC for operation in operations)
    print(
        f"{CUTS} cuts in {len(operations)} operations with {syncs} syncs: nothing synced was lost,"
        f" at most {most_lost} of the last second's readings"
    )


@pytest.mark.timeout(300)
def test_power_publishes_nothing_that_a_cut_could_take(
    tmp_path: Path, build: Path, pki: Pki, mosquitto: Mosquitto
) -> None:
    """`power`: whatever a consumer has seen was on the medium before."""
    replica = tmp_path / "replica.db"
    received: dict[int, float] = {}

    with FakePort() as port, Consumer(mosquitto.port, pki.folder) as consumer:
        settings = {"spool": {"durability": "power"}}
        gateway = Gateway(tmp_path, pki, mosquitto.port, {"kitchen": port.path}, **settings)
        recorder = DiskRecorder(tmp_path, gateway.spool, build)
        gateway = Gateway(
            tmp_path, pki, mosquitto.port, {"kitchen": port.path},
            wrapper=recorder.wrapper("a"), **settings,
        )
        with gateway:
            gateway.wait_online()
            port.wait_for_reader()
            feed(port, gateway, 300)
            consumer.wait_for_readings(300, 30)
            gateway.kill()
        skew_s = time.time() - time.monotonic()
        for message in consumer.messages:
            if message.topic.startswith("sensors/"):
                number = int(message.json["id"].split("-")[1])
                received.setdefault(number, message.at - skew_s)

    operations = recorder.operations()
    seen: set[int] = set()
    safe_since: dict[int, float] = {}
    for index, operation in enumerate(operations):
        if operation.kind == SYNC and operation.file == "-wal":
            replay(operations, operation.mark, replica)
            now = numbers_in(replica)
            safe_since.update({n: operations[index].at_s for n in now - seen})
            seen |= now
    late = [n for n, at_s in received.items() if at_s < safe_since.get(n, float("inf"))]
    assert len(received) == 300
    assert not late, f"seen before they were safe: {sorted(late)[:10]}"


@pytest.mark.timeout(300)
def test_no_id_comes_twice_after_a_power_cut(
    tmp_path: Path, build: Path, pki: Pki, mosquitto: Mosquitto, chance: random.Random
) -> None:
    """`crash`, with a healthy link: numbers that a cut took back are given out under another prefix."""
    contents: dict[str, float] = {}
    total = 0
    with FakePort() as port, Consumer(mosquitto.port, pki.folder) as consumer:
        spool = tmp_path / "spool.db"
        recorder = DiskRecorder(tmp_path, spool, build)
        for boot in "abcdef":
            base = read_files(spool)
            recorder.begin()
            gateway = Gateway(
                tmp_path, pki, mosquitto.port, {"kitchen": port.path},
                wrapper=recorder.wrapper(boot),
            )
            with gateway:
                gateway.wait_open(port.path)
                gateway.wait_for_entry(EVENT="connected")
                for _ in range(40):
                    total += 1
                    port.reading(1, n=f"{total}.0")
                consumer.wait_for(lambda messages, so_far=total: has(messages, so_far), 30, "all")
                gateway.kill()
            operations = recorder.operations()
            cut = chance.randrange(len(operations) // 2, len(operations) + 1)
            replay(operations, cut, spool, chance, base)
        for reading in consumer.readings():
            assert contents.setdefault(reading["id"], reading["n"]) == reading["n"], reading
    assert set(contents.values()) == {float(n) for n in range(1, total + 1)}


def has(messages: list[Message], number: int) -> bool:
    return any(m.topic.startswith("sensors/") and m.json["n"] == number for m in messages)
