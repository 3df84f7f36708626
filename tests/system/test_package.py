# SPDX-License-Identifier: MIT
"""The Debian package in a life of its own: built, cross-built, installed, upgraded, removed, purged.

And what a newcomer does with the source on a bare Debian. Each release has its roots (roots.py) and
each test a booted container that is thrown away after it.
"""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import packages
import roots
from container import Container
from packages import Built
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY
from roots import SOURCE, inside, need_tools
from test_systemd import Listener, configuration
from waiting import wait_until

pytestmark = pytest.mark.timeout(1800)

UNIT = "sensorgw.service"
BOARD = SOURCE / "debian/tests/board"
PORT = "/run/test-board"
NEXT_VERSION = "99"
CHANGES = {
    "conf/sensorgw.conf": "# A line that only the next version's template has.\n",
    "systemd/sensorgw.service.in": "[Service]\nRestartSec=6\n",
}

Step = Callable[[str], Any]


@pytest.fixture(scope="module")
def step(request: pytest.FixtureRequest) -> Step:
    """Says on the terminal what took how long."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    @contextmanager
    def timed(what: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        with capture.global_and_fixture_disabled():
            print(f"  {time.monotonic() - begin:6.1f} s  {what}", flush=True)

    return timed


# --- built


@dataclass(frozen=True)
class Versions:
    """The packages of this source, and of a version after it."""

    old: Built
    new: Built


@pytest.fixture(scope="module", params=roots.RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    need_tools("systemd-nspawn", "mmdebstrap", "mosquitto", "dpkg-scanpackages", "apt-ftparchive")
    return request.param


@pytest.fixture(scope="module")
def old(release: str, tmp_path_factory: pytest.TempPathFactory, step: Step) -> Built:
    with step(f"the root for building on {release}"):
        roots.for_building(release)
    with step(f"built on {release}, with its unit tests"):
        return packages.build(release, tmp_path_factory.mktemp(f"{release}-old"), tests=True)


@pytest.fixture(scope="module")
def versions(release: str, old: Built, tmp_path_factory: pytest.TempPathFactory,
             step: Step) -> Versions:  # fmt: skip
    with step(f"built on {release}, the next version"):
        output = tmp_path_factory.mktemp(f"{release}-new")
        new = packages.build(release, output, version=NEXT_VERSION, edit=CHANGES)
    return Versions(old, new)


@pytest.fixture(scope="module")
def root(release: str, old: Built, step: Step) -> Path:
    with step(f"the root for running on {release}"):
        return roots.for_running(release, packages.depends_of(old))


@pytest.fixture(scope="module")
def tree(old: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both packages put into the file system."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("sensorgw", "sensorgw-firmware"):
        roots.run(["dpkg-deb", "-x", old.deb(name), folder])
    return folder


# Of the root, not of the package: that it cross-builds, and that libraries of several architectures
# are there at once.
NOT_OURS = re.compile(
    r"dpkg-architecture: warning: specified GNU system type|dpkg-shlibdeps: warning: diversions involved"
)


def assert_no_warning(log: str) -> None:
    """Neither the compilers nor meson nor debhelper had something to say."""
    found = [line for line in log.splitlines() if re.search(r"\bwarning:|\bWARNING:", line)]
    assert not [line for line in found if not NOT_OURS.match(line)]


def assert_all_passed(said: str) -> None:
    """By the counts that meson test gives."""
    counts = {name: int(n) for name, n in re.findall(r"^(Ok|Fail|Skipped|Timeout): +(\d+) *$", said, re.M)}
    assert counts and counts.pop("Ok") > 40 and not any(counts.values()), said[-6000:]


def test_it_builds_without_a_warning(old: Built) -> None:
    assert_all_passed(old.log)
    assert_no_warning(old.log)


def lint(built: Built) -> str:
    """What lintian says at all, down to hints of information."""
    folder = roots.for_building(built.release) / "lint"
    with roots.one_at_a_time(f"{built.release}-building"):
        if folder.exists():
            roots.remove(folder)
        folder.mkdir()
        for path in built.files:
            shutil.copy(path, folder)
        return inside(
            roots.for_building(built.release),
            "cd /lint && lintian --allow-root --tag-display-limit 0 -i -I --fail-on none"
            f" {built.changes.name}",
        )


KNOWN_TAGS = {
    "out-of-date-standards-version",  # the Policy of Debian 12; Debian 13 knows a later one
    "package-supports-alternative-init-but-no-init.d-script",  # and only 12 asks for one still
}


def tags(said: str) -> list[str]:
    """Errors, warnings and information."""
    found = re.findall(r"^([EWI]: [^:\n]+: (\S+).*)$", said, re.M)
    return [line for line, tag in found if tag not in KNOWN_TAGS]


def test_lintian_is_content(old: Built) -> None:
    assert tags(lint(old)) == []


def test_nothing_in_it_asks_at_an_upgrade(old: Built, tmp_path: Path) -> None:
    for name in ("sensorgw", "sensorgw-firmware"):
        control = tmp_path / name
        roots.run(["dpkg-deb", "-e", old.deb(name), control])
        assert not {"conffiles", "config", "templates"} & {path.name for path in control.iterdir()}


# --- built for the others


@pytest.fixture(scope="module", params=roots.FOREIGN)
def crossed(request: pytest.FixtureRequest, release: str,
            tmp_path_factory: pytest.TempPathFactory, step: Step) -> Built:  # fmt: skip
    folder = tmp_path_factory.mktemp(f"{release}-{request.param}")
    with step(f"cross-built on {release} for {request.param}"):
        return packages.build(release, folder, architecture=request.param)


MACHINES = {"arm64": "AArch64", "armhf": "ARM", "amd64": "Advanced Micro Devices X86-64"}


def test_it_is_cross_built(crossed: Built, tmp_path: Path) -> None:
    assert crossed.field("Architecture") == crossed.architecture
    assert_no_warning(crossed.log)
    assert tags(lint(crossed)) == []
    root = roots.for_building(crossed.release)
    program = f"/tmp/sensorgw-{crossed.architecture}"
    roots.run(["dpkg-deb", "-x", crossed.deb(), tmp_path])
    shutil.copy(tmp_path / "usr/bin/sensorgw", root / program.lstrip("/"))
    header = inside(root, f"readelf -h {program}")
    assert re.search(r"Machine: +(.*)", header)[1] == MACHINES[crossed.architecture]
    said = inside(root, f"{packages.emulator(crossed.architecture)} {program} version")
    assert "sensorgw" in said


def test_unit_tests_pass_under_emulation(crossed: Built, step: Step) -> None:
    with step(f"unit tests of {crossed.release} for {crossed.architecture} under qemu-user"):
        said = packages.run_unit_tests(crossed.release, crossed.architecture)
    print(said)
    assert_no_warning(said)
    assert_all_passed(said)


# --- what is in it


def test_the_firmware_is_in_its_package(old: Built, tree: Path) -> None:
    images = sorted((tree / "usr/share/sensorgw/firmware").glob("*.hex"))
    assert [path.name for path in images] == ["sgw-node-old-nano.hex", "sgw-node.hex"]
    for image in images:
        records = [bytes.fromhex(line[1:]) for line in image.read_text().split()]
        assert len(records) > 100 and all(sum(record) & 0xFF == 0 for record in records)
        assert records[-1] == bytes.fromhex("00000001FF"), "the image has no end"
    assert os.access(tree / "usr/bin/sensorgw-flash", os.X_OK)
    built_using = old.field("Built-Using", "sensorgw-firmware")
    assert re.fullmatch(r"arduino-core-avr \(= \S+\), avr-libc \(= \S+\)", built_using)
    for name in ("sensorgw", "sensorgw-firmware"):
        said = (tree / f"usr/share/doc/{name}/copyright").read_text()
        assert "Arduino core" in said and "License: LGPL-2.1+" in said
    assert "Zero" in old.field("Description") and "ARMv7" in old.field("Description")


def test_every_page_leads_somewhere(tree: Path) -> None:
    """Links between the pages, and the files that manual pages name, are in the packages."""
    docs = tree / "usr/share/doc/sensorgw"
    pages = sorted(docs.rglob("*.md"))
    assert docs / "README.md" in pages and docs / "docs/causes.md" in pages
    broken = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(tree)} -> {target}")
    manuals = sorted((tree / "usr/share/man").rglob("*.gz"))
    names = {path.name for path in manuals}
    assert {"sensorgw.1.gz", "sensorgw-pki.1.gz", "sensorgw-flash.1.gz", "sensorgw.conf.5.gz"} == names
    for manual in manuals:
        text = gzip.decompress(manual.read_bytes()).decode().replace("\\-", "-")
        for target in re.findall(r"/usr/share/(?:doc/)?sensorgw[\w./-]*[\w/]", text):
            if not (tree / target.lstrip("/")).exists():
                broken.append(f"{manual.name} -> {target}")
    assert not broken, "\n".join(broken)


TYPED = {
    "sensorgw che": "sensorgw check ",
    "sensorgw check --no": "sensorgw check --no-publish ",
    "sensorgw-pki cli": "sensorgw-pki client ",
    "sensorgw-flash --li": "sensorgw-flash --list ",
}


def test_bash_completes(tree: Path) -> None:
    folder = tree / "usr/share/bash-completion/completions"
    assert {path.name for path in folder.iterdir()} == {line.split()[0] for line in TYPED}
    for line, completed in TYPED.items():
        file = folder / line.split()[0]
        roots.run(["bash", "-n", file])
        with Keyboard() as keyboard:
            keyboard.type(f"source {file}; echo $((1 + 1)) read\n", "2 read")
            keyboard.type(f"{line}\t", completed)


class Keyboard:
    """An interactive bash at a terminal."""

    def __enter__(self) -> "Keyboard":
        self._terminal, port = os.openpty()
        os.set_blocking(self._terminal, False)
        self._seen = ""
        self._bash = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"], stdin=port, stdout=port, stderr=port,
            start_new_session=True, env={"TERM": "dumb", "PATH": os.environ["PATH"]},
        )  # fmt: skip
        os.close(port)
        return self

    def __exit__(self, *_: object) -> None:
        self._bash.kill()
        self._bash.wait()
        os.close(self._terminal)

    def type(self, text: str, expected: str) -> None:
        """Types it, and waits until the terminal shows what is expected."""
        self._seen = ""
        os.write(self._terminal, text.encode())
        try:
            wait_until(lambda: expected in self._read(), 20, expected)
        except TimeoutError:
            pytest.fail(f"typed {text!r}, expected {expected!r}, saw {self._seen!r}")

    def _read(self) -> str:
        try:
            self._seen += os.read(self._terminal, 4096).decode()
        except BlockingIOError:
            pass
        return self._seen


# --- installed


class Machine:
    """A Debian with a gateway's certificate and a board, and without a broker."""

    def __init__(self, box: Container, pki: Pki, folder: Path) -> None:
        self.box = box
        self.pki = pki
        self._folder = folder
        box.put(BOARD, "/opt/board", 0o755)

    # --- what a user does

    def bring(self, built: Built) -> str:
        path = f"/root/{built.deb().name}"
        self.box.put(built.deb(), path)
        return path

    def install(self, built: Built) -> str:
        """As apt does by default, but with nobody there to answer."""
        path = self.bring(built)
        return self.box.shell(f"unset DEBIAN_FRONTEND; apt-get install -y {path} </dev/null 2>&1")

    def upgrade_unattended(self, built: Built) -> str:
        archive = self._folder / "archive"
        archive.mkdir()
        packages.archive(archive, built.release, [built.deb()])
        for path in archive.iterdir():
            self.box.put(path, f"/srv/archive/{path.name}")
        self.box.shell("rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/*")
        self.box.write(
            "/etc/apt/sources.list.d/test.list", "deb [trusted=yes] file:/srv/archive ./\n"
        )
        self.box.write(
            "/etc/apt/apt.conf.d/99test",
            'Unattended-Upgrade::Origins-Pattern:: "origin=Sensorgw-Test";\n',
        )
        return self.box.shell("apt-get update && unattended-upgrade -v </dev/null 2>&1")

    def fill_in(self, **more: str) -> str:
        """The owner's file: the template with its lines filled in, and a comment."""
        text = "# This gateway is in the attic.\n" + configuration(PORT)
        for commented, own in more.items():
            assert f"#{commented} = " in text
            text = re.sub(rf"#({commented} = )[^;]*;", rf"\g<1>{own};", text, count=1)
        self.box.write("/etc/sensorgw.conf", text)
        for source, name in ((self.pki.ca, "ca.pem"), (self.pki.certificate(GATEWAY), "gateway.pem"),
                             (self.pki.key(GATEWAY), "gateway.key")):  # fmt: skip
            self.box.put(source, f"/root/{name}", 0o600)
            self.box.shell(f"install -m 0640 -g sensorgw /root/{name} /etc/sensorgw/{name}")
        return text

    def plug(self, every_s: float) -> None:
        self.box.run("systemd-run", "--quiet", "--collect", "--unit=board", "/opt/board", PORT, every_s)

    def unplug(self) -> None:
        self.box.run("systemctl", "stop", "board")

    # --- what it sees

    def state(self) -> str:
        """running, or stopped; enabled, or not"""
        shown = self.box.show(UNIT, "ActiveState", "UnitFileState")
        return f"{shown['ActiveState']} {shown['UnitFileState']}"

    def invocation(self) -> str:
        return self.box.show(UNIT, "InvocationID")["InvocationID"]

    def version(self) -> str:
        return self.box.run("dpkg-query", "-W", "-f", "${Version} ${Status}", "sensorgw")

    def status(self) -> dict[str, Any]:
        return json.loads(self.box.run("sensorgw", "status", "--json"))

    def wait_waiting(self, count: int) -> None:
        wait_until(lambda: self.status()["waiting"] >= count, 60, f"{count} readings to wait")

    def spooled(self) -> list[str]:
        """The ids of the readings that wait."""
        text = self.box.run("sensorgw", "spool", "--export")
        return [json.loads(line)["id"] for line in text.splitlines()]

    def deliver(self, count: int) -> list[str]:
        """Gives it a broker; the ids of the readings that somebody gets there."""
        self.box.run("systemctl", "stop", UNIT)
        log = self._folder / "broker.log"
        settings = self._folder / "broker.conf"
        settings.write_text(
            "user root\nlistener 8883 127.0.0.1\nrequire_certificate true\n"
            "use_identity_as_username true\nallow_anonymous false\nmax_queued_messages 0\n"
            f"cafile {self.pki.ca}\ncertfile {self.pki.certificate('localhost')}\n"
            f"keyfile {self.pki.key('localhost')}\nlog_type all\nlog_dest stderr\n"
        )
        with log.open("wb") as output:
            broker = subprocess.Popen(
                ["nsenter", f"--net=/proc/{self.box.leader}/ns/net", "mosquitto", "-c", settings],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        listener = None
        try:
            wait_until(lambda: "8883" in self.box.run("ss", "-ltnH"), 20, "the broker")
            listener = Listener(self.box, self.pki, self._folder)
            wait_until(lambda: "SUBACK" in log.read_text(errors="replace"), 20, "the listener")
            self.box.run("systemctl", "start", UNIT)
            wait_until(lambda: len(listener.readings()) >= count, 120, f"{count} readings to arrive")
            return [reading["id"] for reading in listener.readings()]
        finally:
            if listener:
                listener.close()
            broker.terminate()
            broker.wait(20)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki") / "pki")
    made.client(GATEWAY)
    made.client(CONSUMER)
    return made


@pytest.fixture
def machine(release: str, root: Path, pki: Pki, tmp_path: Path) -> Iterator[Machine]:
    with Container(root, tmp_path, f"sgw-{release}") as box:
        try:
            yield Machine(box, pki, tmp_path)
        finally:
            print(box.try_run("journalctl", "--no-pager", "-u", UNIT, "-n", "40").stdout)


UPGRADES: dict[str, Callable[[Machine, Built], str]] = {
    "apt": Machine.install,
    "unattended-upgrade": Machine.upgrade_unattended,
}


@pytest.mark.parametrize("way", UPGRADES)
def test_an_upgrade_asks_nothing_and_loses_nothing(machine: Machine, versions: Versions, way: str,
                                                   step: Step) -> None:  # fmt: skip
    """The owner has edited the file, the new version has another template, and the spool is full."""
    box = machine.box
    machine.install(versions.old)
    owners = machine.fill_in(max_mb="1")
    box.run("systemctl", "start", UNIT)
    machine.plug(every_s=0)
    with step("the spool filled up"):
        wait_until(lambda: machine.status()["dropped"] > 0, 120, "the spool to be full")
    machine.unplug()
    before = machine.spooled()
    assert len(before) > 1000
    invocation = machine.invocation()

    with step(f"upgraded by {way}"):
        said = UPGRADES[way](machine, versions.new)

    print(said)
    assert machine.version() == f"{NEXT_VERSION} install ok installed"
    assert not re.search(r"conffile|Configuration file|kept back|held", said)
    assert "What would you like to do" not in said
    assert box.path("/etc/sensorgw.conf").read_text() == owners
    template = box.path("/usr/share/sensorgw/sensorgw.conf").read_text()
    assert CHANGES["conf/sensorgw.conf"] in template
    assert not box.shell("find /etc -name '*.dpkg-*' -o -name '*.ucf-*'")
    assert box.run("dpkg", "--audit") == ""

    assert machine.state() == "active enabled"
    assert machine.invocation() != invocation, "what runs is still the old version"
    assert box.show(UNIT, "RestartUSec", "NeedDaemonReload") == {
        "RestartUSec": "6s", "NeedDaemonReload": "no",
    }  # fmt: skip
    assert machine.spooled() == before
    with step(f"{len(before)} readings delivered"):
        assert machine.deliver(len(before))[: len(before)] == before


@pytest.mark.parametrize("enabled", [True, False], ids=["enabled", "disabled"])
def test_an_upgrade_leaves_a_stopped_service_alone(machine: Machine, versions: Versions,
                                                   enabled: bool) -> None:  # fmt: skip
    machine.install(versions.old)
    if not enabled:
        machine.box.run("systemctl", "disable", UNIT)
    before = machine.state()
    assert before == f"inactive {'enabled' if enabled else 'disabled'}"
    said = machine.install(versions.new)
    assert machine.version().startswith(NEXT_VERSION)
    assert machine.state() == before
    assert "Next:" not in said


# --- removed and purged

STAYS = [
    (r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$", "the user and the group stay"),
    (r"var/lib/dpkg/", "dpkg's own records"),
    (r"var/(log|cache|backups|tmp)(/|$)", "journals and caches of others"),
    (r"var/lib/(apt|systemd)/", "of others"),
    (r"root/", "what the test has put there"),
]


def listing(box: Container) -> set[str]:
    """Every file of the system with its kind, owner, mode and size."""
    return set(
        box.shell(
            "cd / && find boot etc home opt root srv usr var -xdev"
            " \\( -type d -printf '%p %y %m %u:%g\\n' -o -printf '%p %y %m %u:%g %s %l\\n' \\)"
        ).splitlines()
    )


def left_over(before: set[str], after: set[str]) -> list[str]:
    changed = {line.split()[0] for line in before ^ after}
    return sorted(path for path in changed if not any(re.match(known, path) for known, _ in STAYS))


def assert_purged(machine: Machine, before: set[str], said: str) -> None:
    box = machine.box
    for path in ("/etc/sensorgw.conf", "/etc/sensorgw", "/var/lib/sensorgw"):
        assert f"sensorgw: removing {path}\n" in said
    assert "the user sensorgw stays" in said and box.run("id", "-un", "sensorgw")
    assert left_over(before, listing(box)) == []
    assert not box.shell("ls -d /run/sensorgw /run/systemd/*/sensorgw* 2>/dev/null || true")
    assert box.try_run("systemctl", "cat", UNIT).returncode != 0
    assert not box.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "sensorgw*")
    assert not box.shell("find /var/lib/dpkg/info /var/lib/systemd -name 'sensorgw*'")
    assert not box.shell("pgrep -x sensorgw || true")


def test_remove_keeps_what_is_the_owners_and_purge_takes_it(machine: Machine, old: Built) -> None:
    box = machine.box
    path = machine.bring(old)
    before = listing(box)

    machine.install(old)
    owners = machine.fill_in()
    box.run("systemctl", "start", UNIT)
    machine.plug(every_s=0.1)
    machine.wait_waiting(5)
    machine.unplug()
    waiting = machine.spooled()

    box.run("apt-get", "remove", "-y", "sensorgw")
    assert not box.shell("pgrep -x sensorgw || true"), "it still runs"
    assert box.try_run("systemctl", "start", UNIT).returncode != 0
    assert not box.path("/usr/bin/sensorgw").exists()
    assert box.path("/etc/sensorgw.conf").read_text() == owners
    kept = ("/etc/sensorgw/ca.pem", "/etc/sensorgw/gateway.pem", "/etc/sensorgw/gateway.key",
            "/var/lib/sensorgw/spool.db")  # fmt: skip
    assert all(box.path(name).exists() for name in kept)

    box.shell(f"apt-get install -y {path}")  # and back again
    assert machine.state() == "inactive enabled"
    assert box.path("/etc/sensorgw.conf").read_text() == owners
    assert machine.spooled() == waiting
    box.run("systemctl", "start", UNIT)
    assert machine.state() == "active enabled"

    box.run("apt-get", "remove", "-y", "sensorgw")
    said = box.run("apt-get", "purge", "-y", "sensorgw")
    assert_purged(machine, before, said)


def test_purge_of_what_runs(machine: Machine, old: Built) -> None:
    """Without a removal before; and with a spool elsewhere, which is not searched for but named."""
    box = machine.box
    path = machine.bring(old)
    box.shell("install -d -m 0777 /srv/readings /srv/elsewhere")
    before = listing(box)
    box.shell(f"apt-get install -y {path}")
    machine.fill_in(path='"/srv/readings/spool.db"')
    box.write(
        "/run/systemd/system/sensorgw.service.d/test.conf",
        "[Service]\nReadWritePaths=/srv/readings\n",
    )
    box.run("systemctl", "daemon-reload")
    box.run("systemctl", "start", UNIT)
    machine.plug(every_s=0.1)
    machine.wait_waiting(5)
    machine.unplug()
    box.run("rm", "-r", "/run/systemd/system/sensorgw.service.d")
    said = box.run("apt-get", "purge", "-y", "sensorgw")
    assert "sensorgw: leaving the spool /srv/readings/spool.db\n" in said
    assert box.path("/srv/readings/spool.db").exists()
    box.shell("rm /srv/readings/*")
    assert_purged(machine, before, said)


def test_purge_of_what_was_never_filled_in(machine: Machine, old: Built) -> None:
    """Its start was refused, and it was not tried again."""
    path = machine.bring(old)
    before = listing(machine.box)
    machine.box.shell(f"apt-get install -y {path}")
    assert machine.box.try_run("systemctl", "start", UNIT).returncode != 0
    assert machine.state() == "failed enabled"
    said = machine.box.run("apt-get", "purge", "-y", "sensorgw")
    assert_purged(machine, before, said)


# --- debian/tests


def test_autopkgtest_passes(release: str, old: Built, tmp_path: Path, step: Step) -> None:
    """As Debian's machines run it, but on a testbed of ours: a container that is thrown away."""
    with step(f"the testbed on {release}"):
        testbed = roots.for_autopkgtest(release, packages.depends_of(old))
    source = tmp_path / "sensorgw"
    packages.copy_source(source)
    with Container(testbed, tmp_path, f"sgw-adt-{release}") as box:
        box.put(old.deb(), f"/root/{old.deb().name}")
        roots.run(["cp", "-a", source, box.path("/root/sensorgw")])
        with step(f"autopkgtest on {release}"):
            done = box.try_run(
                # It cannot know that the machine it is on is a container to be thrown away.
                "autopkgtest", "--ignore-restrictions=isolation-container,breaks-testbed",
                f"/root/{old.deb().name}", "/root/sensorgw/", "--", "null", timeout=600,
            )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert re.search(r"^gateway +PASS$", done.stdout + done.stderr, re.M)


# --- a newcomer, with the source and nothing else

GROUPS = ("build", "board", "broker", "tests")  # of packages.txt
SUITES = ("unit", "e2e", "tls")


class Newcomer:
    """A booted machine whose user has a copy of the source."""

    def __init__(self, box: Container) -> None:
        self.box = box

    def type(self, command: str, timeout: float) -> str:
        whole = f"cd sensorgw && {{ {command}; }} 2>&1"
        return self.box.run("runuser", "--login", roots.NEWCOMER, "--command", whole, timeout=timeout)

    def open_to_the_world(self) -> str:
        """What starts with the machine, what runs as a service, and what listens."""
        units = self.box.shell(
            "systemctl list-unit-files --no-legend --type=service,socket"
            " --state=enabled,enabled-runtime;"
            "systemctl list-units --no-legend --plain --type=service,socket --state=active"
        )
        # ss of this machine, in that one's network: the bare one has none.
        listening = roots.run(["nsenter", f"--net=/proc/{self.box.leader}/ns/net", "ss", "-ltnupH"])
        return units + listening


@pytest.fixture(scope="module")
def newcomer(release: str, tmp_path_factory: pytest.TempPathFactory, step: Step) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp(f"newcomer-{release}")
    with step(f"the bare root on {release}"):
        bare = roots.for_newcomer(release, packages.listed(*GROUPS))
    root = roots.folder() / f"{release}-newcomer.copy"
    with roots.one_at_a_time(f"{release}-newcomer.copy"):
        if root.exists():
            roots.remove(root)
        roots.run(["cp", "-a", "--reflink=auto", bare, root])
        home = root / "home" / roots.NEWCOMER
        packages.copy_source(home / "sensorgw")
        inside(root, f"chown -R {roots.NEWCOMER}: /home/{roots.NEWCOMER}")
        (root / "etc/apt/apt.conf.d/99downloaded").write_text(
            f'Dir::Cache::archives "{roots.DOWNLOADED}";\n'
        )
        (root / "etc/dpkg/dpkg.cfg.d/unsafe").write_text("force-unsafe-io\n")  # it is thrown away
        with Container(root, folder, f"sgw-newcomer-{release}", writes=True) as box:
            yield Newcomer(box)
        roots.remove(root)


# Debian 12 is where every change is tested.
bare = pytest.mark.parametrize("release", ["trixie"], indirect=True)


@bare
def test_the_demo_works_and_leaves_nothing_open(newcomer: Newcomer, release: str, step: Step) -> None:
    before = newcomer.open_to_the_world()
    with step(f"./demo.sh --seconds 20 on a bare {release}"):
        said = newcomer.type("./demo.sh --seconds 20", timeout=1500)
    print(said)
    assert "installing" in said and "their services stay off" in said and "rabbitmq-server" in said
    assert newcomer.open_to_the_world() == before


@bare
def test_their_packages_leave_nothing_open(newcomer: Newcomer, release: str) -> None:
    """Those of the tests bring a broker with a service of its own."""
    before = newcomer.open_to_the_world()
    newcomer.type(f"tests/install-packages {' '.join(GROUPS)}", timeout=1500)
    assert "mosquitto" in newcomer.box.run("dpkg-query", "-W", "-f", "${Package} ${Status}", "mosquitto")
    assert newcomer.open_to_the_world() == before


@bare
def test_the_source_builds_without_a_warning(newcomer: Newcomer, release: str, step: Step) -> None:
    with step(f"the source built on {release}"):
        log = newcomer.type("meson setup build/plain && ninja -v -C build/plain", timeout=1500)
    assert_no_warning(log)
    compilers = newcomer.type("gcc --version && dpkg-query -W libmosquitto-dev rabbitmq-server", 60)
    print(compilers)


@bare
@pytest.mark.timeout(5400)
def test_the_suites_pass(newcomer: Newcomer, release: str, step: Step) -> None:
    with step(f"./test.sh {' '.join(SUITES)} on {release}"):
        said = newcomer.type(f"./test.sh {' '.join(SUITES)} || true", timeout=5000)
    print(said[-20000:])
    last = said.splitlines()[-1]
    passed, failed = re.fullmatch(r"(\d+) passed, (\d+) failed, \d+ skipped", last).groups()
    assert int(passed) > 100 and failed == "0", re.findall(r"^.*\bFAIL.*$", said, re.M)
