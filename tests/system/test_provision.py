# SPDX-License-Identifier: MIT
"""conf/rabbitmq/provision and the variants, on a node that has the optional ones all at once."""

import base64
import json
import re
import shlex
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from board import Board, image_path
from consumer import Consumer
from gateway import Gateway
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY, SHIPPED, BrokerFailed, RabbitMQ
from test_broker import AMQPS, INNER, MANAGEMENT, MQTT, assert_doors, publish, reading, s_client
from waiting import wait_until

ARCHIVE, BOARD, ADMINISTRATOR = "archive", "uno-7", "root-of-all"


@pytest.fixture(scope="module")
def issuer(pki: Pki) -> Path:
    """The key of somebody who signs tokens; the broker has its public half."""
    key = pki.folder / "issuer.key"
    for words in (["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
                  ["pkey", "-in", key, "-pubout", "-out", pki.folder / "issuer.pem"]):
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)
    return key


@pytest.fixture(scope="module")
def node(pki: Pki, issuer: Path) -> Iterator[RabbitMQ]:
    pki.client(ARCHIVE)
    variants = ("boards", "amqps", "management", "oauth2")
    with RabbitMQ(pki.folder, variants=variants, archives=[ARCHIVE]) as one:
        one.start()
        yield one


def own_topic(name: str) -> str:
    return f"sensors/{name}/kitchen"


def password_in(said: str) -> str:
    return re.search(r"password, shown this once: (\S+)", said)[1]


# --- gateways


def test_a_gateway_comes_and_goes(node, pki):
    name = pki.client("attic-pi")
    assert publish(node, pki, own_topic(name), name=name).returncode != 0
    said = node.provision("gateway", name)
    assert "sensors/attic-pi/... and gateways/attic-pi" in said
    assert publish(node, pki, own_topic(name), name=name).returncode == 0
    assert publish(node, pki, own_topic(GATEWAY), name=name).returncode != 0
    assert f"{name}\tgateway" in node.provision("list")
    node.provision("remove", name)
    assert publish(node, pki, own_topic(name), name=name).returncode != 0


class Thief:
    """Connected with a stolen certificate, and in no hurry."""

    def __init__(self, node: RabbitMQ, pki: Pki, name: str) -> None:
        self._node = node
        self._process = subprocess.Popen(
            ["mosquitto_pub", "-h", node.host, "-p", str(node.port), "--cafile", pki.ca, "-l",
             "--cert", pki.certificate(name), "--key", pki.key(name), "-V", "mqttv311", "-q", "1",
             "-t", own_topic(name), "-i", "thief"], stdin=subprocess.PIPE)
        self._connection = ""

    def __enter__(self) -> "Thief":
        try:
            wait_until(lambda: self._connections() and "thief" in self._node.log_text(), 10, "the thief")
            (self._connection,) = self._connections()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    def is_cut_off(self) -> bool:
        return self._connection not in self._connections()

    def _connections(self) -> set[str]:
        table = subprocess.run(["ss", "-Htnp", "state", "established"], capture_output=True,
                               text=True, timeout=10).stdout
        return {line.split()[2] for line in table.splitlines() if f"pid={self._process.pid}," in line}


def test_a_stolen_gateway_is_cut_off_at_once_and_for_ever(node, pki, capsys):
    name = pki.client("stolen-pi")
    node.provision("gateway", name)
    with Thief(node, pki, name) as thief:
        begin = time.monotonic()
        node.provision("remove", name)
        wait_until(thief.is_cut_off, 5, "its connection to end")
        with capsys.disabled():
            print(f"\ncut off {time.monotonic() - begin:.1f} s after the order")
    assert publish(node, pki, own_topic(name), name=name).returncode != 0
    definitions = json.loads((node.folder / "definitions.json").read_text())
    assert name not in json.dumps(definitions), "it would be back at the next start"


def test_guest_is_removed_where_it_is_found(node):
    node.ctl("add_user", "guest", "guest")
    assert "guest is gone" in node.provision("gateway", GATEWAY)
    assert "guest" not in node.ctl("list_users")


def test_names_that_would_mean_more_in_a_pattern_are_refused(node):
    for name in (".*", "a.b", "a/b", "guest", "a" * 65):
        with pytest.raises(BrokerFailed, match="provision: "):
            node.provision("gateway", name)
    with pytest.raises(BrokerFailed, match="no user 'who'"):
        node.provision("remove", "who")


