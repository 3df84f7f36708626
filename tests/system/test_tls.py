# SPDX-License-Identifier: MIT
"""
Failures with names: each cause between a gateway and its broker, made and mended.

A row breaks one thing, waits for the one entry that names it, sees to it that trying again adds
none, follows the cure, and waits for the connection. The pin is tested by capture: what we offer,
and that no data are sent where it does not hold. At the end comes the table of all rows.
"""

import fcntl
import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authority import encrypted, replace
from board import build_folder
from gateway import EX_CONFIG, Gateway, executable
from openssl_server import Listener, free_port, keeps_silent
from rabbit_listeners import open_listeners
from rabbitmq import GATEWAY, RabbitMQ
from sickness import Sickness
from tap import ALERT, Tap
from tls_bench import VERSIONS, Bench, gateway, of_brokers
from tls_rows import LECTURE, LECTURE_OPENSSL, ROWS, Row, Scene
from waiting import wait_until

pytestmark = pytest.mark.timeout(120)

# --- the bench, and the table at the end


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, str, str]]]:
    rows: list[tuple[str, str, str]] = []
    yield rows
    plugins = request.config.pluginmanager
    with plugins.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{len(rows)} failures, and what the journal says of them\n")
        for name, cause, sentence in rows:
            print(f"{name:<50} {cause:<26} {sentence}")


@pytest.fixture(scope="module")
def rabbit(broker: RabbitMQ, bench: Bench) -> dict[str, int]:
    """Listeners of one node, by what is wrong with them."""
    ca = bench.ca

    def variant(certificate, *versions: str, **options: Any) -> dict[str, Any]:
        return {
            "cacertfile": ca.path, "certfile": certificate.path, "keyfile": certificate.key,
            "versions": versions or ("tlsv1.2", "tlsv1.3"), **options,
        }

    broken = {
        "untrusted": bench.stranger.broker(),
        "expired": ca.broker(begin=-30, end=-1),
        "nameless": ca.broker(names=()),
        "misnamed": ca.broker(names=["DNS:broker.example"]),
        "purpose": ca.broker(purpose="clientAuth"),
    }
    variants = {
        "sound": variant(bench.broker),
        "sound 1.2": variant(bench.broker, "tlsv1.2"),
        "sound 1.3": variant(bench.broker, "tlsv1.3"),
        "certificate is optional": variant(bench.broker, fail_if_no_peer_cert=False),
        "rsa": variant(bench.rsa_broker, "tlsv1.2", ciphers=[LECTURE]),
        "weak": variant(bench.rsa_broker, "tlsv1.2", ciphers=["AES128-SHA"]),
        "chacha": variant(bench.broker, "tlsv1.3", ciphers=["TLS_CHACHA20_POLY1305_SHA256"]),
        **{f"{name} {version}": variant(certificate, f"tlsv{version}")
           for name, certificate in broken.items() for version in VERSIONS},
    }
    return open_listeners(broker, variants)


# --- following a row


def settle_settings(row: Row, scene: Scene) -> dict[str, Any]:
    """A row's shorthands, written out."""
    settings = dict(row.settings)
    if name := settings.pop("name", None):
        settings["brokers"] = [{"host": "localhost", "port": scene.tap.port, "name": name}]
    if crl := settings.pop("crl", None):
        path = scene.folder / "crl.pem"
        settings["tls"] = {**settings.get("tls", {}), "crl": path}
        make = {
            "revoked": lambda: scene.bench.ca.crl(scene.bench.once("revoked", scene.bench.ca.broker)),
            "expired": lambda: scene.bench.ca.crl(begin=-10, end=-1),
            "another": scene.bench.stranger.crl,
        }
        if crl in make:
            replace(path, make[crl]().read_bytes())
    if settings.pop("password", None):
        mqtt = {"username": GATEWAY, **settings.get("mqtt", {})}
        settings["mqtt"] = {**mqtt, "password_file": scene.folder / "password"}
    return settings


