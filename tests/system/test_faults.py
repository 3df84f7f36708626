# SPDX-License-Identifier: MIT
"""
Nothing is lost: the delivery contract (docs/delivery.md), proved by faults.

Each test breaks something, keeps a ledger of every reading sent and every reading received, and
prints its figures in one line. SENSORGW_TEST_SEED replays what chance decided;
SENSORGW_TEST_KILLS=1000 kills the daemon more often than 50 times.
"""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from board import Board
from fake_port import FakePort
from faulty_link import DOWN, UP, FaultyLink
from frame import Frame
from gateway import Gateway
from ledger import Arrival, Feed, Outcome, Port, Witness, holes_of, judge, recovery, settle
from mosquitto import Mosquitto
from pki import Pki
from puback_thief import PubackThief, steal_all, steal_none
from rabbitmq import GATEWAY, RabbitMQ
from sickness import Sickness
from waiting import wait_until

KILLS = int(os.environ.get("SENSORGW_TEST_KILLS", "50"))

WINDOW = 100  # the default of spool.window

# A patient daemon would make impatient tests.
QUICK: dict[str, Any] = {
    "reconnect": {"min_s": 0.1, "max_s": 0.5, "stable_s": 1},
    "timeouts": {"connect_s": 2, "tls_s": 2, "connack_s": 3, "puback_s": 2},
    "mqtt": {"keepalive_s": 5},
}


@pytest.fixture
def seed() -> Iterator[random.Random]:
    number = int(os.environ.get("SENSORGW_TEST_SEED", random.randrange(2**32)))
    print(f"SENSORGW_TEST_SEED={number}")
    yield random.Random(number)


@pytest.fixture
def port() -> Iterator[Port]:
    with Port() as one:
        yield one


@pytest.fixture
def quick_broker(tmp_path: Path, pki: Pki) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path, pki) as one:
        yield one


@pytest.fixture
def sickness(tmp_path: Path, build: Path) -> Sickness:
    return Sickness(tmp_path, build)


def gateway(folder: Path, pki: Pki, broker_port: int, device: Path, **settings: Any) -> Gateway:
    options = {key: settings.pop(key) for key in ("wrapper", "build") if key in settings}
    merged = {key: {**QUICK.get(key, {}), **settings.pop(key, {})} for key in QUICK}
    return Gateway(folder, pki, broker_port, {"kitchen": device}, **options, **merged, **settings)


@contextmanager
def running(one: Gateway, port: Port) -> Iterator[Gateway]:
    """Started, and reading its port."""
    with one:
        one.wait_open()
        yield one


def killed_and_started(one: Gateway, port: Port, feed: Feed, within_s: float = 0) -> None:
    feed.pause()
    one.kill()
    feed.take_back(within_s)
    one.launch()
    one.wait_open()
    feed.go_on()


def losses(one: Gateway) -> int:
    """How often it has said that a connection is lost, or cannot be made."""
    return sum({"BROKER", "CAUSE"} <= set(entry.fields) for entry in one.entries())


@contextmanager
def loss_of(one: Gateway) -> Iterator[None]:
    """What happens in here costs the connection."""
    before = losses(one)
    yield
    wait_until(lambda: losses(one) > before, 30, "the loss of the connection")


def report(outcome: Outcome, name: str, **more: object) -> None:
    extra = "".join(f", {key.replace('_', ' ')} {value}" for key, value in more.items())
    print(f"\n  {outcome.line(name)}{extra}")


# The daemon is killed


@pytest.mark.timeout(120 + 3 * KILLS)
def test_the_daemon_is_killed_at_random(tmp_path, pki, broker: RabbitMQ, port, seed):
    one = gateway(tmp_path, pki, broker.port, port.path)
    with Witness(broker.port, pki.folder) as witness, Feed(port, per_s=200) as feed:
        with running(one, port):
            feed.go_on()
            for kill in range(KILLS):
                time.sleep(seed.uniform(0, 0.5))  # the moment is the point
                if kill % 5 == 4:  # and once more before it has come to itself
                    feed.pause()
                    one.kill()
                    feed.take_back()
                    one.launch()
                    time.sleep(seed.uniform(0, 0.1))
                killed_and_started(one, port, feed)
            outcome = settle(feed, witness)
    report(outcome, f"daemon killed {KILLS} times", unread=len(feed.unread))
    outcome.assert_sound(duplicates=KILLS * WINDOW)


@pytest.mark.parametrize("durability", ["power", "outage"])
def test_the_daemon_is_killed_under(durability, tmp_path, pki, quick_broker, port, seed):
    """Under `outage` the last two seconds may be lost, but no id is ever given out twice."""
    kills = max(8, KILLS // 10)
    holds_s = 2.5 if durability == "outage" else 0
    one = gateway(tmp_path, pki, quick_broker.port, port.path, spool={"durability": durability})
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=200) as feed:
        with running(one, port):
            feed.go_on()
            for _ in range(kills):
                time.sleep(seed.uniform(0, 0.6))
                killed_and_started(one, port, feed, within_s=holds_s)
            outcome = settle(feed, witness)
    report(outcome, f"daemon killed {kills} times under {durability}")
    outcome.assert_sound(duplicates=kills * WINDOW, holes=durability == "outage")


