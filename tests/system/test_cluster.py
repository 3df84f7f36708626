# SPDX-License-Identifier: MIT
"""Three RabbitMQ nodes from the shipped files: one after the other is killed, nothing is lost."""

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from board import Board, image_path
from cluster import NODE, Cluster, handshake
from gateway import Gateway
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY, SHIPPED
from test_broker import AMQPS, DISTRIBUTION, INNER, MQTT, assert_doors, publish, reading
from test_provision import Thief
from waiting import wait_until

pytestmark = pytest.mark.timeout(900)

ARCHIVE = "archive"
READINGS = 25  # with each node away, and again with it back
FAILOVER_S = 60


@pytest.fixture(scope="module")
def cluster(pki: Pki) -> Iterator[Cluster]:
    pki.client(ARCHIVE)
    with Cluster(pki, gateway=[GATEWAY], consumer=[CONSUMER], archive=[ARCHIVE]) as three:
        yield three


class Pulse:
    """The longest time in which nothing was acknowledged."""

    def __init__(self, gateway: Gateway) -> None:
        self.longest_s = 0.0
        self._gateway = gateway
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _run(self) -> None:
        last, since = -1, time.monotonic()
        while not self._ends.wait(0.1):
            published = self._gateway.state().get("published", 0)
            if published != last:
                last, since = published, time.monotonic()
            self.longest_s = max(self.longest_s, time.monotonic() - since)


def stored(cluster: Cluster, pki: Pki, file: Path) -> str:
    """Everything that the queue holds, taken out of it over AMQPS."""
    done = subprocess.run(
        ["/usr/bin/python3", SHIPPED / "archive", "--port", str(cluster.nodes[0].amqps_port),
         "--ca", pki.ca, "--cert", pki.certificate(ARCHIVE), "--key", pki.key(ARCHIVE), file],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_nodes_are_one_and_have_no_door_but_tls(cluster):
    running = json.loads(cluster.nodes[0].ctl("cluster_status", "--formatter", "json"))
    assert sorted(running["running_nodes"]) == sorted(node.name for node in cluster.nodes)
    first, *others = cluster.nodes
    assert_doors(first, {*INNER, ("127.0.0.1", MQTT), ("127.0.0.1", AMQPS)})
    for node in others:  # they share the port mapper of the first
        assert_doors(node, {("127.0.0.1", port) for port in (MQTT, AMQPS, DISTRIBUTION)})


def test_what_the_nodes_say_to_each_other_is_encrypted(cluster, pki, tmp_path):
    stranger = Pki(tmp_path / "stranger")
    stranger.client(NODE)
    theirs = ("-cert", str(stranger.certificate(NODE)), "-key", str(stranger.key(NODE)))
    ours = ("-cert", str(pki.certificate(NODE)), "-key", str(pki.key(NODE)))
    for node in cluster.nodes:
        port = node.base + DISTRIBUTION
        assert "Cipher is ECDHE" in handshake(port, *ours)
        assert "alert" in handshake(port) and "alert" in handshake(port, *theirs)


@pytest.mark.skipif(not image_path().exists(), reason="no firmware image")
def test_each_node_killed_in_turn_loses_nothing(cluster, pki, tmp_path, record_property, capsys):
    ports = [node.port for node in cluster.nodes]
    brokers = [{"host": "localhost", "port": port} for port in ports]
    changing = "".join(f"{2 * i},{20 + i % 90 / 10:.1f},45.0\n" for i in range(3000))
    gaps = []
    with Board(tmp_path, csv=changing, speed=10) as board, Gateway(
        tmp_path, pki, ports[0], {"kitchen": board.link}, brokers=brokers,
        reconnect={"min_s": 0.2, "max_s": 2},
    ) as gateway:
        gateway.wait_state(lambda state: state["published"] >= READINGS)
        for node in cluster.nodes:
            with Pulse(gateway) as pulse:
                # The gateway stays where it is, so the node to kill is made the one it uses.
                gateway.configure(brokers=sorted(brokers, key=lambda one: one["port"] != node.port))
                gateway.reload()
                gateway.wait_state(
                    lambda state: state.get("broker", "").endswith(f":{node.port}")
                    and state["link"] == "online", FAILOVER_S, "the broker to be killed")
                node.kill()
                before = gateway.state()["published"]
                gateway.wait_state(
                    lambda state: state["link"] == "online"
                    and state["published"] >= before + READINGS, FAILOVER_S, "another broker")
                cluster.rejoin(node)
                before = gateway.state()["published"]
                gateway.wait_state(lambda state: state["published"] >= before + READINGS,
                                   FAILOVER_S, "readings with all three")
            gaps.append(round(pulse.longest_s, 1))
        accepted = gateway.state()["accepted"]
        gateway.stop()

    said = stored(cluster, pki, tmp_path / "readings.jsonl")
    ids = [json.loads(line)["id"] for line in (tmp_path / "readings.jsonl").open()]
    numbers = Counter(int(one.rpartition("-")[2]) for one in ids)
    accepted = max(accepted, *numbers)  # some more until it had ended
    lost = set(range(1, accepted + 1)) - set(numbers)
    with capsys.disabled():
        print(f"\n{said.strip()} of {accepted}; {len(lost)} lost; longest gaps {gaps} s")
    record_property("longest gaps, s", str(gaps))
    record_property("stored", said.strip())
    assert not lost and len(gaps) == 3


def test_a_stolen_gateway_is_cut_off_and_refused_on_every_node(cluster, pki, capsys):
    """It is connected to one node, and removed on another; later each node comes back."""
    name = pki.client("stolen-pi")
    first, second, third = cluster.nodes
    first.provision("gateway", name)
    topic = f"sensors/{name}/kitchen"
    assert all(publish(node, pki, topic, reading(1), name).returncode == 0 for node in cluster.nodes)
    with Thief(third, pki, name) as thief:
        begin = time.monotonic()
        said = second.provision("remove", name)
        wait_until(thief.is_cut_off, 5, "its connection to end")
        with capsys.disabled():
            print(f"\ncut off {time.monotonic() - begin:.1f} s after the order")
    assert f"--file-only remove {name}" in said
    for node in cluster.nodes:
        assert publish(node, pki, topic, reading(2), name).returncode != 0
        node.kill()
        cluster.rejoin(node)
        assert name not in node.ctl("list_users"), "its definitions have brought it back"
        assert publish(node, pki, topic, reading(2), name).returncode != 0


def test_the_users_of_a_cluster_are_in_no_file(cluster):
    for node in cluster.nodes:
        assert json.loads((node.folder / "definitions.json").read_text())["users"] == []
    assert f"{CONSUMER}\tconsumer" in cluster.nodes[1].provision("list")