def expected_cause(row: Row, one: Gateway) -> str:
    """A clock that nobody vouches for may be what is wrong."""
    if " or " not in row.cause:
        return row.cause
    synchronised = one.wait_state(lambda state: "clock" in state)["clock"] == "synchronised"
    return row.cause.split(" or ")[0 if synchronised else 1]


def try_often(row: Row, scene: Scene, one: Gateway) -> None:
    """Three attempts, and the first was said."""
    for count in range(1, row.reloads + 1):
        one.reload()
        one.wait_for_entry("configuration applied", count=count)
    if not row.reloads:
        wait_until(lambda: len(scene.tap.captures) >= row.attempts, 30, "more attempts")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_failure_has_one_name_and_a_cure(row: Row, bench, broker, rabbit, table, tmp_path):
    with ExitStack() as stack, Tap() as tap:
        scene = Scene(bench, bench.site(tmp_path), tap, rabbit, broker, stack, tmp_path)
        one = gateway(tmp_path, scene.site, tap.port, **settle_settings(row, scene))
        scene.gateway = one
        row.fault(scene)
        with one:
            cause = expected_cause(row, one)
            entry = one.wait_for_entry(CAUSE=cause)
            try_often(row, scene, one)

            said = [said.fields["CAUSE"] for said in of_brokers(one)]
            assert [name for name in said if name not in row.first] == [cause]
            assert entry.priority == 4
            for part in row.says:
                assert part in entry.sentence
            sentence = entry.sentence.split(": ", 1)[1].split(" Next try in")[0]
            table.append((row.name, cause, sentence))

            if row.cure:
                row.cure(scene)
                assert one.wait_for_entry(EVENT="connected").priority == 4
                assert len(of_brokers(one)) == len(said)


# --- the pin: what is offered, and what is agreed on

TLS_1_2, TLS_1_3 = 0x0303, 0x0304

# The numbers of the names, and the one that says that we know secure renegotiation.
AES_GCM_AND_CHACHA = [0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8]
LECTURE_NUMBER = 0xC027
SUITES = [0x1302, 0x1303, 0x1301]
SIGNAL = 0x00FF


def connect(folder: Path, bench: Bench, port: int, tap: Tap | None = None, **settings: Any):
    """Starts a gateway, and returns what it says of its connection."""
    with gateway(folder, bench.site(folder), port, **settings) as one:
        return one.wait_for_entry(EVENT="connected").fields


