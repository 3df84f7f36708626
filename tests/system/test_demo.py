# SPDX-License-Identifier: MIT
"""What ./demo.sh shows besides the chain itself: the faults, the wire."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from board import image_path

DEMO = Path(__file__).parents[2] / "demo"

pytestmark = [
    pytest.mark.timeout(200),
    pytest.mark.skipif(not image_path().exists(), reason="no firmware image"),
]


def shown(*words: str) -> str:
    done = subprocess.run(["/usr/bin/python3", DEMO / words[0], *words[1:]], env=os.environ,
                          capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("fault", "cause", "alert"),
    [("bad-certificate", "name-mismatch", "Bad Certificate"),
     ("protocol-version", "protocol-version", "Protocol Version"),
     ("insufficient-security", "no-shared-cipher", "Insufficient Security")],
)
def test_a_fault_is_made_named_and_mended(fault, cause, alert):
    said = shown("fault.py", fault)
    broken, mended = said.index("BROKEN"), said.index("MENDED")
    assert f"SENSORGW_CAUSE={cause}" in said[broken:mended]
    assert f"Fatal - {alert}" in re.sub(r"\s+", " ", said[broken:mended])
    assert "in order, none missing" in said[mended:] and " late" in said[mended:]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("tcpdump"), reason="needs root and tcpdump")
def test_the_wire_is_readable_without_tls_only():
    rows = {line.split()[0]: line.split()[2:] for line in shown("wire.py").splitlines() if line.split()}
    assert rows["topic"] == rows["reading"] == ["readable", "hidden", "hidden"]
    assert rows["password"][0] == "readable"