def test_a_kill_under_outage_loses_two_seconds_at_most(tmp_path, pki, quick_broker, port):
    """With the link down everything older than that is on disk."""
    one = gateway(tmp_path, pki, quick_broker.port, port.path, spool={"durability": "outage"})
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        with running(one, port):
            one.wait_online()
            feed.go_on()
            witness.wait_for_more(50)
            witness.leave()
            quick_broker.freeze()  # nothing is acknowledged from here on
            wait_until(lambda: len(feed.sent) > 600, 30, "600 readings")
            killed_and_started(one, port, feed, within_s=2.5)
            quick_broker.thaw()
            witness.come_back()
            outcome = settle(feed, witness)
    report(outcome, "daemon killed under outage, broker frozen", in_doubt=len(feed.in_doubt))
    outcome.assert_sound(duplicates=3 * WINDOW, holes=True)
    assert len(feed.in_doubt) < 500


def test_a_clean_stop_doubles_nothing(tmp_path, pki, quick_broker, port):
    one = gateway(tmp_path, pki, quick_broker.port, port.path)
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=200) as feed:
        with running(one, port):
            for _ in range(4):
                feed.go_on()
                witness.wait_for_more(30)
                feed.pause()
                one.stop()
                feed.take_back()
                one.launch()
                port.wait_for_reader()
            feed.go_on()
            witness.wait_for_more(30)
            outcome = settle(feed, witness)
    report(outcome, "daemon stopped 4 times")
    outcome.assert_sound(duplicates=0)


# The way to the broker


@pytest.mark.timeout(240)
def test_the_broker_is_killed(tmp_path, pki, broker: RabbitMQ, port):
    """What it acknowledged it has, and what it has not it gets again."""
    one = gateway(tmp_path, pki, broker.port, port.path)
    with Witness(broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        witness.leave()
        with running(one, port):
            feed.go_on()
            one.wait_online()
            wait_until(lambda: len(feed.sent) > 300, 30, "300 readings")
            with loss_of(one):
                broker.kill()
            broker.start()
            began = time.monotonic()
            one.wait_for_entry("connected", count=2)
            online = time.monotonic() - began
            witness.come_back()
            outcome = settle(feed, witness)
    outcome.recovery_s = online
    report(outcome, "broker killed")
    outcome.assert_sound(duplicates=WINDOW)


def test_the_link_is_cut(tmp_path, pki, broker: RabbitMQ, port, seed):
    cuts, slowest = 6, 0.0
    with FaultyLink(broker.port) as link, Witness(broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path)
        with Feed(port, per_s=200) as feed, running(one, port):
            feed.go_on()
            for _ in range(cuts):
                witness.wait_for_more(20)
                time.sleep(seed.uniform(0, 0.2))
                link.cut()
                time.sleep(seed.uniform(0, 0.5))
                link.mend()
                mended = time.monotonic()
                slowest = max(slowest, recovery(witness, mended))
            outcome = settle(feed, witness)
            causes = {entry.fields.get("CAUSE") for entry in one.entries()} - {None}
    outcome.recovery_s = slowest
    report(outcome, f"link cut {cuts} times")
    # nobody refuses us: nothing to wait for a person for
    assert causes <= {"connection-lost", "refused", "closed-in-handshake", "broker-silent"}
    outcome.assert_sound(duplicates=cuts * WINDOW)


@pytest.mark.parametrize("ways", [(UP, DOWN), (UP,), (DOWN,)], ids=["both", "up", "down"])
@pytest.mark.parametrize("end", ["held", "gone"])
def test_a_black_hole(ways, end, tmp_path, pki, quick_broker, port):
    """Nobody is told; and what the hole has swallowed comes out again, or never does."""
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path)
        with Feed(port, per_s=200) as feed, running(one, port):
            feed.go_on()
            witness.wait_for_more(50)
            with loss_of(one):
                link.black_hole(*ways)
            if end == "gone":
                link.cut()
            link.mend()
            mended = time.monotonic()
            took = recovery(witness, mended)
            outcome = settle(feed, witness)
            lost_links = link.connections
    outcome.recovery_s = took
    report(outcome, f"black hole {'+'.join(ways)}, then {end}")
    outcome.assert_sound(duplicates=lost_links * WINDOW)


def test_a_trickle(tmp_path, pki, quick_broker, port):
    """A few readings a second get through: slow is not lost, and no reason to begin anew."""
    patient = {"tls_s": 20, "connack_s": 20, "puback_s": 20}
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(
            tmp_path, pki, link.port, port.path, timeouts=patient, mqtt={"keepalive_s": 60}
        )
        with Feed(port, per_s=200) as feed, running(one, port):
            one.wait_online()
            link.trickle(3000)
            feed.go_on()
            witness.wait_for_more(40)
            feed.pause()
            connections = link.connections
            link.mend()
            outcome = settle(feed, witness)
    report(outcome, "trickle of 3000 bytes/s", connections=connections)
    assert connections == 1
    outcome.assert_sound(duplicates=0)


def test_a_long_way(tmp_path, pki, quick_broker, port):
    """300 ms there and 300 ms back: the window is what keeps the readings coming."""
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path, timeouts={"tls_s": 10, "connack_s": 10})
        link.delay(0.3)
        with Feed(port, per_s=80) as feed, running(one, port):
            one.wait_online()
            feed.go_on()
            witness.wait_for_more(200)
            outcome = settle(feed, witness, timeout=20)
    report(outcome, "600 ms round trip", connections=link.connections)
    outcome.assert_sound(duplicates=0)


