#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A throw-away RabbitMQ node: the shipped configuration, moved to a folder and ports of its own.

As a program it starts one, prints `PORT n` and runs until SIGTERM, SIGINT or the end of its
standard input, then leaves nothing behind:

    rabbitmq.py --pki PKI [--dir DIR] [--gateway NAME]... [--consumer NAME]...
"""

import argparse
import os
import random
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from waiting import wait_until

SHIPPED = Path(__file__).parents[2] / "conf" / "rabbitmq"
BIN = Path("/usr/lib/rabbitmq/bin")  # those in /usr/sbin insist on the user rabbitmq
INSTALLED = BIN.parent / "lib"  # one folder rabbitmq_server-VERSION

GATEWAY, CONSUMER = "kitchen-pi", "dashboard"

START_S = 120  # about 10 s on an idle machine
STOP_S = 30  # about 6 s
COMMAND_S = 60

# One block for each node: MQTT, distribution, epmd, AMQP or spare, management, then rabbitmqctl's.
PORTS = 16
CTL_PORTS = range(5, PORTS)

SESSION = ("client_id", "user", "ssl_protocol", "ssl_cipher")


class BrokerFailed(Exception):
    """The node did not start, or a command was refused; the text is what it said."""


def version() -> tuple[int, ...]:
    """Of the RabbitMQ that is installed: (3, 10, 8) or (4, 0, 5)."""
    (folder,) = INSTALLED.glob("rabbitmq_server-*")
    return tuple(map(int, folder.name.split("-")[1].split(".")))


def free_block() -> int:
    """The first of PORTS free ports in a row, below those that outgoing connections take."""
    for _ in range(200):
        base = random.randrange(20000, 32000, PORTS)
        if all(is_free(base + i) for i in range(PORTS)):
            return base
    raise BrokerFailed("no free block of ports on loopback")


def check_localhost() -> None:
    """RabbitMQ says it in 300 lines. A root made by debootstrap has no /etc/hosts."""
    try:
        socket.gethostbyname("localhost")
    except OSError:
        raise BrokerFailed("this machine does not know localhost: /etc/hosts needs the line"
                           " '127.0.0.1 localhost'") from None


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def with_settings(text: str, settings: Mapping[str, str | None]) -> str:
    """Replaces keys of a rabbitmq.conf. None takes out the key and all those under it."""
    kept = []
    for line in text.splitlines():
        key = line.split("=")[0].strip()
        taken_out = [k for k, v in settings.items() if v is None and (key + ".").startswith(k + ".")]
        if not taken_out and key not in settings:
            kept.append(line)
    added = [f"{key} = {value}" for key, value in settings.items() if value is not None]
    return "\n".join([*kept, *added, ""])


def plugins_of(text: str) -> list[str]:
    """Those that a file of settings says it needs."""
    return [word for line in text.splitlines() if line.startswith("# plugins:")
            for word in line.split()[2:]]


class RabbitMQ:
    """One node. start() and restart() keep its data, close() ends it and removes the folder.

    variants   files of conf/rabbitmq/variants, by name; one of tls-* takes the place of tls.conf
    settings   keys of rabbitmq.conf to add, replace or (None) take out; taken at each start
    plugins    enabled beside the shipped ones; taken at each start
    archives   users that may read the queue
    """

    host = "localhost"

    def __init__(
        self,
        pki: Path,
        folder: Path | None = None,
        gateways: Iterable[str] = (GATEWAY,),
        consumers: Iterable[str] = (CONSUMER,),
        certificate: str = "localhost",
        settings: Mapping[str, str | None] | None = None,
        plugins: Iterable[str] = (),
        variants: Iterable[str] = (),
        archives: Iterable[str] = (),
    ):
        self.pki = Path(pki).resolve()
        self.folder = Path(folder or tempfile.mkdtemp(prefix="sensorgw-rabbitmq-")).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.users = {"gateway": list(gateways), "consumer": list(consumers),
                      "archive": list(archives)}
        self.variants = list(variants)
        self.certificate = certificate
        self.settings = dict(settings or {})
        self.plugins = list(plugins)
        self.base = free_block()
        self.port = self.base
        self.spare_port = self.amqps_port = self.base + 3
        self.management_port = self.base + 4
        self.log = self.folder / "log" / "rabbit.log"
        self._epmd: subprocess.Popen | None = None
        self._server: subprocess.Popen | None = None
        self._make_cookie()

    def __enter__(self) -> "RabbitMQ":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- life

    def start(self) -> None:
        """Returns when the node takes connections: users and permissions are loaded by then."""
        check_localhost()
        self._write_configuration()
        if self._epmd is None:
            self._start_epmd()
        seen = len(self.log_text())
        # A session of its own, so that the whole of it can be ended by its number.
        with (self.folder / "log" / "console.log").open("a") as console:
            self._server = subprocess.Popen(
                [BIN / "rabbitmq-server"],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

        # The MQTT port opens before the users are loaded: only this line means ready.
        def ready() -> bool:
            if self._server.poll() is not None:
                raise BrokerFailed(f"RabbitMQ did not start:\n{self._last_words()}")
            return "Server startup complete" in self.log_text()[seen:]

        try:
            wait_until(ready, START_S, "RabbitMQ to start")
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ends the node as a shutdown does; the data stay."""
        if self._server is None:
            return
        self._server.terminate()
        try:
            self._server.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            pass
        self.kill()

    def kill(self) -> None:
        """Ends the node as a power cut does; the data stay."""
        if self._server is not None:
            end_session(self._server)
        self._server = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()
        if self._epmd is not None:
            end_session(self._epmd)
        self._epmd = None
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The Erlang machine itself: the one to freeze or to measure."""
        return int((self.folder / "pid").read_text())

    def pids(self) -> set[int]:
        """All processes of the node, its port mapper among them."""
        leaders = [one.pid for one in (self._server, self._epmd) if one]
        return {pid for leader in leaders for pid in session_members(leader)}

    # --- questions and orders

    def ctl(self, *arguments: str, program: str = "rabbitmqctl") -> str:
        """Runs rabbitmqctl, or another of its family, against this node."""
        done = subprocess.run(
            [BIN / program, "--quiet", *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        if done.returncode != 0:
            raise BrokerFailed(f"{program} {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def provision(self, *words: str) -> str:
        """Runs conf/rabbitmq/provision on this node's own definitions."""
        done = subprocess.run(
            [SHIPPED / "provision", "--file", self.folder / "definitions.json",
             "--host", self.host, "--port", str(self.port), *words],
            env=self._environment(), cwd=self.folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=5 * COMMAND_S,  # it runs rabbitmqctl so often
        )
        if done.returncode != 0:
            raise BrokerFailed(done.stderr)
        return done.stdout

    def queues(self) -> dict[str, int]:
        """Messages in each queue, by name."""
        table = self.ctl("list_queues", "--no-table-headers", "name", "messages")
        return {name: int(n) for name, n in (line.split("\t") for line in table.splitlines())}

    def sessions(self) -> list[dict[str, str]]:
        """Who is connected by MQTT, and how: SESSION of each."""
        if version() < (4,):
            table = self.ctl("list_mqtt_connections", "--no-table-headers", *SESSION)
            rows = [line.split("\t") for line in table.splitlines()]
        else:  # its list_mqtt_connections fails where a listener has an address of its own
            items = ", ".join(SESSION)
            said = self.ctl("eval", f"""
                [lists:flatten([io_lib:format("~s ", [Value])
                                || {{_, Value}} <- rabbit_mqtt_reader:info(Pid, [{items}])])
                 || Pid <- rabbit_mqtt:local_connection_pids()].""")
            rows = [line.split() for line in re.findall(r'"([^"]*)"', said)]
        return [dict(zip(SESSION, row, strict=True)) for row in rows]

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_for_log(self, text: str, timeout: float = 10, since: int = 0) -> None:
        """Waits until `text` stands in the log, after its first `since` characters."""
        wait_until(lambda: text in self.log_text()[since:], timeout, f"{text!r} in RabbitMQ's log")

    # --- the shipped files, moved here

    def _write_configuration(self) -> None:
        settings = {
            "mqtt.listeners.ssl": None,
            "mqtt.listeners.ssl.1": f"127.0.0.1:{self.port}",
            "ssl_options.cacertfile": str(self.pki / "ca.pem"),
            "ssl_options.certfile": str(self.pki / f"{self.certificate}.pem"),
            "ssl_options.keyfile": str(self.pki / f"{self.certificate}.key"),
            "load_definitions": str(self.folder / "definitions.json"),
            "disk_free_limit.absolute": "50MB",
        }
        if "amqps" in self.variants:
            settings |= {"listeners.ssl.default": None,
                         "listeners.ssl.1": f"127.0.0.1:{self.amqps_port}"}
        if "management" in self.variants:
            settings |= {
                "management.ssl.ip": "127.0.0.1",
                "management.ssl.port": str(self.management_port),
                "management.ssl.cacertfile": settings["ssl_options.cacertfile"],
                "management.ssl.certfile": settings["ssl_options.certfile"],
                "management.ssl.keyfile": settings["ssl_options.keyfile"],
            }
        if "oauth2" in self.variants:
            settings["auth_oauth2.signing_keys.issuer"] = str(self.pki / "issuer.pem")
        shipped = self._shipped_settings()
        text = with_settings(with_settings(shipped, settings), self.settings)
        if "/etc/" in "".join(line for line in text.splitlines() if not line.startswith("#")):
            raise BrokerFailed("the shipped files name a file that is not replaced here")
        (self.folder / "rabbitmq.conf").write_text(text)

        plugins = (SHIPPED / "enabled_plugins").read_text().strip().strip("[].").split(",")
        plugins += [*plugins_of(shipped), *self.plugins]
        (self.folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")

        definitions = self.folder / "definitions.json"
        if not definitions.exists():
            shutil.copy(SHIPPED / "definitions.json", definitions)
            for role, names in self.users.items():
                if names:
                    self.provision("--file-only", role, *names)

        env = (SHIPPED / "rabbitmq-env.conf").read_text()
        node = f"NODENAME=sensorgw-{self.base}@localhost"
        (self.folder / "rabbitmq-env.conf").write_text(env.replace("NODENAME=rabbit@localhost", node))
        (self.folder / "log").mkdir(exist_ok=True)

    def _shipped_settings(self) -> str:
        """rabbitmq.conf and what belongs in conf.d, in one: the later line of a key counts."""
        tls = [name for name in self.variants if name.startswith("tls-")]
        files = [SHIPPED / "tls.conf"] if not tls else []
        files += [SHIPPED / "variants" / f"{name}.conf" for name in self.variants]
        text = (SHIPPED / "rabbitmq.conf").read_text()
        for file in files:
            added = file.read_text()
            keys = {line.split("=")[0].strip() for line in added.splitlines() if line[:1] not in "#"}
            text = with_settings(text, {key: None for key in keys if key}) + added
        return text

    def _make_cookie(self) -> None:
        home = self.folder / "home"
        home.mkdir(mode=0o700, exist_ok=True)
        cookie = home / ".erlang.cookie"
        if not cookie.exists():
            cookie.touch(mode=0o600)
            cookie.write_text(secrets.token_hex(20))
            cookie.chmod(0o400)

    def _environment(self) -> dict[str, str]:
        folder = self.folder
        inherited = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))
        }
        return inherited | {
            "HOME": str(folder / "home"),
            "PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_BASE": str(folder),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "schema"),
            "RABBITMQ_SCHEMA_DIR": str(folder / "schema"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": str(self.log),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_DIST_PORT": str(self.base + 1),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(self.base + CTL_PORTS[0]),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(self.base + CTL_PORTS[-1]),
            "ERL_EPMD_PORT": str(self.base + 2),
            "ERL_CRASH_DUMP": str(folder / "log" / "erl_crash.dump"),
            "ERL_MAX_PORTS": "4096",  # by default a table for 65536, which every start must clear
        }

    def _start_epmd(self) -> None:
        """Ours, in the foreground: one started by the node would outlive it under no known pid."""
        port = self.base + 2
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(port), "-address", "127.0.0.1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(lambda: is_open(port), 10, "epmd")

    def _last_words(self) -> str:
        console = (self.folder / "log" / "console.log").read_text(errors="replace")
        return "\n".join([*console.splitlines()[-30:], *self.log_text().splitlines()[-30:]])


