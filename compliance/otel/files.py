"""OTLP in files, for machines without a network: one request a line, as the specification's file exporter has it.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/. Each process writes files of its own, and
holds a lock on the one it writes, so that a shipper knows which are finished. Half a line at the end of a
file that nobody holds is what a crash left.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from compliance.otel.base import Answer, Encoding, Fate
from compliance.otel.settings import Signal

ROTATE_BYTES: Final = 8 << 20
_NAME: Final = re.compile(r"(traces|logs|metrics)-[0-9]{8}T[0-9]{12}-[0-9]+-[0-9]+\.jsonl")


class FileWire:
    """Appends to files of its own in `folder`. Nothing is ever deleted for room."""

    encoding = Encoding.JSON

    def __init__(
        self,
        folder: Path,
        most_bytes: int,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """OSError when the folder cannot be made. `most_bytes` bounds all files in it together."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._most = most_bytes
        self._rotate = rotate_bytes
        self._now = now
        self._files: dict[Signal, int] = {}
        self._number = 0

    def send(self, signal: Signal, body: bytes) -> Answer:
        line = body + b"\n"
        try:
            if self._used() + len(line) > self._most:
                why = f"the files in `{self._folder}` have {self._most} bytes; `agent audit ship --remove` makes room"
                return Answer(Fate.LATER, why)
            self._append(signal, line)
        except OSError as error:
            return Answer(Fate.LATER, f"cannot write in `{self._folder}`: {error.strerror or error}")
        return Answer(Fate.TAKEN)

    def close(self) -> None:
        files, self._files = self._files, {}
        for fd in files.values():
            with suppress(OSError):
                os.fsync(fd)
                os.close(fd)

    def _append(self, signal: Signal, line: bytes) -> None:
        fd = self._files.get(signal, -1)
        if fd >= 0 and (size := os.fstat(fd).st_size) and size + len(line) > self._rotate:
            os.fsync(fd)
            os.close(fd)
            del self._files[signal]
            fd = -1
        if fd < 0:
            fd = self._files[signal] = self._open(signal)
        size = os.fstat(fd).st_size
        if os.write(fd, line) != len(line):
            os.ftruncate(fd, size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _open(self, signal: Signal) -> int:
        while not os.fstat(fd := self._created(signal)).st_nlink:  # removed as empty before it was held
            os.close(fd)
        return fd

    def _created(self, signal: Signal) -> int:
        self._number += 1
        name = f"{signal.value}-{self._now():%Y%m%dT%H%M%S%f}-{os.getpid()}-{self._number}.jsonl"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self._folder / name, flags, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return fd

    def _used(self) -> int:
        with os.scandir(self._folder) as found:
            return sum(one.stat(follow_symlinks=False).st_size for one in found if is_otlp_file(one.name))


def is_otlp_file(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def signal_of(name: str) -> Signal:
    return Signal(name.partition("-")[0])


def otlp_files(folder: Path) -> list[Path]:
    """The files in `folder`, oldest first; none when there is no folder."""
    with suppress(FileNotFoundError):
        found = [path for path in folder.iterdir() if is_otlp_file(path.name) and path.is_file()]
        return sorted(found, key=lambda path: path.name.partition("-")[2])
    return []


class ConsoleWire:
    """Lines on standard error, for whoever tries things out."""

    encoding = Encoding.JSON

    def send(self, signal: Signal, body: bytes) -> Answer:
        try:
            os.write(2, body + b"\n")
        except OSError as error:
            return Answer(Fate.CLOSED, f"cannot write to standard error: {error.strerror}")
        return Answer(Fate.TAKEN)

    def close(self) -> None:
        pass