def test_the_file_alone_can_be_changed(tmp_path):
    file = tmp_path / "definitions.json"
    file.write_text((SHIPPED / "definitions.json").read_text())
    file.chmod(0o640)
    run = [SHIPPED / "provision", "--file", file, "--file-only"]
    for words in (["gateway", "one", "two"], ["consumer", "three"], ["gateway", "one"],
                  ["consumer", "two"], ["remove", "one"]):
        subprocess.run([*run, *words], check=True, capture_output=True, timeout=20)
    said = subprocess.run([*run, "list"], check=True, capture_output=True, text=True, timeout=20)
    lines = [line for line in said.stdout.splitlines() if "\t" in line]
    assert lines == ["three\tconsumer", "two\tconsumer"]
    assert file.stat().st_mode & 0o777 == 0o640
    assert json.loads(file.read_text())["queues"], "the rest of the file is gone"


# --- consumers


def test_the_line_that_is_printed_for_a_consumer_works(node, pki):
    name = pki.client("wall-display")
    said = node.provision("consumer", name)
    line = re.search(r"mosquitto_sub .*\\\n.*", said)[0].replace("\\\n", " ")
    with subprocess.Popen([*shlex.split(line), "-C", "1", "-W", "20"], cwd=pki.folder, text=True,
                          stdout=subprocess.PIPE) as subscriber:
        wait_until(lambda: any(name in queue for queue in node.queues()), 10, "its subscription")
        assert publish(node, pki, own_topic(GATEWAY), reading(1)).returncode == 0
        assert subscriber.communicate(timeout=25)[0].startswith(own_topic(GATEWAY) + " {")
    assert f"SENSORGW_MQTT_PORT={node.port}" in said


def test_a_removed_consumer_leaves_no_queue(node, pki):
    name = pki.client("guest-book")
    node.provision("consumer", name)
    with Consumer(node.port, pki.folder, name, client_id=f"{name}-1", persistent=True):
        pass
    assert f"mqtt-subscription-{name}-1qos1" in node.queues()
    node.provision("remove", name)
    assert list(node.queues()) == ["sensors"]


@pytest.mark.timeout(400)  # some forty calls of rabbitmqctl
def test_no_two_consumers_have_a_queue_in_common(node, pki, tmp_path):
    """Else who removes the one would throw away what waits for the other."""
    node.provision("consumer", "hall")
    try:
        for name in ("hall-2", "hall-2-b"):
            with pytest.raises(BrokerFailed, match="queues in common"):
                node.provision("consumer", name)
        node.provision("consumer", "hall2")
        node.provision("gateway", "hall-3")
        with pytest.raises(BrokerFailed, match="queues in common"):
            node.provision("consumer", "porch", "porch-left")
        assert "porch" not in node.provision("list")
        with Consumer(node.port, pki.folder, pki.client("hall2"), client_id="hall2-1", persistent=True):
            pass
        with pytest.raises((ConnectionError, TimeoutError)):
            Consumer(node.port, pki.folder, pki.client("hall"), client_id="hall2-2").start(timeout=5)
        node.provision("remove", "hall")
        assert "mqtt-subscription-hall2-1qos1" in node.queues()
    finally:
        for name in ("hall", "hall2", "hall-3"):
            if f"{name}\t" in node.provision("list"):
                node.provision("remove", name)


# --- every role, and everything that one could want


OWN = {"own readings": "sensors/{}/kitchen", "own state": "gateways/{}"}
OTHER = {"another's readings": "sensors/kitchen-pi/kitchen", "another's state": "gateways/kitchen-pi",
         "another topic": "other"}
READ = {"readings": "sensors/#", "states": "gateways/#", "all topics": "#"}
WANTED = [*(f"write {what}" for what in [*OWN, *OTHER]), *(f"read {what}" for what in READ),
          "take from the queue", "manage"]
MAY = {
    "gateway": {"write own readings", "write own state"},
    "board": {"write own readings", "write own state"},
    "consumer": {"read readings", "read states"},
    "archive": {"take from the queue"},
    "administrator": {"manage"},
}
ROWS = [(role, wanted) for role in MAY for wanted in WANTED
        if wanted != "take from the queue" or role not in ("board", "administrator")]  # no certificate


@pytest.fixture(scope="module")
def passwords(node, pki) -> dict[str, str]:
    """One user of each role, called role-1, and the passwords of those that have one."""
    made = {}
    for role in MAY:
        said = node.provision(role, pki.client(f"{role}-1"))
        if "password, shown" in said:
            made[role] = password_in(said)
    return made


