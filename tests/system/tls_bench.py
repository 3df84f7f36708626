# SPDX-License-Identifier: MIT
"""What the TLS suites stand on: certificates sound and not, sound brokers, and a gateway's files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from authority import Authority, Certificate, replace
from gateway import Gateway
from openssl_server import Mqtt, OpensslServer
from rabbitmq import GATEWAY

# A patient daemon would make impatient tests.
QUICK: dict[str, Any] = {
    "reconnect": {"min_s": 0.1, "max_s": 0.5, "stable_s": 1},
    "timeouts": {"connect_s": 10, "tls_s": 10, "connack_s": 15, "puback_s": 10},
}

VERSIONS = {"1.2": "-tls1_2", "1.3": "-tls1_3"}

OLD_CIPHERS = "DEFAULT:@SECLEVEL=0"  # lets s_server speak and show what is too weak here


class Site:
    """The gateway's own files, in `folder`: each may be replaced while it runs."""

    def __init__(self, folder: Path, ca: Path, identity: Certificate) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.trust(ca)
        self.install(identity)

    def trust(self, path: Path) -> None:
        replace(self.ca, path.read_bytes())

    def install(self, identity: Certificate) -> None:
        identity.copy_to(self.certificate(), self.key())

    def certificate(self, _name: str = "") -> Path:
        return self.folder / "gateway.pem"

    def key(self, _name: str = "") -> Path:
        return self.folder / "gateway.key"


class Bench:
    """Made once: openssl takes its time for keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = Authority(folder / "ca")
        self.stranger = Authority(folder / "stranger", name="Another CA")
        self.namesake = Authority(folder / "namesake")
        self.broker = self.ca.broker()
        self.client = self.ca.client(GATEWAY)
        self._made: dict[str, Certificate] = {}

    def once(self, name: str, make) -> Certificate:
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @property
    def rsa_broker(self) -> Certificate:
        return self.once("rsa broker", lambda: self.ca.broker(kind="rsa"))

    def site(self, folder: Path) -> Site:
        return Site(folder, self.ca.path, self.client)

    @contextmanager
    def server(
        self,
        certificate: Certificate | None = None,
        *options: object,
        mqtt: Mqtt | None = None,
        clients: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> Iterator[OpensslServer]:
        """s_server that asks for a certificate of our CA."""
        with OpensslServer(
            certificate or self.broker, *options, clients=clients or self.ca.path, mqtt=mqtt,
            host=host, port=port,
        ) as one:
            yield one


def gateway(folder: Path, site: Site, port: int, **settings: Any) -> Gateway:
    """Without a sensor that is there: what it has to say is of the broker alone."""
    merged = {key: {**QUICK[key], **settings.pop(key, {})} for key in QUICK}
    return Gateway(folder, site, port, {"kitchen": folder / "no-port"}, **merged, **settings)


def of_brokers(one: Gateway) -> list:
    """Its entries of failures, and not of the sensor that is not there."""
    return [entry for entry in one.entries() if "CAUSE" in entry.fields and "BROKER" in entry.fields]
