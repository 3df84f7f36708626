#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""summary.py FILE.xml...: adds up JUnit results and prints `N passed, N failed, N skipped`.

A file that is missing or broken is a failure of its own: its runner did not get that far.
Exit status 0 only if something passed and nothing failed.
"""

import sys
import xml.etree.ElementTree as xml


def count(path: str) -> tuple[int, int, int]:
    """passed, failed, skipped"""
    try:
        root = xml.parse(path).getroot()
    except (OSError, xml.ParseError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 0, 1, 0
    cases = list(root.iter("testcase"))
    failed = sum(any(case.find(tag) is not None for tag in ("failure", "error")) for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    return len(cases) - failed - skipped, failed, skipped


def main() -> int:
    counts = [count(path) for path in sys.argv[1:]]
    passed, failed, skipped = (sum(column) for column in zip((0, 0, 0), *counts))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
