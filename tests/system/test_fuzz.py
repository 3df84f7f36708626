# SPDX-License-Identifier: MIT
"""The parsers under libFuzzer: frames, configuration, spool, rendering.

A short run each, or a long one: SENSORGW_FUZZ_SECONDS=3600 ./test.sh fuzz. What they find is kept in
build/fuzz/corpus, and a crash in build/fuzz/crash-*: `build/fuzz/tests/fuzz/fuzz_TARGET FILE` repeats it.
"""

import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build/fuzz"
SECONDS = int(os.environ.get("SENSORGW_FUZZ_SECONDS", "10"))
RENDERABLE = b"sensors/{gateway}/{sensor}\0kitchen-pi\0t=21.5,rh=45.0"


@pytest.fixture(scope="module")
def fuzz_build() -> Path:
    options = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false"]
    options += ["-Dc_args=-fsanitize=fuzzer-no-link", "-Dtests=disabled"]
    options += ["-Dfirmware=disabled", "-Demulator=disabled"]
    if not (BUILD / "build.ninja").exists():
        shutil.rmtree(BUILD, ignore_errors=True)
        environment = dict(os.environ, CC="clang")
        subprocess.run(["meson", "setup", BUILD, ROOT, *options], env=environment, check=True)
    subprocess.run(["ninja", "-C", BUILD, "--quiet"], check=True)
    return BUILD


def a_spool(path: Path) -> bytes:
    with sqlite3.connect(path) as database:
        database.executescript(
            "PRAGMA page_size=1024; PRAGMA user_version=1;"
            "CREATE TABLE reading (number INTEGER PRIMARY KEY, prefix INTEGER NOT NULL,"
            " boot INTEGER NOT NULL, taken_us INTEGER NOT NULL, sensor TEXT NOT NULL,"
            " quantities TEXT NOT NULL);"
            "CREATE TABLE boot (key INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE,"
            " wall_offset_us INTEGER NOT NULL, synchronised INTEGER NOT NULL);"
            "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
            "INSERT INTO counter VALUES ('dropped', 0), ('closed', 0);"
            "INSERT INTO boot VALUES (1, 'b', 0, 1);"
        )
        rows = [(n, 7, 1, n, "kitchen", "t=21.5,rh=45.0") for n in range(1, 40)]
        database.executemany("INSERT INTO reading VALUES (?, ?, ?, ?, ?, ?)", rows)
    return path.read_bytes()


def seeds(target: str, scratch: Path) -> list[bytes]:
    if target == "frame":
        return re.findall(rb"\$SGW1,\S+", (ROOT / "tests/vectors/frames.txt").read_bytes())
    if target == "config":
        small = b'tls: { certificate = "a"; key = "b"; };\nbrokers = ( { host = "h"; } );\n'
        sensors = b'sensors = ( { name = "s"; driver = "serial"; device = "/dev/ttyACM0"; } );\n'
        return [(ROOT / "conf/sensorgw.conf").read_bytes(), small + sensors]
    if target == "spool":
        return [a_spool(scratch / "seed.db"), b""]
    return [b"\0" * 8 + RENDERABLE]


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize("target", ["frame", "config", "spool", "render"])
def test_survives_any_input(target: str, fuzz_build: Path, tmp_path: Path) -> None:
    corpus = fuzz_build / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target, tmp_path)):
        ended = seed + b"\r\n" if target == "frame" else seed
        (corpus / f"seed-{number}").write_bytes(ended)
    # libconfig leaks what it had read when it meets an error: not ours to find here.
    options = ["-detect_leaks=0", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
    options += [f"-max_total_time={SECONDS}", f"-artifact_prefix={fuzz_build}/", "-close_fd_mask=3"]
    program = fuzz_build / "tests/fuzz" / f"fuzz_{target}"
    run = subprocess.run([program, *options, corpus], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    runs = re.search(r"number_of_executed_units:\s*(\d+)", run.stderr)
    assert runs and int(runs[1]) > 100, run.stderr[-2000:]
    print(f"\n{target}: {runs[1]} inputs in {SECONDS} s, no crash")