def test_a_broker_that_stands_still(tmp_path, pki, quick_broker, port):
    """Shorter than puback_s it is waited for, longer it is left and tried again."""
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        one = gateway(tmp_path, pki, quick_broker.port, port.path)
        with running(one, port):
            feed.go_on()
            witness.wait_for_more(50)
            quick_broker.freeze()
            time.sleep(1)  # half of puback_s
            quick_broker.thaw()
            witness.wait_for_more(50)
            assert len(one.entries("connected")) == 1
            quick_broker.freeze()
            one.wait_for_entry(CAUSE="puback-timeout")
            quick_broker.thaw()
            thawed = time.monotonic()
            took = recovery(witness, thawed)
            outcome = settle(feed, witness)
            again = len(one.entries("connected"))
    outcome.recovery_s = took
    report(outcome, "broker frozen", connections=again)
    outcome.assert_sound(duplicates=again * WINDOW)


def test_an_idle_connection_stays(tmp_path, pki, quick_broker, port):
    """The state alone, once in a while, is no silence of the broker's."""
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(
            tmp_path, pki, link.port, port.path, timeouts={"puback_s": 1}, state={"interval_s": 2}
        )
        with running(one, port):
            one.wait_online()
            wait_until(lambda: len(witness.states) > 4, 20, "some states")
            one.stop()
        states = [state["state"] for state in witness.states]
    print(f"\n  idle: {len(states)} states, connections {link.connections}")
    assert link.connections == 1
    assert states[:-1] == ["online"] * (len(states) - 1)


# The broker's will


def test_lost_pubacks(tmp_path, pki, broker: RabbitMQ, port):
    """The broker has the reading, we never hear of it: it is sent again, under its id."""
    with PubackThief(broker.port, pki) as thief, Witness(broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, thief.port, port.path)
        with Feed(port, per_s=100) as feed, running(one, port):
            feed.go_on()
            witness.wait_for_more(100)
            thief.steals = lambda nth: nth % 7 == 0
            wait_until(lambda: thief.stolen > 10, 30, "ten PUBACKs stolen")
            thief.steals = steal_all
            one.wait_for_entry(CAUSE="puback-timeout")
            thief.steals = lambda nth: False
            outcome = settle(feed, witness)
    report(outcome, f"{thief.stolen} PUBACKs lost", connections=thief.connections)
    outcome.assert_sound(duplicates=(thief.connections - 1) * WINDOW)
    assert thief.connections > 1


