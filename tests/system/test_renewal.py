# SPDX-License-Identifier: MIT
"""
Certificates through their life: renewed, half renewed, badly renewed, about to run out; a CA that
is rolled over while readings flow; and what the journal keeps of all that.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from authority import Authority, Certificate, encrypted, fingerprints, replace
from ledger import Feed, Port, Witness, settle
from openssl_server import free_port
from pki import Pki
from rabbit_listeners import open_listeners
from rabbitmq import GATEWAY, RabbitMQ
from tap import Tap
from tls_bench import VERSIONS, Bench, Site, gateway, of_brokers
from waiting import wait_until

pytestmark = pytest.mark.timeout(120)

WINDOW = 100  # the default of spool.window


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("renewal"))


@pytest.fixture
def fresh(bench: Bench) -> Certificate:
    """What the gateway's certificate is renewed by."""
    return bench.ca.client(GATEWAY)


@pytest.fixture
def tap(bench: Bench) -> Iterator[Tap]:
    """To a broker of TLS 1.2: certificates go in the clear there."""
    with bench.server(None, VERSIONS["1.2"]) as server, Tap(server.port) as one:
        yield one


def der(certificate: Certificate) -> bytes:
    return subprocess.run(
        ["openssl", "x509", "-in", certificate.path, "-outform", "DER"],
        capture_output=True, check=True, timeout=10,
    ).stdout


def shows(tap: Tap, certificate: Certificate) -> bool:
    """In the last connection."""
    return der(certificate) in tap.captures[-1].sent


def assert_replaced(one, old: str, new: str, event: str = "certificate-replaced") -> None:
    fields = one.wait_for_entry(EVENT=event).fields
    assert (fields["OLD"], fields["NEW"]) == (old, new)
    assert len(one.entries(EVENT=event)) == 1


# --- taken


def test_renewed_files_are_taken_at_the_next_connect(bench, tap, tmp_path, fresh):
    site = bench.site(tmp_path)
    with gateway(tmp_path, site, tap.port) as one:
        one.wait_online()
        assert shows(tap, bench.client)
        site.install(fresh)
        tap.cut()
        one.wait_for_entry(EVENT="connected", count=2)
        assert shows(tap, fresh)
        assert_replaced(one, bench.client.fingerprint(), fresh.fingerprint())


def test_sighup_takes_renewed_files_into_a_connection_of_their_own(bench, tap, tmp_path, fresh):
    site = bench.site(tmp_path)
    with gateway(tmp_path, site, tap.port) as one:
        one.wait_online()
        site.install(fresh)
        one.reload()
        one.wait_for_entry(EVENT="connected", count=2)
        assert shows(tap, fresh)
        assert_replaced(one, bench.client.fingerprint(), fresh.fingerprint())
        assert of_brokers(one) == []  # nothing was lost


def test_a_renewal_neither_loses_nor_doubles_a_reading(broker, pki, bench, tmp_path):
    """Sent is what is acknowledged before the new connection is made."""
    ports = open_listeners(broker, {"sound": {
        "cacertfile": bench.ca.path, "certfile": bench.broker.path, "keyfile": bench.broker.key,
    }})
    site = bench.site(tmp_path)
    with Port() as port, Witness(broker.port, pki.folder) as witness, \
            Feed(port, per_s=200) as feed:
        one = gateway(tmp_path, site, ports["sound"])
        one.configure(sensors=[{"name": "kitchen", "device": port.path}])
        with one:
            port.wait_for_reader()
            feed.go_on()
            for count in range(1, 5):
                one.wait_for_entry(EVENT="connected", count=count)
                witness.wait_for_more(100)
                site.install(bench.ca.client(GATEWAY))
                one.reload()
            one.wait_for_entry(EVENT="connected", count=5)
            outcome = settle(feed, witness)
            assert of_brokers(one) == []
    outcome.assert_sound(duplicates=0)


def test_sighup_leaves_a_connection_alone_where_nothing_changed(bench, tap, tmp_path):
    with gateway(tmp_path, bench.site(tmp_path), tap.port, state={"interval_s": 1}) as one:
        one.wait_online()
        one.reload()
        one.wait_for_entry(EVENT="configuration-applied")
        begin = one.state()["uptime_s"]
        one.wait_state(lambda state: state["uptime_s"] > begin + 2)
        assert len(tap.captures) == 1


