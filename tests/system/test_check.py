# SPDX-License-Identifier: MIT
"""sensorgw check: each link broken in turn, and what it says of that; then a real broker."""

import contextlib
import json
import os
import pty
import pwd
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from board import Board
from consumer import Consumer
from pki import Pki
from rabbitmq import GATEWAY, RabbitMQ
from waiting import wait_until

EXIT_USAGE = 2
EXIT_CONFIG = 78

RUN_S = 60
SERVICE = "sensorgw"


def service_user_exists() -> bool:
    with contextlib.suppress(KeyError):
        return bool(pwd.getpwnam(SERVICE))
    return False


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

pytestmark = pytest.mark.skipif(
    os.geteuid() == 0 and service_user_exists(),
    reason="root judges with the eyes of user sensorgw, who may not look into pytest's folders",
)


class Report:
    """What one `sensorgw check --json` said."""

    def __init__(self, done: subprocess.CompletedProcess[str]):
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        self.status = done.returncode
        self.errors = done.stderr
        self.whole = json.loads(done.stdout)
        self.links = self.whole["links"]

    def of(self, link: str, verdict: str | None = None) -> list[dict[str, str]]:
        found = [each for each in self.links if each["link"] == link]
        return [each for each in found if verdict in (None, each["verdict"])]

    def one(self, link: str, verdict: str, cause: str = "") -> dict[str, str]:
        """The only finding of this verdict about the link."""
        found = self.of(link, verdict)
        assert len(found) == 1, self.links
        assert found[0]["cause"] == cause, found
        if verdict != "ok":
            assert found[0]["cure"], found
        return found[0]

    def names(self) -> list[str]:
        return list(dict.fromkeys(each["link"] for each in self.links))


class Site:
    """A configuration with its files in a folder: sound, until a test breaks something."""

    def __init__(self, folder: Path, pki: Pki, executable: Path):
        self.folder = folder
        self.executable = executable
        self.runtime = folder / "run"
        self.spool = folder / "spool" / "spool.db"
        self.spool.parent.mkdir()
        self.runtime.mkdir()
        for name, source in (
            ("ca.pem", pki.ca),
            ("gateway.pem", pki.certificate(GATEWAY)),
            ("gateway.key", pki.key(GATEWAY)),
        ):
            shutil.copy(source, folder / name)
        (folder / "gateway.key").chmod(0o600)
        self.tls = {"ca": "ca.pem", "certificate": "gateway.pem", "key": "gateway.key"}
        self.broker = {"host": "localhost", "port": 8883}
        self.sensors = [{"name": "kitchen", "device": "/dev/null"}]
        self.more: list[str] = []
        self.environment = {
            "PATH": os.environ["PATH"],
            "RUNTIME_DIRECTORY": str(self.runtime),
            "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        }

    @property
    def configuration(self) -> Path:
        return self.folder / "sensorgw.conf"

    def write(self) -> None:
        def group(of: dict) -> str:
            return "{ " + " ".join(f"{key} = {json.dumps(of[key])};" for key in of) + " }"

        sensors = ", ".join(map(group, self.sensors))
        text = [f"brokers = ( {group(self.broker)} );", f"sensors = ( {sensors} );"]
        text += [f"tls: {group(self.tls)};", f'spool: {{ path = "{self.spool}"; }};', *self.more]
        self.configuration.write_text("\n".join(text) + "\n")

    def run(self, *arguments: str, wrapper: tuple = ()) -> subprocess.CompletedProcess[str]:
        self.write()
        return subprocess.run(
            [*wrapper, self.executable, "check", "-c", self.configuration, *arguments],
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )

    def check(self, *arguments: str, wrapper: tuple = ()) -> Report:
        return Report(self.run("--json", *arguments, wrapper=wrapper))

    def offline(self, wrapper: tuple = ()) -> Report:
        return self.check("--offline", wrapper=wrapper)

    def openssl(self, *arguments: str | Path) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=30
        )


@pytest.fixture
def site(tmp_path: Path, pki: Pki, build: Path) -> Site:
    return Site(tmp_path, pki, build / "daemon" / "sensorgw")


@pytest.fixture
def own(tmp_path: Path) -> Pki:
    """A PKI that may be broken."""
    made = Pki(tmp_path / "own")
    made.client(GATEWAY)
    return made


@contextlib.contextmanager
def pseudo_terminal() -> Iterator[tuple[int, str]]:
    """The end of a board that is the test itself; nobody holds the other."""
    master, terminal = pty.openpty()
    name = os.ttyname(terminal)
    os.close(terminal)
    try:
        yield master, name
    finally:
        os.close(master)


