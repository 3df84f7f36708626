# SPDX-License-Identifier: MIT
"""sensorgw config: what a person sees who edits the configuration wrongly, and rightly."""

import os
import subprocess
from pathlib import Path

import pytest

from pki import Pki

BROKERS = 'brokers = ( { host = "broker.example"; } );\n'
TLS = 'tls: { certificate = "absent.pem"; key = "absent.key"; };\n'
SENSORS = 'sensors = ( { name = "kitchen"; device = "/dev/ttyACM0"; } );\n'
SOUND = BROKERS + TLS + SENSORS

EXAMPLE = Path(__file__).parents[2] / "conf" / "sensorgw.conf"

# A file's mode holds for root as well then.
BLIND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []

EXIT_USAGE = 2
EXIT_CONFIG = 78


@pytest.fixture
def sensorgw(build: Path, tmp_path: Path):
    """Runs it in a folder of its own, outside the journal and without credentials."""
    environment = {"PATH": os.environ["PATH"]}

    def run(
        *arguments: object, text: str | None = None, blind: bool = False
    ) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*(BLIND if blind else []), build / "daemon" / "sensorgw", *map(str, arguments)],
            input=text,
            capture_output=True,
            text=True,
            timeout=20,
            cwd=tmp_path,
            env=environment,
        )

    return run


@pytest.fixture
def load(sensorgw, tmp_path: Path):
    """Runs `sensorgw config` on a text."""

    def run(text: str, *arguments: str, blind: bool = False) -> subprocess.CompletedProcess:
        path = tmp_path / "sensorgw.conf"
        path.write_text(text)
        return sensorgw("config", "-c", path, *arguments, blind=blind)

    return run


def in_tls(setting: str) -> str:
    return BROKERS + f'tls: {{ certificate = "c"; key = "k"; {setting} }};\n' + SENSORS


def in_sensor(setting: str) -> str:
    return BROKERS + TLS + f'sensors = ( {{ name = "a"; device = "/dev/a"; {setting} }} );\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (SOUND + 'gatway = "x";', 4, "unknown key gatway, did you mean gateway?"),
        (SOUND + "mqtt: { keepalive = 5; };", 4, "did you mean mqtt.keepalive_s?"),
        (SOUND + "mqtt: {\n keepalive_s = 3;\n};", 5, "must be between 5 and 65535 s, is 3"),
        (SOUND + 'mqtt: { keepalive_s = "30"; };', 4, "must be a whole number"),
        (SOUND + 'mqtt: { topic = "sensors"; };', 4, "mqtt.topic must hold {sensor} once"),
        (SOUND + "mqtt: { retain = true; };", 4, "readings are never retained"),
        (SOUND + 'mqtt: { password = "x"; };', 4, "secrets do not stand in this file"),
        (SOUND + 'mqtt: { password_file = "x"; };', 4, "is set without mqtt.username"),
        (SOUND + "mqtt: { tls = false; };", 4, "TLS has no switch"),
        ('brokers = ( { host = ""; } );\n' + TLS + SENSORS, 1, "brokers[0].host is not filled in"),
        ('brokers = ( { host = "mqtt://b"; } );\n' + TLS + SENSORS, 1, "without mqtt://"),
        (TLS + SENSORS + 'brokers = ( { host = "b"; port = 4294976179; } );', 3, "is larger than"),
        (TLS + SENSORS + 'brokers = ( { host = "b"; port = 0; } );', 3, "between 1 and 65535"),
        (TLS + BROKERS + "sensors = ();", 3, "sensors is empty: at least one is needed"),
        (in_tls('cipher = "x";'), 2, "did you mean tls.ciphers?"),
        (in_tls('ciphers = "RC4-MD5";'), 2, '"RC4-MD5" is no cipher'),
        (in_tls('ciphers = "TLS_AES_128_GCM_SHA256";'), 2, "it goes into tls.ciphersuites"),
        (in_tls('version = "1.1";'), 2, 'must be one of "1.2", "1.3", "1.2-1.3", is "1.1"'),
        (in_tls("verify = false;"), 2, "verification cannot be switched off"),
        (in_tls('version = "1.3"; ciphers = "AES128-SHA";'), 2, "are for TLS 1.2"),
        (BROKERS + 'tls: { key = "k"; };\n' + SENSORS, 2, "is set without tls.certificate"),
        (BROKERS + SENSORS + "tls: { };", 3, "the broker could not know us"),
        (BROKERS + SENSORS + "tls = false;", 3, "TLS has no switch"),
        (in_sensor("baud = 1234;"), 3, "must be a speed that serial ports have"),
        (in_sensor('driver = "spi";'), 3, 'there is no driver "spi"'),
        (in_sensor('nodes = ( { id = 2; name = "a"; } );'), 3, "would publish under one name"),
        (SOUND + 'spool: { path = "spool.db"; };', 4, "spool.path must be a whole path"),
        (SOUND + 'spool: { durability = "yes"; };', 4, 'one of "power", "crash", "outage"'),
        (SOUND + "reconnect: { min_s = 90; };", 4, "is more than reconnect.max_s (60 s)"),
        (SOUND + '@include "more.conf"', 4, "@include is not accepted"),
        (SOUND + "gateway = kitchen;", 4, "texts stand in quotes"),
        (SOUND + 'gateway = "kitchen;', 4, "a text is not closed"),
        (SOUND + "spool: {\n window = 3;\n", 4, "is never closed with }"),
        (SOUND + BROKERS, 4, "this key is set a second time"),
    ],
)
def test_an_error_is_named_with_its_line(load, text: str, line: int, said: str) -> None:
    done = load(text)

    assert done.returncode == EXIT_CONFIG, done.stderr
    assert done.stdout == ""
    assert any(
        f"sensorgw.conf:{line}: " in entry and said in entry for entry in done.stderr.splitlines()
    ), done.stderr


