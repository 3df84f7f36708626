# SPDX-License-Identifier: MIT
"""The one place where tests wait: for a condition, never for a while."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_S = 0.05


def wait_until(predicate: Callable[[], T], timeout: float, what: str) -> T:
    """Returns the first true value of predicate; raises TimeoutError naming `what` after timeout s."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(POLL_S)