def test_a_memory_alarm(tmp_path, pki, broker: RabbitMQ, port):
    with Witness(broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        one = gateway(tmp_path, pki, broker.port, port.path)
        with running(one, port):
            feed.go_on()
            witness.wait_for_more(50)
            try:
                with loss_of(one):
                    broker.ctl("set_vm_memory_high_watermark", "0.0001")
                cause = one.entries(BROKER=f"localhost:{broker.port}")[-1].fields["CAUSE"]
            finally:
                broker.ctl("set_vm_memory_high_watermark", "0.4")
            eased = time.monotonic()
            one.reload()  # the back-off for a broker that stays silent is long
            took = recovery(witness, eased)
            outcome = settle(feed, witness)
            connections = len(one.entries("connected"))
    outcome.recovery_s = took
    report(outcome, "memory alarm", cause=cause)
    outcome.assert_sound(duplicates=connections * WINDOW)
    assert cause in ("puback-timeout", "broker-silent")


def test_a_client_id_is_taken_over(tmp_path, pki, broker: RabbitMQ, port):
    """Two daemons of one name throw each other out; nothing is lost, and one of them says so."""
    (tmp_path / "other").mkdir()
    with FakePort() as other_port, FaultyLink(broker.port) as link, \
            Witness(broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, broker.port, port.path)
        other = gateway(tmp_path / "other", pki, link.port, other_port.path)
        link.delay(0.2)  # until it is back, the first has been acknowledged something
        with Feed(port, per_s=100) as feed, running(one, port):
            feed.go_on()
            witness.wait_for_more(50)
            with other:
                wait_until(lambda: says_taken(one) or says_taken(other), 60, "the cause")
                refused = one.entries(CAUSE="publish-forbidden")
            ended = time.monotonic()
            one.reload()  # a back-off for what a person has to mend is long
            took = recovery(witness, ended)
            outcome = settle(feed, witness)
            connections = len(one.entries("connected"))
    outcome.recovery_s = took
    report(outcome, "client id taken over", connections=connections)
    outcome.assert_sound(duplicates=30 * WINDOW)
    assert not refused, "a broker that takes readings does not forbid them"


def says_taken(one: Gateway) -> bool:
    return bool(one.entries(CAUSE="client-id-taken"))


@contextmanager
def permitted(broker: RabbitMQ, write: str) -> Iterator[None]:
    """The gateway may write to these topics only, for a while."""
    shipped = r"^(sensors\.{username}\..+|gateways\.{username})$"
    order = ("set_topic_permissions", GATEWAY, "amq.topic")
    broker.ctl(*order, write, "^$")
    try:
        yield
    finally:
        broker.ctl(*order, shipped, "^$")


def test_a_forbidden_sensor_topic(tmp_path, pki, broker: RabbitMQ, port):
    """Kept until it is allowed: nothing is moved aside for it."""
    with Witness(broker.port, pki.folder) as witness, Feed(port, per_s=50) as feed:
        one = gateway(tmp_path, pki, broker.port, port.path)
        with permitted(broker, r"^gateways\.{username}$"):
            one.start()
            port.wait_for_reader()
            feed.go_on()
            one.wait_for_entry(CAUSE="publish-forbidden")
            refused = len(witness.seen)
        try:
            allowed = time.monotonic()
            one.reload()
            took = recovery(witness, allowed)
            outcome = settle(feed, witness)
        finally:
            one.stop()
    outcome.recovery_s = took
    report(outcome, "forbidden sensor topic")
    assert refused == 0
    outcome.assert_sound(duplicates=WINDOW)


def test_a_forbidden_state_topic(tmp_path, pki, broker: RabbitMQ, port):
    """The readings arrive all the same, and the journal says what is missing."""
    with Witness(broker.port, pki.folder) as witness, Feed(port, per_s=50) as feed:
        one = gateway(tmp_path, pki, broker.port, port.path)
        with permitted(broker, r"^sensors\.{username}\..+$"):
            with running(one, port):
                feed.go_on()
                one.wait_for_entry(CAUSE="publish-forbidden")
                witness.wait_for_more(50)
                outcome = settle(feed, witness)
    report(outcome, "forbidden state topic")
    outcome.assert_sound(duplicates=WINDOW)


def test_a_second_broker(tmp_path, pki, port):
    """The second takes over when the first is down; what came while both were goes to either."""
    with Mosquitto(tmp_path, pki, "first") as first, Mosquitto(tmp_path, pki, "second") as second:
        one = gateway(
            tmp_path,
            pki,
            first.port,
            port.path,
            brokers=[{"host": "localhost", "port": each.port} for each in (first, second)],
        )
        with Witness(first.port, pki.folder) as witness, Witness(second.port, pki.folder) as other:
            with Feed(port, per_s=100) as feed, running(one, port):
                feed.go_on()
                witness.wait_for_more(50)
                with loss_of(one):
                    first.stop()
                    stopped = time.monotonic()
                took = recovery(other, stopped)
                other.wait_for_more(50)
                with loss_of(one):
                    second.stop()
                count = len(feed.sent)
                wait_until(lambda: len(feed.sent) > count + 50, 10, "readings that wait")
                first.start()
                second.start()
                one.wait_for_entry("connected", count=3)
                count = feed.pause()
                wait_until(lambda: len(witness.seen | other.seen) == count, 30, "all readings")
        witness.take_over(other)
        outcome = judge(feed, witness)
    outcome.recovery_s = took
    report(outcome, "second broker")
    outcome.assert_sound(duplicates=2 * WINDOW)


# The disk


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True, timeout=20)


def mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, timeout=20)


@needs_root
@pytest.mark.parametrize("durability", ["power", "crash", "outage"])
def test_the_disk_is_full(durability, tmp_path, small_disk, pki, quick_broker, port):
    """Memory goes on, and says so; the disk is taken again when there is room."""
    spool = {"path": small_disk / "spool.db", "durability": durability}
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path, spool=spool)
        with Feed(port, per_s=200) as feed, running(one, port):
            one.wait_online()
            feed.go_on()
            link.cut()
            one.wait_for_entry("disk is full", CAUSE="spool-full")
            count = len(feed.sent)
            wait_until(lambda: len(feed.sent) > count + 300, 20, "readings in memory")
            link.mend()
            mended = time.monotonic()
            took = recovery(witness, mended)
            witness.wait_for_more(100)
            mount("-o", "remount,size=64m", small_disk)
            one.wait_for_entry("written to disk again")
            witness.wait_for_more(100)
            outcome = settle(feed, witness)
    outcome.recovery_s = took
    report(outcome, f"disk full under {durability}")
    outcome.assert_sound(duplicates=2 * WINDOW)


@needs_root
def test_a_kill_while_the_disk_is_full(tmp_path, small_disk, pki, quick_broker, port):
    """What was in memory alone is gone; the ids that it had had are not given to others."""
    spool = {"path": small_disk / "spool.db"}
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path, spool=spool)
        with Feed(port, per_s=200) as feed, running(one, port):
            one.wait_online()
            feed.go_on()
            link.cut()
            one.wait_for_entry("disk is full", CAUSE="spool-full")
            link.mend()
            count = len(feed.sent)
            witness.wait_for(range(count + 100, count + 200))
            feed.pause()
            one.kill()
            feed.take_back()
            feed.in_doubt |= set(range(1, len(feed.sent) + 1))
            mount("-o", "remount,size=64m", small_disk)
            one.launch()
            port.wait_for_reader()
            feed.go_on()
            witness.wait_for(range(len(feed.sent) + 100, len(feed.sent) + 200))
            outcome = settle(feed, witness)
    report(outcome, "daemon killed while the disk is full", in_doubt=len(feed.in_doubt))
    # a full disk takes no deletion either: all that is on it comes again
    outcome.assert_sound(duplicates=outcome.sent, holes=True)


