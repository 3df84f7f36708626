# SPDX-License-Identifier: MIT
"""pki/sensorgw-pki: what it makes, what it refuses, and that it leaves no half files."""

import os
import pty
import select
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from waiting import wait_until

TOOL = Path(__file__).parents[2] / "pki" / "sensorgw-pki"


def pki(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TOOL, "-d", folder, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        **options,
    )


def made(folder: Path, *arguments: str) -> str:
    done = pki(folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(folder: Path, *arguments: str) -> str:
    before = sorted(folder.rglob("*"))
    done = pki(folder, *arguments)
    assert done.returncode != 0, done.stdout
    assert sorted(folder.rglob("*")) == before, "a refusal leaves the folder as it was"
    return done.stderr


def openssl(*arguments) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def typed_at(command: list) -> Iterator[tuple[subprocess.Popen, int]]:
    """Runs a command on a terminal of its own; gives the process and the keyboard's side."""
    keyboard, terminal = pty.openpty()
    # A suite that runs in the background has Ctrl-C ignored, and hands that on.
    heard = ["env", "--default-signal=INT"]
    tool = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *heard, *command],
        stdin=terminal, stdout=terminal, stderr=terminal,
    )
    os.close(terminal)
    try:
        yield tool, keyboard
    finally:
        os.close(keyboard)  # hangs up whatever still runs there
        tool.wait(timeout=10)


