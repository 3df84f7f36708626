# SPDX-License-Identifier: MIT
"""The whole chain: the firmware on emulated boards, the daemon, RabbitMQ, a consumer."""

import ctypes
import json
import os
import pty
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from board import Board, image_path
from consumer import Consumer, Message, is_reading
from fake_port import FakePort
from frame import Frame
from gateway import EX_CONFIG, Gateway
from pki import Pki
from rabbitmq import GATEWAY, RabbitMQ
from relay import Relay
from waiting import wait_until

ARRIVAL_S = 30  # for anything that takes a moment on an idle machine
BROKER_S = 90  # for what needs RabbitMQ to start

# Virtual seconds in a real one: a reading every 2 / FAST s.
FAST = 10

QUICK = {"min_s": 0.1, "max_s": 1}  # reconnect
STATE_TOPIC = f"gateways/{GATEWAY}"
OFFLINE = {"state": "offline"}
WINDOW = 100

pytestmark = pytest.mark.skipif(
    not image_path().exists(), reason="no firmware image: gcc-avr or arduino-core-avr is missing"
)


# --- what was sent, what arrived


def readings_of(board: Board) -> list[tuple[str, str]]:
    """Temperature and humidity of each reading that the board has handed over, as it wrote them."""
    frames = (Frame.parse(line.encode()) for line in board.frames_sent())
    return [(frame.fields["t"], frame.fields["rh"]) for frame in frames if frame.type == "R"]


def exact(message: Message) -> dict:
    """The reading with its numbers as they were written."""
    return json.loads(message.payload, parse_float=str)


def arrived(messages: Iterable[Message], sensor: str | None = None) -> list[dict]:
    """Each reading once, in the order in which it first came."""
    once: dict[str, dict] = {}
    for reading in map(exact, filter(is_reading, messages)):
        if sensor in (None, reading["sensor"]):
            once.setdefault(reading["id"], reading)
    return list(once.values())


def values(readings: Iterable[dict]) -> list[tuple[str, str]]:
    return [(reading["temperature"], reading["humidity"]) for reading in readings]


def wait_for_arrival(
    consumer: Consumer, count: int, sensor: str | None = None, timeout: float = ARRIVAL_S
) -> list[dict]:
    """Waits for so many different readings; returns all that have come."""
    messages = consumer.wait_for(
        lambda so_far: len(arrived(so_far, sensor)) >= count,
        timeout,
        f"{count} readings of {sensor or 'any sensor'}",
    )
    return arrived(messages, sensor)


def wait_for_all(consumer: Consumer, board: Board, sensor: str | None = None) -> list[dict]:
    """All that the board has handed over so far must arrive as it is, in order."""
    sent = readings_of(board)
    readings = wait_for_arrival(consumer, len(sent), sensor)[: len(sent)]
    assert values(readings) == sent
    return readings


def lost_on_the_way(sent: list[tuple[str, str]], got: list[tuple[str, str]]) -> int:
    """How many of `sent` are not in `got`, which must have the same order and nothing else."""
    rest = iter(sent)
    for value in got:
        assert value in rest, f"{value} is out of order, doubled or invented: {sent} {got}"
    return len(sent) - len(got)


def numbers(readings: Iterable[dict]) -> list[int]:
    """The numbers of the ids, which must have one prefix."""
    pairs = [reading["id"].split("-") for reading in readings]
    assert len({prefix for prefix, _ in pairs}) == 1, pairs
    assert re.fullmatch("[0-9a-f]{8}", pairs[0][0])
    return [int(number) for _, number in pairs]


def assert_consecutive(readings: list[dict], first: int = 1) -> None:
    assert numbers(readings) == list(range(first, first + len(readings)))


def taken_at(reading: dict) -> float:
    return datetime.fromisoformat(reading["time"]).timestamp()


def script(pairs: Iterable[tuple[float, float]], begin_s: float = 0, step_s: float = 2) -> str:
    """A board's CSV: the first pair until begin_s, then another every step_s."""
    rows = [f"{begin_s + i * step_s:g},{t:.1f},{rh:.1f}" for i, (t, rh) in enumerate(pairs)]
    return "\n".join(["0" + rows[0][rows[0].index(",") :], *rows[1:], ""])


# Hundreds of readings of which no two neighbours are equal.
CHANGING = script([(10 + i % 251 / 10, 30 + i % 61) for i in range(3000)])


class Timex(ctypes.Structure):
    _fields_ = [("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long),
                ("maxerror", ctypes.c_long), ("esterror", ctypes.c_long),
                ("status", ctypes.c_int), ("rest", ctypes.c_char * 256)]


def clock_is_synchronised() -> bool:
    timex = Timex()
    assert ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) >= 0
    return not timex.status & 0x40  # STA_UNSYNC


# --- fixtures


@pytest.fixture
def gateway_with(tmp_path: Path, pki: Pki, broker: RabbitMQ) -> Callable[..., Gateway]:
    """Gateway(...) with a folder, certificates and the broker's port."""

    def make(sensors: dict, port: int = broker.port, **more) -> Gateway:
        return Gateway(tmp_path, pki, port, sensors, **more)

    return make


@pytest.fixture
def relay(broker: RabbitMQ) -> Iterator[Relay]:
    with Relay(broker.port) as one:
        yield one


@pytest.fixture
def port() -> Iterator[FakePort]:
    with FakePort() as one:
        yield one


# --- values


VALUES = [
    (21.5, 45.0), (21.6, 45.1), (0.0, 20.0), (0.1, 20.9), (-0.1, 4.0), (-0.5, 33.3), (-9.9, 9.9),
    (-10.0, 10.0), (-20.0, 5.5), (9.9, 99.9), (10.0, 100.0), (59.9, 95.0), (60.0, 90.1),
    (1.0, 50.0),
]