def test_files_may_not_grow(tmp_path, pki, quick_broker, port):
    """The same without root: a limit on the size of files, lifted later."""
    limited = ["env", "--ignore-signal=XFSZ", "prlimit", "--fsize=150000:unlimited"]
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path, wrapper=limited)
        with Feed(port, per_s=200) as feed, running(one, port):
            one.wait_online()
            feed.go_on()
            link.cut()
            one.wait_for_entry("kept in memory")
            count = len(feed.sent)
            wait_until(lambda: len(feed.sent) > count + 300, 20, "readings in memory")
            link.mend()
            witness.wait_for_more(100)
            pid = str(one.pid)
            subprocess.run(["prlimit", "--pid", pid, "--fsize=unlimited"], check=True, timeout=20)
            one.wait_for_entry("written to disk again")
            outcome = settle(feed, witness)
    report(outcome, "files may not grow")
    outcome.assert_sound(duplicates=2 * WINDOW)


def test_the_folder_of_the_spool_is_missing(tmp_path, pki, quick_broker, port):
    spool = {"path": tmp_path / "absent" / "spool.db"}
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        one = gateway(tmp_path, pki, quick_broker.port, port.path, spool=spool)
        with running(one, port):
            feed.go_on()
            one.wait_for_entry(CAUSE="spool-readonly")
            witness.wait_for_more(100)
            spool["path"].parent.mkdir()
            one.wait_for_entry("written to disk again")
            witness.wait_for_more(50)
            killed_and_started(one, port, feed)
            witness.wait_for_more(50)
            outcome = settle(feed, witness)
    report(outcome, "spool folder missing at start")
    outcome.assert_sound(duplicates=WINDOW, holes=True)


@needs_root
def test_the_disk_is_read_only_at_start(tmp_path, small_disk, pki, quick_broker, port):
    spool = {"path": small_disk / "spool.db"}
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        one = gateway(tmp_path, pki, quick_broker.port, port.path, spool=spool)
        with running(one, port):
            feed.send(20)
            witness.wait_for(range(1, 21))
            quick_broker.freeze()
            feed.send(20)
            one.wait_state(lambda state: state["accepted"] == 40)
            one.kill()
            quick_broker.thaw()
            mount("-o", "remount,ro", small_disk)
            one.launch()
            one.wait_open()
            feed.go_on()
            one.wait_for_entry(CAUSE="spool-readonly")
            witness.wait_for_more(50)
            mount("-o", "remount,rw", small_disk)
            one.wait_for_entry("written to disk again")
            outcome = settle(feed, witness)
    report(outcome, "disk read-only at start")
    outcome.assert_sound(duplicates=2 * WINDOW, holes=True, order=False)


def filled(one: Gateway, port: Port, feed: Feed, count: int) -> None:
    """So many readings wait on disk, and the daemon has ended cleanly."""
    with running(one, port):
        feed.send(count)
        one.wait_state(lambda state: state["accepted"] == count)


def zero(path: Path, _random: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def garbage(path: Path, chance: random.Random) -> None:
    path.write_bytes(chance.randbytes(path.stat().st_size))


def flipped(path: Path, _random: random.Random) -> None:
    """3 KiB in the middle."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2048 * 1024
    for at in range(middle, middle + 3072):
        content[at] ^= 0xFF
    path.write_bytes(content)


def truncated(path: Path, _random: random.Random) -> None:
    """By a quarter."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 3 // 4 // 1024 * 1024)


@pytest.mark.parametrize(
    "damage, salvaged", [(zero, 0), (garbage, 0), (flipped, 1500), (truncated, 700)]
)
def test_a_corrupt_spool(damage, salvaged, tmp_path, pki, quick_broker, port, seed):
    """It starts all the same, at once; what can be read is salvaged, and nothing is invented."""
    count = 2000
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path)
        with Feed(port, per_s=100) as feed:
            link.cut()
            filled(one, port, feed, count)
            damage(one.spool, seed)
            link.mend()
            with running(one, port):
                feed.go_on()
                witness.wait_for(range(count + 1, count + 100))
                one.wait_for_entry(CAUSE="spool-corrupt")
                one.wait_for_entry("salvaged what could be read of the corrupt spool")
                if salvaged:
                    wait_until(lambda: len(witness.seen) > count, 20, "what was salvaged")
                    wait_until(lambda: one.state()["waiting"] < WINDOW, 20, "the end of it")
                feed.in_doubt |= set(range(1, count + 1))
                outcome = settle(feed, witness)
                found = len(witness.seen & set(range(1, count + 1)))
    report(outcome, f"spool {damage.__name__}", salvaged=f"{found} of {count}")
    outcome.assert_sound(duplicates=WINDOW, holes=True, order=False)
    assert found >= salvaged
    assert list(tmp_path.glob("spool.db.corrupt-*"))


def test_a_spool_of_a_newer_version(tmp_path, pki, quick_broker, port):
    """Not ours to touch: memory alone, said, until that version is back."""
    count = 100
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, port.path)
        with Feed(port, per_s=100) as feed:
            link.cut()
            filled(one, port, feed, count)
            set_format(one.spool, 99)
            content = one.spool.read_bytes()
            link.mend()
            with running(one, port):
                feed.go_on()
                one.wait_for_entry("newer")
                witness.wait_for(range(count + 1, count + 100))
                kept = one.spool.read_bytes() == content
                set_format(one.spool, 1)
                outcome = settle(feed, witness)
    report(outcome, "spool of a newer version")
    assert kept
    outcome.assert_sound(duplicates=WINDOW, holes=True, order=False)


