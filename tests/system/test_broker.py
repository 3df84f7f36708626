# SPDX-License-Identifier: MIT
"""conf/rabbitmq: the shipped files let in whom they should, and nobody else.

mosquitto_pub plays the gateway. Its exit status differs between versions when it is refused,
so what counts is that it failed and what the broker's log says.
"""

import json
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consumer import Consumer, Message
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY, SHIPPED, BrokerFailed, RabbitMQ, version
from waiting import assert_becomes, wait_until


def publish(
    broker: RabbitMQ, pki: Pki, topic: str, payload: str = "x", name: str | None = GATEWAY, *more: str
) -> subprocess.CompletedProcess:
    """QoS 1: returns 0 only after the broker's PUBACK."""
    identity = ["--cert", pki.certificate(name), "--key", pki.key(name)] if name else []
    return subprocess.run(
        ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "--cafile", pki.ca, *identity,
         "-V", "mqttv311", "-q", "1", "-t", topic, "-m", payload, *more],
        capture_output=True,
        text=True,
        timeout=20,
    )


def reading(number: int) -> str:
    return json.dumps({
        "id": f"5f3a9c12-{number}", "time": "2026-11-22T18:07:32.123Z", "gateway": GATEWAY,
        "sensor": "kitchen", "temperature": 21.5, "humidity": 45.0,
    })


def s_client(broker: RabbitMQ, pki: Pki, *options: str) -> str:
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{broker.port}", "-CAfile", pki.ca, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout + done.stderr


# --- the door


def commands() -> dict[int, str]:
    """What runs on this machine, by process id."""
    found = {}
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(file.parent.name)] = file.read_text().replace("\0", " ")
        except OSError:
            pass  # it has ended
    return found


def addresses(pids: set[int]) -> set[tuple[str, int]]:
    """All that these processes listen on, TCP and UDP."""
    table = subprocess.run(["ss", "-Hltunp"], capture_output=True, text=True, timeout=10).stdout
    lines = [line for line in table.splitlines() if any(f"pid={pid}," in line for pid in pids)]
    pairs = [line.split()[4].rpartition(":") for line in lines]
    return {(host, int(port)) for host, _, port in pairs}


def listening(broker: RabbitMQ) -> set[tuple[str, int]]:
    return {(host, port - broker.base) for host, port in addresses(broker.pids())}


def assert_doors(broker: RabbitMQ, ports: set[tuple[str, int]]) -> None:
    """A door stays open. Erlang's inet:getifaddrs has a UDP socket on 0.0.0.0 for less than a
    millisecond, at each login by MQTT for one: RabbitMQ asks whether it comes from this machine."""
    assert_becomes(lambda: listening(broker), ports)


MQTT, DISTRIBUTION, EPMD, AMQPS, MANAGEMENT = 0, 1, 2, 3, 4

# The ports of every node. epmd adds ::1 to whatever address it is given.
INNER = {("127.0.0.1", DISTRIBUTION), ("127.0.0.1", EPMD), ("[::1]", EPMD)}


def test_nothing_listens_beside_mqtt_over_tls_and_all_of_it_on_loopback(broker):
    assert_doors(broker, {("127.0.0.1", MQTT), *INNER})


def test_a_syslog_client_that_stays_has_no_port(broker):
    """RabbitMQ stops it while it starts, and 3.10 starts it again at times, on a busy machine."""
    broker.ctl("eval", "{ok, _} = application:ensure_all_started(syslog).")
    try:
        assert_doors(broker, {("127.0.0.1", MQTT), *INNER})
    finally:
        broker.ctl("eval", "application:stop(syslog).")


def test_what_would_start_epmd_listens_on_loopback(broker):
    """An Erlang of its own that is there for 30 ms: once a minute, since 4.0 only if epmd is gone."""

    def starters() -> set[int]:
        return {pid for pid, command in commands().items()
                if "epmd-starter" in command and f"-epmd_port {broker.base + EPMD} " in command}

    seen = set()
    with ThreadPoolExecutor() as pool:
        order = pool.submit(
            broker.ctl, "eval", "[rabbit_nodes_common:ensure_epmd() || _ <- lists:seq(1, 20)].")
        while not order.done():
            seen |= {host for host, _ in addresses(starters())}
        order.result()
    assert seen == ({"127.0.0.1"} if version() < (4,) else set())


def test_the_shipped_files_have_no_plain_listener():
    files = [SHIPPED / "rabbitmq.conf", SHIPPED / "tls.conf", *SHIPPED.glob("variants/*.conf")]
    lines = [line for file in files for line in file.read_text().splitlines()
             if "listeners" in line and not line.startswith("#")]
    assert lines == ["listeners.tcp = none", "mqtt.listeners.tcp = none",
                     "mqtt.listeners.ssl.default = 8883", "listeners.ssl.default = 5671"]