def test_a_locked_key_opens_with_its_passphrase(bench, tap, tmp_path):
    site = bench.site(tmp_path)
    replace(site.key(), encrypted(bench.client.key, "right").read_bytes())
    secret = tmp_path / "passphrase"
    replace(secret, b"right\n")
    with gateway(tmp_path, site, tap.port, tls={"passphrase_file": secret}) as one:
        one.wait_for_entry(EVENT="connected")


# --- not taken


def test_unsound_files_are_refused_once_and_the_old_stay_in_use(bench, tap, tmp_path, fresh):
    site = bench.site(tmp_path)
    with gateway(tmp_path, site, tap.port) as one:
        one.wait_online()
        replace(site.certificate(), fresh.path.read_bytes())
        one.reload()
        entry = one.wait_for_entry(EVENT="certificate-refused")
        assert entry.fields["CAUSE"] == "key-mismatch"
        assert "does not belong to our certificate" in entry.fields["REASON"]
        assert len(tap.captures) == 1  # it stands

        for count in (2, 3):
            tap.cut()
            one.wait_for_entry(EVENT="connected", count=count)
            assert shows(tap, bench.client)
        assert len(one.entries(EVENT="certificate-refused")) == 1
        assert one.entries(EVENT="certificate-replaced") == []

        site.install(fresh)
        one.reload()
        one.wait_for_entry(EVENT="connected", count=4)
        assert shows(tap, fresh)


@pytest.mark.parametrize("way", ["reload", "cut"])
def test_half_a_renewal_is_no_alarm(bench, tap, tmp_path, fresh, way):
    """The certificate first, and a second later the key."""
    site = bench.site(tmp_path)
    with gateway(tmp_path, site, tap.port, state={"interval_s": 1}) as one:
        one.wait_online()
        begin = one.state()["uptime_s"]
        replace(site.certificate(), fresh.path.read_bytes())
        if way == "reload":
            one.reload()
            one.wait_for_entry(EVENT="configuration-applied")
        else:
            tap.cut()
            one.wait_for_entry(EVENT="connected", count=2)
            assert shows(tap, bench.client)
        one.wait_state(lambda state: state["uptime_s"] > begin + 1)
        replace(site.key(), fresh.key.read_bytes())
        if way == "reload":
            one.wait_for_entry(EVENT="connected", count=2)
            assert shows(tap, fresh)
        assert_replaced(one, bench.client.fingerprint(), fresh.fingerprint())
        assert one.entries(EVENT="certificate-refused") == []


def test_half_a_pair_at_the_start_heals(bench, tap, tmp_path, fresh):
    site = bench.site(tmp_path)
    replace(site.key(), fresh.key.read_bytes())
    with gateway(tmp_path, site, tap.port) as one:
        one.wait_for_entry(CAUSE="key-mismatch")
        replace(site.certificate(), fresh.path.read_bytes())
        one.wait_for_entry(EVENT="connected")
        assert shows(tap, fresh)


# --- a CA is rolled over


def test_a_ca_is_rolled_over_while_readings_flow(broker: RabbitMQ, pki: Pki, tmp_path):
    """Old, both, new: first in what is trusted, then in what is issued, then the old one goes."""
    old, new = (Authority(tmp_path / name, name=f"The {name} CA") for name in ("old", "new"))
    both = old.chain(old, new)

    def listener(certificate: Certificate, ca: Path) -> dict:
        return {"cacertfile": ca, "certfile": certificate.path, "keyfile": certificate.key}

    ports = open_listeners(broker, {
        "old": listener(old.broker(), both),
        "new": listener(new.broker(), new.path),
    })
    site = Site(tmp_path, old.path, old.client(GATEWAY))
    with Tap(ports["old"]) as tap, Port() as port, Witness(broker.port, pki.folder) as witness, \
            Feed(port, per_s=50) as feed:
        one = gateway(tmp_path, site, tap.port)
        one.configure(sensors=[{"name": "kitchen", "device": port.path}])
        with one:
            port.wait_for_reader()
            feed.go_on()
            one.wait_online()

            site.trust(both)
            one.reload()
            one.wait_for_entry(EVENT="connected", count=2)

            site.install(new.client(GATEWAY))
            one.reload()
            one.wait_for_entry(EVENT="connected", count=3)
            tap.target = ports["new"]
            tap.cut()
            one.wait_for_entry(EVENT="connected", count=4)

            site.trust(new.path)
            one.reload()
            one.wait_for_entry(EVENT="connected", count=5)
            outcome = settle(feed, witness)

            replaced = [entry.fields for entry in one.entries(EVENT="ca-replaced")]
            assert [(fields["OLD"], fields["NEW"]) for fields in replaced] == [
                (fingerprints(old.path), fingerprints(both)),
                (fingerprints(both), fingerprints(new.path)),
            ]
            assert len(one.entries(EVENT="certificate-replaced")) == 1
            assert [entry.fields["CAUSE"] for entry in of_brokers(one)] == ["connection-lost"]
    outcome.assert_sound(duplicates=WINDOW)  # of the cut alone


