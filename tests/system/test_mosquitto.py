# SPDX-License-Identifier: MIT
"""conf/mosquitto: the shipped files, and the chain's payload and state on a second broker."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from board import Board, image_path
from consumer import Consumer, is_reading
from gateway import Gateway
from mosquitto import Mosquitto
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY
from waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "conf" / "mosquitto"
STATE = f"gateways/{GATEWAY}"
ARRIVAL_S = 20


class Shipped(Mosquitto):
    """Mosquitto from the shipped files, moved to a folder and a port of its own."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        super().__init__(folder, pki)
        self.acl = Path(shutil.copy(SHIPPED / "sensorgw.acl", folder))
        moved = {
            "/etc/mosquitto/sensorgw.acl": self.acl,
            "/etc/mosquitto/tls/ca.pem": pki.ca,
            "/etc/mosquitto/tls/broker.pem": pki.certificate("localhost"),
            "/etc/mosquitto/tls/broker.key": pki.key("localhost"),
            "listener 8883": f"listener {self.port} 127.0.0.1",
        }
        text = "".join(line for line in (SHIPPED / "sensorgw.conf").open() if line[0] != "#")
        for old, new in moved.items():
            assert old in text
            text = text.replace(old, str(new))
        assert "/etc/" not in text
        debian = f"user root\npersistence true\npersistence_location {folder / 'mosquitto'}/\n"
        self._configuration.write_text(debian + text)

    @property
    def pid(self) -> int:
        return self._process.pid

    def configure(self, more: str) -> None:
        with self._configuration.open("a") as file:
            file.write(more)

    def reload(self) -> None:
        since = len(self.log.read_text())
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: "Reloading config" in self.log.read_text()[since:], 10, "the reload")


@pytest.fixture
def mosquitto(tmp_path: Path, pki: Pki) -> Iterator[Shipped]:
    with Shipped(tmp_path, pki) as one:
        yield one


@pytest.fixture
def gateway(tmp_path: Path, pki: Pki, mosquitto: Shipped) -> Iterator[Gateway]:
    if not image_path().exists():
        pytest.skip("no firmware image: gcc-avr or arduino-core-avr is missing")
    with Board(tmp_path, csv="0,21.5,45.0\n", speed=10) as board:
        with Gateway(tmp_path, pki, mosquitto.port, {"kitchen": board.link}) as one:
            yield one


@pytest.fixture
def consumer(mosquitto: Shipped, pki: Pki) -> Iterator[Consumer]:
    with Consumer(mosquitto.port, pki.folder) as one:
        yield one


def publish(broker: Mosquitto, pki: Pki, topic: str, name: str | None = GATEWAY,
            *more: str) -> subprocess.CompletedProcess:
    identity = ["--cert", pki.certificate(name), "--key", pki.key(name)] if name else []
    return subprocess.run(
        ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "--cafile", pki.ca, *identity,
         "-V", "mqttv311", "-q", "1", "-t", topic, "-m", f"of {name}", *more],
        capture_output=True, text=True, timeout=20,
    )


# --- the door


def test_there_is_one_listener_and_it_wants_a_certificate(mosquitto, pki):
    table = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, timeout=10).stdout
    ours = [line.split()[3] for line in table.splitlines() if f"pid={mosquitto.pid}," in line]
    assert ours == [f"127.0.0.1:{mosquitto.port}"]
    assert publish(mosquitto, pki, f"sensors/{GATEWAY}/kitchen").returncode == 0
    assert publish(mosquitto, pki, f"sensors/{GATEWAY}/kitchen", None).returncode != 0


def test_plain_mqtt_is_not_spoken(mosquitto):
    with socket.create_connection((mosquitto.host, mosquitto.port), timeout=10) as plain:
        plain.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))  # CONNECT
        try:
            answer = plain.recv(100)
        except ConnectionError:
            answer = b""
    assert answer[:1] != b"\x20", "a CONNACK in the clear"


def test_the_same_name_from_another_ca_is_refused(mosquitto, pki, tmp_path):
    stranger = Pki(tmp_path / "stranger")
    stranger.client(GATEWAY)
    theirs = ("--cert", str(stranger.certificate(GATEWAY)), "--key", str(stranger.key(GATEWAY)))
    assert publish(mosquitto, pki, STATE, None, *theirs).returncode != 0