def set_format(spool: Path, number: int) -> None:
    database = sqlite3.connect(spool)
    database.execute(f"PRAGMA user_version = {number}")
    database.commit()
    database.close()


@pytest.mark.parametrize("durability", ["power", "crash", "outage"])
def test_an_older_copy_is_restored(durability, tmp_path, pki, quick_broker, port):
    """Numbers that it does not know were given out: never again."""
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=200) as feed:
        spool = {"durability": durability}
        one = gateway(tmp_path, pki, quick_broker.port, port.path, spool=spool)
        with running(one, port):
            feed.send(50)
            witness.wait_for(range(1, 51))
            one.stop()
            shutil.copy2(one.spool, tmp_path / "copy")
            for end in (one.stop, one.kill):
                with_copy(one, port, feed, witness, end, tmp_path / "copy")
            outcome = settle(feed, witness)
    report(outcome, f"older copy restored under {durability}")
    outcome.assert_sound(duplicates=2 * WINDOW, holes=True)


def with_copy(
    one: Gateway, port: Port, feed: Feed, witness: Witness, end: Callable[[], None], copy: Path
) -> None:
    one.launch()
    one.wait_open()
    feed.send(50)
    witness.wait_for(range(1, len(feed.sent) + 1))
    end()
    for log in ("-wal", "-shm"):
        Path(f"{one.spool}{log}").unlink(missing_ok=True)
    shutil.copy2(copy, one.spool)
    one.launch()
    one.wait_open()
    feed.send(50)
    witness.wait_for(range(1, len(feed.sent) + 1))
    one.stop()


@pytest.mark.parametrize("durability", ["crash", "power"])
def test_the_disk_is_slow(durability, tmp_path, pki, quick_broker, port, sickness):
    """Three seconds for a flush: under `power` a reading waits for it, under `crash` none does."""
    spool = {"durability": durability}
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=100) as feed:
        one = gateway(
            tmp_path, pki, quick_broker.port, port.path, wrapper=sickness.wrapper, spool=spool
        )
        with running(one, port):
            one.wait_online()
            sickness.say(sync_ms=3000)
            feed.go_on()
            witness.wait_for_more(1000, timeout=60)
            sickness.say()
            outcome = settle(feed, witness)
    delays = sorted(arrival.at - feed.sent[arrival.n - 1] for arrival in witness.arrivals)
    report(
        outcome,
        f"flushes of 3 s under {durability}",
        median=f"{delays[len(delays) // 2]:.3f} s",
        slowest=f"{delays[-1]:.2f} s",
    )
    outcome.assert_sound(duplicates=0)
    if durability == "crash":
        assert delays[-1] < 1


# The clock and the cable


def taken(arrival: Arrival) -> float:
    return datetime.fromisoformat(arrival.message["time"]).timestamp()


def test_the_clock_is_wrong(tmp_path, pki, quick_broker, port, sickness):
    """1970 at boot, set right, 1970 again: no timer stops, and every time is right in the end."""
    to_1970 = -int(time.time()) + 3600
    sickness.say(wall_s=to_1970, unsynchronised=1)
    with Witness(quick_broker.port, pki.folder) as witness, Feed(port, per_s=50) as feed:
        one = gateway(tmp_path, pki, quick_broker.port, port.path, wrapper=sickness.wrapper)
        with running(one, port):
            wall = time.time() - time.monotonic()
            feed.go_on()
            one.wait_for_entry(CAUSE="clock-wrong")
            wait_until(lambda: len(feed.sent) > 50, 20, "readings of 1970")
            sickness.say()
            set_right = time.monotonic()
            one.reload()  # a person who sets the clock need not wait for the back-off
            took = recovery(witness, set_right)
            witness.wait_for_more(50)
            sickness.say(wall_s=to_1970, unsynchronised=1)
            witness.wait_for_more(50)
            killed_and_started(one, port, feed)
            one.wait_for_entry(CAUSE="clock-wrong")
            sickness.say()
            one.reload()
            outcome = settle(feed, witness)
    outcome.recovery_s = took
    off = max(abs(taken(each) - wall - feed.sent[each.n - 1]) for each in witness.arrivals)
    unsure = sum("clock" in arrival.message for arrival in witness.arrivals)
    report(outcome, "clock in 1970, twice", furthest_off=f"{off:.2f} s", unsure=unsure)
    outcome.assert_sound(duplicates=2 * WINDOW)
    assert off < 2
    assert unsure == 0


def test_the_board_is_unplugged_while_spooling(tmp_path, pki, quick_broker):
    """It comes back as another device behind the same link."""
    device = tmp_path / "board"
    plugs = 3
    with FaultyLink(quick_broker.port) as link, Witness(quick_broker.port, pki.folder) as witness:
        one = gateway(tmp_path, pki, link.port, device)
        port = Port()
        device.symlink_to(port.path)
        with Feed(port, per_s=200) as feed, running(one, port):
            feed.go_on()
            witness.wait_for_more(50)
            for _ in range(plugs):
                with loss_of(one):
                    link.cut()
                wait_until(lambda: len(feed.sent) % 100 > 50, 20, "readings")
                feed.take_back()
                port.close()
                device.unlink()
                port = feed.port = Port()
                device.symlink_to(port.path)
                port.wait_for_reader()
                feed.go_on()
                link.mend()
                witness.wait_for_more(50)
            outcome = settle(feed, witness)
    port.close()
    report(outcome, f"unplugged {plugs} times while spooling")
    outcome.assert_sound(duplicates=plugs * WINDOW)


