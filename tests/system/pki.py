# SPDX-License-Identifier: MIT
"""pki/sensorgw-pki for tests: a folder with a CA, a broker and the clients asked for."""

import subprocess
from pathlib import Path

TOOL = Path(__file__).parents[2] / "pki" / "sensorgw-pki"


class Pki:
    """`folder` holds ca.pem and NAME.pem, NAME.key; broker and clients are added on demand."""

    def __init__(self, folder: Path, rsa: bool = False):
        self.folder = folder
        self._run("init", "--no-passphrase", *(["--rsa"] if rsa else []))
        self.broker("localhost", "127.0.0.1")

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    def certificate(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.key"

    def broker(self, *names: str) -> None:
        self._run("broker", *names)

    def client(self, name: str) -> str:
        """Makes the certificate unless it is there; returns the name."""
        if not self.certificate(name).exists():
            self._run("client", name)
        return name

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [TOOL, "-d", self.folder, *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=30,
        )
