# SPDX-License-Identifier: MIT
"""The package on a real systemd: Debian 12 and 13 booted in containers, with a broker and a board.

One container for each release, in which the tests follow each other as a user's steps do. Each
leaves the service running, and readings flowing.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import manual
import packages
import roots
from consumer import Ledger
from container import CommandFailed, Container, ContainerBoard
from optiboot import build_optiboot
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY
from roots import SOURCE, need_tools
from waiting import assert_becomes, wait_until

pytestmark = pytest.mark.timeout(900)

FLOW_S = 30
STOP_S = 3
EX_CONFIG = "78"
UNIT = "sensorgw.service"


@dataclass
class Machine:
    """What the tests work with."""

    release: str
    box: Container
    pki: Pki
    board: ContainerBoard
    listener: "Listener | None" = None

    # --- what a user does

    def edit(self, text: str) -> None:
        self.box.write("/etc/sensorgw.conf", text)

    def install_keys(self) -> None:
        """The lines that sensorgw-pki prints."""
        for source, name in ((self.pki.ca, "ca.pem"), (self.pki.certificate(GATEWAY), "gateway.pem"),
                             (self.pki.key(GATEWAY), "gateway.key")):  # fmt: skip
            self.box.put(source, f"/root/{name}", 0o600)
            self.box.shell(f"install -m 0640 -g sensorgw /root/{name} /etc/sensorgw/{name}")

    # --- what it sees

    def status(self) -> dict[str, Any]:
        return json.loads(self.box.run("sensorgw", "status", "--json"))

    def main_pid(self) -> int:
        return int(self.box.show(UNIT, "MainPID")["MainPID"])

    def cursor(self) -> str:
        """A place in the journal: what comes after it is new."""
        self.box.run("journalctl", "--sync")
        text = self.box.run("journalctl", "--show-cursor", "--lines=0", "--no-pager")
        return text.split("cursor: ")[1].strip()

    def entries(self, since: str, **fields: str) -> list[dict[str, Any]]:
        """Those of the service and about it, which have these fields."""
        found = self.of_unit(since, UNIT)
        return [entry for entry in found if fields.items() <= entry.items()]

    def of_unit(self, since: str, unit: str) -> list[dict[str, Any]]:
        # Not journalctl's --unit: with --after-cursor it passes over the first that matches.
        found = self.box.journal(f"--after-cursor={since}")
        return [entry for entry in found if unit in (entry.get("_SYSTEMD_UNIT"), entry.get("UNIT"))]

    def wait_entry(self, since: str, timeout: float = 30, **fields: str) -> dict[str, Any]:
        return wait_until(lambda: self.entries(since, **fields), timeout, f"the entry {fields}")[0]

    def wait_flow(self, more: int = 2) -> None:
        """Waits until so many new readings have come through the broker."""
        assert self.listener
        begin = len(self.listener.readings())
        wait_until(
            lambda: len(self.listener.readings()) >= begin + more, FLOW_S,
            f"{more} readings; status is {self.box.try_run('sensorgw', 'status').stdout}",
        )  # fmt: skip

    def restart(self) -> None:
        self.box.run("systemctl", "restart", UNIT)
        self.wait_flow(1)


class Listener:
    """A consumer with a session that the broker keeps: mosquitto_sub in the container's network."""

    def __init__(self, box: Container, pki: Pki, folder: Path) -> None:
        self._output = folder / "received"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                ["nsenter", f"--net=/proc/{box.leader}/ns/net",
                 "mosquitto_sub", "-h", "localhost", "-p", "8883",
                 "--cafile", str(pki.ca), "--cert", str(pki.certificate(CONSUMER)),
                 "--key", str(pki.key(CONSUMER)), "-i", f"{CONSUMER}-test", "-c", "-q", "1",
                 "-t", "sensors/#", "-F", "%p"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def readings(self) -> list[dict[str, Any]]:
        lines = self._output.read_text().splitlines(keepends=True)
        whole = (json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n"))
        return [reading for reading in whole if "id" in reading]

    def faults(self) -> list[str]:
        """What is missing or out of order within a prefix."""
        ledger = Ledger()
        for reading in self.readings():
            ledger.enter(reading)
        return ledger.faults


def configuration(device: str, **replace: str) -> str:
    """The shipped file with its three lines filled in, as its comments say."""
    text = (SOURCE / "conf/sensorgw.conf").read_text()
    for key, value in {"host": "localhost", "name": "kitchen", "device": device, **replace}.items():
        text, count = re.subn(rf'^(\s+){key} = "";', rf'\1{key} = "{value}";', text, count=1, flags=re.M)
        assert count == 1, f"no empty {key} in conf/sensorgw.conf"
    return text


@pytest.fixture(scope="module", params=roots.RELEASES)
def machine(request: pytest.FixtureRequest,
            tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:  # fmt: skip
    """Installed, and not touched since."""
    need_tools("systemd-nspawn", "mmdebstrap", "mosquitto_sub")
    release = request.param
    folder = tmp_path_factory.mktemp(f"systemd-{release}")
    built = packages.build(release, folder / "packages")
    emulator, elf = packages.build_board(release, folder / "board")
    root = roots.for_running(release, packages.depends_of(built))
    pki = Pki(folder / "pki")
    pki.client(GATEWAY)
    pki.client(CONSUMER)
    with Container(root, folder, f"sgw-{release}") as box:
        for name in ("sensorgw", "sensorgw-firmware"):
            box.put(built.deb(name), f"/root/{built.deb(name).name}")
        box.put(build_optiboot(folder), "/opt/optiboot.hex")
        with ContainerBoard(box, folder, emulator, elf, "--bootloader", "/opt/optiboot.hex") as board:
            one = Machine(release, box, pki, board)
            try:
                yield one
            finally:
                if one.listener:
                    one.listener.close()
                print(box.try_run("journalctl", "--no-pager", "-u", UNIT, "-n", "60").stdout)


@pytest.fixture
def running(machine: Machine) -> Machine:
    if machine.box.show(UNIT, "ActiveState")["ActiveState"] != "active":
        pytest.skip("the service does not run: see the tests before this one")
    return machine


# --- from the package to the first reading


def test_install_enables_and_does_not_start(machine: Machine) -> None:
    said = machine.box.shell("apt-get install -y /root/sensorgw_*.deb 2>&1")
    assert "sudo systemctl start sensorgw" in said
    assert machine.box.run("systemctl", "is-enabled", UNIT).strip() == "enabled"
    assert machine.box.show(UNIT, "ActiveState")["ActiveState"] == "inactive"
    modes = machine.box.run("stat", "-c", "%n %a %U:%G", "/etc/sensorgw.conf", "/etc/sensorgw")
    assert modes.splitlines() == ["/etc/sensorgw.conf 644 root:root", "/etc/sensorgw 750 root:sensorgw"]
    groups = machine.box.run("id", "-Gn", "sensorgw").split()
    assert {"sensorgw", "dialout", "gpio"} == set(groups)


def test_start_on_the_unedited_file_is_refused(machine: Machine) -> None:
    since = machine.cursor()
    with pytest.raises(CommandFailed):
        machine.box.run("systemctl", "start", UNIT)
    shown = machine.box.show(UNIT, "Result", "ExecMainStatus", "NRestarts", "ActiveState")
    assert shown == {"Result": "exit-code", "ExecMainStatus": EX_CONFIG, "NRestarts": "0",
                     "ActiveState": "failed"}  # fmt: skip
    refusals = [e for e in machine.entries(since) if e.get("SYSLOG_IDENTIFIER") == "sensorgw"]
    text = " ".join(entry["MESSAGE"] for entry in refusals)
    for key in ("host", "name", "device"):
        assert key in text
    empty = [
        number
        for number, line in enumerate((SOURCE / "conf/sensorgw.conf").read_text().splitlines(), 1)
        if re.match(r'\s+\w+ = "";', line)
    ]
    assert len(empty) == 3 and all(str(number) in text for number in empty), text


def test_broker_as_its_readme_says(machine: Machine) -> None:
    """conf/rabbitmq/README.md, the commands on the broker."""
    box, pki = machine.box, machine.pki
    shutil.copytree(SOURCE / "conf/rabbitmq", box.path("/root/broker"))
    for name in ("ca.pem", "localhost.pem", "localhost.key"):
        box.put(pki.folder / name, f"/root/broker/{name}")
    readme = (SOURCE / "conf/rabbitmq/README.md").read_text()
    block = next(b for b in re.findall(r"```\n(.*?)```", readme, re.S) if "apt install" in b)
    commands = block.replace("sudo ", "").replace("broker.example", "localhost")
    commands = commands.replace("apt install", "apt-get install -y")
    commands = "".join(line for line in commands.splitlines(True) if not line.startswith("ss "))
    box.shell(f"cd /root/broker\n{commands}")
    machine.listener = Listener(box, pki, box.log.parent)


def test_the_broker_listens_where_its_readme_says_and_nowhere_else(machine: Machine) -> None:
    """With the syslog client that a busy machine leaves started, too."""
    machine.box.run("rabbitmqctl", "eval", "{ok, _} = application:ensure_all_started(syslog).")

    def doors() -> set[tuple[str, str]]:
        table = machine.box.run("ss", "-Hltun")
        return {(line.split()[0], line.split()[4]) for line in table.splitlines()}

    assert_becomes(
        doors, {("tcp", "*:8883"), ("tcp", "127.0.0.1:4369"), ("tcp", "127.0.0.1:25672")})


def test_one_edited_file_and_a_start_deliver_readings(machine: Machine) -> None:
    machine.install_keys()
    machine.edit(configuration(str(machine.board.link)))
    begin = time.monotonic()
    machine.box.run("systemctl", "start", UNIT)
    print(f"READY after {time.monotonic() - begin:.2f} s")
    shown = machine.box.show(UNIT, "ActiveState", "SubState", "Type", "NotifyAccess")
    assert shown["ActiveState"] == "active" and shown["SubState"] == "running"
    machine.wait_flow(3)
    reading = machine.listener.readings()[-1]
    assert reading["gateway"] == GATEWAY and reading["sensor"] == "kitchen"
    assert "clock" not in reading or machine.status()["clock"] == "unsynchronised"


def test_check_says_that_all_is_well(running: Machine) -> None:
    done = running.box.try_run("sensorgw", "check", "--json")
    found = json.loads(done.stdout)
    links = found["links"] if isinstance(found, dict) else found
    broken = [link for link in links if link.get("verdict") == "error"]
    assert not broken and done.returncode == 0, broken


def test_status_answers_whether_it_works(running: Machine) -> None:
    pattern = (
        r"connected to localhost:8883 TLSv1\.3 \S+, 1 of 1 sensors ok, \d+ waiting"
    )
    wait_until(
        lambda: re.fullmatch(pattern, running.box.show(UNIT, "StatusText")["StatusText"]), 10,
        "the status line",
    )  # fmt: skip
    said = running.box.run("sensorgw", "status", user="nobody")
    assert "localhost:8883" in said and "kitchen" in said


def test_ports_are_listed_by_anybody(running: Machine) -> None:
    """/sys shows the host's ports here, and /dev has none of them."""
    assert "No serial port here" in running.box.run("sensorgw", "ports", user="nobody")


def test_journal_has_fields_and_explanations(running: Machine) -> None:
    entry = running.box.journal(f"--unit={UNIT}", "SENSORGW_EVENT=started")[-1]
    assert entry["SYSLOG_IDENTIFIER"] == "sensorgw" and len(entry["MESSAGE_ID"]) == 32
    assert entry["SENSORGW_GATEWAY"] == GATEWAY
    since = running.cursor()
    running.board.unplug()
    lost = running.wait_entry(since, SENSORGW_CAUSE="device-lost")
    explained = running.box.run("journalctl", "--no-pager", "-x", f"MESSAGE_ID={lost['MESSAGE_ID']}")
    assert f"({lost['SENSORGW_CAUSE']})" in explained and "lug it in" in explained
    wait_until(lambda: "0 of 1" in running.box.show(UNIT, "StatusText")["StatusText"], 10, "0 of 1")
    running.board.plug()
    running.wait_flow()


# --- life


def test_a_hang_is_ended_by_the_watchdog(running: Machine) -> None:
    box = running.box
    assert box.show(UNIT, "WatchdogUSec")["WatchdogUSec"] == "30s"
    box.write("/run/systemd/system/sensorgw.service.d/test.conf",
              "[Service]\nWatchdogSec=2\nRestartSec=200ms\n")  # fmt: skip
    box.run("systemctl", "daemon-reload")
    running.restart()
    old = running.main_pid()
    before = int(box.show(UNIT, "NRestarts")["NRestarts"])
    since = running.cursor()
    box.run("kill", "-STOP", old)
    took = box.wait_show(UNIT, "NRestarts", str(before + 1), 20)
    print(f"restarted {took:.1f} s after the hang")
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in box.journal(f"--after-cursor={since}"))
    running.wait_flow()
    assert running.main_pid() != old and not running.listener.faults()
    box.run("rm", "/run/systemd/system/sensorgw.service.d/test.conf")
    box.run("systemctl", "daemon-reload")
    running.restart()


def test_a_crash_is_followed_by_a_start(running: Machine) -> None:
    old = running.main_pid()
    running.box.run("kill", "-KILL", old)
    wait_until(lambda: running.main_pid() not in (0, old), 15, "another process")
    running.wait_flow()
    assert running.box.show(UNIT, "RestartUSec")["RestartUSec"] == "5s"


def test_reload_applies_a_sound_file(running: Machine) -> None:
    pid = running.main_pid()
    since = running.cursor()
    text = configuration(str(running.board.link)).replace("#interval_s = 60;", "interval_s = 20;")
    running.edit(text)
    running.box.run("systemctl", "reload", UNIT)
    running.wait_entry(since, SENSORGW_EVENT="configuration-applied")
    wait_until(
        lambda: running.box.show(UNIT, "ActiveState")["ActiveState"] == "active", 5, "active again"
    )
    running.wait_flow()
    assert running.main_pid() == pid and not running.listener.faults()


def test_reload_refuses_an_unsound_file(running: Machine) -> None:
    pid = running.main_pid()
    since = running.cursor()
    sound = configuration(str(running.board.link))
    running.edit(sound.replace("#keepalive_s = 30;", "keepalive_s = 3;"))
    with pytest.raises(CommandFailed):
        running.box.run("systemctl", "reload", UNIT)
    told = [e for e in running.entries(since) if "keepalive_s" in str(e["MESSAGE"])]
    assert told and not running.entries(since, SENSORGW_EVENT="configuration-applied")
    assert running.box.show(UNIT, "ActiveState")["ActiveState"] == "active"
    running.wait_flow()
    assert running.main_pid() == pid
    running.edit(sound)
    running.box.run("systemctl", "reload", UNIT)


def use_drop_in(machine: Machine, heading: str) -> None:
    machine.box.write("/etc/systemd/system/sensorgw.service.d/test.conf", manual.blocks(heading)[-1])
    machine.box.run("systemctl", "daemon-reload")
    machine.restart()


def remove_drop_in(machine: Machine) -> None:
    machine.box.run("rm", "-r", "/etc/systemd/system/sensorgw.service.d")
    machine.box.run("systemctl", "daemon-reload")
    machine.restart()


def test_a_reload_that_waits(running: Machine) -> None:
    """The drop-in of sensorgw(1) for systemd 253 and later."""
    box = running.box
    version = int(re.search(r"systemd (\d+)", box.run("systemctl", "--version"))[1])
    if version < 253:
        pytest.skip(f"systemd {version} does not know notify-reload")
    use_drop_in(running, "A reload that waits")
    since = running.cursor()
    box.run("systemctl", "reload", UNIT)
    assert running.entries(since, SENSORGW_EVENT="configuration-applied")  # there already
    sound = configuration(str(running.board.link))
    running.edit("nonsense = 1;\n")
    with pytest.raises(CommandFailed):
        box.run("systemctl", "reload", UNIT)
    running.edit(sound)
    box.run("systemctl", "reload", UNIT)
    remove_drop_in(running)


def renew(machine: Machine) -> None:
    """A new key and a new certificate for the same name."""
    machine.pki.key(GATEWAY).unlink()
    machine.pki.certificate(GATEWAY).unlink()
    machine.pki.client(GATEWAY)
    machine.install_keys()


def test_a_renewed_certificate_is_taken_at_the_next_connect(running: Machine) -> None:
    since = running.cursor()
    renew(running)
    running.box.run("rabbitmqctl", "close_all_connections", "test")
    entry = running.wait_entry(since, SENSORGW_EVENT="certificate-replaced")
    assert entry["MESSAGE_ID"]
    running.wait_flow()
    assert not running.listener.faults()


def test_a_renewed_certificate_is_taken_by_reload(running: Machine) -> None:
    since = running.cursor()
    renew(running)
    running.box.run("systemctl", "reload", UNIT)
    running.wait_entry(since, SENSORGW_EVENT="certificate-replaced")
    running.wait_flow()
    assert not running.listener.faults()


def test_keys_can_be_credentials(running: Machine) -> None:
    """As sensorgw(1) says, with a key that is on disk only encrypted."""
    box = running.box
    box.shell(manual.blocks("Keys as credentials")[0].replace("sudo ", ""))
    box.run("mv", "/etc/sensorgw/gateway.key", "/root/gateway.key.kept")
    use_drop_in(running, "Keys as credentials")
    running.wait_flow()
    assert not running.listener.faults()
    box.run("mv", "/root/gateway.key.kept", "/etc/sensorgw/gateway.key")
    remove_drop_in(running)


def test_a_key_of_root_is_set_right_at_boot(running: Machine) -> None:
    """Copied as root's own, it would be unreadable for the service from the next start on."""
    box = running.box
    box.run("chown", "root:root", "/etc/sensorgw/gateway.key")
    box.run("chmod", "0600", "/etc/sensorgw/gateway.key")
    box.run("systemd-tmpfiles", "--create", "sensorgw.conf")
    mode = box.run("stat", "-c", "%a %U:%G", "/etc/sensorgw/gateway.key").strip()
    assert mode == "640 root:sensorgw"


def test_stop_is_quick_and_loses_nothing(running: Machine) -> None:
    box = running.box
    box.run("systemctl", "stop", "rabbitmq-server")  # so that something has to wait
    wait_until(lambda: running.status()["waiting"] >= 2, FLOW_S, "readings to wait")
    since = running.cursor()
    begin = time.monotonic()
    box.run("systemctl", "stop", UNIT)
    took = time.monotonic() - begin
    print(f"stopped in {took:.2f} s")
    assert took < STOP_S
    assert box.show(UNIT, "Result")["Result"] == "success"
    assert running.wait_entry(since, SENSORGW_EVENT="stopped")
    assert not box.path("/run/sensorgw").exists()
    box.run("systemctl", "start", "rabbitmq-server")
    box.run("systemctl", "start", UNIT)
    running.wait_flow(4)
    assert not running.listener.faults()


def test_the_flasher_borrows_the_port_of_the_service(running: Machine) -> None:
    box = running.box
    box.shell("apt-get install -y /root/sensorgw-firmware_*.deb 2>&1")
    refused = box.try_run("sensorgw-flash", running.board.link)
    assert refused.returncode == 1 and "the service sensorgw holds" in refused.stderr
    assert box.show(UNIT, "ActiveState")["ActiveState"] == "active"
    since = running.cursor()
    said = box.run("sensorgw-flash", "--yes", running.board.link)
    print(said)
    order = ["Stopping sensorgw", "Flashing sgw-node.hex", "21.5 °C", "Starting sensorgw again"]
    assert [word for word in order if word in said] == order
    assert sorted(order, key=said.index) == order
    assert running.entries(since, SENSORGW_EVENT="stopped")
    running.wait_flow()
    assert not running.listener.faults()


# --- the sandbox

PROBE = Path(__file__).parent / "sandbox_probe.py"


def test_the_unit_is_sound(running: Machine) -> None:
    box = running.box
    path = box.show(UNIT, "FragmentPath")["FragmentPath"]
    said = box.try_run("systemd-analyze", "verify", "--man=no", path)
    assert said.returncode == 0 and "sensorgw" not in said.stdout + said.stderr, said.stderr
    scored = box.try_run("systemd-analyze", "security", "--threshold=14", UNIT)
    print(scored.stdout.splitlines()[-1])
    assert scored.returncode == 0, scored.stdout
    if box.try_run("udevadm", "verify", "--version").returncode == 0:
        rules = box.run("sh", "-c", "ls /usr/lib/udev/rules.d/70-sensorgw.rules").strip()
        done = box.try_run("udevadm", "verify", "--no-summary", rules)
        assert done.returncode == 0 and not done.stderr, done.stderr


def test_the_process_has_no_privilege(running: Machine) -> None:
    text = running.box.path(f"/proc/{running.main_pid()}/status").read_text()
    status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {0}
    user = running.box.run("id", "-u", "sensorgw").strip()
    assert set(status["Uid"].split()) == {user}
    listening = running.box.run("ss", "-ltunpH")
    assert "sensorgw" not in listening


def test_what_the_sandbox_forbids_and_allows(running: Machine) -> None:
    """Each thing tried, by a program that stands in for the daemon under the very same unit."""
    box = running.box
    box.put(PROBE, "/opt/sandbox_probe.py")
    unit = box.path(box.show(UNIT, "FragmentPath")["FragmentPath"]).read_text()
    unit = re.sub(r"^Exec\w+=.*\n", "", unit, flags=re.M)
    unit = re.sub(r"^(Restart|RestartPreventExitStatus|WatchdogSec|MemoryMax)=.*\n", "", unit, flags=re.M)
    unit = unit.replace("Type=notify", "Type=oneshot\nExecStart=/usr/bin/python3 /opt/sandbox_probe.py")
    unit = unit.replace("RuntimeDirectory=sensorgw", "RuntimeDirectory=sensorgw-probe")
    box.write("/run/systemd/system/sensorgw-probe.service", unit)
    box.write("/home/secret", "x")
    box.write("/root/secret", "x")
    box.write("/tmp/secret", "x")
    box.run("systemctl", "daemon-reload")
    since = running.cursor()
    box.run("systemctl", "start", "sensorgw-probe.service")
    entries = running.of_unit(since, "sensorgw-probe.service")
    lines = [e["MESSAGE"] for e in entries if str(e["MESSAGE"]).startswith(("allowed ", "denied "))]
    print("\n".join(lines))
    wrong = [line for line in lines if line.split()[0] != line.split()[1]]
    assert len(lines) > 30 and not wrong, wrong


def test_the_state_of_the_clock_gets_through(running: Machine) -> None:
    """The unit's ProtectClock= keeps the kernel's answer from the daemon; others may ask."""
    by_timedated = running.box.run("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if by_timedated.strip() == "no":
        assert running.status()["clock"] == "unsynchronised"
        assert running.listener.readings()[-1]["clock"] == "unsynchronised"
    running.box.write("/run/systemd/timesync/synchronized", "")
    wait_until(lambda: running.status()["clock"] == "synchronised", FLOW_S, "the clock's state")
    running.wait_flow()
    assert "clock" not in running.listener.readings()[-1]


def test_it_starts_with_the_machine(running: Machine) -> None:
    """Started by boot, it reads before the broker is there."""
    wanted = running.box.run("systemctl", "list-dependencies", "--plain", "multi-user.target")
    assert UNIT in wanted
    after = running.box.show(UNIT, "After", "Wants")
    assert "network.target" in after["After"].split()
    assert "network-online.target" not in after["After"] + after["Wants"]