def test_values_arrive_one_by_one(tmp_path, gateway_with, consumer):
    """The board comes when the connection stands, so that no reading is late."""
    clock = "" if clock_is_synchronised() else ',"clock":"unsynchronised"'
    link = tmp_path / "board"
    with gateway_with({"kitchen": link}) as gateway:
        gateway.wait_online()
        csv = script(VALUES, begin_s=30, step_s=4)
        with Board(tmp_path, name=link.name, csv=csv, speed=FAST) as board:
            wait_until(
                lambda: readings_of(board)[-1:] == [("1.0", "50.0")], ARRIVAL_S, "the last value"
            )
            readings = wait_for_all(consumer, board)

    assert set(values(readings)) == {(f"{t:.1f}", f"{rh:.1f}") for t, rh in VALUES}
    assert_consecutive(readings)
    times = [taken_at(reading) for reading in readings]
    assert times == sorted(times)
    for message in filter(is_reading, consumer.messages[: len(readings)]):
        reading = exact(message)
        assert message.payload.decode() == (
            f'{{"id":"{reading["id"]}","time":"{reading["time"]}","gateway":"{GATEWAY}",'
            f'"sensor":"kitchen","temperature":{reading["temperature"]},'
            f'"humidity":{reading["humidity"]}{clock}}}'
        )
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", reading["time"])
        assert message.topic == f"sensors/{GATEWAY}/kitchen"
        assert message.qos == 1
        assert -0.2 < message.at - taken_at(reading) < 2


def test_readings_are_not_retained_and_the_state_is(gateway_with, broker, pki, consumer, port):
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        port.reading(t="21.5")
        wait_for_arrival(consumer, 1)
        topics = [f"sensors/{GATEWAY}/kitchen", STATE_TOPIC]

        def asked() -> list[Message]:
            with Consumer(broker.port, pki.folder, topics=topics) as late:
                try:
                    return late.wait_for(
                        lambda messages: any(m.topic == STATE_TOPIC for m in messages), 2
                    )
                except TimeoutError:  # RabbitMQ stores what is retained a little after its PUBACK
                    return []

        messages = wait_until(asked, ARRIVAL_S, "the retained state")
    assert [(m.topic, m.retain) for m in messages] == [(STATE_TOPIC, True)]


# --- what is no reading


class TestSensorFaults:
    @pytest.fixture(scope="class")
    def chain(self, tmp_path_factory, broker, pki) -> Iterator[SimpleNamespace]:
        """One board and one daemon for all faults: each test leaves them well."""
        folder = tmp_path_factory.mktemp("faults")
        with (
            Consumer(broker.port, pki.folder) as consumer,
            Board(folder, csv=CHANGING, speed=FAST) as board,
            Gateway(folder, pki, broker.port, {"kitchen": board.link}, state={"interval_s": 1})
            as gateway,
        ):
            gateway.wait_online()
            gateway.wait_sensor("kitchen", "ok")
            yield SimpleNamespace(consumer=consumer, board=board, gateway=gateway)

    @pytest.fixture(autouse=True)
    def nothing_else_was_published(self, chain):
        yield
        wait_for_all(chain.consumer, chain.board)

    @pytest.mark.parametrize(
        ("fault", "word"),
        [("noresp", "noresp"), ("cksum", "cksum"), ("short", "short"), ("short:39", "short"),
         ("stuck", "stuck"), ("zero", "range"), ("dht22", "range")],
    )
    def test_a_failing_sensor_is_named(self, chain, fault, word):
        gateway, board, consumer = chain.gateway, chain.board, chain.consumer
        fields = {"SENSOR": "kitchen", "CAUSE": "sensor-failing"}
        failures = len(gateway.entries(**fields))
        recoveries = len(gateway.entries(SENSOR="kitchen", STATE="ok"))
        messages = len(consumer.messages)

        board.command(f"fault {fault}")
        sensor = gateway.wait_sensor("kitchen", "failing", "sensor-failing")
        assert sensor["last_error"] == word
        assert sensor["errors"] >= 3
        entry = gateway.wait_for_entry(count=failures + 1, **fields)
        assert entry.priority == 4
        assert f"({word}, " in entry.sentence

        def is_told(so_far: list[Message]) -> bool:
            states = [m.json for m in so_far[messages:] if m.topic == STATE_TOPIC]
            kitchens = [state["sensors"]["kitchen"] for state in states]
            return any(
                (one["state"], one.get("cause"), one.get("last_error"))
                == ("failing", "sensor-failing", word)
                for one in kitchens
            )

        consumer.wait_for(is_told, ARRIVAL_S, "the fault on the state topic")

        board.command("fault none")
        gateway.wait_sensor("kitchen", "ok")
        entry = gateway.wait_for_entry(count=recoveries + 1, SENSOR="kitchen", STATE="ok")
        assert entry.priority == 4, "as loud as the failure that it ends"
        assert len(gateway.entries(**fields)) == failures + 1, "said once"

    def test_a_hung_sketch_is_restarted_by_its_watchdog(self, chain):
        text = "restarted by its watchdog"
        before = len(chain.gateway.entries(text))
        chain.board.command("hang")
        entry = chain.gateway.wait_for_entry(text, count=before + 1)
        assert entry.fields["RESET"] == "W"
        assert entry.priority == 4
        count = len(readings_of(chain.board))
        wait_until(lambda: len(readings_of(chain.board)) > count, ARRIVAL_S, "readings again")

    def test_noise_is_counted_and_hides_no_reading(self, chain):
        before = chain.gateway.state()["damaged"]
        damaged = r"$SGW1,R,1,1,1524,rh=99.0,t=59.5*A5DD\r\n"
        chain.board.command("noise " + damaged)
        chain.board.command(r"noise \xff\x00$SGW1,R,1\x80*$$$")
        chain.gateway.wait_state(lambda state: state["damaged"] > before, what="damage")
        chain.gateway.wait_sensor("kitchen", "ok")