@pytest.mark.timeout(400)  # the first one makes the users: seventeen calls of rabbitmqctl
@pytest.mark.parametrize(("role", "wanted"), ROWS)
def test_each_role_may_do_its_own_and_nothing_else(node, pki, passwords, tmp_path, role, wanted):
    name = f"{role}-1"
    certificate, login = (None, ("-u", name, "-P", passwords[role])) if role in passwords else (name, ())
    since = len(node.log_text())
    if wanted.startswith("write "):
        topic = (OWN | OTHER)[wanted.removeprefix("write ")].format(name)
        done = mqtt(node, pki, certificate, "mosquitto_pub", "-t", topic, "-m", reading(1), *login)
    elif wanted.startswith("read "):
        topic = READ[wanted.removeprefix("read ")]
        done = mqtt(node, pki, certificate, "mosquitto_sub", "-t", topic, "-i", f"{name}-try", "-E", *login)
    elif wanted == "manage":
        done = manage(node, pki, f"{name}:{passwords.get(role, '')}") == 200
    else:
        done = "failed" not in archive(node, pki, tmp_path / "readings.jsonl", name)
    assert done == (wanted in MAY[role])
    if not done and wanted != "manage":  # for that reason, and for no other
        wait_until(lambda: re.search(rf"refused for user '{name}'|missing permissions",
                                     node.log_text()[since:]), 10, "the refusal in the log")


def mqtt(node: RabbitMQ, pki: Pki, certificate: str | None, program: str, *words: str) -> bool:
    """Whether it is done. Who is refused connects again for ever, or, if he may not write to the
    exchange at all, is left waiting by RabbitMQ 3.10: so the log tells. 4.0 denies a subscription
    in its answer, and mosquitto_sub ends well."""
    identity = ["--cert", pki.certificate(certificate), "--key", pki.key(certificate)] if certificate else []
    since = len(node.log_text())
    client = subprocess.Popen([program, "-h", node.host, "-p", str(node.port), "--cafile", pki.ca, *identity,
                               "-V", "mqttv311", "-q", "1", *words], stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: client.poll() is not None or "refused for user" in node.log_text()[since:],
                   20, "an answer")
        return client.poll() == 0 and "denied" not in client.stderr.read()
    finally:
        client.kill()
        client.communicate()


# --- boards without a certificate


def test_a_board_without_a_certificate_needs_its_password(node, pki):
    password = password_in(node.provision("board", BOARD))
    login = ("-u", BOARD, "-P")
    assert publish(node, pki, own_topic(BOARD), "x", None, *login, password).returncode == 0
    assert publish(node, pki, own_topic(GATEWAY), "x", None, *login, password).returncode != 0
    assert publish(node, pki, own_topic(BOARD), "x", None, *login, "guess").returncode != 0
    assert publish(node, pki, own_topic(BOARD), "x", None).returncode != 0
    assert "already" in node.provision("board", BOARD)
    newer = password_in(node.provision("--new-password", "board", BOARD))
    assert publish(node, pki, own_topic(BOARD), "x", None, *login, password).returncode != 0
    assert publish(node, pki, own_topic(BOARD), "x", None, *login, newer).returncode == 0


@pytest.mark.parametrize("password", ["", "guest", GATEWAY])
def test_a_gateway_without_its_certificate_is_refused_even_then(node, pki, password):
    login = ("-u", GATEWAY, "-P", password)
    assert publish(node, pki, own_topic(GATEWAY), "x", None, *login).returncode != 0
    assert publish(node, pki, own_topic(GATEWAY)).returncode == 0


def test_a_bad_certificate_is_refused_even_then(node, pki, tmp_path):
    stranger = Pki(tmp_path / "stranger")
    stranger.client(GATEWAY)
    since = len(node.log_text())
    done = publish(node, pki, own_topic(GATEWAY), "x", None,
                   "--cert", str(stranger.certificate(GATEWAY)), "--key", str(stranger.key(GATEWAY)))
    assert done.returncode != 0
    node.wait_for_log("Fatal - Unknown CA", since=since)


# --- the other doors