@pytest.mark.parametrize(("version", "stands"), [("1.1", False), ("1.2", True), ("1.3", True)])
def test_tls_versions(mosquitto, pki, version, stands):
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{mosquitto.port}", "-CAfile", pki.ca,
         "-cert", pki.certificate(GATEWAY), "-key", pki.key(GATEWAY),
         f"-tls{version.replace('.', '_')}", "-cipher", "DEFAULT@SECLEVEL=0"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
    )
    assert (f"New, TLSv{version}" in done.stdout) == stands


# --- who may do what: Mosquitto acknowledges what it refuses, so only what arrives counts


def arrives(broker: Mosquitto, pki: Pki, consumer: Consumer, topic: str, name: str) -> bool:
    """Followed by a message that does arrive: what has not come before that never will."""
    done = len(consumer.on(STATE))
    publish(broker, pki, topic, name)
    assert publish(broker, pki, STATE).returncode == 0
    consumer.wait_for(lambda _: len(consumer.on(STATE)) > done, ARRIVAL_S)
    return f"of {name}".encode() in [m.payload for m in consumer.on(topic)[-2:]]


@pytest.mark.parametrize("topic", [f"sensors/{GATEWAY}/kitchen", f"sensors/{GATEWAY}/a/b"])
def test_a_gateway_may_publish_its_own(mosquitto, pki, consumer, topic):
    assert arrives(mosquitto, pki, consumer, topic, GATEWAY)


@pytest.mark.parametrize("topic", ["sensors/other/kitchen", f"sensors/{GATEWAY}", "gateways/other",
                                   f"sensors/{GATEWAY}2/kitchen", f"gateways/{GATEWAY}/more"])
def test_a_gateway_may_publish_nothing_else(mosquitto, pki, consumer, topic):
    assert not arrives(mosquitto, pki, consumer, topic, GATEWAY)


def test_a_consumer_may_not_publish_for_a_gateway(mosquitto, pki, consumer):
    assert not arrives(mosquitto, pki, consumer, f"sensors/{GATEWAY}/kitchen", CONSUMER)


def test_a_gateway_reads_nothing(mosquitto, pki):
    with Consumer(mosquitto.port, pki.folder, GATEWAY, topics=["#"]) as curious:
        assert publish(mosquitto, pki, f"sensors/{GATEWAY}/kitchen").returncode == 0
        with pytest.raises(TimeoutError):
            curious.wait_for(lambda messages: messages, 1)