def end_session(leader: subprocess.Popen) -> None:
    """Kills every process of the session that `leader` began, and waits until they are gone.

    By number, found in /proc. The leader comes last: it is the others' parent and takes their
    exit status. Erlang's own helpers are in other sessions and end when their node does.
    """
    patience = time.monotonic() + 2

    def kill_members() -> bool:
        members = session_members(leader.pid)
        if members != [leader.pid] and time.monotonic() < patience:
            members = [pid for pid in members if pid != leader.pid]
        for pid in members:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return leader.poll() is not None and not members

    wait_until(kill_members, STOP_S, f"the processes of session {leader.pid} to end")


def session_members(session: int) -> list[int]:
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat") as stat:
                state, _, _, its_session = stat.read().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(its_session) == session and state not in "ZX":
            members.append(int(entry))
    return members


def main() -> int:
    parser = argparse.ArgumentParser(description="a throw-away RabbitMQ on loopback")
    parser.add_argument("--pki", type=Path, required=True, help="folder made by sensorgw-pki")
    parser.add_argument("--dir", type=Path, help="folder for its files, removed at the end")
    parser.add_argument("--gateway", action="append", help=f"user that publishes ({GATEWAY})")
    parser.add_argument("--consumer", action="append", help=f"user that reads ({CONSUMER})")
    arguments = parser.parse_args()

    # Ended like by an exception, so that the folder goes whenever the signal comes.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    broker = RabbitMQ(
        arguments.pki,
        arguments.dir,
        gateways=arguments.gateway or (GATEWAY,),
        consumers=arguments.consumer or (CONSUMER,),
    )
    with broker:
        try:
            broker.start()
        except (BrokerFailed, TimeoutError) as error:
            print(f"rabbitmq.py: {error}", file=sys.stderr)
            return 1
        print(f"PORT {broker.port}", flush=True)
        while True:
            select.select([sys.stdin], [], [])
            if not os.read(sys.stdin.fileno(), 4096):
                return 0


if __name__ == "__main__":
    sys.exit(main())