def test_an_emulated_board(tmp_path, pki, broker: RabbitMQ, seed):
    """The real firmware: every frame that the daemon was handed is at the broker, in order."""
    rows = [f"{2 * i},{10 + i % 400 / 10:.1f},{30 + i % 59}.0" for i in range(3000)]
    with FaultyLink(broker.port) as link, Witness(broker.port, pki.folder) as witness:
        with Board(tmp_path, csv="\n".join(rows) + "\n", speed=40) as board:
            with gateway(tmp_path, pki, link.port, board.link) as one:
                for _ in range(4):
                    witness.wait_for_more(20)
                    time.sleep(seed.uniform(0, 0.2))
                    with loss_of(one):
                        link.cut()
                    link.mend()
                witness.wait_for_more(20)
                # As far as it has come: what is on the wire when it is unplugged is nobody's.
                frames = map(parsed, board.frames_sent())
                sent = [(f["t"], f["rh"]) for f in frames if f]
                wait_until(lambda: len(once_each(witness)) >= len(sent), 20, "all readings")
    once = once_each(witness)
    values = [(f"{m['temperature']:.1f}", f"{m['humidity']:.1f}") for m in once.values()]
    got = values[: len(sent)]
    doubled = len(witness.arrivals) - len(once)
    print(f"\n  emulated board, link cut 4 times: sent {len(sent)}, lost {len(sent) - len(got)},"
          f" duplicates {doubled}, out of order {int(got != sent)}")  # fmt: skip
    assert got == sent
    assert not holes_of(once)
    assert doubled <= 4 * WINDOW


def parsed(line: str) -> dict[str, str]:
    frame = Frame.parse(line.encode())
    return frame.fields if frame.type == "R" else {}


def once_each(witness: Witness) -> dict[str, dict[str, Any]]:
    """Messages by id, in the order of their first arrival."""
    once: dict[str, dict[str, Any]] = {}
    for arrival in list(witness.arrivals):
        once.setdefault(arrival.id, arrival.message)
    return once


# All of it


class Storm:
    """Faults in an order that chance decides. Each is a method; each is mended before the next."""

    faults = (
        "kill", "kill", "cut", "hole_up", "hole_down", "hole", "trickle", "delay", "steal",
        "steal_all", "slow_disk", "clock", "stop", "reload",
    )  # fmt: skip

    def __init__(
        self,
        one: Gateway,
        port: Port,
        feed: Feed,
        link: FaultyLink,
        thief: PubackThief,
        sickness: Sickness,
        chance: random.Random,
    ) -> None:
        self.one, self.port, self.feed = one, port, feed
        self.link, self.thief, self.sickness = link, thief, sickness
        self.chance = chance
        self.losses = 0

    def strike(self) -> str:
        fault = self.chance.choice(self.faults)
        getattr(self, f"do_{fault}")()
        time.sleep(self.chance.choice((0.3, 0.3, 1, 3)) * self.chance.random())
        self.mend()
        self.one.reload()
        time.sleep(self.chance.uniform(0, 0.5))
        return fault

    def mend(self) -> None:
        self.link.mend()
        self.thief.steals = steal_none
        self.sickness.say()

    def do_kill(self) -> None:
        killed_and_started(self.one, self.port, self.feed)

    def do_stop(self) -> None:
        self.feed.pause()
        self.one.stop()
        self.feed.take_back()
        self.one.launch()
        self.port.wait_for_reader()
        self.feed.go_on()

    def do_reload(self) -> None:
        self.one.reload()

    def do_cut(self) -> None:
        self.link.cut()

    def do_hole(self) -> None:
        self.link.black_hole()

    def do_hole_up(self) -> None:
        self.link.black_hole(UP)

    def do_hole_down(self) -> None:
        self.link.black_hole(DOWN)

    def do_trickle(self) -> None:
        self.link.trickle(5000)

    def do_delay(self) -> None:
        self.link.delay(0.2)

    def do_steal(self) -> None:
        self.thief.steals = lambda nth: nth % 5 == 0

    def do_steal_all(self) -> None:
        self.thief.steals = steal_all

    def do_slow_disk(self) -> None:
        self.sickness.say(sync_ms=self.chance.randrange(100, 2000))

    def do_clock(self) -> None:
        self.sickness.say(wall_s=self.chance.randrange(-(10**9), 10**9))