def test_a_stolen_gateway_delivers_nothing_more(mosquitto, pki, consumer):
    """README.md: the block that goes into the list, and a reload; its connection is open all the time."""
    name = pki.client("stolen-pi")
    topic = f"sensors/{name}/kitchen"
    block = re.search(r"```\n(user kitchen-pi\n.*?)```", (SHIPPED / "README.md").read_text(), re.S)[1]
    thief = subprocess.Popen(
        ["stdbuf", "-oL", "mosquitto_pub", "-h", mosquitto.host, "-p", str(mosquitto.port),
         "--cafile", pki.ca, "--cert", pki.certificate(name), "--key", pki.key(name),
         "-V", "mqttv311", "-q", "1", "-d", "-l", "-t", topic],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for word in ("before", "after"):
            thief.stdin.write(word + "\n")
            thief.stdin.flush()
            while "received PUBACK" not in thief.stdout.readline():
                assert thief.poll() is None
            if word == "before":
                consumer.wait_for(lambda _: consumer.on(topic), ARRIVAL_S, "what it still may")
                with mosquitto.acl.open("a") as acl:
                    acl.write("\n" + block.replace("kitchen-pi", name))
                mosquitto.reload()
    finally:
        thief.kill()
        thief.communicate()
    assert not arrives(mosquitto, pki, consumer, topic, name)
    assert [message.payload for message in consumer.on(topic)] == [b"before"]
    assert arrives(mosquitto, pki, consumer, f"sensors/{GATEWAY}/kitchen", GATEWAY)


def test_a_revoked_certificate_does_not_connect(mosquitto, pki, tmp_path):
    """README.md's lines, and the line that is in the file as a comment."""
    stolen = [pki.client("stolen-pi"), pki.client("lost-pi")]
    authority = Path(shutil.copytree(pki.folder, tmp_path / "authority"))
    page = (SHIPPED / "README.md").read_text().split("### A certificate that opens nothing")[1]
    once, each, _ = re.findall(r"```\n(.*?)```", page, re.S)

    def typed(lines: str) -> None:
        subprocess.run(["sh", "-ec", lines], cwd=authority, check=True, timeout=30,
                       stdin=subprocess.DEVNULL)

    def lets_in(name: str) -> bool:
        return publish(mosquitto, pki, f"gateways/{name}", name).returncode == 0

    def restart() -> None:
        mosquitto.stop()
        mosquitto.start()

    assert all(map(lets_in, [*stolen, GATEWAY]))
    typed(once)
    typed(each.replace("kitchen-pi", stolen[0]))
    (line,) = re.findall(r"^#(crlfile .*)", (SHIPPED / "sensorgw.conf").read_text(), re.M)
    mosquitto.configure(line.replace("/etc/mosquitto/tls", str(authority)) + "\n")
    mosquitto.reload()
    assert lets_in(stolen[0]), "a line that is new wants a restart"
    restart()
    assert [lets_in(name) for name in [*stolen, GATEWAY]] == [False, True, True]

    typed(each.replace("kitchen-pi", stolen[1]))
    mosquitto.reload()
    assert [lets_in(name) for name in [*stolen, GATEWAY]] == [False, False, True]

    typed(each.splitlines()[1].replace("-gencrl", "-gencrl -crlsec 1"))
    restart()
    wait_until(lambda: not lets_in(GATEWAY), 10, "the list to run out")


# --- the chain


def test_a_reading_arrives_as_it_was_taken(gateway, consumer):
    (reading, *_) = consumer.wait_for_readings(2, ARRIVAL_S)
    assert re.fullmatch(r"[0-9a-f]{8}-\d+", reading.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", reading.pop("time"))
    for maybe in ("clock", "late"):
        reading.pop(maybe, None)
    assert reading == {"gateway": GATEWAY, "sensor": "kitchen", "temperature": 21.5, "humidity": 45.0}
    (message, *_) = [m for m in consumer.messages if is_reading(m)]
    assert (message.topic, message.qos) == (f"sensors/{GATEWAY}/kitchen", 1)
    assert not message.retain and b" " not in message.payload


def kept_state(mosquitto: Mosquitto, pki: Pki, wanted: Callable[[dict], bool]) -> dict:
    """The retained state, asked for with a wildcard."""

    def asked() -> list[dict]:
        with Consumer(mosquitto.port, pki.folder, topics=["gateways/#"]) as late:
            (kept, *_) = late.wait_for(lambda messages: messages, ARRIVAL_S)
            return [kept.json] if kept.retain and wanted(kept.json) else []

    return wait_until(asked, ARRIVAL_S, "the retained state")[0]


def test_the_state_is_kept_and_ends_with_offline(gateway, mosquitto, pki):
    state = kept_state(
        mosquitto, pki, lambda state: state.get("sensors", {}).get("kitchen", {}).get("state") == "ok")
    assert (state["state"], state["tls"]) == ("online", "TLSv1.3")
    gateway.stop()
    assert kept_state(mosquitto, pki, lambda state: state["state"] == "offline") == {
        "state": "offline"}


def test_the_will_speaks_after_kill_9(gateway, mosquitto, pki, consumer):
    gateway.wait_online()
    gateway.kill()
    consumer.wait_for(lambda m: m and m[-1].payload == b'{"state":"offline"}', ARRIVAL_S)


def test_a_persistent_session_has_what_came_while_it_was_away(gateway, mosquitto, pki):
    def session() -> Consumer:
        return Consumer(mosquitto.port, pki.folder, client_id=f"{CONSUMER}-kept", persistent=True,
                        topics=["sensors/#"])

    with session() as first:
        first.wait_for_readings(2, ARRIVAL_S)
    before = first.readings()
    published = gateway.state()["published"]
    gateway.wait_state(lambda state: state["published"] >= published + 5)
    mosquitto.stop()
    mosquitto.start()
    with session() as again:
        after = again.wait_for_readings(5, ARRIVAL_S)
    numbers = [int(one["id"].rpartition("-")[2]) for one in before + after]
    assert sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1))


def test_the_rows_of_the_table_of_differences(mosquitto, pki):
    """A user nobody has heard of is let in, and told that what it may not write was taken."""
    pki.client("nobody")
    assert publish(mosquitto, pki, "sensors/nobody/kitchen", "nobody").returncode == 0
    assert publish(mosquitto, pki, "sensors/other/kitchen", "nobody").returncode == 0
