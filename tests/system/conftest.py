# SPDX-License-Identifier: MIT
"""What the suites share: one PKI and one RabbitMQ for the whole run."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer import Consumer
from pki import Pki
from rabbitmq import CONSUMER, GATEWAY, RabbitMQ
from sickness import sanitizer


@pytest.fixture(scope="session")
def build() -> Path:
    """The build tree: daemon/sensorgw, tests/emulator/avrnode, firmware/sgw-node.elf."""
    folder = os.environ.get("SENSORGW_BUILD")
    if not folder:
        pytest.fail("SENSORGW_BUILD names no build tree; ./test.sh sets it")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def release_build(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A daemon without sanitizers, for what is measured: they have memory and threads of their own."""
    for folder in (build, Path(os.environ.get("SENSORGW_RELEASE_BUILD", build)).resolve()):
        if not sanitizer(folder):
            return folder
    made = tmp_path_factory.mktemp("release") / "build"
    source = Path(__file__).parents[2]
    features = [f"-D{feature}=disabled" for feature in ("tests", "firmware", "emulator")]
    for command in (
        ["meson", "setup", made, source, "--buildtype=release", *features],
        ["ninja", "-C", made, "daemon/sensorgw"],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    return made


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki") / "pki")
    made.client(GATEWAY)
    made.client(CONSUMER)
    return made


@pytest.fixture(scope="session")
def broker(pki: Pki) -> Iterator[RabbitMQ]:
    """One node for all: a test that stops it, or changes its settings, starts it again itself."""
    with RabbitMQ(pki.folder) as node:
        node.start()
        yield node


@pytest.fixture
def consumer(broker: RabbitMQ, pki: Pki) -> Iterator[Consumer]:
    with Consumer(broker.port, pki.folder) as one:
        yield one