@contextlib.contextmanager
def speaking(master: int, what: bytes) -> Iterator[None]:
    """Says it four times a second."""
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.25):
            with contextlib.suppress(OSError):
                os.write(master, what)

    thread = threading.Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def sign(site: Site, own: Pki, name: str, extensions: str, days: str, common_name: str) -> None:
    """Issues the site's certificate anew, for the key that it has, by openssl itself."""
    (site.folder / "extensions").write_text(extensions)
    shutil.copy(own.ca, site.folder / "ca.pem")
    subject = f"/O=sensorgw/CN={common_name}"
    site.openssl("req", "-new", "-key", "gateway.key", "-subj", subject, "-out", "request")
    site.openssl(
        "x509", "-req", "-in", "request", "-CA", own.ca, "-CAkey", own.folder / "ca.key",
        "-days", days, "-extfile", "extensions", "-out", name,
    )


CLIENT = "basicConstraints = CA:FALSE\nextendedKeyUsage = clientAuth\n"
SERVER = "basicConstraints = CA:FALSE\nextendedKeyUsage = serverAuth\n"


# --- the whole


def test_a_sound_site_has_no_error_but_its_missing_board(site: Site) -> None:
    report = site.offline()
    assert report.names() == [
        "configuration", "ca", "certificate", "key", "clock", "spool", "kitchen",
    ]
    assert report.of("", "error") == []
    assert report.one("configuration", "ok")["text"].endswith(
        f"gateway {GATEWAY}, 1 broker, 1 sensor"
    )
    assert report.one("certificate", "ok")["text"].startswith(f"CN={GATEWAY}, ")
    report.one("ca", "ok")
    report.one("key", "ok")


def test_the_exit_status_is_that_of_the_worst(site: Site) -> None:
    with pseudo_terminal() as (_, site.sensors[0]["device"]):
        good = site.offline()
        assert good.status == 0
        assert good.whole["verdict"] in ("ok", "warning")  # the clock may be free
        (site.folder / "gateway.key").unlink()
        bad = site.offline()
    assert (bad.status, bad.whole["verdict"]) == (1, "error")


def test_json_has_the_same_five_members_for_each_link(site: Site) -> None:
    report = site.offline()
    assert set(report.whole) == {"verdict", "links"}
    for link in report.links:
        assert list(link) == ["link", "verdict", "cause", "text", "cure"]
        assert link["verdict"] in ("ok", "hidden", "warning", "error")
        assert link["text"]


def test_columns_are_aligned_and_plain(site: Site) -> None:
    done = site.run("--offline")
    lines = done.stdout.splitlines()
    assert "\033" not in done.stdout
    assert all(re.match(r"\S+ +(ok|hidden|warning|error) +\S| {24}\S", line) for line in lines)
    assert {len(re.match(r"\S+ +\w+ +| +", line)[0]) for line in lines} == {24}


def test_colours_are_for_terminals_that_want_them(site: Site) -> None:
    def shown(**environment: str) -> str:
        site.write()
        master, terminal = pty.openpty()
        with subprocess.Popen(
            [site.executable, "check", "--offline", "-c", site.configuration],
            env=site.environment | {"TERM": "xterm"} | environment,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.DEVNULL,
        ) as process:
            os.close(terminal)
            said = b""
            with contextlib.suppress(OSError):
                while chunk := os.read(master, 4096):
                    said += chunk
            process.wait(RUN_S)
        os.close(master)
        return said.decode()

    assert "\033[32mok" in shown()
    assert "\033" not in shown(NO_COLOR="1")
    assert "\033" not in shown(TERM="dumb")


def test_wrong_usage(site: Site) -> None:
    for arguments in (["--bogus"], ["word"]):
        done = site.run(*arguments)
        assert (done.returncode, done.stdout) == (EXIT_USAGE, "")
        assert "usage: sensorgw check" in done.stderr


# --- configuration


def test_an_unsound_configuration_is_78_and_still_json(site: Site) -> None:
    site.more.append("bogus = 1;")
    report = site.offline()
    assert report.status == EXIT_CONFIG
    assert report.names() == ["configuration"]
    report.one("configuration", "error")
    assert "bogus" in report.errors  # with its line