@pytest.mark.timeout(60 + 10 * KILLS)
def test_everything_at_once(tmp_path, pki, broker: RabbitMQ, port, seed, sickness):
    strikes = max(25, KILLS // 2)
    told = []
    with (
        PubackThief(broker.port, pki) as thief,
        FaultyLink(thief.port) as link,
        Witness(broker.port, pki.folder) as witness,
        Feed(port, per_s=150) as feed,
    ):
        one = gateway(
            tmp_path, pki, link.port, port.path, wrapper=sickness.wrapper, stop_s=8
        )
        storm = Storm(one, port, feed, link, thief, sickness, seed)
        with running(one, port):
            feed.go_on()
            for _ in range(strikes):
                told.append(storm.strike())
            ended = time.monotonic()
            one.reload()
            took = recovery(witness, ended)
            outcome = settle(feed, witness)
        connections = thief.connections
    outcome.recovery_s = took
    report(outcome, f"{strikes} faults", connections=connections)
    print(f"  {' '.join(told)}")
    outcome.assert_sound(duplicates=connections * WINDOW)


# What it costs, measured without sanitizers


BACKLOG = 100_000


class Subscriber:
    """mosquitto_sub: fast enough not to be what is measured. Its session outlives it."""

    def __init__(self, broker: Mosquitto, pki: Pki, folder: Path) -> None:
        self._log = folder / "received"
        self._command = [
            "mosquitto_sub", "-h", "localhost", "-p", str(broker.port), "-V", "mqttv311",
            "--cafile", pki.ca, "--cert", pki.certificate("dashboard"),
            "--key", pki.key("dashboard"), "-i", "backlog", "-c", "-q", "1", "-t", "sensors/#",
        ]  # fmt: skip

    def subscribe(self) -> None:
        subprocess.run([*self._command, "-E"], check=True, timeout=30)

    def receive(self, count: int, timeout: float) -> None:
        """Waits until so many have come."""
        with self._log.open("wb") as log:
            subprocess.run([*self._command, "-C", str(count)], check=True, stdout=log, timeout=timeout)

    def readings(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.mark.timeout(300)
def test_a_long_backlog(tmp_path, pki, release_build, port):
    """A day's readings of two dozen boards, taken in while the broker is away."""
    with Mosquitto(tmp_path, pki) as broker:
        subscriber = Subscriber(broker, pki, tmp_path)
        subscriber.subscribe()
        broker.stop()
        one = gateway(tmp_path, pki, broker.port, port.path, build=release_build)
        with Feed(port) as feed, running(one, port):
            feed.send(100)
            one.wait_state(lambda state: state["accepted"] == 100)
            before = one.rss_anon_kib()
            began = time.monotonic()
            feed.send(BACKLOG - 100)
            one.wait_state(lambda state: state["accepted"] == BACKLOG, timeout=60)
            taken_in = time.monotonic() - began
            one.stop()
            spool_mib = one.spool.stat().st_size / 2**20
            began = time.monotonic()
            one.start()
            started = time.monotonic() - began
            port.wait_for_reader()
            one.wait_state(lambda state: state.get("waiting") == BACKLOG)
            broker.start()
            one.reload()
            one.wait_for_entry("connected")
            began = time.monotonic()
            subscriber.receive(BACKLOG, timeout=120)
            drained = time.monotonic() - began
            grown = one.rss_anon_kib() - before
    readings = subscriber.readings()
    numbers = [int(reading["n"]) for reading in readings]
    print(
        f"\n  backlog of {BACKLOG}: taken in at {BACKLOG / taken_in:.0f}/s, {spool_mib:.1f} MiB,"
        f" start-up {started:.2f} s, drained at {BACKLOG / drained:.0f}/s,"
        f" memory grown by {grown / 1024:.1f} MiB,"
        f" lost {BACKLOG - len(set(numbers))}, duplicates {len(numbers) - len(set(numbers))}"
    )
    assert numbers == list(range(1, BACKLOG + 1))
    assert started < 1
    assert grown < 4096


PER_DAY = 24 * 3600 // 2


@pytest.mark.parametrize("durability, most_mb", [("power", 300), ("crash", 50), ("outage", 1)])
def test_bytes_written_per_day(durability, most_mb, tmp_path, pki, quick_broker, port, release_build):
    """Faster than life, but each reading is acknowledged, and the disk at rest, before the next."""
    count = 1500
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:  # state and log are not counted
        one = gateway(
            Path(elsewhere),
            pki,
            quick_broker.port,
            port.path,
            build=release_build,
            spool={"path": tmp_path / "spool.db", "durability": durability},
        )
        with Witness(quick_broker.port, pki.folder) as witness, Feed(port, boards=[1]) as feed:
            with running(one, port):
                one.wait_online()
                sent_one_by_one(feed, witness, 50)
                before = written_by(one)
                sent_one_by_one(feed, witness, count)
                after = written_by(one)
    called, on_disk = ((after[key] - before[key]) / count for key in ("wchar", "write_bytes"))
    print(
        f"\n  one DHT11 under {durability}: {on_disk:.0f} bytes a reading reach the disk,"
        f" {on_disk * PER_DAY / 1e6:.0f} MB a day"
        f" ({called:.0f} written by calls, the network's among them)"
    )
    assert on_disk * PER_DAY / 1e6 < most_mb


def written_by(one: Gateway) -> dict[str, int]:
    lines = Path(f"/proc/{one.pid}/io").read_text().splitlines()
    return {key: int(value) for key, value in (line.split(": ") for line in lines)}


def sent_one_by_one(feed: Feed, witness: Witness, count: int) -> None:
    for _ in range(count):
        feed.send()
        witness.wait_for([len(feed.sent)])
        time.sleep(0.004)