def test_a_damaged_line_is_told_from_a_failing_sensor(gateway_with, consumer, port):
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.hello()
        port.reading(t="21.5")
        gateway.wait_sensor("kitchen", "ok")

        for _ in range(3):
            port.write(b"$SGW1,R,1,1,1524,rh=99.0,t=59.5*A5DD\r\n")
        sensor = gateway.wait_sensor("kitchen", "damaged", "frames-damaged")
        assert sensor["damaged"] == 3
        assert gateway.wait_for_entry(CAUSE="frames-damaged").priority == 4

        for _ in range(3):
            port.reading(t="21.6")
        gateway.wait_sensor("kitchen", "ok")
        readings = wait_for_arrival(consumer, 4)
    assert [reading["temperature"] for reading in readings] == ["21.5", "21.6", "21.6", "21.6"]


def test_a_silent_board_is_told_from_an_absent_one(tmp_path, gateway_with, consumer):
    with Board(tmp_path, csv=CHANGING, speed=FAST) as board:
        with gateway_with({"kitchen": {"device": board.link, "silence_s": 3}}) as gateway:
            gateway.wait_online()
            gateway.wait_sensor("kitchen", "ok")
            os.kill(board.pid, signal.SIGSTOP)
            try:
                gateway.wait_sensor("kitchen", "silent", "node-silent")
                assert gateway.wait_for_entry(CAUSE="node-silent").fields["STATE"] == "silent"
            finally:
                os.kill(board.pid, signal.SIGCONT)
            gateway.wait_sensor("kitchen", "ok")
            wait_for_all(consumer, board)