def test_an_absent_configuration_is_78(site: Site) -> None:
    done = subprocess.run(
        [site.executable, "check", "--json", "-c", site.folder / "absent.conf"],
        env=site.environment, capture_output=True, text=True, timeout=RUN_S,
    )
    report = Report(done)
    assert report.status == EXIT_CONFIG
    report.one("configuration", "error", "unreadable-file")


# --- certificates


@pytest.mark.parametrize(
    ("file", "link", "key"),
    [
        ("ca.pem", "ca", "tls.ca"),
        ("gateway.pem", "certificate", "tls.certificate"),
        ("gateway.key", "key", "tls.key"),
    ],
)
def test_a_missing_file(site: Site, file: str, link: str, key: str) -> None:
    (site.folder / file).unlink()
    finding = site.offline().one(link, "error", "unreadable-file")
    assert f"{key} {site.folder / file}" in finding["text"]


@pytest.mark.parametrize(
    ("file", "link"), [("ca.pem", "ca"), ("gateway.pem", "certificate"), ("gateway.key", "key")]
)
def test_a_file_that_is_not_pem(site: Site, file: str, link: str) -> None:
    (site.folder / file).write_text("not a certificate\n")
    finding = site.offline().of(link, "error")[0]
    assert finding["cause"] in ("unreadable-file", "bad-passphrase")
    assert file in finding["text"]


def test_a_key_that_others_can_read(site: Site) -> None:
    (site.folder / "gateway.key").chmod(0o644)
    finding = site.offline().one("key", "error", "key-permissions")
    assert "chmod 0640" in finding["cure"]


def test_a_key_of_another_certificate(site: Site, own: Pki) -> None:
    shutil.copy(own.key(GATEWAY), site.folder / "gateway.key")
    report = site.offline()
    report.one("key", "error", "key-mismatch")
    report.one("certificate", "ok")  # no fault of its


def test_a_key_that_is_encrypted(site: Site) -> None:
    site.openssl(
        "pkey", "-in", "gateway.key", "-aes256", "-passout", "pass:secret-word", "-out", "locked.key"
    )
    (site.folder / "locked.key").chmod(0o600)
    site.tls["key"] = "locked.key"
    site.offline().one("key", "error", "bad-passphrase")

    site.tls["passphrase_file"] = "passphrase"
    site.offline().of("key", "error")[0]["text"].index("tls.passphrase_file")

    (site.folder / "passphrase").write_text("wrong-word\n")
    (site.folder / "passphrase").chmod(0o600)
    site.offline().one("key", "error", "bad-passphrase")

    (site.folder / "passphrase").write_text("secret-word\n")
    site.offline().one("key", "ok")


def test_an_expired_certificate(site: Site, own: Pki) -> None:
    sign(site, own, "gateway.pem", CLIENT, "-1", GATEWAY)
    finding = site.offline().one("certificate", "error", "own-certificate-expired")
    assert f"CN={GATEWAY} expired on " in finding["text"]
    assert f"sensorgw-pki renew {GATEWAY}" in finding["cure"]


@pytest.mark.parametrize(
    ("days", "says", "cures"),
    [("20", "expires in (19|20) days", ""), ("5", "expires in [45] days", ""),
     ("1", "expires in 2[34] hours", "at once: ")],
)
def test_a_certificate_that_runs_out(
    site: Site, own: Pki, days: str, says: str, cures: str
) -> None:
    sign(site, own, "gateway.pem", CLIENT, days, GATEWAY)
    finding = site.offline().one("certificate", "warning", "own-certificate-expired")
    assert re.search(says, finding["text"])
    assert finding["cure"].startswith(cures + "sensorgw-pki renew")


def test_the_days_of_warning_are_configured(site: Site, own: Pki) -> None:
    sign(site, own, "gateway.pem", CLIENT, "20", GATEWAY)
    site.tls["expiry_warning_days"] = 10
    site.offline().one("certificate", "ok")


def test_a_certificate_for_servers(site: Site, own: Pki) -> None:
    sign(site, own, "gateway.pem", SERVER, "90", GATEWAY)
    site.offline().one("certificate", "error", "own-certificate-purpose")


def test_a_certificate_from_another_authority(site: Site, own: Pki) -> None:
    sign(site, own, "gateway.pem", CLIENT, "90", GATEWAY)
    shutil.copy(site.folder / "ca.pem", site.folder / "its-ca.pem")
    other = Pki(site.folder / "other")
    site.tls["ca"] = str(other.ca)
    finding = site.offline().one("certificate", "warning", "own-certificate-unknown-ca")
    assert "sensorgw CA" in finding["text"]
    # Two authorities in one file, in any order: the chain is found.
    both = site.folder / "both.pem"
    both.write_text(other.ca.read_text() + (site.folder / "its-ca.pem").read_text())
    site.tls["ca"] = "both.pem"
    report = site.offline()
    report.one("certificate", "ok")
    assert " and others" in report.one("ca", "ok")["text"]