def test_the_shipped_definitions_have_no_users():
    definitions = json.loads((SHIPPED / "definitions.json").read_text())
    assert definitions["users"] == definitions["permissions"] == []


def test_plain_mqtt_is_not_spoken(broker):
    with socket.create_connection((broker.host, broker.port), timeout=10) as plain:
        plain.sendall(bytes.fromhex("101000044d5154540402003c000474657374"))  # CONNECT
        answer = plain.recv(100)
    assert answer[:1] != b"\x20", "a CONNACK in the clear"


@pytest.mark.parametrize(
    ("option", "cipher"),
    [("-tls1_3", "TLS_AES_128_GCM_SHA256"), ("-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256")],
)
def test_the_first_cipher_of_the_list_wins(broker, pki, option, cipher):
    identity = ("-cert", str(pki.certificate(GATEWAY)), "-key", str(pki.key(GATEWAY)))
    assert cipher in s_client(broker, pki, option, *identity)


def test_tls_1_1_is_refused(broker, pki):
    since = len(broker.log_text())
    s_client(broker, pki, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")
    broker.wait_for_log("Fatal - Protocol Version", since=since)


# --- who


def test_a_reading_arrives(broker, pki, consumer):
    assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", reading(1)).returncode == 0
    (got,) = consumer.wait_for_readings(1, timeout=10)
    assert got["temperature"] == 21.5


def test_without_a_certificate_the_handshake_ends(broker, pki):
    since = len(broker.log_text())
    assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", "x", None).returncode != 0
    wait_until(
        lambda: any(word in broker.log_text()[since:]
                    for word in ("certificate_required", "no_client_certificate_provided",
                                 "Certificate required")),
        10, "the refusal in the log",
    )


def test_the_same_name_from_another_ca_is_refused(broker, pki, tmp_path):
    stranger = Pki(tmp_path / "stranger")
    stranger.client(GATEWAY)
    since = len(broker.log_text())
    done = publish(broker, pki, f"sensors/{GATEWAY}/kitchen", "x", None,
                   "--cert", str(stranger.certificate(GATEWAY)), "--key", str(stranger.key(GATEWAY)))
    assert done.returncode != 0
    broker.wait_for_log("Fatal - Unknown CA", since=since)


def test_a_name_that_is_no_user_is_refused(broker, pki):
    pki.client("nobody")
    since = len(broker.log_text())
    assert publish(broker, pki, "sensors/nobody/kitchen", "x", "nobody").returncode != 0
    broker.wait_for_log("nobody", since=since)


def test_the_broker_certificate_is_no_login(broker, pki):
    assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", "x", "localhost").returncode != 0


def test_no_password_opens_a_user(broker, pki):
    pki.client("nobody")
    for password in ("", GATEWAY, "guest"):
        done = publish(broker, pki, f"sensors/{GATEWAY}/kitchen", "x", "nobody",
                       "-u", GATEWAY, "-P", password)
        assert done.returncode != 0


# --- what


@pytest.mark.parametrize("topic", [f"sensors/{GATEWAY}/kitchen", f"sensors/{GATEWAY}/_check",
                                   f"sensors/{GATEWAY}/a/b", f"gateways/{GATEWAY}"])
def test_a_gateway_may_publish_its_own(broker, pki, topic):
    assert publish(broker, pki, topic).returncode == 0


@pytest.mark.parametrize("topic", ["sensors/other/kitchen", f"sensors/{GATEWAY}", "sensors",
                                   f"sensors/{GATEWAY}2/kitchen", "gateways/other",
                                   f"gateways/{GATEWAY}/more", "other"])
def test_a_gateway_may_publish_nothing_else(broker, pki, topic):
    since = len(broker.log_text())
    assert publish(broker, pki, topic).returncode != 0
    broker.wait_for_log(f"refused for user '{GATEWAY}'", since=since)


def test_a_client_id_opens_no_other_topic(broker, pki):
    """Before RabbitMQ 4.2.4 the id of a client went into such patterns as a pattern."""
    done = publish(broker, pki, "sensors/other/kitchen", "x", GATEWAY, "-i", ".*")
    assert done.returncode != 0


def test_a_gateway_may_not_read(broker, pki):
    with pytest.raises((ConnectionError, TimeoutError)):
        Consumer(broker.port, pki.folder, GATEWAY).start(timeout=5)


def test_a_consumer_may_not_publish(broker, pki):
    assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", "x", CONSUMER).returncode != 0


@pytest.mark.parametrize("topic", ["#", "+/kitchen-pi/kitchen", "other/#"])
def test_a_consumer_reads_sensors_and_gateways_only(broker, pki, topic):
    with pytest.raises((ConnectionError, TimeoutError)):
        Consumer(broker.port, pki.folder, topics=[topic]).start(timeout=5)


def test_the_state_is_retained_for_who_asks_for_it_by_name(broker, pki):
    topic = f"gateways/{GATEWAY}"
    assert publish(broker, pki, topic, '{"state":"online"}', GATEWAY, "-r").returncode == 0

    def asked() -> list[Message]:
        with Consumer(broker.port, pki.folder, topics=[topic]) as late:
            try:
                return late.wait_for(lambda messages: messages, 2)
            except TimeoutError:  # RabbitMQ stores what is retained a little after its PUBACK
                return []

    assert wait_until(asked, 10, "the retained state")[0].json == {"state": "online"}


def killed_with_will(broker: RabbitMQ, pki: Pki, name: str, client_id: str) -> None:
    """A client that leaves a will for the gateway's state, and dies."""
    since = len(broker.log_text())
    client = subprocess.Popen(
        ["mosquitto_pub", "-h", broker.host, "-p", str(broker.port), "--cafile", pki.ca,
         "--cert", pki.certificate(name), "--key", pki.key(name), "-V", "mqttv311", "-l",
         "-i", client_id, "-t", "unused", "--will-qos", "1",
         "--will-topic", f"gateways/{GATEWAY}", "--will-payload", json.dumps({"from": client_id})],
        stdin=subprocess.PIPE,
    )
    try:
        broker.wait_for_log(client_id, since=since)
    finally:
        client.kill()
        client.wait(timeout=10)


def test_a_will_reaches_its_own_topic_only(broker, pki, consumer):
    killed_with_will(broker, pki, CONSUMER, "will-of-a-stranger")
    killed_with_will(broker, pki, GATEWAY, "will-of-the-gateway")
    consumer.wait_for(lambda messages: messages, 10, "the will")
    assert consumer.states(GATEWAY) == [{"from": "will-of-the-gateway"}]


# --- the queue


def test_readings_wait_in_the_queue_when_nobody_listens(broker, pki):
    before = broker.queues()["sensors"]
    for number in range(3):
        assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", reading(number)).returncode == 0
    assert broker.queues()["sensors"] == before + 3
    assert publish(broker, pki, f"gateways/{GATEWAY}").returncode == 0
    assert broker.queues()["sensors"] == before + 3


def test_a_full_queue_drops_the_oldest_and_still_acknowledges(broker, pki):
    (shipped,) = json.loads((SHIPPED / "definitions.json").read_text())["policies"]
    assert broker.ctl("list_queues", "--no-table-headers", "name", "durable", "policy").split() == [
        "sensors", "true", shipped["name"],
    ]
    small = json.dumps(shipped["definition"] | {"max-length": 2})
    broker.ctl("set_policy", "small", shipped["pattern"], small, "--priority", "9")
    try:
        for number in range(4):
            assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", reading(number)).returncode == 0
        assert broker.queues()["sensors"] == 2
    finally:
        broker.ctl("clear_policy", "small")
        broker.ctl("eval", "mnesia:sync_log().")  # else the kill -9 of a later test brings it back


def test_the_queue_outlives_kill_9(broker, pki):
    assert publish(broker, pki, f"sensors/{GATEWAY}/kitchen", reading(9)).returncode == 0
    before = broker.queues()["sensors"]
    broker.restart()
    assert broker.queues()["sensors"] == before


# --- the class itself


def test_a_wrong_setting_says_why_the_node_did_not_start(pki, tmp_path):
    settings = {"ssl_options.ciphers": None, "ssl_options.ciphers.1": "NO-SUCH-CIPHER"}
    with RabbitMQ(pki.folder, tmp_path / "node", settings=settings) as node:
        with pytest.raises(BrokerFailed, match="NO-SUCH-CIPHER"):
            node.start()


def test_the_program_ends_with_its_standard_input_and_leaves_nothing(pki, tmp_path):
    folder = tmp_path / "node"
    program = subprocess.Popen(
        ["/usr/bin/python3", Path(__file__).with_name("rabbitmq.py"), "--pki", pki.folder,
         "--dir", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert program.stdout.readline().startswith("PORT ")
        beam = int((folder / "pid").read_text())
        program.stdin.close()
        assert program.wait(timeout=30) == 0
    finally:
        program.kill()
        program.wait(timeout=10)
    assert not folder.exists()
    wait_until(lambda: not Path(f"/proc/{beam}").exists(), 10, "RabbitMQ to be gone")
    assert not [command for command in commands().values() if str(folder) in command]