def read_prompt(keyboard: int) -> bytes:
    seen = b""

    def asked() -> bytes:
        nonlocal seen
        if select.select([keyboard], [], [], 0)[0]:
            seen += os.read(keyboard, 4096)
        return seen if seen.endswith(b": ") else b""

    return wait_until(asked, 10, "a prompt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path / "pki", "init", "--no-passphrase")
    return tmp_path / "pki"


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_everything_verifies_for_its_purpose_and_no_other(tmp_path, kind):
    made(tmp_path, "init", "--no-passphrase", *(["--rsa"] if kind == "rsa" else []))
    made(tmp_path, "broker", "localhost")
    made(tmp_path, "client", "kitchen-pi")

    for name, purpose, other in (
        ("localhost", "sslserver", "sslclient"),
        ("kitchen-pi", "sslclient", "sslserver"),
    ):
        verify = ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", "-x509_strict", "-purpose"]
        certificate = tmp_path / f"{name}.pem"
        assert subprocess.run([*verify, purpose, certificate], timeout=30).returncode == 0
        assert subprocess.run([*verify, other, certificate], timeout=30).returncode != 0

        text = openssl("x509", "-in", certificate, "-noout", "-text")
        assert ("rsaEncryption" in text) == (kind == "rsa")
        for extension in ("Subject Key Identifier", "Authority Key Identifier", "CA:FALSE"):
            assert extension in text
    made(tmp_path, "verify")


def test_one_certificate_may_have_an_rsa_key_while_the_ca_has_none(folder):
    made(folder, "broker", "--rsa", "localhost")
    assert "rsaEncryption" in openssl("x509", "-in", folder / "localhost.pem", "-noout", "-text")
    assert "id-ecPublicKey" in openssl("x509", "-in", folder / "ca.pem", "-noout", "-text")
    made(folder, "verify")


def test_keys_are_for_the_owner_only(folder):
    made(folder, "client", "kitchen-pi")
    assert mode(folder / "ca.key") == 0o600
    assert mode(folder / "kitchen-pi.key") == 0o600
    assert mode(folder / "kitchen-pi.pem") == 0o644


def test_a_broker_gets_names_and_addresses_by_their_form(folder):
    made(folder, "broker", "broker.example", "10.example", "192.0.2.10", "2001:db8::1")
    text = openssl("x509", "-in", folder / "broker.example.pem", "-noout", "-ext", "subjectAltName")
    for name in ("DNS:broker.example", "DNS:10.example", "IP Address:192.0.2.10"):
        assert name in text
    assert "IP Address:2001:DB8:0:0:0:0:0:1" in text


def test_a_client_prints_the_lines_that_install_it(folder):
    lines = made(folder, "client", "kitchen-pi")
    assert "sudo install -m 0640 -g sensorgw ca.pem /etc/sensorgw/ca.pem" in lines
    assert "sudo install -m 0640 -g sensorgw kitchen-pi.pem /etc/sensorgw/gateway.pem" in lines
    assert "sudo install -m 0640 -g sensorgw kitchen-pi.key /etc/sensorgw/gateway.key" in lines
    assert "conf/node-red/README.md" in lines, "a consumer's files go elsewhere"


def test_a_renewed_certificate_comes_with_the_lines_of_its_machine(folder):
    made(folder, "broker", "localhost")
    made(folder, "client", "kitchen-pi")

    broker = made(folder, "renew", "localhost")
    assert "sudo install -m 0640 -g rabbitmq localhost.pem /etc/rabbitmq/tls/broker.pem" in broker
    assert "sudo systemctl restart rabbitmq-server" in broker and "/etc/sensorgw" not in broker

    client = made(folder, "renew", "kitchen-pi")
    assert "If it is a gateway's, there" in client and "rabbitmq" not in client
    assert "sudo install -m 0640 -g sensorgw kitchen-pi.pem /etc/sensorgw/gateway.pem" in client


@pytest.mark.parametrize("name", ["a.b", "a/b", "+", "#", "*", "_a", "", "a b", "ä", "x" * 65, "ca"])
def test_a_client_name_that_means_more_in_a_topic_is_refused(folder, name):
    message = refused(folder, "client", name)
    assert "permission pattern" in message


def test_the_longest_client_name_works(folder):
    made(folder, "client", "x" * 64)
    assert "x" * 64 + " " in made(folder, "verify")


def test_nothing_is_overwritten(folder):
    made(folder, "client", "kitchen-pi")
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert "exists" in refused(folder, "client", "kitchen-pi")
    assert "exists" in refused(folder, "broker", "kitchen-pi")
    assert "exists" in refused(folder, "init", "--no-passphrase")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_key_of_the_ca_is_encrypted_unless_told_otherwise(tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    folder = tmp_path / "pki"
    assert "no terminal" in pki(folder, "init").stderr
    made(folder, "init", "--passphrase-file", str(secret))
    assert "ENCRYPTED" in (folder / "ca.key").read_text()

    assert "no terminal" in refused(folder, "client", "kitchen-pi")
    secret.write_text("wrong horse\n")
    refused(folder, "client", "kitchen-pi", "--passphrase-file", str(secret))
    secret.write_text("correct horse\n")
    made(folder, "client", "kitchen-pi", "--passphrase-file", str(secret))
    assert "ENCRYPTED" not in (folder / "kitchen-pi.key").read_text()
    made(folder, "verify")


def test_renew_keeps_key_names_and_purpose(folder):
    made(folder, "broker", "localhost", "127.0.0.1", "--days", "10")
    key = (folder / "localhost.key").read_bytes()
    old = openssl("x509", "-in", folder / "localhost.pem", "-noout", "-serial", "-pubkey")
    assert "expires in" in pki(folder, "verify").stdout

    made(folder, "renew", "localhost")
    new = openssl("x509", "-in", folder / "localhost.pem", "-noout", "-serial", "-pubkey")
    names = openssl("x509", "-in", folder / "localhost.pem", "-noout", "-ext", "subjectAltName")
    assert (folder / "localhost.key").read_bytes() == key
    assert new != old and new.split("\n", 1)[1] == old.split("\n", 1)[1]
    assert "DNS:localhost, IP Address:127.0.0.1" in names
    assert mode(folder / "localhost.pem") == 0o644
    made(folder, "verify")


def test_verify_tells_what_is_wrong(folder, tmp_path):
    made(folder, "client", "open")
    (folder / "open.key").chmod(0o644)
    made(folder, "client", "swapped")
    (folder / "swapped.key").write_bytes((folder / "open.key").read_bytes())
    made(tmp_path / "other", "init", "--no-passphrase")
    made(tmp_path / "other", "client", "stranger")
    for suffix in (".pem", ".key"):
        (tmp_path / "other" / f"stranger{suffix}").rename(folder / f"stranger{suffix}")

    done = pki(folder, "verify")
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line[0] != " "}
    assert "others can read" in lines["open"]
    assert "does not belong to its key" in lines["swapped"]
    assert "does not verify" in lines["stranger"]
    assert lines["ca"].endswith("ok")


def test_a_revocation_list_in_the_folder_is_no_certificate(folder):
    """conf/mosquitto/README.md makes one there."""
    made(folder, "client", "kitchen-pi")
    settings = folder / "ca.cnf"
    settings.write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n")
    (folder / "index.txt").touch()
    subprocess.run(
        ["openssl", "ca", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-gencrl",
         "-crldays", "9", "-out", "crl.pem"],
        cwd=folder, check=True, capture_output=True, timeout=30)
    assert "kitchen-pi" in made(folder, "verify")
    assert "crl" not in made(folder, "show")


def test_show_lists_use_and_days(folder):
    made(folder, "broker", "localhost", "127.0.0.1")
    made(folder, "client", "kitchen-pi", "--days", "40")
    rows = [line.split() for line in made(folder, "show").splitlines()]
    assert ["localhost", "broker", "ec"] in [row[:3] for row in rows]
    assert ["kitchen-pi", "client", "ec", "39", "CN:kitchen-pi"] in rows or [
        "kitchen-pi", "client", "ec", "40", "CN:kitchen-pi",
    ] in rows


def test_an_interrupted_run_leaves_nothing(folder):
    """Cut by Ctrl-C while it asks for the passphrase, the longest moment there is."""
    secret = folder.parent / "passphrase"
    secret.write_text("correct horse\n")
    locked = folder.parent / "locked"
    made(locked, "init", "--passphrase-file", str(secret))

    with typed_at([TOOL, "-d", locked, "client", "kitchen-pi"]) as (tool, keyboard):
        assert read_prompt(keyboard).startswith(b"Passphrase of ")

        def ended() -> bool:
            # As a person does: bash hears the first one only after its `read`, if that begins just then.
            with suppress(OSError):  # its terminal may be gone with it
                os.write(keyboard, b"\x03")
            return tool.poll() is not None

        wait_until(ended, 10, "it to end")
        assert tool.returncode == 130
    assert sorted(path.name for path in locked.iterdir()) == ["ca.key", "ca.pem"]


def test_a_person_types_the_passphrase(tmp_path):
    with typed_at([TOOL, "-d", tmp_path / "pki", "init"]) as (tool, keyboard):
        for prompt in (b"Passphrase for the CA's key: ", b"The same again: "):
            assert read_prompt(keyboard).endswith(prompt)
            os.write(keyboard, b"correct horse\n")
        assert tool.wait(timeout=10) == 0
    with typed_at([TOOL, "-d", tmp_path / "pki", "client", "kitchen-pi"]) as (tool, keyboard):
        assert read_prompt(keyboard).endswith(b"ca.key: ")
        os.write(keyboard, b"correct horse\n")
        assert tool.wait(timeout=10) == 0
    assert (tmp_path / "pki" / "kitchen-pi.pem").exists()


@pytest.mark.parametrize(
    "arguments",
    [[], ["frob"], ["--frob", "init"], ["broker"], ["client"], ["client", "a", "b"],
     ["client", "a", "--days", "soon"], ["show", "x"], ["-d"]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(folder, arguments):
    done = pki(folder, *arguments)
    assert done.returncode == 2
    assert "help" in done.stderr


def test_help(tmp_path):
    for word in ("help", "--help", "-h"):
        assert "sensorgw-pki [-d DIR] COMMAND" in made(tmp_path, word)
