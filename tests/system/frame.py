# SPDX-License-Identifier: MIT
"""The serial frame of docs/frame.md, read independently of the daemon."""

import binascii
import re
from dataclasses import dataclass

FRAME = re.compile(
    rb"\$(?P<body>SGW1,(?P<type>[A-Z]),(?P<node>\d{1,5}),(?P<seq>\d{1,5}),(?P<up>\d{1,10})"
    rb"(?P<fields>(?:,[a-z0-9]{1,8}=[^$*,=]{1,24})*))\*(?P<crc>[0-9A-F]{4})"
)


@dataclass(frozen=True)
class Frame:
    type: str
    node: int
    seq: int
    up_ms: int
    fields: dict[str, str]
    line: str  # as it was sent, without the line end

    @classmethod
    def parse(cls, line: bytes) -> "Frame":
        """Takes one line without its end. Raises ValueError unless it is a whole frame."""
        found = FRAME.fullmatch(line)
        if not found or len(line) > 94:
            raise ValueError(f"no frame: {line!r}")
        if int(found["crc"], 16) != binascii.crc_hqx(found["body"], 0xFFFF):
            raise ValueError(f"wrong CRC: {line!r}")
        pairs = found["fields"].decode().split(",")[1:]
        return cls(
            type=found["type"].decode(),
            node=int(found["node"]),
            seq=int(found["seq"]),
            up_ms=int(found["up"]),
            fields=dict(pair.split("=") for pair in pairs),
            line=line.decode(),
        )