def test_lost_doubled_and_restarted_frames(gateway_with, consumer, port):
    with gateway_with({"kitchen": port.path}, state={"interval_s": 1}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.hello()
        port.reading(t="1.0")
        port.lose(7)
        port.reading(t="2.0")
        port.restart()
        port.hello()
        port.reading(t="3.0")
        port.double_last()
        port.reading(t="4.0")
        readings = wait_for_arrival(consumer, 4)
        state = gateway.wait_state(lambda state: state["accepted"] >= 4)
    assert [reading["temperature"] for reading in readings] == ["1.0", "2.0", "3.0", "4.0"]
    assert state["lost_frames"] == state["sensors"]["kitchen"]["lost_frames"] == 7
    assert state["accepted"] == 4


# --- many boards


def test_eight_boards_on_eight_ports(tmp_path, gateway_with, consumer):
    places = [tmp_path / f"port{i}" for i in range(8)]
    boards = [
        Board(tmp_path, name=place.name, csv=script([(10 + i, 40 + i)]), speed=2)
        for i, place in enumerate(places)
    ]
    try:
        for board in boards:
            board.start()
        with gateway_with({place.name: place for place in places}) as gateway:
            gateway.wait_online()
            for place in places:
                gateway.wait_sensor(place.name, "ok")
            for board in boards:
                wait_until(lambda: len(readings_of(board)) >= 4, ARRIVAL_S, "four readings")
            for i, (place, board) in enumerate(zip(places, boards)):
                readings = wait_for_all(consumer, board, place.name)
                assert set(values(readings)) == {(f"{10 + i}.0", f"{40 + i}.0")}
    finally:
        for board in boards:
            board.stop()
    assert_consecutive(arrived(consumer.messages))
    for message in filter(is_reading, consumer.messages):
        assert message.topic == f"sensors/{GATEWAY}/{message.json['sensor']}"


def test_several_boards_on_one_port(gateway_with, consumer, port):
    sensor = {"device": port.path, "nodes": [{"id": 2, "name": "cellar"}]}
    names = {1: "kitchen", 2: "cellar", 7: "kitchen-7", 65535: "kitchen-65535"}
    with gateway_with({"kitchen": sensor}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        for turn in range(3):
            for node in names:
                port.reading(node, t=f"{node % 100}.{turn}", rh="45.0")
        readings = wait_for_arrival(consumer, 12)
        for node, name in names.items():
            assert gateway.wait_sensor(name, "ok")["node"] == node
    assert_consecutive(readings)
    for node, name in names.items():
        its = [r["temperature"] for r in readings if r["sensor"] == name]
        assert its == [f"{node % 100}.{turn}" for turn in range(3)]
    topics = {message.topic for message in filter(is_reading, consumer.messages)}
    assert topics == {f"sensors/{GATEWAY}/{name}" for name in names.values()}


def test_a_port_has_room_for_sixteen_unnamed_boards(gateway_with, consumer, port):
    sensor = {"device": port.path, "nodes": [{"id": 300, "name": "cellar"}]}
    nodes = [*range(1, 19), 300]
    with gateway_with({"kitchen": sensor}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        for _ in range(2):
            for node in nodes:
                port.reading(node, t=f"{node}.0")
        readings = wait_for_arrival(consumer, 34)
        entry = gateway.wait_for_entry("more boards on this port than there is room for")
        state = gateway.wait_state(lambda state: len(state["sensors"]) == 17)
    assert entry.fields["NODE"] == "17"
    assert len(gateway.entries("more boards on this port")) == 1
    assert_consecutive(readings)
    expected = {"kitchen", "cellar", *(f"kitchen-{node}" for node in range(2, 17))}
    assert {reading["sensor"] for reading in readings} == expected == set(state["sensors"])


# --- plugs


@pytest.mark.parametrize("other_port", [False, True], ids=["same-port", "other-port"])
def test_unplugged_and_plugged_in_again(tmp_path, gateway_with, consumer, other_port):
    with Board(tmp_path, csv=CHANGING, speed=FAST) as board:
        with gateway_with({"kitchen": board.link}) as gateway:
            gateway.wait_online()
            wait_for_arrival(consumer, 3)
            place = board.port

            board.unplug()
            gateway.wait_sensor("kitchen", "absent", "device-lost")
            assert gateway.wait_for_entry(CAUSE="device-lost").priority == 4
            in_the_way: list[int] = []
            while other_port and not place.exists():
                in_the_way += pty.openpty()  # takes the lowest number that is free
            board.plug()
            for fd in in_the_way:
                os.close(fd)
            assert not other_port or board.port != place

            gateway.wait_sensor("kitchen", "ok")
            count = len(arrived(consumer.messages))
            wait_for_arrival(consumer, count + 3)
            sent = readings_of(board)
            readings = wait_for_arrival(consumer, len(sent) - 1)
    assert_consecutive(readings)
    assert lost_on_the_way(sent, values(readings)[: len(sent)]) <= 1  # with the plug


def test_a_board_that_comes_later(tmp_path, gateway_with, consumer):
    link = tmp_path / "board"
    with gateway_with({"kitchen": link}) as gateway:
        gateway.wait_online()
        gateway.wait_sensor("kitchen", "absent", "device-absent")
        entry = gateway.wait_for_entry(CAUSE="device-absent")
        assert str(link) in entry.sentence
        with Board(tmp_path, name=link.name, speed=FAST) as board:
            gateway.wait_sensor("kitchen", "ok")
            wait_for_arrival(consumer, 3)
            wait_for_all(consumer, board)
        gateway.wait_sensor("kitchen", "absent", "device-lost")


def test_swapped_boards_are_not_mixed_up(tmp_path, gateway_with, consumer):
    left, right = tmp_path / "left", tmp_path / "right"
    sensors = {"kitchen": {"device": left, "node": 1}, "cellar": {"device": right, "node": 2}}
    with (
        Board(tmp_path, name="one", node=1, csv=script([(11, 41)]), speed=FAST) as one,
        Board(tmp_path, name="two", node=2, csv=script([(22, 42)]), speed=FAST) as two,
    ):

        def plug(into_left: Board, into_right: Board) -> None:
            for place, board in ((left, into_left), (right, into_right)):
                place.unlink(missing_ok=True)
                place.symlink_to(board.link)
                if board.port is None:
                    board.plug()

        def unplug() -> None:
            for board in (one, two):
                board.unplug()
            for name in sensors:
                gateway.wait_sensor(name, "absent", "device-lost")

        plug(one, two)
        with gateway_with(sensors) as gateway:
            gateway.wait_online()
            for name in sensors:
                gateway.wait_sensor(name, "ok")
                wait_for_arrival(consumer, 3, name)

            unplug()
            before = [len(readings_of(board)) for board in (one, two)]
            plug(two, one)
            for name in sensors:
                gateway.wait_sensor(name, "wrong-board", "wrong-board")
                entry = gateway.wait_for_entry(CAUSE="wrong-board", SENSOR=name)
                assert entry.priority == 3
            for board, count in zip((one, two), before):
                wait_until(
                    lambda: len(readings_of(board)) >= count + 3, ARRIVAL_S, "three readings"
                )

            unplug()
            counts = {name: len(arrived(consumer.messages, name)) for name in sensors}
            plug(one, two)
            for name in sensors:
                gateway.wait_sensor(name, "ok")
                wait_for_arrival(consumer, counts[name] + 3, name)
    readings = arrived(consumer.messages)
    assert_consecutive(readings)
    assert {(r["sensor"], r["temperature"]) for r in readings} == {
        ("kitchen", "11.0"),
        ("cellar", "22.0"),
    }


# --- the broker goes away


@contextmanager
def without(broker: RabbitMQ, how: str) -> Iterator[None]:
    """The broker is shut down, or killed, and comes back at the end."""
    getattr(broker, how)()
    try:
        yield
    finally:
        broker.start()


@contextmanager
def lasting_consumer(broker: RabbitMQ, pki: Pki, client_id: str) -> Iterator[Consumer]:
    """The broker keeps what comes while this one is away too."""
    with Consumer(broker.port, pki.folder, client_id=client_id, persistent=True) as consumer:
        yield consumer
    with Consumer(broker.port, pki.folder, client_id=client_id):
        pass  # a clean session takes the old one's queue away


@pytest.mark.timeout(240)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_broker_restart_loses_nothing(tmp_path, broker, pki, gateway_with, how):
    with (
        lasting_consumer(broker, pki, f"dashboard-{how}-{os.getpid()}") as consumer,
        Board(tmp_path, csv=CHANGING, speed=FAST) as board,
        gateway_with({"kitchen": board.link}, reconnect=QUICK, state={"interval_s": 1}) as gateway,
    ):
        gateway.wait_online()
        wait_for_arrival(consumer, 5)
        with without(broker, how):
            before = gateway.wait_state(lambda state: state["link"] != "online", what="the loss")
            down = time.time()
            backlog = before["accepted"] + 20
            gateway.wait_state(lambda state: state["accepted"] >= backlog, what="a backlog")
            up = time.time()
        gateway.wait_online(BROKER_S)
        again = time.time()
        sent = readings_of(board)
        readings = wait_for_arrival(consumer, len(sent) + 10, timeout=BROKER_S)
    assert_consecutive(readings)
    assert values(readings)[: len(sent)] == sent
    assert len(consumer.readings()) - len(arrived(consumer.messages)) <= WINDOW
    outage = [r for r in readings if down < taken_at(r) < up]
    assert len(outage) >= 10
    assert all(r.get("late") is True for r in outage)
    assert not any("late" in r for r in readings if taken_at(r) > again + 1)


def test_what_was_taken_without_a_connection_is_late(gateway_with, relay, consumer, port):
    relay.cut()
    with gateway_with({"kitchen": port.path}, relay.port, reconnect=QUICK) as gateway:
        gateway.wait_for_entry(CAUSE="refused")
        gateway.wait_open(port.path)
        for i in range(3):
            port.reading(t=f"{i}.0")
        gateway.wait_sensor("kitchen", "ok")
        relay.mend()
        wait_for_arrival(consumer, 3)
        port.reading(t="3.0")
        readings = wait_for_arrival(consumer, 4)
    assert_consecutive(readings)
    assert [reading.get("late") for reading in readings] == [True, True, True, None]


def test_the_state_comes_before_the_readings(gateway_with, relay, consumer, port):
    """On each connection, however many readings wait."""
    lives = 3
    relay.cut()
    with gateway_with({"kitchen": port.path}, relay.port, reconnect=QUICK) as gateway:
        gateway.wait_open(port.path)
        for life in range(lives):
            for i in range(150):
                port.reading(t=f"{life}.{i % 10}")
            relay.mend()
            wait_for_arrival(consumer, 150 * (life + 1))
            relay.cut()
            gateway.wait_state(lambda state: state["link"] != "online", what="the loss")
            consumer.wait_for(
                lambda messages: [is_offline(m) for m in messages].count(True) > life,
                ARRIVAL_S,
                "the will",
            )
        relay.mend()
        gateway.wait_online()
    assert_consecutive(arrived(consumer.messages))
    connected = False
    for message in consumer.messages:
        if message.topic == STATE_TOPIC:
            connected = message.json["state"] == "online"
        else:
            assert connected, f"a reading before the state: {message}"


def is_offline(message: Message) -> bool:
    return message.topic == STATE_TOPIC and message.json == OFFLINE


def test_sighup_ends_a_back_off(gateway_with, relay, port):
    relay.cut()
    slow = {"min_s": 3600, "max_s": 86400}
    with gateway_with({"kitchen": port.path}, relay.port, reconnect=slow) as gateway:
        gateway.wait_for_entry(CAUSE="refused")

        def waits_long(state: dict) -> bool:
            if state["link"] == "waiting" and state["next_attempt_s"] < 60:
                gateway.reload()  # chance made it short: once more
                return False
            return state["link"] == "waiting"

        gateway.wait_state(waits_long, what="a long back-off")
        relay.mend()
        gateway.reload()
        gateway.wait_online()
        assert gateway.wait_for_entry("connected").priority == 4


# --- the daemon goes away


@pytest.mark.parametrize("durability", ["power", "crash", "outage"])
def test_a_clean_restart_continues_the_numbers(tmp_path, gateway_with, consumer, durability):
    spool = {"durability": durability}
    with Board(tmp_path, csv=CHANGING, speed=FAST) as board:
        with gateway_with({"kitchen": board.link}, spool=spool) as gateway:
            for life in range(3):
                wait_for_arrival(consumer, len(arrived(consumer.messages)) + 3)
                gateway.stop()
                gateway.start()
            wait_for_arrival(consumer, len(arrived(consumer.messages)) + 3)
    readings = arrived(consumer.messages)
    assert_consecutive(readings)
    assert lost_on_the_way(readings_of(board), values(readings)) <= 4  # one at each stop
    assert len(consumer.readings()) == len(readings), "a clean stop doubles nothing"



@pytest.mark.parametrize("durability", ["crash", "power"])
def test_kill_9_loses_nothing_accepted(gateway_with, relay, consumer, port, durability):
    settings = {"reconnect": QUICK, "state": {"interval_s": 1}, "spool": {"durability": durability}}
    with gateway_with({"kitchen": port.path}, relay.port, **settings) as gateway:
        gateway.wait_open(port.path)

        def give(first: int, end: int) -> None:
            for i in range(first, end):
                port.reading(t=f"{i}.0")

        give(0, 20)  # with the connection
        wait_for_arrival(consumer, 20)
        gateway.kill()
        port.forget_reader()
        gateway.start()
        gateway.wait_open(port.path)
        give(20, 40)
        wait_for_arrival(consumer, 40)

        relay.cut()  # without
        gateway.wait_state(lambda state: state["link"] != "online", what="the loss")
        give(40, 240)
        gateway.wait_state(lambda state: state["accepted"] == 220, what="all to be accepted")
        gateway.kill()
        port.forget_reader()
        gateway.start()
        gateway.wait_open(port.path)
        give(240, 260)
        relay.mend()
        readings = wait_for_arrival(consumer, 260)
    assert_consecutive(readings)
    assert [reading["temperature"] for reading in readings] == [f"{i}.0" for i in range(260)]
    assert len(consumer.readings()) - len(readings) <= 3 * WINDOW
    doubles: dict[str, set[str]] = {}
    for message in filter(is_reading, consumer.messages):
        doubles.setdefault(message.json["id"], set()).add(message.json["temperature"])
    assert all(len(temperatures) == 1 for temperatures in doubles.values())


def test_kill_9_under_outage_begins_a_new_prefix(gateway_with, consumer, port):
    """The last number given out is not certain then, and an id must never mean two readings."""
    spool = {"durability": "outage"}
    with gateway_with({"kitchen": port.path}, spool=spool) as gateway:
        gateway.wait_online()
        for life in range(2):
            gateway.wait_open(port.path)
            for i in range(5):
                port.reading(t=f"{life}.{i}")
            wait_for_arrival(consumer, 5 * (life + 1))
            gateway.kill()
            port.forget_reader()
            gateway.start()
            gateway.wait_online()
    readings = arrived(consumer.messages)
    expected = [f"{life}.{i}" for life in range(2) for i in range(5)]
    assert [reading["temperature"] for reading in readings] == expected
    assert numbers(readings[:5]) and numbers(readings[5:])
    assert readings[0]["id"].split("-")[0] != readings[5]["id"].split("-")[0]


def test_a_second_daemon_is_refused(gateway_with, consumer, port):
    with gateway_with({"kitchen": port.path}) as first:
        first.wait_online()
        first.wait_open(port.path)
        second = gateway_with({"kitchen": port.path}, file_name="second")
        second.launch()
        assert second.wait_for_exit() == 1
        (entry,) = second.entries("another sensorgw has this spool")
        assert entry.priority == 3
        assert entry.fields["PID"] == str(first.pid)
        assert entry.fields["PATH"] == str(first.spool)
        port.reading(t="21.5")
        wait_for_arrival(consumer, 1)


def test_the_will_speaks_after_kill_9(gateway_with, consumer, port):
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        gateway.kill()
        messages = consumer.wait_for(
            lambda messages: any(map(is_offline, messages)), ARRIVAL_S, "the will"
        )
        assert is_offline(messages[-1])
        gateway.start()
        consumer.wait_for(lambda messages: messages[-1].json["state"] == "online", ARRIVAL_S)


def test_a_clean_stop_says_so_before_it_leaves(broker, gateway_with, consumer, port):
    """The broker throws the will away at a DISCONNECT: what comes was published."""
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        for i in range(200):
            port.reading(t=f"{i % 60}.0")
        gateway.wait_sensor("kitchen", "ok")
        since = len(broker.log_text())
        gateway.stop()
        (entry,) = gateway.entries("stopped")
        assert entry.priority == 5
        messages = consumer.wait_for(lambda messages: any(map(is_offline, messages)), ARRIVAL_S)
        broker.wait_for_log("closing MQTT connection", since=since)
    assert is_offline(messages[-1])
    assert [is_offline(message) for message in consumer.messages].count(True) == 1
    assert "closed unexpectedly" not in broker.log_text()[since:]


# --- TLS


PINS = {
    "1.2-aes128": (
        {"version": "1.2", "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256"},
        ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("tlsv1.2", "aes_128_gcm"),
    ),
    "1.2-aes256": (
        {"version": "1.2", "ciphers": ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]},
        ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("tlsv1.2", "aes_256_gcm"),
    ),
    "1.3-aes256": (
        {"version": "1.3", "ciphersuites": "TLS_AES_256_GCM_SHA384"},
        ("TLSv1.3", "TLS_AES_256_GCM_SHA384"),
        ("tlsv1.3", "aes_256_gcm"),
    ),
    "1.3-chacha20": (
        {"version": "1.3", "ciphersuites": ["TLS_CHACHA20_POLY1305_SHA256"]},
        ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"),
        ("tlsv1.3", "chacha20_poly1305"),
    ),
}


@pytest.mark.parametrize(("settings", "ours", "theirs"), PINS.values(), ids=PINS)
def test_a_pin_pins(broker, gateway_with, consumer, port, settings, ours, theirs):
    """None of them but the first is what the two would agree on by themselves."""
    with gateway_with({"kitchen": port.path}, tls=settings) as gateway:
        state = gateway.wait_online()
        assert (state["tls"], state["cipher"]) == ours
        entry = gateway.wait_for_entry("connected")
        assert (entry.fields["TLS"], entry.fields["CIPHER"]) == ours
        assert entry.fields["BROKER"] == f"localhost:{broker.port}"
        consumer.wait_for(lambda messages: messages, ARRIVAL_S)
        told = consumer.states(GATEWAY)[0]
        assert (told["tls"], told["cipher"]) == ours
        sessions = {session["client_id"]: session for session in broker.sessions()}
        session = sessions[f"sensorgw-{GATEWAY}"]
        assert (session["user"], session["ssl_protocol"], session["ssl_cipher"]) == (GATEWAY, *theirs)


# --- how it is


def test_the_state_topic_has_all_that_was_promised(gateway_with, broker, consumer, port):
    settings = {"state": {"interval_s": 1}}
    with gateway_with({"kitchen": port.path, "attic": "/dev/nothing-here"}, **settings) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.hello()
        port.error(err="cksum")
        port.reading(t="21.5", rh="45.0")
        port.lose(2)
        port.reading(t="21.6", rh="45.0")
        port.write(b"$SGW1,R,1,1,15*0000\r\n")
        messages = consumer.wait_for(
            lambda messages: any(
                m.topic == STATE_TOPIC and m.json.get("published") == 2 for m in messages
            ),
            ARRIVAL_S,
        )
        state = [m.json for m in messages if m.topic == STATE_TOPIC][-1]
        assert "/dev/nothing-here" in gateway.wait_for_entry(SENSOR="attic").sentence
        version = gateway.command("version").stdout.split()[1]

    assert state["state"] == "online"
    assert state["gateway"] == GATEWAY
    assert state["version"] == version
    assert state["uptime_s"] in range(60)
    assert state["broker"] == f"localhost:{broker.port}"
    assert state["tls"].startswith("TLSv1.")
    assert state["cipher"]
    assert state["certificate_days_left"] > 300
    assert state["clock"] == ("synchronised" if clock_is_synchronised() else "unsynchronised")
    counters = ("accepted", "published", "waiting", "dropped", "damaged", "lost_frames")
    assert [state[counter] for counter in counters] == [2, 2, 0, 0, 1, 2]

    kitchen, attic = state["sensors"]["kitchen"], state["sensors"]["attic"]
    assert (kitchen["state"], kitchen.get("cause")) == ("ok", None)
    assert kitchen["age_s"] in range(60)
    assert kitchen["last"] == {"temperature": 21.6, "humidity": 45.0}
    assert (kitchen["errors"], kitchen["last_error"]) == (1, "cksum")
    assert (kitchen["damaged"], kitchen["lost_frames"]) == (1, 2)
    assert (attic["state"], attic["cause"]) == ("absent", "device-absent")
    assert (attic["errors"], attic["damaged"], attic["lost_frames"]) == (0, 0, 0)
    assert "age_s" not in attic


def test_the_state_comes_at_every_interval_and_at_every_change(gateway_with, consumer, port):
    with gateway_with({"kitchen": port.path}, state={"interval_s": 2}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        messages = consumer.wait_for(lambda messages: len(messages) >= 4, ARRIVAL_S)
        gaps = [b.at - a.at for a, b in zip(messages[1:], messages[2:])]
        assert all(0.5 < gap < 6 for gap in gaps), gaps
    with gateway_with({"kitchen": port.path}, state={"interval_s": 3600}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.reading(t="21.5")

        def is_told(messages: list[Message]) -> bool:
            return any(
                m.json.get("sensors", {}).get("kitchen", {}).get("state") == "ok"
                for m in messages
                if m.topic == STATE_TOPIC
            )

        consumer.wait_for(is_told, ARRIVAL_S, "the change")


def test_status_while_all_is_well(gateway_with, broker, port):
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.reading(t="21.5", rh="45.0")
        gateway.wait_sensor("kitchen", "ok")
        done = gateway.command("status")
        as_json = gateway.command("status", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert GATEWAY in lines["gateway"] and "certificate good for" in lines["gateway"]
    assert re.match(rf"broker +online +localhost:{broker.port}, TLSv1\.3 TLS_", lines["broker"])
    assert "1 accepted" in lines["readings"]
    assert re.match(r"kitchen +ok ", lines["kitchen"])
    assert "21.5 °C" in lines["kitchen"] and "45.0 %" in lines["kitchen"]

    assert (as_json.returncode, as_json.stderr) == (0, "")
    state = json.loads(as_json.stdout)
    assert state["link"] == "online"
    assert state["sensors"]["kitchen"]["last"] == {"temperature": 21.5, "humidity": 45.0}


def test_status_while_the_broker_is_away(gateway_with, relay, port):
    relay.cut()
    reconnect = {"min_s": 3600, "max_s": 86400}
    with gateway_with({"kitchen": port.path}, relay.port, reconnect=reconnect) as gateway:
        gateway.wait_state(lambda state: state.get("cause") == "refused", what="the refusal")
        gateway.wait_open(port.path)
        port.reading(t="21.5", rh="45.0")
        gateway.wait_sensor("kitchen", "ok")
        done = gateway.command("status")
        state = json.loads(gateway.command("status", "--json").stdout)
    assert done.returncode == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert re.match(rf"broker +waiting +localhost:{relay.port}, refused, next", lines["broker"])
    assert "1 accepted, 0 published, 1 waiting, 0 dropped" in lines["readings"]
    assert "21.5 °C" in lines["kitchen"]
    assert (state["link"], state["cause"]) == ("waiting", "refused")
    assert state["reason"] and state["next_attempt_s"] > 0
    assert state["waiting"] == 1


def test_status_when_nothing_runs(gateway_with, port):
    gateway = gateway_with({"kitchen": port.path})
    assert_nothing_runs(gateway)
    with gateway:
        gateway.wait_online()
    assert_nothing_runs(gateway)


def test_status_after_kill_9(gateway_with, port):
    """Its state.json is left behind, and is nobody's."""
    with gateway_with({"kitchen": port.path}) as gateway:
        gateway.wait_online()
        gateway.kill()
        assert gateway.state()
        assert_nothing_runs(gateway)


def assert_nothing_runs(gateway: Gateway) -> None:
    for words in (["status"], ["status", "--json"]):
        done = gateway.command(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no daemon is running" in done.stderr


# --- the configuration


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mqtt": {"keepalive": 30}}, "did you mean mqtt.keepalive_s?"),
        ({"mqtt": {"keepalive_s": 3}}, "mqtt.keepalive_s must be"),
        ({"mqtt": {"keepalive_s": "soon"}}, "mqtt.keepalive_s"),
        ({"tls": {"version": "1.1"}}, "tls.version"),
        ({"tls": {"ciphers": "ECDHE-NOTHING"}}, "tls.ciphers"),
        ({"tls": {"insecure": True}}, "verification cannot be switched off"),
        ({"brokers": []}, "brokers"),
        ({"sensors": []}, "sensors"),
    ],
    ids=["unknown", "range", "type", "version", "cipher", "insecure", "no-broker", "no-sensor"],
)
def test_a_wrong_configuration_does_not_start(gateway_with, port, wrong, told):
    gateway = gateway_with({"kitchen": port.path})
    gateway.configure(**wrong)
    gateway.launch()
    assert gateway.wait_for_exit() == EX_CONFIG
    assert told in gateway.log_text()
    assert f"{gateway.configuration}:" in gateway.log_text()
    assert not gateway.entries("started")
    assert not gateway.spool.exists()
    assert gateway.state() == {}


def test_a_missing_configuration_does_not_start(tmp_path, gateway_with, port):
    gateway = gateway_with({"kitchen": port.path})
    gateway.configuration.unlink()
    gateway.launch()
    assert gateway.wait_for_exit() == EX_CONFIG
    assert str(gateway.configuration) in gateway.log_text()


def test_sighup_applies_a_sound_configuration_and_refuses_an_unsound_one(
    gateway_with, relay, consumer, port
):
    """The port that stays and the connection are left alone."""
    with gateway_with({"kitchen": port.path}, relay.port) as gateway, FakePort() as second:
        gateway.wait_online()
        gateway.wait_open(port.path)
        port.reading(t="1.0")
        gateway.wait_sensor("kitchen", "ok")

        gateway.configure(mqtt={"keepalive": 30})
        gateway.reload()
        gateway.wait_for_entry("configuration is refused")
        assert "did you mean mqtt.keepalive_s?" in gateway.log_text()
        port.reading(t="2.0")
        wait_for_arrival(consumer, 2)

        gateway.configure(
            mqtt={"keepalive": None},
            sensors=[
                {"name": "kitchen", "device": port.path},
                {"name": "cellar", "device": second.path},
            ],
        )
        gateway.reload()
        gateway.wait_for_entry("configuration applied")
        gateway.wait_open(second.path)
        second.reading(t="3.0")
        port.reading(t="4.0")
        readings = wait_for_arrival(consumer, 4)
        assert len(gateway.entries("is open at", SENSOR="kitchen")) == 1
        assert len(gateway.entries("connected")) == relay.connections == 1
    assert_consecutive(readings)
    told = {(reading["sensor"], reading["temperature"]) for reading in readings}
    assert told == {("kitchen", "1.0"), ("kitchen", "2.0"), ("cellar", "3.0"), ("kitchen", "4.0")}


# --- what it costs


ANONYMOUS_MAX_KIB = 3 * 1024


def test_memory_stays_small(release_build, gateway_with, relay, consumer, port):
    """With readings flowing, with a backlog beyond what memory holds, and while it drains."""
    sizes = {}
    settings = {"reconnect": QUICK, "state": {"interval_s": 1}, "build": release_build}
    with gateway_with({"kitchen": port.path}, relay.port, **settings) as gateway:
        gateway.wait_online()
        gateway.wait_open(port.path)
        for i in range(300):
            port.reading(t=f"{i % 60}.0", rh="45.0")
        wait_for_arrival(consumer, 300)
        sizes["flowing"] = gateway.rss_anon_kib()
        relay.cut()
        for i in range(3000):
            port.reading(t=f"{i % 60}.0", rh="45.0")
        gateway.wait_state(lambda state: state["waiting"] >= 3000, what="a backlog")
        sizes["waiting"] = gateway.rss_anon_kib()
        relay.mend()
        readings = wait_for_arrival(consumer, 3300, timeout=60)
        sizes["drained"] = gateway.rss_anon_kib()
    print(f"RssAnon in KiB: {sizes}")
    assert_consecutive(readings)
    assert max(sizes.values()) < ANONYMOUS_MAX_KIB, sizes


SPAN_S = 20


def test_nothing_to_do_wakes_it_seldom(tmp_path, gateway_with, port):
    """
    In 20 s: two or three looks at the keep-alive, and for an absent port one look a second. The
    state is not due, so all beyond that is for what the kernel does on its own behalf.
    """
    wakeups = {}
    for what, device in (("absent", tmp_path / "nothing"), ("quiet", port.path)):
        sensor = {"device": device, "silence_s": 1}
        with gateway_with({"kitchen": sensor}, state={"interval_s": 3600}) as gateway:
            gateway.wait_online()
            wanted = ("absent", "device-absent") if what == "absent" else ("silent", "node-silent")
            gateway.wait_sensor("kitchen", *wanted)
            before, began = gateway.wakeups(), time.monotonic()
            wait_until(lambda: time.monotonic() > began + SPAN_S, SPAN_S + 5, "the span to pass")
            wakeups[what] = gateway.wakeups() - before
    print(f"wake-ups in {SPAN_S} s: {wakeups}")
    assert wakeups["quiet"] <= 8, wakeups
    assert wakeups["absent"] <= SPAN_S + 10, wakeups


VALGRIND = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
            "--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite",
            "--track-fds=no"]


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_valgrind_has_nothing_to_say(tmp_path, release_build, gateway_with, relay, consumer):
    settings = {"reconnect": QUICK, "state": {"interval_s": 1}, "build": release_build}
    settings |= {"wrapper": VALGRIND, "stop_s": 60}
    with (
        Board(tmp_path, csv=CHANGING, speed=2) as board,
        gateway_with({"kitchen": board.link}, relay.port, **settings) as gateway,
    ):
        gateway.wait_online(60)
        wait_for_arrival(consumer, 2, timeout=60)
        board.unplug()
        gateway.wait_sensor("kitchen", "absent", "device-lost")
        relay.cut()
        gateway.wait_for_entry(CAUSE="refused")
        board.plug()
        gateway.wait_sensor("kitchen", "ok")
        gateway.reload()
        relay.mend()
        gateway.wait_online(60)
        count = len(arrived(consumer.messages))
        readings = wait_for_arrival(consumer, count + 2, timeout=60)
    assert_consecutive(readings)