def test_a_gateway_that_is_not_the_common_name(site: Site) -> None:
    site.more.append('gateway = "cellar-pi";')
    finding = site.offline().one("certificate", "warning", "publish-forbidden")
    assert "cellar-pi" in finding["text"] and GATEWAY in finding["text"]


def test_names_of_others_are_escaped(site: Site, own: Pki) -> None:
    sign(site, own, "gateway.pem", CLIENT, "90", "evil\033[31m")
    site.more.append('gateway = "cellar-pi";')
    done = site.run("--offline")
    assert "\033" not in done.stdout
    assert r"CN=evil\x1b[31m" in done.stdout


def test_an_authority_that_has_expired(site: Site) -> None:
    def authority(name: str, days: str) -> str:
        site.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-out", f"{name}.key")
        site.openssl("req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", "request")
        (site.folder / "extensions").write_text("basicConstraints = critical,CA:TRUE\n")
        site.openssl("x509", "-req", "-in", "request", "-signkey", f"{name}.key", "-days", days,
                     "-extfile", "extensions", "-out", f"{name}.pem")
        return (site.folder / f"{name}.pem").read_text()

    old, ending, good = (authority(*of) for of in (("old", "-1"), ("ending", "9"), ("good", "90")))
    site.tls["ca"] = "trust.pem"
    trust = site.folder / "trust.pem"

    trust.write_text(old)
    report = site.offline()
    assert "no certificate in" in report.one("ca", "error", "expired")["text"]
    assert "CN = old ran out" in report.one("ca", "warning", "expired")["text"].replace("CN=", "CN = ")

    trust.write_text(old + good)
    report = site.offline()
    report.one("ca", "warning", "expired")
    report.one("ca", "ok")

    trust.write_text(ending)
    finding = site.offline().one("ca", "warning", "expired")
    assert re.search("expires in [89] days", finding["text"])


def test_the_systems_authorities(site: Site) -> None:
    del site.tls["ca"]
    report = site.offline()
    assert "the system's store" in report.one("ca", "ok")["text"]
    report.one("certificate", "ok")


def test_a_revocation_list_that_is_missing(site: Site) -> None:
    site.tls["crl"] = "crl.pem"
    assert "tls.crl" in site.offline().one("ca", "error", "unreadable-file")["text"]


def test_a_login_by_user_name(site: Site) -> None:
    site.tls = {"ca": "ca.pem"}
    site.more.append('mqtt: { username = "kitchen-pi"; password_file = "password"; };')
    report = site.offline()
    assert "user name" in report.one("certificate", "ok")["text"]
    assert report.of("key") == []
    report.one("login", "error", "unreadable-file")
    (site.folder / "password").write_text("secret\n")
    done = site.run("--offline")
    assert "user kitchen-pi, with a password" in done.stdout
    assert "secret" not in done.stdout + done.stderr


# --- spool


def test_a_folder_that_is_missing(site: Site) -> None:
    site.spool.parent.rmdir()
    finding = site.offline().one("spool", "error", "spool-readonly")
    assert str(site.spool.parent) in finding["text"]


def test_a_folder_that_is_a_file(site: Site) -> None:
    site.spool.parent.rmdir()
    site.spool.parent.write_text("")
    site.offline().one("spool", "error", "spool-readonly")


def test_a_disk_too_small_for_max_mb(site: Site) -> None:
    site.write()
    usage = shutil.disk_usage(site.folder)
    megabytes = usage.free // 1_000_000 * 2
    if megabytes > 1_000_000:
        pytest.skip("the disk is larger than any max_mb")
    site.more.append("")
    text = site.configuration.read_text().replace("spool: {", f"spool: {{ max_mb = {megabytes};")
    site.write = lambda: site.configuration.write_text(text)  # type: ignore[method-assign]
    report = site.offline()
    if report.status == EXIT_CONFIG:
        pytest.skip("max_mb does not go so far")
    report.one("spool", "warning", "spool-full")


