# SPDX-License-Identifier: MIT
"""Everything that can go wrong between a gateway and its broker, and the cure of each."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from authority import Authority, encrypted, replace
from gateway import Gateway
from openssl_server import (
    Listener, Mqtt, OpensslServer, free_port, hangs_up, keeps_silent, resets, says,
)
from rabbitmq import GATEWAY, RabbitMQ, version
from tap import Tap
from tls_bench import OLD_CIPHERS, VERSIONS, Bench, Site

ATTEMPTS = 3  # so often it tries, and says it once

LECTURE = "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256"
LECTURE_OPENSSL = "ECDHE-RSA-AES128-SHA256"


# --- a row


@dataclass
class Scene:
    """What a row may touch."""

    bench: Bench
    site: Site
    tap: Tap
    rabbit: dict[str, int]
    broker: RabbitMQ
    stack: ExitStack
    folder: Path
    gateway: Gateway | None = None

    def serve(self, *arguments: Any, **options: Any) -> OpensslServer:
        """A new s_server takes the place of what was there."""
        server = self.stack.enter_context(self.bench.server(*arguments, **options))
        self.tap.target = server.port
        return server

    def listen(self, *arguments: Any, **options: Any) -> Listener:
        listener = self.stack.enter_context(Listener(*arguments, **options))
        self.tap.target = listener.port
        return listener

    def use_rabbit(self, variant: str) -> None:
        self.tap.target = self.rabbit[variant]

    def change(self, **settings: Any) -> None:
        self.gateway.configure(**settings)
        self.gateway.reload()


@dataclass
class Row:
    name: str
    cause: str
    fault: Callable[[Scene], object]
    says: list[str] = field(default_factory=list)
    cure: Callable[[Scene], object] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)  # causes that may be said before
    attempts: int = ATTEMPTS
    reloads: int = 0  # instead of attempts that can be seen

    def __str__(self) -> str:
        return self.name


def sound(scene: Scene) -> None:
    scene.serve()


def sound_version(version: str) -> Callable[[Scene], object]:
    return lambda scene: scene.serve(None, VERSIONS[version])


def both(name: str, cause: str, certificate: Callable[[Bench], Any], says: list[str],
         *options: str, cure: Callable[[Scene], object] = sound, **row: Any) -> list[Row]:
    """Against openssl s_server, in either version."""
    return [
        Row(f"openssl {version}: {name}", cause,
            lambda scene, flag=flag: scene.serve(certificate(scene.bench), flag, *options),
            says, cure, **row)
        for version, flag in VERSIONS.items()
    ]


def rabbits(name: str, cause: str, variant: str, says: list[str], **row: Any) -> list[Row]:
    return [
        Row(f"rabbitmq {version}: {name}", cause,
            lambda scene, variant=f"{variant} {version}": scene.use_rabbit(variant), says,
            lambda scene: scene.use_rabbit("sound"), **row)
        for version in VERSIONS
    ]


def ours(name: str, cause: str, identity: Callable[[Bench], Any], says: dict[str, list[str]],
         **row: Any) -> list[Row]:
    """What the broker refuses is ours: each kind of broker in either version."""

    def install(scene: Scene) -> None:
        scene.site.install(identity(scene.bench))

    def mend(scene: Scene) -> None:
        scene.site.install(scene.bench.client)

    def openssl(scene: Scene, flag: str) -> None:
        install(scene)
        scene.serve(None, flag)

    def rabbitmq(scene: Scene, variant: str) -> None:
        install(scene)
        scene.use_rabbit(variant)

    rows = [Row(f"openssl {version}: {name}", cause, lambda scene, flag=flag: openssl(scene, flag),
                says["openssl"], mend, **row) for version, flag in VERSIONS.items()]
    rows += [Row(f"rabbitmq {version}: {name}", cause,
                 lambda scene, variant=f"sound {version}": rabbitmq(scene, variant),
                 says["rabbitmq"], mend, **row) for version in VERSIONS]
    return rows


def local(name: str, cause: str, fault: Callable[[Scene], object], says: list[str],
          cure: Callable[[Scene], object], **row: Any) -> Row:
    """Our own files: no broker hears of it."""

    def with_server(scene: Scene) -> None:
        scene.serve()
        fault(scene)

    return Row(f"local: {name}", cause, with_server, says, cure, reloads=2, **row)


def restore(scene: Scene) -> None:
    scene.site.install(scene.bench.client)
    scene.site.trust(scene.bench.ca.path)


BEFORE_TLS = [
    Row("name that does not exist", "name-unresolved", sound,
        ["the name cannot be resolved"],
        lambda scene: scene.change(brokers=[{"host": "localhost", "port": scene.tap.port}]),
        settings={"brokers": [{"host": "no-such-host.invalid", "port": 8883}]}, reloads=2),
    Row("address without a way to it", "unreachable", sound,
        ["255.255.255.255", "cannot be reached (Network is unreachable)"],
        lambda scene: scene.change(brokers=[{"host": "localhost", "port": scene.tap.port}]),
        settings={"brokers": [{"host": "255.255.255.255", "port": 8883}]}, reloads=2),
    Row("port where nothing listens", "refused",
        lambda scene: scene.gateway.configure(brokers=[{"host": "127.0.0.1", "port": free_port()}]),
        ["127.0.0.1 refuses the connection", "nothing listens"],
        lambda scene: (sound(scene), scene.change(
            brokers=[{"host": "localhost", "port": scene.tap.port}])), reloads=2),
    Row("machine that does not answer", "connect-timeout",
        lambda scene: scene.gateway.configure(
            brokers=[{"host": "127.0.0.1", "port": scene.listen(backlog_is_full=True).port}]),
        ["127.0.0.1 does not answer"],
        lambda scene: (sound(scene), scene.change(
            brokers=[{"host": "localhost", "port": scene.tap.port}])),
        settings={"timeouts": {"connect_s": 0.5}}, reloads=1),
]

NO_HANDSHAKE = [
    Row("SSH instead of TLS", "not-tls", lambda scene: scene.listen(says(b"SSH-2.0-OpenSSH_9.2\r\n")),
        ["does not speak TLS"], sound),
    Row("HTTP instead of TLS", "not-tls",
        lambda scene: scene.listen(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")),
        ["does not speak TLS"], sound),
    Row("silence instead of TLS", "tls-timeout", lambda scene: scene.listen(keeps_silent),
        ["not answered in time"], sound, settings={"timeouts": {"tls_s": 0.5}}, attempts=2),
    Row("a plain MQTT port hangs up", "closed-in-handshake", lambda scene: scene.listen(hangs_up),
        ["closed in the middle of the TLS handshake"], sound),
    Row("reset in the handshake", "closed-in-handshake", lambda scene: scene.listen(resets),
        ["closed in the middle of the TLS handshake"], sound),
]

WE_REFUSE = [
    *both("certificate of another CA", "untrusted-ca", lambda bench: bench.stranger.broker(),
          ["CN=localhost", "issued by CN=Another CA", "tls.ca does not hold"]),
    *both("the CA was made anew under its name", "untrusted-ca", lambda bench: bench.namesake.broker(),
          ["another CA than the one in tls.ca", "both are called CN=Test CA"],
          cure=lambda scene: (scene.serve(scene.bench.namesake.broker()),
                              scene.site.trust(scene.bench.ca.chain(scene.bench.ca,
                                                                    scene.bench.namesake)))),
    Row("openssl: self-signed certificate", "untrusted-ca",
        lambda scene: scene.serve(Authority(scene.folder / "own", name="localhost").certificate),
        ["CN=localhost is signed by itself"], sound),
    Row("openssl: root of another CA is sent along", "untrusted-ca",
        lambda scene: scene.serve(scene.bench.once("strange", scene.bench.stranger.broker),
                                  "-cert_chain", scene.bench.stranger.path),
        ["comes from CN=Another CA, which tls.ca does not hold"],
        lambda scene: (scene.serve(scene.bench.once("strange", scene.bench.stranger.broker)),
                       scene.site.trust(scene.bench.stranger.path))),
    Row("openssl: certificate in between is not sent", "untrusted-ca",
        lambda scene: scene.serve(middle(scene)[1]),
        ["issued by CN=Middle CA", "the broker must send it along"],
        lambda scene: scene.serve(middle(scene)[1], "-cert_chain", middle(scene)[0].path)),
    *rabbits("certificate of another CA", "untrusted-ca", "untrusted", ["issued by CN=Another CA"]),
    *both("expired certificate", "expired", lambda bench: bench.ca.broker(begin=-30, end=-1),
          ["CN=localhost expired on 2", "our clock", "UTC"]),
    *rabbits("expired certificate", "expired", "expired", ["CN=localhost expired on 2", "our clock"]),
    Row("openssl: expired CA", "expired", lambda scene: scene.serve(old_ca(scene).broker()),
        ["the CA CN=Old CA of its certificate expired on", "Make a new CA"],
        lambda scene: (scene.serve(), scene.site.trust(scene.bench.ca.path))),
    *both("certificate of the future", "not-yet-valid or clock-wrong",
          lambda bench: bench.ca.broker(begin=2, end=30),
          ["CN=localhost is valid from 2", "only; our clock"]),
    *both("certificate for another name", "name-mismatch",
          lambda bench: bench.ca.broker(names=["DNS:broker.example", "IP:192.0.2.7"]),
          ["is for broker.example, IP:192.0.2.7, not for localhost"],
          cure=lambda scene: scene.change(brokers=[
              {"host": "localhost", "port": scene.tap.port, "name": "broker.example"}])),
    *both("certificate without names, CN=localhost", "name-mismatch",
          lambda bench: bench.ca.broker(names=()),
          ["CN=localhost carries no names at all", "not one for localhost"]),
    *rabbits("certificate for another name", "name-mismatch", "misnamed",
             ["is for broker.example, not for localhost"]),
    *rabbits("certificate without names", "name-mismatch", "nameless", ["no names at all"]),
    Row("openssl: certificate for another address", "name-mismatch",
        lambda scene: scene.serve(scene.bench.ca.broker(names=["IP:127.0.0.2", "DNS:localhost"])),
        ["is for IP:127.0.0.2, localhost, not for IP:127.0.0.1"],
        lambda scene: scene.serve(scene.bench.ca.broker(names=["IP:127.0.0.1"])),
        settings={"name": "127.0.0.1"}),
    Row("openssl: address written as a DNS name", "name-mismatch",
        lambda scene: scene.serve(scene.bench.ca.broker(names=["DNS:127.0.0.1"])),
        ["is for 127.0.0.1, not for IP:127.0.0.1"], None, settings={"name": "127.0.0.1"}),
    Row("openssl: half a wildcard", "name-mismatch",
        lambda scene: scene.serve(scene.bench.ca.broker(names=["DNS:bro*.example"])),
        ["is for bro*.example, not for broker.example"],
        lambda scene: scene.serve(scene.bench.ca.broker(names=["DNS:broker.example"])),
        settings={"name": "broker.example"}),
    Row("openssl: wildcard two names deep", "name-mismatch",
        lambda scene: scene.serve(scene.bench.ca.broker(names=["DNS:*.example"])),
        ["not for a.b.example"], lambda scene: scene.serve(
            scene.bench.ca.broker(names=["DNS:*.b.example"])), settings={"name": "a.b.example"}),
    *both("revoked certificate", "revoked", lambda bench: bench.once("revoked", bench.ca.broker),
          ["CN=localhost is revoked", "tls.crl lists it"], settings={"crl": "revoked"}),
    Row("openssl: revocation list out of date", "untrusted-ca", sound,
        ["cannot be checked against tls.crl: CRL has expired"],
        lambda scene: replace(scene.folder / "crl.pem", scene.bench.ca.crl().read_bytes()),
        settings={"crl": "expired"}),
    Row("openssl: revocation list of another CA", "untrusted-ca", sound,
        ["cannot be checked against tls.crl: unable to get certificate CRL"],
        lambda scene: replace(scene.folder / "crl.pem", scene.bench.ca.crl().read_bytes()),
        settings={"crl": "another"}),
    *both("certificate for a client", "wrong-purpose",
          lambda bench: bench.ca.broker(purpose="clientAuth"),
          ["CN=localhost is not one for a server (extendedKeyUsage)"]),
    *rabbits("certificate for a client", "wrong-purpose", "purpose", ["not one for a server"]),
    *both("RSA key of 1024 bits", "weak-key", lambda bench: bench.ca.broker(kind="rsa1024"),
          ["CN=localhost is too weak", "EE certificate key too weak"], "-cipher", OLD_CIPHERS),
    Row("openssl: signature with SHA-1", "weak-key",
        lambda scene: scene.serve(scene.bench.ca.broker(digest="sha1"), "-cipher", OLD_CIPHERS),
        ["CN=localhost is too weak", "CA signature digest algorithm too weak"], sound),
]

ANY = {"version": "1.2-1.3"}

NOTHING_IN_COMMON = [
    Row("openssl: pinned to 1.2, the broker speaks 1.3", "protocol-version", sound_version("1.3"),
        ["We allow TLSv1.2 only (tls.version)", "alert protocol_version (70)",
         'tls.version = "1.2-1.3"', "tlsv1.2"],
        lambda scene: scene.change(tls=ANY), settings={"tls": {"version": "1.2"}}),
    Row("openssl: pinned to 1.3, the broker speaks 1.2", "protocol-version", sound_version("1.2"),
        ["We allow TLSv1.3 only (tls.version)", "alert protocol_version (70)", "tlsv1.3"],
        lambda scene: scene.change(tls=ANY), settings={"tls": {"version": "1.3"}}),
    Row("openssl: the broker speaks 1.1", "protocol-version",
        lambda scene: scene.serve(None, "-tls1_1", "-cipher", OLD_CIPHERS),
        ["We allow TLSv1.2 to TLSv1.3"], sound),
    Row("rabbitmq: pinned to 1.2, the broker speaks 1.3", "protocol-version",
        lambda scene: scene.use_rabbit("sound 1.3"),
        ["We allow TLSv1.2 only (tls.version)", "alert protocol_version (70)"],
        lambda scene: scene.use_rabbit("sound 1.2"), settings={"tls": {"version": "1.2"}}),
    Row("rabbitmq: pinned to 1.3, the broker speaks 1.2", "protocol-version",
        lambda scene: scene.use_rabbit("sound 1.2"),
        ["We allow TLSv1.3 only (tls.version)", "alert protocol_version (70)"],
        lambda scene: scene.change(tls=ANY), settings={"tls": {"version": "1.3"}}),
    Row("openssl 1.2: weak ciphers only", "no-shared-cipher",
        lambda scene: scene.serve(scene.bench.rsa_broker, "-tls1_2", "-cipher", "AES128-SHA:AES256-SHA"),
        ["insufficient security", "alert handshake_failure (40)", "for TLS 1.2 the default"],
        lambda scene: scene.serve(scene.bench.rsa_broker, "-tls1_2", "-cipher",
                                  "ECDHE-RSA-AES128-GCM-SHA256")),
    Row("openssl 1.2: RSA ciphers, the broker's key is EC", "no-shared-cipher", sound_version("1.2"),
        [f"for TLS 1.2 {LECTURE_OPENSSL}", "our own key is EC", "ECDSA ciphers need an EC key"],
        lambda scene: scene.serve(scene.bench.rsa_broker, "-tls1_2"),
        settings={"tls": {"ciphers": LECTURE}}),
    Row("openssl 1.3: other ciphersuites", "no-shared-cipher",
        lambda scene: scene.serve(None, "-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"),
        ["for TLS 1.3 TLS_CHACHA20_POLY1305_SHA256", "alert handshake_failure (40)"],
        lambda scene: scene.change(tls={"ciphersuites": "TLS_AES_128_GCM_SHA256"}),
        settings={"tls": {"version": "1.3", "ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}}),
    *[Row(f"openssl {version}: other curves", "no-shared-cipher",
          lambda scene, flag=flag: scene.serve(None, flag, "-groups", "brainpoolP256r1"),
          ["insufficient security", "alert handshake_failure (40)"], sound_version(version))
      for version, flag in VERSIONS.items()],
    Row("rabbitmq 1.2: weak ciphers only", "no-shared-cipher",
        lambda scene: scene.use_rabbit("weak"),
        ["insufficient security", "alert insufficient_security (71)"],
        lambda scene: scene.use_rabbit("rsa"), settings={"tls": {"ciphers": [LECTURE]}}),
    Row("rabbitmq 1.2: EC ciphers, the broker's key is RSA", "no-shared-cipher",
        lambda scene: scene.use_rabbit("rsa"), ["alert insufficient_security (71)"],
        lambda scene: scene.use_rabbit("sound 1.2"),
        settings={"tls": {"version": "1.2", "ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"]}}),
    Row("rabbitmq 1.3: other ciphersuites", "no-shared-cipher",
        lambda scene: scene.use_rabbit("chacha"), ["for TLS 1.3 TLS_AES_256_GCM_SHA384", "alert"],
        lambda scene: scene.change(tls={"ciphersuites": "TLS_CHACHA20_POLY1305_SHA256"}),
        settings={"tls": {"version": "1.3", "ciphersuites": "TLS_AES_256_GCM_SHA384"}}),
]


def with_certificate(scene: Scene) -> None:
    scene.change(tls={"certificate": scene.site.certificate(), "key": scene.site.key()})


NO_CERTIFICATE = {"tls": {"certificate": None, "key": None}, "mqtt": {"username": GATEWAY}}

BROKER_REFUSES = [
    *[Row(f"openssl {version}: no certificate of ours", "certificate-required",
          sound_version(version), ["wants a client certificate", "tls.certificate is not set"],
          with_certificate, settings=NO_CERTIFICATE) for version in VERSIONS],
    *[Row(f"rabbitmq {version}: no certificate of ours", "certificate-required",
          lambda scene, variant=f"sound {version}": scene.use_rabbit(variant),
          ["wants a client certificate", "alert", "fail_if_no_peer_cert"],
          lambda scene: scene.change(mqtt={"username": None},
                                     tls={"certificate": scene.site.certificate(),
                                          "key": scene.site.key()}),
          settings=NO_CERTIFICATE) for version in VERSIONS],
    *ours("our certificate of another CA", "own-certificate-unknown-ca",
          lambda bench: bench.stranger.client(GATEWAY),
          {"openssl": ["does not know CN=Another CA", f"CN={GATEWAY}", "unknown_ca (48)"],
           "rabbitmq": ["does not know CN=Another CA", f"CN={GATEWAY}", "unknown_ca (48)"]}),
    *ours("our certificate is signed by itself", "own-certificate-unknown-ca",
          lambda bench: bench.once("itself", lambda: Authority(
              bench.folder / "itself", name=GATEWAY).certificate),
          {"openssl": [f"CN={GATEWAY}: it is signed by itself", "unknown_ca (48)"],
           "rabbitmq": [f"CN={GATEWAY}: it is signed by itself", "bad_certificate (42)"]}),
    *ours("our certificate has expired", "own-certificate-expired",
          lambda bench: bench.ca.client(GATEWAY, begin=-30, end=-1),
          {"openssl": [f"CN={GATEWAY}: it expired on 2", "our clock", "certificate_expired (45)"],
           "rabbitmq": [f"CN={GATEWAY}: it expired on 2", "certificate_expired (45)"]}),
    *ours("our certificate begins tomorrow", "own-certificate-expired",
          lambda bench: bench.ca.client(GATEWAY, begin=1, end=30),
          {"openssl": [f"CN={GATEWAY}: it is valid from 2", "only; our clock"],
           "rabbitmq": [f"CN={GATEWAY}: it is valid from 2", "only; our clock"]}),
    *ours("our certificate is for a server", "own-certificate-purpose",
          lambda bench: bench.ca.client(GATEWAY, purpose="serverAuth"),
          {"openssl": [f"CN={GATEWAY}: it is not one for a client (extendedKeyUsage)"],
           "rabbitmq": [f"CN={GATEWAY}: it is not one for a client (extendedKeyUsage)"]}),
    *[Row(f"openssl {version}: our certificate is revoked", "certificate-rejected",
          lambda scene, flag=flag: serve_with_crl(scene, flag),
          [f"our certificate CN={GATEWAY} is revoked", "certificate_revoked (44)"],
          lambda scene: scene.site.install(scene.bench.client)) for version, flag in VERSIONS.items()],
]


def serve_with_crl(scene: Scene, flag: str) -> None:
    identity = scene.bench.once("revoked client", lambda: scene.bench.ca.client(GATEWAY))
    scene.site.install(identity)
    scene.serve(None, flag, "-CRL", scene.bench.ca.crl(identity), "-crl_check")


def middle(scene: Scene) -> tuple[Authority, Any]:
    """A CA in between, and a certificate of it."""
    bench = scene.bench
    if not hasattr(bench, "middle"):
        bench.middle = bench.ca.authority("Middle CA")
        bench.below = bench.middle.broker()
    return bench.middle, bench.below


def old_ca(scene: Scene) -> Authority:
    ca = Authority(scene.folder / "old", name="Old CA", begin=-300, end=-1)
    scene.site.trust(ca.path)
    return ca


def lock_key(scene: Scene, passphrase: str) -> Path:
    locked = encrypted(scene.bench.client.key, "right")
    replace(scene.site.key(), locked.read_bytes())
    secret = scene.folder / "passphrase"
    replace(secret, passphrase.encode() + b"\n")
    return secret


OUR_FILES = [
    local("the key of another certificate", "key-mismatch",
          lambda scene: replace(scene.site.key(), scene.bench.broker.key.read_bytes()),
          ["gateway.key does not belong to our certificate", f"CN={GATEWAY}"], restore),
    local("the key is RSA, the certificate EC", "key-mismatch",
          lambda scene: replace(scene.site.key(), scene.bench.rsa_broker.key.read_bytes()),
          ["gateway.key does not belong to our certificate"], restore),
    local("no certificate file", "unreadable-file", lambda scene: scene.site.certificate().unlink(),
          ["gateway.pem is not there"], restore),
    local("no key file", "unreadable-file", lambda scene: scene.site.key().unlink(),
          ["gateway.key is not there"], restore),
    local("no CA file", "unreadable-file", lambda scene: scene.site.ca.unlink(),
          ["ca.pem is not there"], restore),
    local("an empty CA file", "unreadable-file", lambda scene: replace(scene.site.ca, b""),
          ["ca.pem cannot be used"], restore),
    local("half a certificate", "unreadable-file",
          lambda scene: replace(scene.site.certificate(),
                                scene.bench.client.path.read_bytes()[:300]),
          ["gateway.pem cannot be used (bad end line)"], restore),
    local("a key that is none", "unreadable-file", lambda scene: replace(scene.site.key(), b"key\n"),
          ["gateway.key cannot be used"], restore),
    local("no revocation list", "unreadable-file", lambda scene: None, ["crl.pem is not there"],
          lambda scene: replace(scene.folder / "crl.pem", scene.bench.ca.crl().read_bytes()),
          settings={"crl": "absent"}),
    local("our certificate is RSA with 1024 bits", "weak-key",
          lambda scene: scene.site.install(scene.bench.ca.client(GATEWAY, kind="rsa1024")),
          ["gateway.pem is too weak", "key too small"], restore),
    local("a locked key without a passphrase", "bad-passphrase",
          lambda scene: lock_key(scene, "right"),
          ["gateway.key cannot be decrypted: tls.passphrase_file is not set"],
          lambda scene: scene.change(tls={"passphrase_file": scene.folder / "passphrase"})),
    local("a locked key and a wrong passphrase", "bad-passphrase",
          lambda scene: scene.gateway.configure(
              tls={"passphrase_file": lock_key(scene, "wrong")}),
          ["gateway.key cannot be decrypted: the passphrase in tls.passphrase_file is wrong"],
          lambda scene: lock_key(scene, "right")),
    local("a key that all may read", "key-permissions",
          lambda scene: scene.site.key().chmod(0o644),
          ["gateway.key is open to others (mode 0644)", "chmod 0640"],
          lambda scene: scene.site.key().chmod(0o640)),
    local("no password file", "unreadable-file", lambda scene: None, ["password is not there"],
          lambda scene: write_password(scene, "secret"), settings={"password": True}),
    local("a password that all may read", "key-permissions",
          lambda scene: write_password(scene, "secret").chmod(0o644),
          ["password is open to others (mode 0644)"],
          lambda scene: (scene.folder / "password").chmod(0o600), settings={"password": True}),
]


def write_password(scene: Scene, password: str) -> Path:
    path = scene.folder / "password"
    replace(path, password.encode() + b"\n")
    return path


def refuse(code: int) -> Callable[[Scene], object]:
    return lambda scene: scene.serve(mqtt=Mqtt(connack=code))


def let_user_in(name: str, *permissions: str) -> Callable[[Scene], object]:
    def mend(scene: Scene) -> None:
        scene.broker.ctl("set_permissions", name, "^$", "^amq\\.topic$", "^$")

    return mend


def log_in_as(name: str, add: bool) -> Callable[[Scene], object]:
    def fault(scene: Scene) -> None:
        if add:
            scene.broker.ctl("add_user", name, "any")
            scene.broker.ctl("clear_password", name)
        scene.site.install(scene.bench.ca.client(name))
        scene.use_rabbit("sound")

    return fault


def add_password_user(scene: Scene, password: str) -> None:
    broker = scene.broker
    if "porter" not in broker.ctl("list_users"):
        broker.ctl("add_user", "porter", "secret")
        broker.ctl("set_permissions", "porter", "^$", "^amq\\.topic$", "^$")
    write_password(scene, password)
    scene.use_rabbit("certificate is optional")


MQTT_SAYS_NO = [
    Row("rabbitmq: user that it does not know", "unknown-user", log_in_as("stranger", add=False),
        ["our certificate CN=stranger is good", "no user stranger (CONNACK 4)", "provision gateway stranger"],
        lambda scene: scene.site.install(scene.bench.client)),
    Row("rabbitmq: wrong password, no certificate", "unknown-user",
        lambda scene: add_password_user(scene, "wrong"),
        ["refuses the user name porter or its password (CONNACK 4)"],
        lambda scene: write_password(scene, "secret"),
        settings={"gateway": "porter", "mqtt": {"username": "porter"}, "password": True,
                  "tls": {"certificate": None, "key": None}}),
    Row("rabbitmq: wrong password beside a certificate", "unknown-user",
        lambda scene: add_password_user(scene, "wrong"),
        ["user name porter", "our certificate does not count", "the certificate alone"],
        lambda scene: scene.change(mqtt={"username": None, "password_file": None}),
        settings={"mqtt": {"username": "porter"}, "password": True}),
    Row("rabbitmq: user without permissions", "not-authorised", log_in_as("guest-pi", add=True),
        ["knows the user guest-pi, and lets it do nothing (CONNACK 5)"], let_user_in("guest-pi")),
    Row("openssl: CONNACK 1", "protocol-unsupported", refuse(1), ["MQTT 3.1.1 (CONNACK 1)"], sound),
    Row("openssl: CONNACK 2", "client-id-taken", refuse(2),
        [f"does not like our client id sensorgw-{GATEWAY} (CONNACK 2)"], sound),
    Row("openssl: CONNACK 3", "broker-unavailable", refuse(3), ["cannot serve just now"], sound),
    Row("openssl: CONNACK 5", "not-authorised", refuse(5), [f"knows the user {GATEWAY}"], sound),
]


def raise_alarm(scene: Scene) -> None:
    scene.use_rabbit("sound 1.3")
    scene.broker.ctl("set_vm_memory_high_watermark", "0.00001")
    scene.stack.callback(end_alarm, scene)


def end_alarm(scene: Scene) -> None:
    scene.broker.ctl("set_vm_memory_high_watermark", "absolute", "2GB")


def take_write_permission(scene: Scene) -> None:
    log_in_as("quiet-pi", add=True)(scene)
    scene.broker.ctl("set_permissions", "quiet-pi", "^$", "^$", "^$")


def forbid_topics(scene: Scene) -> None:
    log_in_as("muted-pi", add=True)(scene)
    scene.broker.ctl("set_permissions", "muted-pi", "^$", "^amq\\.topic$", "^$")
    scene.broker.ctl("set_topic_permissions", "muted-pi", "amq.topic", "^nothing$", "^$")


THEN_NOTHING = [
    *[Row(f"openssl {version}: no answer to CONNECT", "broker-silent",
          lambda scene, flag=flag: scene.serve(None, flag, mqtt=Mqtt(connack=None)),
          ["TLS stands", "does not answer MQTT's CONNECT", "alarm"], sound_version(version),
          settings={"timeouts": {"connack_s": 1}}, attempts=2) for version, flag in VERSIONS.items()],
    Row("rabbitmq 1.3: alarm, it closes after 10 s", "broker-silent", raise_alarm,
        ["TLS stands", "closed the connection instead of answering MQTT's CONNECT", "alarm"],
        end_alarm, attempts=1),
    Row("openssl: no PUBACK", "puback-timeout",
        lambda scene: scene.serve(mqtt=Mqtt(acknowledges=False)),
        [f"takes what we publish to gateways/{GATEWAY}", f"user {GATEWAY}"], None,
        settings={"timeouts": {"puback_s": 1}}, attempts=1),
    # 3.10 loses the channel behind the connection and says nothing; 4.x closes the connection.
    Row("rabbitmq: no permission to write", "puback-timeout", take_write_permission,
        ["takes what we publish to gateways/quiet-pi", "list_user_permissions quiet-pi"], None,
        settings={"timeouts": {"puback_s": 1}}, attempts=1)
    if version() < (4,) else
    Row("rabbitmq: no permission to write", "publish-forbidden", take_write_permission,
        ["when we publish to gateways/quiet-pi", "provision gateway quiet-pi"], None,
        first=["connection-lost"], attempts=2),
    Row("rabbitmq: no permission for the topic", "publish-forbidden", forbid_topics,
        ["when we publish to gateways/muted-pi", "provision gateway muted-pi"], None,
        first=["connection-lost"], attempts=2),
]

ROWS = [*BEFORE_TLS, *NO_HANDSHAKE, *WE_REFUSE, *NOTHING_IN_COMMON, *BROKER_REFUSES, *OUR_FILES,
        *MQTT_SAYS_NO, *THEN_NOTHING]
