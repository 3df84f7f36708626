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


def assert_becomes(look: Callable[[], T], expected: T, timeout: float = 10) -> None:
    """As wait_until, for what is worth seeing when it does not come true."""
    try:
        wait_until(lambda: look() == expected, timeout, str(expected))
    except TimeoutError:
        assert look() == expected