@pytest.mark.parametrize(
    ("tls", "options", "session"),
    [
        ({}, [], ("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
        ({}, ["-tls1_2"], ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
        ({"version": "1.2"}, [], ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256")),
        ({"version": "1.3"}, [], ("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
        ({"version": "1.2", "ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}, [],
         ("TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305")),
        ({"version": "1.3", "ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}, [],
         ("TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256")),
        ({"ciphersuites": ["TLS_AES_128_GCM_SHA256"]}, [], ("TLSv1.3", "TLS_AES_128_GCM_SHA256")),
    ],
    ids=str,
)
def test_the_session_is_as_pinned(bench, tmp_path, tls, options, session):
    with bench.server(None, *options) as server:
        found = connect(tmp_path, bench, server.port, tls=tls)
    assert (found["TLS"], found["CIPHER"]) == session


@pytest.mark.parametrize("ciphers", [LECTURE, LECTURE_OPENSSL, [LECTURE], [LECTURE_OPENSSL]], ids=str)
def test_the_cipher_of_the_lecture_in_both_spellings(bench, tmp_path, ciphers):
    """
    An RSA-only list with our own certificate of an EC key is no contradiction: the list says with
    which key the broker proves itself; ours proves itself by a signature of its own kind.
    """
    with bench.server(bench.rsa_broker) as server:
        found = connect(tmp_path, bench, server.port, tls={"version": "1.2", "ciphers": ciphers})
    assert (found["TLS"], found["CIPHER"]) == ("TLSv1.2", LECTURE_OPENSSL)


def test_the_cipher_of_the_lecture_with_rabbitmq_and_rsa_alone(bench, rabbit, tmp_path):
    site = bench.site(tmp_path)
    site.install(bench.ca.client(GATEWAY, kind="rsa"))
    settings = {"version": "1.2", "ciphers": LECTURE}
    with gateway(tmp_path, site, rabbit["rsa"], tls=settings) as one:
        found = one.wait_for_entry(EVENT="connected").fields
    assert (found["TLS"], found["CIPHER"]) == ("TLSv1.2", LECTURE_OPENSSL)


@pytest.mark.parametrize(
    ("tls", "versions", "ciphers"),
    [
        ({}, {TLS_1_2, TLS_1_3}, SUITES + AES_GCM_AND_CHACHA),
        ({"version": "1.2"}, {TLS_1_2}, AES_GCM_AND_CHACHA),
        ({"version": "1.3"}, {TLS_1_3}, SUITES),
        ({"version": "1.2", "ciphers": LECTURE}, {TLS_1_2}, [LECTURE_NUMBER]),
        ({"version": "1.3", "ciphersuites": "TLS_AES_128_GCM_SHA256"}, {TLS_1_3}, [0x1301]),
    ],
    ids=str,
)
def test_nothing_is_offered_beside_the_pin(bench, tmp_path, tls, versions, ciphers):
    """By capture of the ClientHello: libmosquitto's own "tlsv1.2" offers 1.3 as well."""
    with bench.server(bench.rsa_broker) as server, Tap(server.port) as tap:
        connect(tmp_path, bench, tap.port, tls=tls)
        hello = tap.captures[0].hello()
    assert set(hello.versions) == versions
    assert [number for number in hello.ciphers if number != SIGNAL] == ciphers


def assert_nothing_went_through(tap: Tap) -> None:
    """The broker's one word was an alert; no record of data either way."""
    for capture in tap.captures[:3]:
        assert not capture.has_application_data()
        assert [kind for kind, _ in capture.records(capture.got)] == [ALERT]


@pytest.mark.parametrize("kind", ["1.3 only", "weak ciphers only"])
def test_openssl_outside_a_pin_to_1_2_gets_no_data(bench, tmp_path, kind):
    options = {
        "1.3 only": [None, "-tls1_3"],
        "weak ciphers only": [bench.rsa_broker, "-tls1_2", "-cipher", "AES128-SHA:AES256-SHA"],
    }
    with bench.server(*options[kind]) as server, Tap(server.port) as tap:
        with gateway(tmp_path, bench.site(tmp_path), tap.port, tls={"version": "1.2"}):
            wait_until(lambda: len(tap.captures) > 3, 30, "four attempts")
        assert_nothing_went_through(tap)
        assert server.mqtt.connects == []


@pytest.mark.parametrize("kind", ["sound 1.3", "weak"])
def test_rabbitmq_outside_a_pin_to_1_2_gets_no_data(bench, rabbit, tmp_path, kind):
    with Tap(rabbit[kind]) as tap:
        with gateway(tmp_path, bench.site(tmp_path), tap.port, tls={"version": "1.2"}):
            wait_until(lambda: len(tap.captures) > 3, 30, "four attempts")
        assert_nothing_went_through(tap)


# --- names and addresses


@pytest.mark.parametrize(
    ("name", "names", "asked"),
    [
        (None, ["DNS:localhost"], "localhost"),
        ("broker.example", ["DNS:broker.example"], "broker.example"),
        ("broker.lan.example", ["DNS:*.lan.example"], "broker.lan.example"),
        ("BROKER.example", ["DNS:broker.example"], "BROKER.example"),
        ("127.0.0.1", ["IP:127.0.0.1"], None),
    ],
    ids=str,
)
def test_the_name_that_is_verified_is_the_one_that_is_asked_for(bench, tmp_path, name, names, asked):
    """In the SNI stands a name or nothing: libmosquitto puts the address there (RFC 6066)."""
    with bench.server(bench.ca.broker(names=names)) as server, Tap(server.port) as tap:
        broker = {"host": "localhost", "port": tap.port, "name": name}
        connect(tmp_path, bench, tap.port, brokers=[broker])
        assert tap.captures[0].hello().server_name == asked


def test_an_address_of_ipv6_is_verified(bench, tmp_path):
    with bench.server(bench.ca.broker(names=["IP:::1"]), host="::1") as server:
        broker = {"host": "::1", "port": server.port}
        found = connect(tmp_path, bench, server.port, brokers=[broker])
    assert (found["BROKER"], found["ADDRESS"]) == (f"[::1]:{server.port}", "::1")


def test_brokers_are_tried_in_their_order(bench, tmp_path):
    """The first that answers; and after each loss, from the first again."""
    with bench.server() as first, bench.server() as second, Tap(first.port) as one, \
            Tap(second.port) as other:
        brokers = [{"host": "localhost", "port": port}
                   for port in (free_port(), one.port, other.port)]
        with gateway(tmp_path, bench.site(tmp_path), 1, brokers=brokers) as daemon:
            daemon.wait_for_entry(EVENT="connected", BROKER=f"localhost:{one.port}")
            assert len(of_brokers(daemon)) == 1
            one.target = None
            one.cut()
            daemon.wait_for_entry(EVENT="connected", BROKER=f"localhost:{other.port}")
            one.target = first.port
            other.cut()
            daemon.wait_for_entry(EVENT="connected", BROKER=f"localhost:{one.port}", count=2)


# --- who vouches, and who we are


def test_the_systems_store_vouches_where_no_ca_is_named(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bench.ca.path))
    with bench.server() as server:
        connect(tmp_path, bench, server.port, tls={"ca": None})


def test_the_systems_store_is_named_where_it_does_not_vouch(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(bench.stranger.path))
    with bench.server() as server:
        site = bench.site(tmp_path)
        with gateway(tmp_path, site, server.port, tls={"ca": None}) as one:
            entry = one.wait_for_entry(CAUSE="untrusted-ca")
    assert "this system's store of CAs (tls.ca is not set) does not hold" in entry.sentence


def test_a_certificate_that_is_not_on_the_list_is_believed(bench, tmp_path):
    revoked = bench.ca.broker()
    with bench.server() as server:
        connect(tmp_path, bench, server.port, tls={"crl": bench.ca.crl(revoked)})


def test_a_user_name_beside_a_certificate_is_the_login(bench, broker, rabbit, tmp_path):
    broker.ctl("add_user", "token-pi", "secret")
    broker.ctl("set_permissions", "token-pi", "^$", "^amq\\.topic$", "^$")
    secret = tmp_path / "password"
    replace(secret, b"secret\n")
    login = {"username": "token-pi", "password_file": secret}
    with gateway(tmp_path, bench.site(tmp_path), rabbit["sound"], gateway="token-pi", mqtt=login) as one:
        one.wait_for_entry(EVENT="connected")
        assert "token-pi" in [session["user"] for session in broker.sessions()]


# --- whose clock


@pytest.fixture
def sickness(tmp_path: Path, build: Path) -> Sickness:
    return Sickness(tmp_path, build)


def test_a_clock_that_nobody_set_is_blamed_until_it_is_set(bench, tmp_path, sickness):
    """As a Raspberry Pi boots: years ago. Nothing is restarted when the time comes."""
    sickness.say(wall_s=-400 * 86400, unsynchronised=1)
    with bench.server() as server:
        one = gateway(tmp_path, bench.site(tmp_path), server.port, wrapper=sickness.wrapper)
        with one:
            entry = one.wait_for_entry(CAUSE="clock-wrong")
            assert "our clock, not synchronised, says" in entry.sentence
            sickness.say()
            one.wait_for_entry(EVENT="connected")
            assert len(of_brokers(one)) == 1


def test_a_clock_that_is_right_is_not_blamed(bench, tmp_path, sickness):
    with bench.server(bench.ca.broker(begin=2, end=30)) as server:
        one = gateway(tmp_path, bench.site(tmp_path), server.port, wrapper=sickness.wrapper)
        with one:
            entry = one.wait_for_entry(CAUSE="not-yet-valid")
    assert "our clock says" in entry.sentence


# --- contradictions are refused at the start


@pytest.mark.parametrize(
    ("tls", "said"),
    [
        ('version = "1.3"; ciphers = "ECDHE-RSA-AES128-GCM-SHA256";', "tls.version = \"1.3\" excludes"),
        ('version = "1.2"; ciphersuites = "TLS_AES_128_GCM_SHA256";', "tls.version = \"1.2\" excludes"),
        ('ciphers = "TLS_AES_128_GCM_SHA256";', "it goes into tls.ciphersuites"),
        ('ciphers = "ECDHE-RSA-AES128-GCM-SHA256:NO-SUCH-CIPHER";', '"NO-SUCH-CIPHER" is no cipher'),
        ('ciphers = "HIGH:!aNULL";', '"HIGH" is no cipher'),
        ('ciphers = "NULL-SHA256";', '"NULL-SHA256" is no cipher'),
        ('ciphers = "RC4-SHA";', '"RC4-SHA" is no cipher'),
        ("ciphers = ( );", "names no cipher"),
        ('ciphersuites = "TLS_AES_128_GCM_SHA256:TLS_NOSUCH";', '"TLS_NOSUCH" is no cipher'),
        ('version = "1.1";', "tls.version"),
        ("verify = false;", "verification cannot be switched off"),
    ],
)
def test_a_contradiction_is_refused_with_its_line(bench, tmp_path, tls, said):
    one = gateway(tmp_path, bench.site(tmp_path), 1)
    text = one.configuration.read_text()
    one.configuration.write_text(text.replace("tls = {", "tls = {\n" + tls))
    line = 1 + text[: text.index("tls = {")].count("\n") + 1
    one.launch()
    assert one.wait_for_exit() == EX_CONFIG
    assert f"{one.configuration}:{line}: " in one.log_text()
    assert said in one.log_text()


# --- it never asks, and it never spins


def test_nobody_is_asked_for_a_passphrase(bench, tmp_path):
    """OpenSSL would ask on the terminal, and wait for ever."""
    site = bench.site(tmp_path)
    replace(site.key(), encrypted(bench.client.key, "right").read_bytes())
    one = gateway(tmp_path, site, free_port())
    ours, its = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(its, termios.TIOCSCTTY, 0)

    with one.log.open("wb") as log:
        process = subprocess.Popen(
            [executable(build_folder()), "run", "-c", one.configuration],
            stdin=its, stdout=its, stderr=log, preexec_fn=take_terminal,
            env={**os.environ, "RUNTIME_DIRECTORY": str(one.runtime)},
        )
    try:
        wait_until(lambda: "CAUSE=bad-passphrase" in one.log_text(), 30, "the entry")
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
        process.terminate()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(its)


def cpu_s(one: Gateway) -> float:
    words = Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("fault", ["silence", "refused", "full backlog"])
def test_waiting_for_a_broker_takes_no_time_of_the_processor(bench, tmp_path, fault):
    """libmosquitto's own loops spin on each of these (issues 2421, 2594, 3745)."""
    with ExitStack() as stack:
        port = free_port()
        if fault != "refused":
            port = stack.enter_context(
                Listener(keeps_silent, backlog_is_full=fault == "full backlog")).port
        site = bench.site(tmp_path)
        patient = {"reconnect": {"min_s": 60, "max_s": 60}}
        with gateway(tmp_path, site, port, **patient, state={"interval_s": 1}) as one:
            wait_until(lambda: one.state().get("link") not in (None, "down", "resolving"), 10, "a try")
            before, begin = cpu_s(one), one.state()["uptime_s"]
            one.wait_state(lambda state: state["uptime_s"] >= begin + 4, 20, "four seconds")
            assert cpu_s(one) - before < 0.4