def test_nothing_listens_but_tls_and_all_of_it_on_loopback(node, pki):
    assert_doors(node, {*INNER, *(("127.0.0.1", port) for port in (MQTT, AMQPS, MANAGEMENT))})
    for port in (MQTT, AMQPS, MANAGEMENT):
        talk = subprocess.run(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{node.base + port}", "-CAfile", pki.ca],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
        assert "Verify return code: 0" in talk.stdout or "Verification: OK" in talk.stdout


def manage(node: RabbitMQ, pki: Pki, login: str, name: str | None = CONSUMER) -> int:
    """The status of one request to the management API; 0 if TLS refuses it."""
    tls = ssl.create_default_context(cafile=str(pki.ca))
    if name:
        tls.load_cert_chain(pki.certificate(name), pki.key(name))
    request = urllib.request.Request(f"https://localhost:{node.management_port}/api/overview")
    request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, context=tls, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code
    except OSError:
        return 0


def test_management_needs_a_certificate_and_an_administrator(node, pki):
    password = password_in(node.provision("administrator", ADMINISTRATOR))
    assert manage(node, pki, f"{ADMINISTRATOR}:{password}") == 200
    assert manage(node, pki, f"{ADMINISTRATOR}:{password}", None) == 0
    assert manage(node, pki, f"{ADMINISTRATOR}:guess") == 401
    assert manage(node, pki, f"{GATEWAY}:", GATEWAY) == 401
    assert manage(node, pki, "guest:guest") == 401
    node.provision("remove", ADMINISTRATOR)
    assert manage(node, pki, f"{ADMINISTRATOR}:{password}") == 401


def archive(node: RabbitMQ, pki: Pki, file: Path, name: str = ARCHIVE) -> str:
    done = subprocess.run(
        ["/usr/bin/python3", SHIPPED / "archive", "--port", str(node.amqps_port), "--ca", pki.ca,
         "--cert", pki.certificate(name), "--key", pki.key(name), file],
        capture_output=True, text=True, timeout=60)
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr[-300:]}"


def test_stored_readings_are_taken_out_over_amqps(node, pki, tmp_path):
    node.ctl("purge_queue", "sensors")
    for number in (1, 2, 2, 3):
        assert publish(node, pki, own_topic(GATEWAY), reading(number)).returncode == 0
    assert publish(node, pki, f"sensors/{GATEWAY}/_check", '{"check":true}').returncode == 0
    file = tmp_path / "readings.jsonl"
    poison = '{"gateway":[1],"id":{}}'  # nothing may stop those behind it
    assert publish(node, pki, own_topic(GATEWAY), poison).returncode == 0
    assert archive(node, pki, file) == "3 readings, 1 came twice\n"
    assert [json.loads(line)["id"][-2:] for line in file.open()] == ["-1", "-2", "-3"]
    assert publish(node, pki, own_topic(GATEWAY), reading(3)).returncode == 0
    assert archive(node, pki, file) == "0 readings, 1 came twice\n"
    assert node.queues()["sensors"] == 0


def test_a_line_cut_short_by_a_crash_is_written_again(node, pki, tmp_path):
    node.ctl("purge_queue", "sensors")
    file = tmp_path / "readings.jsonl"
    file.write_text(reading(1) + "\n" + reading(2)[:40])
    for number in (1, 2):
        assert publish(node, pki, own_topic(GATEWAY), reading(number)).returncode == 0
    assert archive(node, pki, file) == "1 readings, 1 came twice\n"
    assert [json.loads(line)["id"][-2:] for line in file.open()] == ["-1", "-2"]


@pytest.mark.parametrize(("options", "said"), [
    (["--port", "1"], "localhost:1: "), (["--host", "no.such.host.invalid"], "no.such.host.invalid"),
    (["--ca", "/no/such.pem"], "/no/such.pem")])
