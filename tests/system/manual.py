# SPDX-License-Identifier: MIT
"""What the manual page shows to type, for the tests that type it."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent.parent / "docs/man/sensorgw.1.in"


def blocks(heading: str) -> list[str]:
    """The listings of sensorgw(1) under this heading."""
    section = re.split(r"^\.S[SH] ", PAGE.read_text().split(f".SS {heading}\n")[1], maxsplit=1, flags=re.M)[0]
    found = re.findall(r"^\.nf\n(.*?)^\.fi$", section, re.M | re.S)
    return [block.replace("\\-", "-") for block in found]