# --- what is about to run out


@pytest.mark.parametrize(
    ("days", "says"),
    [(40.1, None), (20.1, "in 20 days"), (5.1, "in 5 days"), (0.6, "in 14 hours"),
     (0.01, "within the hour")],
)
def test_our_certificate_runs_out_with_a_warning(bench, tap, tmp_path, days, says):
    site = bench.site(tmp_path)
    site.install(bench.ca.client(GATEWAY, end=days))
    with gateway(tmp_path, site, tap.port) as one:
        for count in (1, 2, 3):
            one.wait_for_entry(EVENT="connected", count=count)
            tap.cut()
        said = one.entries(EVENT="certificate-expires")
        assert one.wait_online()["certificate_days_left"] == int(days)
    assert len(said) == (says is not None)
    if says:
        assert f"our certificate CN={GATEWAY} expires {says}, on 2" in said[0].sentence
        assert f"sensorgw-pki renew {GATEWAY}" in said[0].sentence
        assert said[0].fields["DAYS_LEFT"] == str(int(days))
        assert said[0].priority == 4


def test_a_renewed_certificate_is_not_warned_of(bench, tap, tmp_path, fresh):
    site = bench.site(tmp_path)
    site.install(bench.ca.client(GATEWAY, end=5.1))
    with gateway(tmp_path, site, tap.port) as one:
        one.wait_for_entry(EVENT="certificate-expires")
        site.install(fresh)
        one.reload()
        one.wait_for_entry(EVENT="connected", count=2)
        assert one.wait_online()["certificate_days_left"] > 300
        assert len(one.entries(EVENT="certificate-expires")) == 1


def test_the_days_of_the_first_warning_can_be_set(bench, tap, tmp_path):
    site = bench.site(tmp_path)
    site.install(bench.ca.client(GATEWAY, end=20.1))
    with gateway(tmp_path, site, tap.port, tls={"expiry_warning_days": 10}) as one:
        one.wait_for_entry(EVENT="connected")
        assert one.entries(EVENT="certificate-expires") == []


def test_the_brokers_certificate_and_its_ca_run_out_with_a_warning(bench, tmp_path):
    ca = Authority(tmp_path / "short", name="Short CA", end=6.1)
    site = bench.site(tmp_path)
    site.trust(ca.path)
    with bench.server(ca.broker(end=3.1)) as server:
        with gateway(tmp_path, site, server.port) as one:
            one.wait_for_entry(EVENT="certificate-expires", count=2)
            said = [entry.sentence for entry in one.entries(EVENT="certificate-expires")]
    assert len(said) == 2
    assert f"the certificate CN=localhost of localhost:{server.port} expires in 3 days" in said[0]
    assert f"the CA CN=Short CA, which vouches for localhost:{server.port}, expires in 6 days" in said[1]


def test_our_expired_certificate_is_said_though_nobody_answers(bench, tmp_path):
    site = bench.site(tmp_path)
    site.install(bench.ca.client(GATEWAY, end=-1))
    with gateway(tmp_path, site, free_port()) as one:
        entry = one.wait_for_entry(EVENT="certificate-expires")
    assert f"our certificate CN={GATEWAY} expired on 2" in entry.sentence


# --- what the journal keeps


def test_the_configuration_in_use_can_be_told_by_its_hash(bench, tap, tmp_path):
    with gateway(tmp_path, bench.site(tmp_path), tap.port) as one:
        def its_hash() -> str:
            return hashlib.sha256(one.configuration.read_bytes()).hexdigest()

        started = one.wait_for_entry(EVENT="started").fields
        assert (started["HASH"], started["CONFIG"]) == (its_hash(), str(one.configuration))
        one.configure(state={"interval_s": 5})
        one.reload()
        assert one.wait_for_entry(EVENT="configuration-applied").fields["HASH"] == its_hash()
        one.configuration.write_text("nonsense")
        one.reload()
        assert one.wait_for_entry(EVENT="configuration-refused").priority == 4
        wait_until(lambda: one.state()["link"] == "online", 5, "the connection that stands")
    assert one.entries(EVENT="stopped")