@pytest.fixture
def spool(site: Site) -> Iterator[sqlite3.Connection]:
    """The database as a daemon has left it, with two readings and one that is gone."""
    site.broker["port"] = 1  # nothing there
    site.write()
    daemon = subprocess.Popen(
        [site.executable, "run", "-c", site.configuration], env=site.environment, cwd=site.folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until((site.runtime / "state.json").exists, 20, "the daemon's state")
    finally:
        daemon.terminate()
        daemon.wait(20)
    (site.runtime / "state.json").unlink(missing_ok=True)
    database = sqlite3.connect(site.spool, isolation_level=None)
    database.executemany("INSERT INTO reading VALUES (?, 1, 1, 1, ?, 't=21.5')",
                         [(1, "kitchen"), (2, "kitchen"), (3, "")])  # fmt: skip
    yield database
    database.close()


def test_a_spool_with_readings_is_counted_and_left_alone(
    site: Site, spool: sqlite3.Connection
) -> None:
    spool.close()
    before = sorted(site.spool.parent.iterdir()), site.spool.read_bytes()
    assert ", 2 readings wait" in site.offline().one("spool", "ok")["text"]
    assert (sorted(site.spool.parent.iterdir()), site.spool.read_bytes()) == before


def test_a_spool_of_a_newer_version_is_named_so(site: Site, spool: sqlite3.Connection) -> None:
    spool.execute("PRAGMA user_version = 99")
    spool.close()
    finding = site.offline().one("spool", "error", "spool-readonly")
    assert "a newer sensorgw wrote" in finding["text"] and "move the file away" in finding["cure"]


def test_a_spool_that_is_damaged(site: Site) -> None:
    site.spool.write_bytes(b"SQLite format 3\0" + b"\xff" * 2000)
    site.offline().one("spool", "error", "spool-corrupt")


# --- devices, without opening any


def test_a_device_that_is_absent(site: Site) -> None:
    site.sensors[0]["device"] = "/dev/ttyABSENT"
    site.sensors.append({"name": "cellar", "device": "usb:dead:beef"})
    report = site.offline()
    assert "/dev/ttyABSENT" in report.one("kitchen", "error", "device-absent")["text"]
    assert "usb:dead:beef" in report.one("cellar", "error", "device-absent")["text"]


def test_a_device_that_is_no_port(site: Site) -> None:
    site.sensors[0]["device"] = str(site.configuration)
    finding = site.offline().one("kitchen", "error", "device-absent")
    assert "no serial port" in finding["text"]


@pytest.mark.parametrize("arguments", [["--offline"], []])
def test_a_device_that_is_held_is_never_opened(site: Site, arguments: list[str]) -> None:
    site.broker["port"] = 1  # nothing there
    with pseudo_terminal() as (master, name):
        os.set_blocking(master, False)
        site.sensors[0]["device"] = name
        with subprocess.Popen(
            ["/usr/bin/python3", "-c", "import os, sys; f = os.open(sys.argv[1], os.O_RDWR | "
             "os.O_NOCTTY); print('open', flush=True); sys.stdin.read()", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout.readline() == b"open\n"
            finding = site.check(*arguments).one("kitchen", "error", "device-busy")
            assert f"(pid {holder.pid})" in finding["text"]
            with pytest.raises(BlockingIOError):
                os.read(master, 1)  # nobody has asked for a hello
            holder.communicate()


def test_offline_opens_no_port(site: Site) -> None:
    with pseudo_terminal() as (master, name):
        site.sensors[0]["device"] = name
        site.offline().one("kitchen", "ok")
        with pytest.raises(OSError):  # nobody has ever had the other end since
            os.read(master, 1)


# --- the eyes of others


@pytest.fixture
def public(pki: Pki, build: Path) -> Iterator[Site]:
    """A site whose folder anyone may enter, with a program of its own."""
    with tempfile.TemporaryDirectory(prefix="sensorgw-check-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        executable = folder / "sensorgw"
        shutil.copy(build / "daemon" / "sensorgw", executable)
        site = Site(folder, pki, executable)
        for file in ("ca.pem", "gateway.pem"):
            (folder / file).chmod(0o644)
        yield site


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")


@as_root
def test_what_an_ordinary_user_cannot_see_is_no_error(public: Site) -> None:
    public.write()
    public.configuration.chmod(0o644)
    with pseudo_terminal() as (_, public.sensors[0]["device"]):
        report = public.offline(wrapper=NOBODY)
    assert report.status == 0
    report.one("certificate", "ok")
    assert "not visible to you" in report.one("key", "hidden")["text"]
    report.one("spool", "hidden")
    report.one("kitchen", "hidden")
    broker = public.check(wrapper=NOBODY).one("localhost", "hidden")
    assert "not tried" in broker["text"]


@as_root
def test_a_configuration_that_is_hidden_hides_everything(public: Site) -> None:
    public.write()
    public.configuration.chmod(0o600)
    report = public.offline(wrapper=NOBODY)
    assert report.status == 1
    report.one("configuration", "hidden")


def in_a_sandboxed_system(folder: Path, unit: bool) -> tuple:
    """Runs what follows where user sensorgw exists, in a mount namespace of its own."""
    passwd = Path("/etc/passwd").read_text() + f"{SERVICE}:x:64999:64999::/:/usr/sbin/nologin\n"
    group = Path("/etc/group").read_text() + f"{SERVICE}:x:64999:\n"
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(group)
    (folder / "units").mkdir(exist_ok=True)
    for file in ("passwd", "group"):
        (folder / file).chmod(0o644)
    (folder / "units").chmod(0o755)
    (folder / "units" / "sensorgw.service").write_text("[Service]\n")
    mounts = [("passwd", "/etc/passwd"), ("group", "/etc/group")]
    mounts += [("units", "/usr/lib/systemd/system")] if unit else []
    script = "".join(f"mount --bind '{folder / a}' {b} && " for a, b in mounts) + 'exec "$@"'
    return "unshare", "--mount", "sh", "-c", script, "sh"


@as_root
def test_root_judges_with_the_eyes_of_the_service(public: Site) -> None:
    # A process that has changed its user cannot be looked at by the leak detector.
    public.environment["ASAN_OPTIONS"] = "detect_leaks=0"
    wrapper = in_a_sandboxed_system(public.folder, unit=False)
    with pseudo_terminal() as (_, name):
        os.chmod(name, 0o600)
        public.sensors[0]["device"] = name
        public.write()
        public.configuration.chmod(0o644)
        report = public.offline(wrapper=wrapper)
        assert report.status == 1
        finding = report.one("key", "error", "unreadable-file")
        assert "user sensorgw" in finding["text"] and "chgrp sensorgw" in finding["cure"]
        report.one("spool", "error", "spool-readonly")
        report.one("kitchen", "error", "device-denied")

        for path in ("gateway.key", "spool"):
            os.chown(public.folder / path, 0, 64999)
        (public.folder / "gateway.key").chmod(0o640)
        (public.folder / "spool").chmod(0o770)
        os.chown(name, 0, 64999)
        os.chmod(name, 0o660)
        report = public.offline(wrapper=wrapper)
        assert report.status == 0, report.links
        report.one("key", "ok")
        report.one("spool", "ok")
        assert "held by nobody" in report.one("kitchen", "ok")["text"]  # /proc as root


@as_root
def test_a_closed_folder_is_named(public: Site) -> None:
    public.environment["ASAN_OPTIONS"] = "detect_leaks=0"
    (public.folder / "closed").mkdir(mode=0o700)
    shutil.move(public.folder / "gateway.key", public.folder / "closed")
    public.tls["key"] = "closed/gateway.key"
    public.write()
    public.configuration.chmod(0o644)
    report = public.offline(wrapper=in_a_sandboxed_system(public.folder, unit=False))
    finding = report.one("key", "error", "unreadable-file")
    assert f"chgrp sensorgw {public.folder / 'closed'}" in finding["cure"]


@as_root
def test_what_the_sandbox_hides_is_a_warning_with_the_line_that_opens_it(public: Site) -> None:
    public.environment["ASAN_OPTIONS"] = "detect_leaks=0"
    os.chown(public.folder / "gateway.key", 64999, 64999)
    os.chown(public.folder / "spool", 64999, 64999)
    public.sensors[0]["device"] = "/dev/zero"  # a character device of another kind
    public.write()
    public.configuration.chmod(0o644)
    with_unit = public.offline(wrapper=in_a_sandboxed_system(public.folder, unit=True))
    without = public.offline(wrapper=in_a_sandboxed_system(public.folder, unit=False))

    key = with_unit.one("key", "warning", "unreadable-file")
    assert f"BindReadOnlyPaths={public.folder / 'gateway.key'}" in key["cure"]
    assert "spool.path" in with_unit.one("spool", "warning", "spool-readonly")["cure"]
    device = with_unit.one("kitchen", "warning", "device-denied")
    assert "DeviceAllow=/dev/zero rw" in device["cure"]
    for link in ("configuration", "ca", "certificate"):
        with_unit.one(link, "warning", "unreadable-file")
    assert [each for each in without.links if "sandbox" in each["text"]] == []


# --- boards


@pytest.fixture
def alone(site: Site) -> Site:
    """No broker, and none waited for."""
    site.broker["port"] = 1
    return site


def test_a_board_is_heard(alone: Site, tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        alone.sensors[0]["device"] = str(board.link)
        board.command("t 21.5")
        text = alone.check().one("kitchen", "ok")["text"]
    assert re.search(r"board 1, firmware [\d.]+, .*temperature \d", text), text


def test_another_board_in_its_place(alone: Site, tmp_path: Path) -> None:
    with Board(tmp_path, node=7) as board:
        alone.sensors[0] |= {"device": str(board.link), "node": 3}
        finding = alone.check().one("kitchen", "error", "wrong-board")
    assert "board 7 answers, and board 3 is wanted" in finding["text"]


def test_a_board_without_its_sensor(alone: Site, tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.command("fault noresp")
        alone.sensors[0]["device"] = str(board.link)
        finding = alone.check().one("kitchen", "error", "sensor-failing")
    assert "does not answer" in finding["text"]


def test_several_boards_take_no_longer_than_one(alone: Site) -> None:
    with contextlib.ExitStack() as stack:
        ports = [stack.enter_context(pseudo_terminal()) for _ in range(3)]
        alone.sensors = [{"name": f"n{i}", "device": port[1]} for i, port in enumerate(ports)]
        begun = time.monotonic()
        report = alone.check()
        assert time.monotonic() - begun < 16
    for i in range(3):
        finding = report.one(f"n{i}", "error", "node-silent")
        assert "nothing heard" in finding["text"]


@pytest.mark.parametrize(
    ("said", "cause", "text"),
    [
        (b"\x00\xff\x80noise\r\n", "node-silent", "and no frame"),
        (b"$SGW1,R,1,7,15524,rh=44.8,t=22.3*0000\r\n", "frames-damaged", "damaged"),
        (b"$SGW2,R,1,7,15524,rh=44.8,t=22.3*5388\r\n", "node-silent", "a later format"),
    ],
)
def test_a_line_that_carries_no_frame(alone: Site, said: bytes, cause: str, text: str) -> None:
    with pseudo_terminal() as (master, alone.sensors[0]["device"]):
        with speaking(master, said):
            finding = alone.check().one("kitchen", "error", cause)
    assert text in finding["text"]
    assert ("upgrade" if b"SGW2" in said else "baud (115200)") in finding["cure"]


# --- the broker


@pytest.fixture
def online(site: Site, broker: RabbitMQ) -> Site:
    site.broker["port"] = broker.port
    site.sensors[0]["device"] = "/dev/ttyABSENT"  # no waiting for a board
    return site


def probes(consumer: Consumer) -> list:
    return [each for each in consumer.messages if each.topic == f"sensors/{GATEWAY}/_check"]


def test_a_broker_that_lets_us_publish(online: Site, consumer: Consumer) -> None:
    text = online.check().one("localhost", "ok")["text"]
    assert re.fullmatch(rf"TLSv1\.[23] \S+, may publish to sensors/{GATEWAY}/", text)
    message = wait_until(lambda: probes(consumer), 10, "the message")[0]
    assert json.loads(message.payload) == {"check": True}
    assert not message.retain


def test_no_publish_publishes_nothing(online: Site, consumer: Consumer) -> None:
    text = online.check("--no-publish").one("localhost", "ok")["text"]
    assert "nothing was published" in text
    online.check()  # whatever the first had sent would be here before this one's message
    wait_until(lambda: probes(consumer), 10, "the message")
    assert len(probes(consumer)) == 1


@pytest.mark.parametrize(("version", "name"), [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")])
def test_the_version_is_the_configured_one(online: Site, version: str, name: str) -> None:
    online.tls["version"] = version
    assert online.check().one("localhost", "ok")["text"].startswith(name + " ")


def test_a_name_without_an_address(online: Site) -> None:
    online.broker["host"] = "broker.invalid"
    online.more.append("timeouts: { resolve_s = 10.0; };")
    online.check().one("broker.invalid", "error", "name-unresolved")


def test_a_port_that_is_closed(online: Site, broker: RabbitMQ) -> None:
    online.broker["port"] = broker.spare_port
    finding = online.check().one("localhost", "error", "refused")
    assert f"localhost:{broker.spare_port}" in finding["text"]


def test_a_port_that_keeps_silent(online: Site) -> None:
    online.more.append("timeouts: { tls_s = 1.0; };")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        online.broker |= {"host": "127.0.0.1", "port": silent.getsockname()[1]}
        begun = time.monotonic()
        online.check().one("127.0.0.1", "error", "tls-timeout")
        assert time.monotonic() - begun < 10


def test_a_broker_under_another_name(online: Site) -> None:
    online.broker["name"] = "broker.example"
    finding = online.check().one("localhost", "error", "name-mismatch")
    assert "broker.example" in finding["text"]


def test_a_broker_from_another_authority(online: Site, own: Pki) -> None:
    online.tls["ca"] = str(own.ca)
    online.check().one("localhost", "error", "untrusted-ca")


def test_a_broker_that_does_not_know_us(online: Site, pki: Pki) -> None:
    pki.client("stranger")
    shutil.copy(pki.certificate("stranger"), online.folder / "gateway.pem")
    shutil.copy(pki.key("stranger"), online.folder / "gateway.key")
    finding = online.check().one("localhost", "error", "unknown-user")
    assert "stranger" in finding["cure"]


def test_a_topic_that_is_not_ours(online: Site, broker: RabbitMQ) -> None:
    online.more.append('mqtt: { topic = "elsewhere/{gateway}/{sensor}"; };')
    finding = online.check().one("localhost", "error", "publish-forbidden")
    assert f"elsewhere/{GATEWAY}/_check" in finding["text"]
    online.check("--no-publish").one("localhost", "ok")


def test_no_cipher_in_common_is_told_with_what_the_broker_takes(online: Site) -> None:
    # The broker's key is an EC one.
    online.tls |= {"version": "1.2", "ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    begun = time.monotonic()
    findings = online.check().of("localhost", "error")
    assert time.monotonic() - begun < 30
    assert [each["cause"] for each in findings] == ["no-shared-cipher"] * 2
    assert "TLSv1.2 with ECDHE-ECDSA-" in findings[1]["text"]
    line = re.search(r'tls\.ciphers = \[ "(\S+)" \]', findings[1]["cure"])[1]
    online.tls["ciphers"] = line
    assert line in online.check().one("localhost", "ok")["text"]


def test_two_brokers_on_one_host_are_told_apart(online: Site, broker: RabbitMQ) -> None:
    online.write()
    text = online.configuration.read_text().replace(
        "} );", f'}}, {{ host = "localhost"; port = {broker.spare_port}; }} );', 1
    )
    online.write = lambda: online.configuration.write_text(text)  # type: ignore[method-assign]
    report = online.check()
    report.one(f"localhost:{broker.port}", "ok")
    report.one(f"localhost:{broker.spare_port}", "error", "refused")


def test_a_broker_whose_certificate_runs_out(online: Site) -> None:
    online.tls["expiry_warning_days"] = 3650  # the broker's has fewer
    report = online.check()
    assert "the broker's certificate" in report.one("localhost", "warning", "expired")["text"]
    report.one("localhost", "ok")


# --- beside a running daemon


@contextlib.contextmanager
def daemon(site: Site) -> Iterator[subprocess.Popen]:
    site.write()
    log = (site.folder / "daemon.log").open("wb")
    process = subprocess.Popen(
        [site.executable, "run", "-c", site.configuration],
        env=site.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def state_of(site: Site) -> dict:
    with contextlib.suppress(FileNotFoundError):
        return json.loads((site.runtime / "state.json").read_text())
    return {}


def test_a_running_daemon_is_told_of_and_not_disturbed(online: Site, tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        online.sensors[0]["device"] = str(board.link)
        with daemon(online) as process:
            def is_well() -> bool:
                state = state_of(online)
                well = state.get("sensors", {}).get("kitchen", {}).get("state") == "ok"
                return well and state.get("link") == "online"

            wait_until(is_well, 60, "readings and a connection")
            resets = board.statistics().get("resets")
            report = online.check()
            assert f"pid {process.pid}" in report.one("spool", "ok")["text"]
            text = report.one("kitchen", "ok")["text"]
            assert f"is read by the daemon (pid {process.pid}): ok, the last reading" in text
            report.one("localhost", "ok")
            assert report.status == 0
            assert board.statistics().get("resets") == resets
            assert state_of(online)["link"] == "online"
    log = (online.folder / "daemon.log").read_text()
    assert log.count("EVENT=connected") == 1, log
