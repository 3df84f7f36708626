# SPDX-License-Identifier: MIT
"""A CA that makes certificates of every kind, sound or not: pki/sensorgw-pki refuses most of them."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

LOCALHOST = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")

KINDS = {
    "ec": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "rsa1024": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"),
}

CONFIGURATION = """\
[req]
distinguished_name = name
[name]
[ca]
default_ca = here
[here]
database = {folder}/index.txt
serial = {folder}/serial
rand_serial = yes
default_md = sha256
crlnumber = {folder}/crlnumber
new_certs_dir = {folder}/issued
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def openssl(*arguments: object) -> str:
    done = subprocess.run(
        ["openssl", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def in_days(days: float) -> str:
    """As openssl wants it."""
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


@dataclass(frozen=True)
class Certificate:
    path: Path
    key: Path

    def fingerprint(self) -> str:
        return fingerprints(self.path)

    def copy_to(self, path: Path, key: Path) -> None:
        """As somebody does who renews it: each file is whole or is not there."""
        for source, target in ((self.path, path), (self.key, key)):
            replace(target, source.read_bytes())


def replace(target: Path, content: bytes) -> None:
    fresh = target.with_suffix(".fresh")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    fresh.rename(target)


def fingerprints(path: Path) -> str:
    """SHA-256 of each certificate in the file, as the daemon writes it."""
    begin = "-----BEGIN CERTIFICATE-----"
    found = []
    for part in path.read_text().split(begin)[1:]:
        done = subprocess.run(
            ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
            input=begin + part, capture_output=True, text=True, timeout=10, check=True,
        )
        found.append(done.stdout.split("=")[1].strip().replace(":", "").lower())
    return " ".join(found)


class Authority:
    """
    ca = Authority(tmp_path / "ca")
    sound = ca.broker()
    expired = ca.broker(begin=-30, end=-1)

    adopt    an existing certificate and its key instead of new ones
    """

    def __init__(
        self,
        folder: Path,
        name: str = "Test CA",
        kind: str = "ec",
        begin: float = -365,
        end: float = 3650,
        adopt: Certificate | None = None,
    ) -> None:
        self.folder = folder
        self._count = 0
        self._revoked: list[Certificate] = []
        (folder / "issued").mkdir(parents=True)
        (folder / "index.txt").touch()
        (folder / "crlnumber").write_text("01\n")
        self._configuration = folder / "openssl.cnf"
        self._configuration.write_text(CONFIGURATION.format(folder=folder))
        if adopt:
            self.certificate = adopt
            return
        extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign",
            "subjectKeyIdentifier=hash",
        ]
        self.certificate = self._make(name, kind, extensions, begin, end, itself=True)

    @property
    def path(self) -> Path:
        return self.certificate.path

    def broker(
        self,
        *,
        common_name: str = "localhost",
        names: Iterable[str] = LOCALHOST,
        purpose: str = "serverAuth",
        kind: str = "ec",
        begin: float = -30,
        end: float = 365,
        digest: str = "sha256",
    ) -> Certificate:
        """names: subjectAltName; purpose: extendedKeyUsage"""
        extensions = [
            "basicConstraints=critical,CA:FALSE",
            f"extendedKeyUsage={purpose}",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
        ]
        if names:
            extensions.append("subjectAltName=" + ",".join(names))
        return self._make(common_name, kind, extensions, begin, end, digest)

    def client(self, common_name: str, purpose: str = "clientAuth", **options) -> Certificate:
        return self.broker(common_name=common_name, names=(), purpose=purpose, **options)

    def authority(self, name: str, **options) -> "Authority":
        """One below this one."""
        extensions = [
            "basicConstraints=critical,CA:TRUE",
            "keyUsage=critical,keyCertSign,cRLSign",
            "subjectKeyIdentifier=hash",
            "authorityKeyIdentifier=keyid",
        ]
        adopted = self._make(name, "ec", extensions, -30, 365)
        return Authority(self.folder / f"below-{self._count}", adopt=adopted, **options)

    def crl(self, *revoked: Certificate, begin: float = -1, end: float = 30) -> Path:
        for one in revoked:
            if one not in self._revoked:
                self._ca("-revoke", one.path)
                self._revoked.append(one)
        self._count += 1
        path = self.folder / f"crl-{self._count}.pem"
        self._ca("-gencrl", "-md", "sha256", "-crl_lastupdate", in_days(begin),
                 "-crl_nextupdate", in_days(end), "-out", path)
        return path

    def chain(self, *certificates: "Certificate | Authority", name: str = "chain") -> Path:
        """One file of several."""
        self._count += 1
        path = self.folder / f"{name}-{self._count}.pem"
        path.write_text("".join(one.path.read_text() for one in certificates))
        return path

    def _make(
        self,
        common_name: str,
        kind: str,
        extensions: list[str],
        begin: float,
        end: float,
        digest: str = "sha256",
        itself: bool = False,
    ) -> Certificate:
        self._count += 1
        stem = self.folder / f"{self._count}-{common_name.replace(' ', '-')}"
        made = Certificate(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        request, wanted = stem.with_suffix(".csr"), stem.with_suffix(".ext")
        openssl("genpkey", *KINDS[kind], "-out", made.key)
        made.key.chmod(0o600)
        wanted.write_text("\n".join([*extensions, ""]))
        openssl("req", "-new", "-config", self._configuration, "-key", made.key,
                "-subj", f"/CN={common_name}", "-out", request)
        signer = ["-selfsign", "-keyfile", made.key] if itself else []
        self._ca("-in", request, "-out", made.path, "-notext", "-md", digest,
                 "-startdate", in_days(begin), "-enddate", in_days(end), "-extfile", wanted,
                 signer=signer)
        return made

    def _ca(self, *arguments: object, signer: list[object] | None = None) -> None:
        signer = signer or ["-cert", self.certificate.path, "-keyfile", self.certificate.key]
        openssl("ca", "-batch", "-config", self._configuration, *signer, *arguments)


def encrypted(key: Path, passphrase: str) -> Path:
    path = key.with_suffix(".locked.key")
    openssl("pkey", "-in", key, "-aes256", "-passout", f"pass:{passphrase}", "-out", path)
    path.chmod(0o600)
    return path

