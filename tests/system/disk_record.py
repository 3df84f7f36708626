# SPDX-License-Identifier: MIT
"""A spool's disk, recorded and replayed: any moment of it, less what was not yet on the medium."""

import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sickness import sanitizer

SOURCE = Path(__file__).with_name("disk_recorder.c")
HEADER = struct.Struct("=IIqQq16s")
WRITE, TRUNCATE, SYNC, UNLINK = range(4)
SECTOR = 512


@dataclass(frozen=True)
class Operation:
    kind: int
    file: str  # what follows the spool's path: "", "-wal", "-journal"
    offset: int
    mark: int
    at_s: float  # time.monotonic()
    data: bytes


class DiskRecorder:
    """Gateway(..., wrapper=recorder.wrapper("a")) runs under it, in a boot of that letter."""

    def __init__(self, folder: Path, spool: Path, build: Path) -> None:
        self._library = folder / "disk_recorder.so"
        self._record = folder / "disk.record"
        self._spool = spool
        self._first = sanitizer(build)
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", self._library, SOURCE, "-ldl"],
            check=True,
            timeout=60,
        )

    def wrapper(self, boot: str) -> list[str]:
        preload = ":".join([*self._first, str(self._library)])
        return [
            "env", f"RECORD={self._record}", f"RECORD_OF={self._spool}", f"RECORD_BOOT={boot}",
            f"LD_PRELOAD={preload}",
        ]

    def begin(self) -> None:
        """Forgets what was recorded."""
        self._record.unlink(missing_ok=True)

    def operations(self) -> list[Operation]:
        data = self._record.read_bytes()
        found = []
        at = 0
        while at + HEADER.size <= len(data):
            kind, length, offset, mark, time_ns, name = HEADER.unpack_from(data, at)
            at += HEADER.size
            file = name.rstrip(b"\0").decode()
            found.append(Operation(kind, file, offset, mark, time_ns / 1e9, data[at : at + length]))
            at += length
        return found


def durable(operations: list[Operation], cut: int) -> dict[str, int]:
    """For each file, how many operations are surely on the medium when the power fails."""
    marks: dict[str, int] = {}
    for operation in operations[:cut]:
        if operation.kind == SYNC:
            marks[operation.file] = max(marks.get(operation.file, 0), operation.mark)
    return marks


def read_files(spool: Path) -> dict[str, bytes]:
    """What a record begins with."""
    paths = {file: spool.with_name(spool.name + file) for file in ("", "-wal")}
    return {file: path.read_bytes() for file, path in paths.items() if path.exists()}


def replay(
    operations: list[Operation],
    cut: int,
    spool: Path,
    chance: random.Random | None = None,
    base: dict[str, bytes] | None = None,
) -> None:
    """
    Writes the files as they are after `cut` operations on `base`. With a source of chance, of what
    was not synced any part may be missing, down to single sectors.
    """
    marks = durable(operations, cut)
    files = {file: bytearray(content) for file, content in (base or {}).items()}
    for index, operation in enumerate(operations[:cut]):
        is_safe = chance is None or index < marks.get(operation.file, 0)
        content = files.setdefault(operation.file, bytearray())
        if operation.kind == WRITE:
            for begin in range(0, len(operation.data), SECTOR):
                if is_safe or chance.random() < 0.5:
                    part = operation.data[begin : begin + SECTOR]
                    put(content, operation.offset + begin, part)
        elif operation.kind == TRUNCATE and (is_safe or chance.random() < 0.5):
            content.extend(bytes(max(0, operation.offset - len(content))))
            del content[operation.offset :]
        elif operation.kind == UNLINK:
            del files[operation.file]
    for file in ("", "-wal", "-shm", "-journal"):
        path = spool.with_name(spool.name + file)
        path.unlink(missing_ok=True)
        if file in files:
            path.write_bytes(files[file])


def put(content: bytearray, offset: int, part: bytes) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(part)] = part
