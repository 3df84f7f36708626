# SPDX-License-Identifier: MIT
"""The suites of the brokers and of Node-RED on Debian 13: RabbitMQ 4.0, OpenSSL 3.5, Node.js 20.

The root is made once, by mmdebstrap, and kept with the others in build/roots; the checkout is
copied into it and built there.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from roots import SOURCE, inside, make, need_tools

pytestmark = pytest.mark.timeout(4200)

SUITE_S = 2400  # the first one builds, with sanitizers
GROUPS = ("build", "board", "broker", "tests", "nodered")


def packages() -> list[str]:
    rows = [line.split(":") for line in (SOURCE / "tests/packages.txt").open() if line[0].isalpha()]
    return sorted({name for group, names in rows if group in GROUPS for name in names.split()})


@pytest.fixture(scope="module")
def root() -> Path:
    need_tools("mmdebstrap", "unshare")
    made = make("tests", "trixie", "apt", packages())
    source = made / "root/source"
    source.mkdir(exist_ok=True)
    for old in source.iterdir():
        if old.name != "build":
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    shutil.copytree(SOURCE, source, symlinks=True, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("build", ".git"))
    authority = os.environ.get("NODE_EXTRA_CA_CERTS")  # of a proxy that npm has to go through
    if authority:
        shutil.copy(authority, made / "root/proxy.pem")
        (made / "root/.npmrc").write_text("cafile=/root/proxy.pem\n")
    return made


@pytest.mark.parametrize("suite", ["broker", "provision", "mosquitto", "cluster", "nodered"])
def test_the_suite_passes_on_debian_13(root, suite):
    said = inside(root, f"cd /root/source && ./test.sh {suite}", SUITE_S, check=False)
    print(said[-6000:])
    assert re.fullmatch(r"[1-9]\d* passed, 0 failed, 0 skipped", said.splitlines()[-1])