def test_all_errors_are_told_at_once(load) -> None:
    done = load(SOUND + "mqtt: { keepalive_s = 0; retian = 1; };\nspool: { window = 0; };\n")

    assert done.returncode == EXIT_CONFIG
    assert len(done.stderr.splitlines()) == 3, done.stderr


def test_a_missing_certificate_is_no_error_of_the_configuration(load) -> None:
    done = load(SOUND, "--quiet")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_certificate_that_is_not_ours_to_read_is_said(load, tmp_path: Path) -> None:
    """It names the gateway, and without it another name would be shown in silence."""
    pki = Pki(tmp_path / "pki")
    pki.client("kitchen-pi")
    text = SOUND.replace("absent.pem", str(pki.certificate("kitchen-pi")))
    read = load(text)
    assert 'gateway = "kitchen-pi";' in read.stdout and read.stderr == ""

    pki.certificate("kitchen-pi").chmod(0)
    denied = load(text, blind=True)
    assert denied.returncode == 0 and 'gateway = "kitchen-pi";' not in denied.stdout
    assert "use sudo" in denied.stderr and f"PATH={pki.certificate('kitchen-pi')}" in denied.stderr

    assert load('gateway = "attic-pi";\n' + text, blind=True).stderr == ""
    assert load(text, "--quiet", blind=True).stderr == ""


def test_a_missing_configuration_is_mended_by_writing_one(sensorgw, tmp_path: Path) -> None:
    done = sensorgw("config", "-c", tmp_path / "absent.conf")

    assert done.returncode == EXIT_CONFIG
    assert "there is no such file" in done.stderr


def test_what_it_prints_it_reads_back(load, sensorgw) -> None:
    first = load(SOUND + "mqtt: { keepalive_s = 45; };\n")
    again = sensorgw("config", "-c", "/dev/stdin", text=first.stdout)

    def values(text: str) -> list[str]:
        return [line.split("#")[0].rstrip() for line in text.splitlines()]

    assert first.returncode == again.returncode == 0, first.stderr + again.stderr
    assert values(first.stdout) == values(again.stdout)
    assert "    keepalive_s = 45;\n" in first.stdout
    assert "    max_mb = 64;  # default\n" in first.stdout


def test_the_shipped_file_wants_three_lines(sensorgw, load) -> None:
    unedited = sensorgw("config", "-c", EXAMPLE)

    assert unedited.returncode == EXIT_CONFIG
    assert len(unedited.stderr.splitlines()) == 1, unedited.stderr
    for key in "brokers[0].host", "sensors[0].name", "sensors[0].device":
        assert f"({key})" in unedited.stderr

    edited = EXAMPLE.read_text()
    for value in "broker.example", "kitchen", "/dev/ttyACM0":
        edited = edited.replace('= "";', f'= "{value}";', 1)
    done = load(edited)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_mentions_every_command(sensorgw) -> None:
    helped = sensorgw("--help")

    assert helped.returncode == 0
    for word in "run", "status", "check", "monitor", "ports", "config", "version":
        assert word in helped.stdout
        assert sensorgw(word, "--help").stdout == helped.stdout


def test_the_version_names_the_libraries(sensorgw) -> None:
    done = sensorgw("--version")

    assert done.stdout.startswith("sensorgw ")
    for library in "OpenSSL", "libmosquitto", "SQLite", "libconfig":
        assert library in done.stdout
    assert sensorgw("version").stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["stauts"], "did you mean 'status'?"),
        (["frobnicate"], "'sensorgw help' lists them"),
        (["config", "--frobnicate"], "usage: sensorgw config"),
        (["config", "-c"], "usage: sensorgw config"),
        (["config", "more"], "usage: sensorgw config"),
    ],
)
def test_wrong_usage_says_what_is_right(sensorgw, arguments: list[str], said: str) -> None:
    done = sensorgw(*arguments)

    assert done.returncode == EXIT_USAGE
    assert said in done.stderr