def test_what_stops_an_archive_is_said_in_one_line(node, pki, tmp_path, options, said):
    done = subprocess.run(
        ["/usr/bin/python3", SHIPPED / "archive", "--port", str(node.amqps_port), "--ca", pki.ca,
         "--cert", pki.certificate(ARCHIVE), "--key", pki.key(ARCHIVE), *options, tmp_path / "x"],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1


def test_an_archive_without_pika_names_the_package():
    bare = ["/usr/bin/python3", "-S"]  # without the folder of Debian's packages
    done = subprocess.run([*bare, SHIPPED / "archive", "readings.jsonl"], capture_output=True, text=True,
                          timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "archive: python3-pika is missing: sudo apt install python3-pika\n"


@pytest.mark.timeout(400)
def test_a_day_without_any_consumer(node, pki, tmp_path):
    """One board every 2 s, the broker killed in between; then all of it is taken out, in order."""
    day, night = range(1, 40001), range(40001, 43201)
    node.ctl("purge_queue", "sensors")
    for part in (day, night):
        done = subprocess.run(
            ["mosquitto_pub", "-h", node.host, "-p", str(node.port), "--cafile", pki.ca, "-l",
             "--cert", pki.certificate(GATEWAY), "--key", pki.key(GATEWAY), "-V", "mqttv311",
             "-q", "1", "-t", own_topic(GATEWAY)],
            input="".join(reading(number) + "\n" for number in part), text=True, timeout=250)
        assert done.returncode == 0
        if part is day:
            node.restart()
    file = tmp_path / "day.jsonl"
    assert archive(node, pki, file).startswith(f"{len(day) + len(night)} readings")
    ids = [json.loads(line)["id"].rpartition("-")[2] for line in file.open()]
    assert ids == [str(number) for number in [*day, *night]]
    assert node.queues()["sensors"] == 0


@pytest.mark.parametrize("name", [GATEWAY, CONSUMER])
def test_nobody_else_takes_them_out(node, pki, tmp_path, name):
    assert "failed" in archive(node, pki, tmp_path / "readings.jsonl", name)


# --- a token as password


def token(issuer: Path, name: str, lifetime_s: int = 600) -> str:
    """A JSON Web Token as an identity provider would sign it (RS256)."""
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    topic = "sensorgw.write:%2F/amq.topic"
    claims = {"aud": "sensorgw", "sub": name, "iss": "test", "exp": int(time.time()) + lifetime_s,
              "scope": f"{topic} {topic}/sensors.{name}.* {topic}/gateways.{name}"}
    head = {"alg": "RS256", "typ": "JWT", "kid": "issuer"}
    signed = ".".join(part(json.dumps(one).encode()) for one in (head, claims))
    signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", issuer],
                               input=signed.encode(), capture_output=True, check=True, timeout=20)
    return f"{signed}.{part(signature.stdout)}"


@pytest.fixture(scope="module")
def arduino(tmp_path_factory) -> Iterator[Board]:
    if not image_path().exists():
        pytest.skip("no firmware image: gcc-avr or arduino-core-avr is missing")
    with Board(tmp_path_factory.mktemp("arduino"), csv="0,21.5,45.0\n", speed=10) as one:
        yield one


@contextmanager
def by_password(node: RabbitMQ, pki: Pki, folder: Path, board: Board, name: str,
                password: str) -> Iterator[Gateway]:
    """sensorgw without a certificate of its own."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    with Gateway(folder, pki, node.port, {"kitchen": board.link}, reconnect={"min_s": 0.1, "max_s": 1},
                 tls={"certificate": None, "key": None},
                 mqtt={"username": name, "password_file": secret}) as gateway:
        yield gateway


def three_more(gateway: Gateway) -> None:
    before = gateway.state().get("published", 0)
    gateway.wait_state(lambda state: state["link"] == "online" and state["published"] >= before + 3)


def test_sensorgw_with_a_name_and_a_password(node, pki, tmp_path, arduino):
    name = "uno-8"
    password = password_in(node.provision("board", name))
    with (Consumer(node.port, pki.folder, topics=[f"sensors/{name}/#"]) as consumer,
          by_password(node, pki, tmp_path, arduino, name, password) as gateway):
        (got, *_) = consumer.wait_for_readings(1, timeout=30)
        assert (got["gateway"], got["temperature"]) == (name, 21.5)
        node.provision("remove", name)
        gateway.wait_for_entry(CAUSE="unknown-user")


def test_sensorgw_with_a_token_that_is_renewed(node, pki, issuer, tmp_path, arduino):
    """Whoever renews it only writes the file: it is read at each connect."""
    name = "cloud-pi"
    with by_password(node, pki, tmp_path, arduino, name, token(issuer, name)) as gateway:
        three_more(gateway)
        (tmp_path / "password").write_text(token(issuer, name, -60))
        node.ctl("close_all_connections", "test")
        gateway.wait_for_entry(CAUSE="unknown-user")
        (tmp_path / "password").write_text(token(issuer, name))
        gateway.reload()
        three_more(gateway)


def test_a_token_is_a_password_for_its_time_and_its_topics(node, pki, issuer, tmp_path):
    name = "cloud-pi"
    good = ("-u", name, "-P", token(issuer, name))
    assert publish(node, pki, own_topic(name), "x", None, *good).returncode == 0
    assert publish(node, pki, own_topic(GATEWAY), "x", None, *good).returncode != 0
    expired = ("-u", name, "-P", token(issuer, name, -60))
    assert publish(node, pki, own_topic(name), "x", None, *expired).returncode != 0
    forger = tmp_path / "forger.key"
    subprocess.run(["openssl", "genrsa", "-out", forger, "2048"], check=True, capture_output=True,
                   timeout=30)
    forged = ("-u", name, "-P", token(forger, name))
    assert publish(node, pki, own_topic(name), "x", None, *forged).returncode != 0


# --- docs/lecture.md: what fails when it is typed as shown


def test_camel_case_keys_do_not_boot(pki, tmp_path):
    settings = {"ssl_options.failIfNoPeerCert": "true"}
    with RabbitMQ(pki.folder, tmp_path / "camel", settings=settings) as one:
        with pytest.raises(BrokerFailed, match="failed_to_prepare_configuration"):
            one.start()
        assert "failIfNoPeerCert" in (one.folder / "log" / "console.log").read_text()


def test_x509_req_drops_the_names(pki, tmp_path):
    """What clients say to such a certificate is in test_tls.py: "certificate without names"."""
    def openssl(*words: str) -> str:
        return subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True,
                              text=True, timeout=30).stdout

    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "b.key", "-out", "b.csr",
            "-subj", "/CN=broker.example", "-addext", "subjectAltName=DNS:broker.example")
    typed = ("x509", "-req", "-in", "b.csr", "-CA", str(pki.ca), "-CAkey", str(pki.folder / "ca.key"),
             "-set_serial", "7", "-days", "365")
    for more, names in (((), False), (("-copy_extensions", "copy"), True)):
        openssl(*typed, *more, "-out", "b.pem")
        assert ("DNS:broker.example" in openssl("x509", "-in", "b.pem", "-noout", "-text")) == names


def test_a_topic_in_the_write_permission_forbids_everything(node, pki):
    """It is matched against exchanges, and amq.topic is none of `sensors...`."""
    name = pki.client("mistaken")
    node.provision("gateway", name)
    assert publish(node, pki, own_topic(name), name=name).returncode == 0
    node.ctl("set_permissions", name, "", "^sensors.*", "")
    try:  # RabbitMQ 3.10 keeps the connection and says nothing; 4.0 closes it
        assert publish(node, pki, own_topic(name), name=name).returncode != 0
    except subprocess.TimeoutExpired:
        pass


def test_without_topic_permissions_every_topic_is_open(node, pki):
    name = pki.client("careless")
    node.provision("gateway", name)
    node.ctl("clear_topic_permissions", name)
    assert publish(node, pki, own_topic(GATEWAY), name=name).returncode == 0


def test_qos_2_is_no_qos_2(node, pki):
    """3.10 answers it as QoS 1, which a client takes for a broken protocol; 4.0 too, or ends it."""
    assert publish(node, pki, own_topic(GATEWAY), "x", GATEWAY, "-q", "2").returncode != 0


# --- versions and ciphers; the last, because they restart the node


@pytest.mark.parametrize(
    ("variant", "rsa", "stands", "cipher", "refused"),
    [("tls-1.2", False, "-tls1_2", "ECDHE-ECDSA-AES128-GCM-SHA256", "-tls1_3"),
     ("tls-lecture", True, "-tls1_2", "ECDHE-RSA-AES128-SHA256", "-tls1_3")],
)
def test_other_versions_and_ciphers(node, pki, tmp_path, variant, rsa, stands, cipher, refused):
    if rsa:
        subprocess.run([Path(__file__).parents[2] / "pki/sensorgw-pki", "-d", pki.folder, "--rsa",
                        "broker", "rsa.localhost", "localhost"], check=True, capture_output=True,
                       timeout=30)
        node.certificate = "rsa.localhost"
    node.variants = [variant]
    node.restart()
    identity = ("-cert", str(pki.certificate(GATEWAY)), "-key", str(pki.key(GATEWAY)))
    assert cipher in s_client(node, pki, stands, *identity)
    assert publish(node, pki, own_topic(GATEWAY)).returncode == 0
    assert "Cipher is (NONE)" in s_client(node, pki, refused, *identity)
