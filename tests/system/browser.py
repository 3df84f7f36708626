# SPDX-License-Identifier: MIT
"""A real browser for tests: Debian's Chromium, driven by browser/look.js."""

import json
import subprocess
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("browser")


class Browser:
    """
        with Browser(modules) as browser:
            browser.open(url)
            browser.text(".card")

    modules   where playwright-core is: nodered.installed(folder, browser.SOURCE)
    """

    def __init__(self, modules: Path) -> None:
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "node", SOURCE / "look.js"],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(modules), "LANG": "C.UTF-8",
                 "NODE_PATH": str(modules / "node_modules")},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        self._ask(open=url, width=width, height=height)

    def text(self, selector: str) -> list[str]:
        return self._ask(text=selector)

    def wait(self, selector: str) -> None:
        self._ask(wait=selector)

    def click(self, selector: str) -> None:
        self._ask(click=selector)

    def press(self, keys: str) -> None:
        self._ask(press=keys)

    def fill(self, selector: str, text: str) -> None:
        self._ask(fill=selector, **{"with": text})

    def shot(self, file: Path) -> None:
        self._ask(shot=str(file))

    def foreign(self) -> list[str]:
        """What it asked other hosts for."""
        return self._ask(foreign=True)

    def _ask(self, **order: Any) -> Any:
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser has ended"}')
        if "error" in answer:
            raise RuntimeError(f"{order}: {answer['error']}")
        return answer["answer"]
