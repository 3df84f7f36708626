# SPDX-License-Identifier: MIT
"""The daemon under test: configured, started, watched and ended, in a folder of its own."""

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from board import build_folder
from pki import Pki
from rabbitmq import GATEWAY
from waiting import wait_until

STOP_S = 5  # what the daemon promises
WAIT_S = 30

EX_CONFIG = 78

FIELD = r' [A-Z][A-Z0-9_]*=(?:"[^\n]*?"|[^\s"=]*)'
ENTRY = re.compile(rf"<(?P<priority>\d)>(?P<sentence>.*?)(?P<fields>(?:{FIELD})*)")

COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:")


@dataclass(frozen=True)
class Entry:
    """One line of the log: `<4>sentence KEY=value KEY="several words"`."""

    priority: int
    sentence: str
    fields: dict[str, str]

    @classmethod
    def parse(cls, line: str) -> "Entry | None":
        found = ENTRY.fullmatch(line)
        if not found:
            return None
        pairs = (field[1:].split("=", 1) for field in re.findall(FIELD, found["fields"]))
        fields = {key: value.removeprefix('"').removesuffix('"') for key, value in pairs}
        return cls(int(found["priority"]), found["sentence"], fields)

    def has(self, fields: Mapping[str, str]) -> bool:
        return all(self.fields.get(key) == value for key, value in fields.items())


