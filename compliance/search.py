"""Finds lines by their bytes before anything is parsed, in several processes where a log is long."""

from __future__ import annotations

import os
import re
import sys
import threading
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from compliance.segments import blocks

if TYPE_CHECKING:
    from concurrent.futures import Future

LONG: Final = 256 * 1024 * 1024  # bytes of a log from which on several processes are faster
AHEAD: Final = 4  # segments that are searched before their turn
MOST_PROCESSES: Final = 4
_TIMES: Final = re.compile(rb'"time":"([^"\\]{27})","v":[0-9]+}\n')
_SESSION: Final = b'"kind":"session_started"'


@dataclass(frozen=True, slots=True)
class Search:
    """What the bytes of a line have to hold. Lines that fit may still be others than those that are wanted."""

    needles: tuple[bytes, ...]  # what is rare comes first
    since: str = ""
    until: str = ""
    sessions: bool = False  # the beginnings of sessions, too, whatever else is wanted

    @property
    def narrow(self) -> bool:
        """Whether most lines can be left out by their bytes."""
        return bool(self.needles or self.since or self.until) and not self.sessions

    def lines(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines of `block` that may fit, and where they begin in it."""
        if self.sessions or not self.needles:
            yield from self._one_by_one(block)
            return
        if not all(needle in block for needle in self.needles):
            return
        first, *others = self.needles
        at = block.find(first)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            end = block.find(b"\n", at) + 1 or len(block)
            line = block[start:end]
            if all(needle in line for needle in others) and self._in_time(line):
                yield start, line
            at = block.find(first, end)

    def _one_by_one(self, block: bytes) -> Iterator[tuple[int, bytes]]:
        if not self.sessions and not self._any_in_time(block):
            return
        start = 0
        for line in BytesIO(block):
            fits = all(needle in line for needle in self.needles) and self._in_time(line)
            if fits or (self.sessions and _SESSION in line):
                yield start, line
            start += len(line)

    def _any_in_time(self, block: bytes) -> bool:
        since, until = self.since.encode(), self.until.encode()
        if not (since or until):
            return True
        times: list[bytes] = _TIMES.findall(block)
        if len(times) != block.count(b"\n"):  # some line is not as it was sealed: it has to be told
            return True
        return any(since <= time and (not until or time < until) for time in times)

    def _in_time(self, line: bytes) -> bool:
        """False when the line says that it is too old or too new."""
        if not (self.since or self.until):
            return True
        at = line.rfind(b'"time":"') + 8
        time = line[at : at + 27].decode("ascii", "replace")
        return (not self.since or time >= self.since) and (not self.until or time < self.until)


@dataclass(frozen=True, slots=True)
class Spots:
    """What was found in one segment: starts and ends in turn, and the number of its lines."""

    places: array[int]
    lines: int


def spots(path: Path, size: int, search: Search) -> Spots:
    """What may fit in the first `size` bytes of a segment."""
    places = array("Q")
    at, after = 0, 1
    for _, block, after in blocks(path, size):  # noqa: B007 - the last one counts
        for start, line in search.lines(block):
            places.append(at + start)
            places.append(at + start + len(line))
        at += len(block)
    return Spots(places, after - 1)


def read(path: Path, found: Spots) -> Iterator[tuple[int, bytes]]:
    """The lines that were found, and where they begin in the segment."""
    with path.open("rb", buffering=0) as file:
        for start, end in zip(found.places[::2], found.places[1::2], strict=True):
            yield start, os.pread(file.fileno(), end - start, start)


def many_are_better(size: int) -> bool:
    """Whether `searched` is faster than looking block by block. Nobody forks beside other threads."""
    alone = threading.active_count() == 1
    return size >= LONG and sys.platform == "linux" and alone and (os.cpu_count() or 1) > 1


def searched(parts: Sequence[tuple[Path, int]], search: Search) -> Iterator[Spots]:
    """What was found in each of `parts`, in their order. OSError when one cannot be read."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    workers = min(os.cpu_count() or 1, MOST_PROCESSES)
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        waiting: deque[Future[Spots]] = deque()
        try:
            for path, size in parts:
                waiting.append(pool.submit(spots, path, size, search))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
