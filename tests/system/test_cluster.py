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
from cluster import Cluster, speaks_plain
from gateway import Gateway
from pki import Pki
from rabbitmq import GATEWAY, SHIPPED
from test_broker import publish, reading

pytestmark = pytest.mark.timeout(500)

ARCHIVE = "archive"
READINGS = 25  # with each node away, and again with it back
FAILOVER_S = 60


@pytest.fixture(scope="module")
def cluster(pki: Pki) -> Iterator[Cluster]:
    pki.client(ARCHIVE)
    with Cluster(pki, archives=[ARCHIVE]) as three:
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


def test_the_nodes_talk_to_each_other_over_tls(cluster):
    for node in cluster.nodes:
        assert not speaks_plain(node.base + 1)
    running = json.loads(cluster.nodes[0].ctl("cluster_status", "--formatter", "json"))
    assert sorted(running["running_nodes"]) == sorted(node.name for node in cluster.nodes)


@pytest.mark.skipif(not image_path().exists(), reason="no firmware image")
def test_each_node_killed_in_turn_loses_nothing(cluster, pki, tmp_path, record_property):
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
        gateway.stop()

    said = stored(cluster, pki, tmp_path / "readings.jsonl")
    ids = [json.loads(line)["id"] for line in (tmp_path / "readings.jsonl").open()]
    numbers = Counter(int(one.rpartition("-")[2]) for one in ids)
    lost = set(range(1, max(numbers) + 1)) - set(numbers)
    print(f"{said.strip()}; {len(lost)} lost; longest gaps {gaps} s")
    record_property("longest gaps, s", str(gaps))
    record_property("stored", said.strip())
    assert not lost


def test_a_stolen_gateway_is_refused_on_every_node(cluster, pki):
    topic = f"sensors/{GATEWAY}/kitchen"
    assert all(publish(node, pki, topic, reading(1)).returncode == 0 for node in cluster.nodes)
    cluster.nodes[0].provision("remove", GATEWAY)
    assert all(publish(node, pki, topic, reading(2)).returncode != 0 for node in cluster.nodes)