def written(value: Any) -> str:
    """A value in libconfig's notation."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        items = {key: item for key, item in value.items() if item is not None}
        return "{ " + " ".join(f"{key} = {written(item)};" for key, item in items.items()) + " }"
    if isinstance(value, (str, Path)):
        return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Iterable):
        return "( " + ", ".join(map(written, value)) + " )"
    return str(value)


def executable(build: Path) -> Path:
    return build / "daemon/sensorgw"


class Gateway:
    """
    One daemon. Its files are in `folder`: NAME.conf, NAME.log (what it says, over all its lives),
    NAME-run/state.json, and the spool.

        with Gateway(tmp_path, pki, broker.port, {"kitchen": board.link}) as gateway:
            gateway.wait_online()

    sensors    name -> device, or name -> { key: value } of the configuration
    settings   groups and keys to add to the configuration: tls={"version": "1.3"}
    wrapper    a command to run it under, such as valgrind: it must keep the process id
    build      the build tree, if not $SENSORGW_BUILD

    Leaving the `with` ends the daemon by SIGTERM, and fails unless it exits with 0 in time and has
    had nothing to say of memory errors.
    """

    def __init__(
        self,
        folder: Path,
        pki: Pki,
        port: int,
        sensors: Mapping[str, Path | str | Mapping[str, Any]],
        name: str = GATEWAY,
        file_name: str = "sensorgw",
        wrapper: Iterable[str] = (),
        build: Path | None = None,
        stop_s: float = STOP_S,
        **settings: Any,
    ) -> None:
        self.name = name
        self.spool = folder / "spool.db"
        self.configuration = folder / f"{file_name}.conf"
        self.log = folder / f"{file_name}.log"
        self.runtime = folder / f"{file_name}-run"
        self.runtime.mkdir(exist_ok=True)
        self.stop_s = stop_s
        self._executable = executable(build or build_folder())
        self._wrapper = list(wrapper)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_begin = 0  # of the present life
        self._document: dict[str, Any] = {
            "brokers": [{"host": "localhost", "port": port}],
            "tls": {"ca": pki.ca, "certificate": pki.certificate(name), "key": pki.key(name)},
            "spool": {"path": self.spool},
            "sensors": [
                {"name": sensor} | (dict(of) if isinstance(of, Mapping) else {"device": of})
                for sensor, of in sensors.items()
            ],
        }
        self.configure(**settings)

    def __enter__(self) -> "Gateway":
        self.start()
        return self

    def __exit__(self, kind: type | None, *_: object) -> None:
        if kind is None:
            self.stop()
            return
        print(f"--- {self.log}\n{self.log_text()}--- {self.state()}")
        self.kill()

    # --- life

    def configure(self, **settings: Any) -> None:
        """
        Adds to the configuration's groups, replaces other keys, and writes the file. None takes
        out the key of a group.
        """
        for key, value in settings.items():
            if isinstance(value, Mapping):
                both = {**self._document.get(key, {}), **value}
                value = {name: item for name, item in both.items() if item is not None}
            self._document[key] = value
        lines = [f"{key} = {written(value)};\n" for key, value in self._document.items()]
        self.configuration.write_text("".join(lines))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns when it reads its sensors; the broker may be away."""
        self.launch()
        self.wait_for_entry("started")

    def launch(self) -> None:
        """Only starts the process."""
        assert self._process is None, "already started"
        self._log_begin = len(self.log_text())
        with self.log.open("ab") as log:
            # It ends with this process, whatever happens to it.
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", *self._wrapper, self._executable, "run",
                 "-c", self.configuration],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def reload(self) -> None:
        os.kill(self.pid, signal.SIGHUP)

    def stop(self) -> None:
        """Ends it as systemd does. Does nothing if it has ended already."""
        if self._process is None:
            return
        self._process.terminate()
        assert self.wait_for_exit(self.stop_s) == 0, self.log_text()

    def wait_for_exit(self, timeout: float = WAIT_S) -> int:
        """Waits until it has ended by itself; returns its exit status."""
        assert self._process is not None
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._process = None
        complaint = COMPLAINTS.search(self.log_text())
        assert complaint is None, self.log_text()[complaint.start() :]
        return status

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs another sensorgw beside it."""
        return subprocess.run(
            [self._executable, *words],
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )

    # --- what it says

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def entries(self, sentence: str = "", **fields: str) -> list[Entry]:
        """Entries of the present life with `sentence` in theirs, and these fields."""
        lines = self.log_text()[self._log_begin :].splitlines()
        entries = filter(None, map(Entry.parse, lines))
        return [entry for entry in entries if sentence in entry.sentence and entry.has(fields)]

    def wait_for_entry(
        self, sentence: str = "", timeout: float = WAIT_S, count: int = 1, **fields: str
    ) -> Entry:
        """Waits for the first such entry, or that of this number."""
        what = " ".join([sentence, *(f"{key}={value}" for key, value in fields.items())])

        def found() -> list[Entry]:
            entries = self.entries(sentence, **fields)
            return entries[count - 1 : count] or self._must_run()

        return wait_until(found, timeout, f"the entry {what!r}")[0]

    def state(self) -> dict[str, Any]:
        """Its state.json, {} if there is none."""
        try:
            return json.loads((self.runtime / "state.json").read_text())
        except FileNotFoundError:
            return {}

    def wait_state(
        self,
        predicate: Callable[[dict[str, Any]], object],
        timeout: float = WAIT_S,
        what: str = "a state",
    ) -> dict[str, Any]:
        def found() -> dict[str, Any]:
            state = self.state()
            return state if state and predicate(state) else self._must_run()

        try:
            return wait_until(found, timeout, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it is {self.state()}") from None

    def wait_online(self, timeout: float = WAIT_S) -> dict[str, Any]:
        return self.wait_state(lambda state: state["link"] == "online", timeout, "the connection")

    def wait_open(self, device: Path | None = None, timeout: float = WAIT_S) -> None:
        """Waits until it has opened the port, or any: what was written before is thrown away."""
        fields = {"DEVICE": str(device)} if device else {}
        self.wait_for_entry("is open at", timeout, **fields)

    def wait_sensor(
        self, name: str, state: str, cause: str | None = None, timeout: float = WAIT_S
    ) -> dict[str, Any]:
        """Returns the sensor's part of the state."""

        def is_so(whole: dict[str, Any]) -> bool:
            sensor = whole["sensors"].get(name, {})
            return (sensor.get("state"), sensor.get("cause")) == (state, cause)

        return self.wait_state(is_so, timeout, f"{name} to be {state}, {cause}")["sensors"][name]

    # --- what the kernel says of it

    def rss_anon_kib(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)[1])

    def wakeups(self) -> int:
        """How often one of its threads has waited, since it started."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        texts = [(task / "status").read_text() for task in tasks]
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", t, re.M)[1]) for t in texts)

    def _must_run(self) -> Any:
        """Nothing, or an exception if the daemon is no more: waiting for it is in vain."""
        if self._process is None or self._process.poll() is not None:
            status = self._process.returncode if self._process else None
            raise AssertionError(f"the daemon has ended ({status}):\n{self.log_text()}")
        return None

    def _environment(self) -> dict[str, str]:
        own = {
            "RUNTIME_DIRECTORY": str(self.runtime),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "detect_stack_use_after_return=1"),
            "UBSAN_OPTIONS": os.environ.get(
                "UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1"
            ),
        }
        service = ("CREDENTIALS_DIRECTORY", "JOURNAL_STREAM", "NOTIFY_SOCKET", "SENSORGW_DEBUG",
                   "WATCHDOG_PID", "WATCHDOG_USEC", "NO_COLOR")
        return {key: value for key, value in os.environ.items() if key not in service} | own
