"""Filters and folds over a log: a stream of lines in, the entries that fit out; memory stays flat."""

from __future__ import annotations

import fnmatch
import shlex
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import msgspec

from compliance.chain import Record, canonical, read_line
from compliance.codec import from_json
from compliance.errors import RecordError
from compliance.events import AuditEvent, Decided, Patched
from compliance.segments import Snapshot, blocks, segment_number, snapshot
from execpolicy.decision import Decision, Part

_GLOB: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that fits. `line` is the record as it was sealed, without the line end."""

    record: Record
    event: AuditEvent
    line: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that should have been looked at and is no sound record."""

    segment: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Every condition has to hold; an empty one holds always. Times as they stand in records."""

    session: str = ""  # a beginning is enough
    call: str = ""
    decision: Decision | None = None
    rule: str = ""  # id of a rule that spoke; * and ? match
    program: str = ""  # name of a program that would run, or carries one that would
    path: str = ""  # of a file that is touched, or of what lies below it; * and ? match
    since: str = ""
    until: str = ""

    def needles(self) -> tuple[bytes, ...]:
        """Pieces that stand in the line of every record that fits: looked for before anything is parsed."""
        found = []
        if self.session:
            found.append(b'"session":' + canonical(self.session)[:-1])
        if self.call:
            found.append(b'"call":' + canonical(self.call))
        if self.decision is not None:
            found.append(b'"decision":"%s"' % self.decision.word.encode())
        literals = [_longest_literal(text) for text in (self.rule, self.program, self.path)]
        return (*found, *(canonical(literal)[1:-1] for literal in literals if literal))

    def in_time(self, line: bytes) -> bool:
        """False when the line says that it is too old or too new."""
        if not (self.since or self.until):
            return True
        at = line.rfind(b'"time":"') + 8
        time = line[at : at + 27].decode("ascii", "replace")
        return (not self.since or time >= self.since) and (not self.until or time < self.until)

    def holds(self, time: str, event: AuditEvent) -> bool:
        return (
            (not self.since or time >= self.since)
            and (not self.until or time < self.until)
            and event.session.startswith(self.session)
            and (not self.call or getattr(event, "call", None) == self.call)
            and (self.decision is None or _decided(event) is self.decision)
            and (not self.rule or any(fnmatch.fnmatchcase(rule, self.rule) for rule in _rules(event)))
            and (not self.program or self.program in _programs(event))
            and (not self.path or any(_below(path, self.path) for path in _paths(event)))
        )


def _longest_literal(text: str) -> str:
    pieces, piece = [], ""
    for char in text:
        if char in _GLOB or char == "]":
            pieces.append(piece)
            piece = ""
        else:
            piece += char
    return max([*pieces, piece.rstrip("/")], key=len)


def _decided(event: AuditEvent) -> Decision | None:
    return event.verdict.decision if isinstance(event, Decided) else None


def _rules(event: AuditEvent) -> Iterator[str]:
    if isinstance(event, Decided):
        yield from (match.rule_id for match in event.verdict.matches)


def _programs(event: AuditEvent) -> Iterator[str]:
    if isinstance(event, Decided):
        for part in event.verdict.parts:
            if part.kind == "command":
                yield from _names(program_of(part))
            yield from (name for carrier in part.via for name in _names(carrier))


def _names(word: str) -> tuple[str, str]:
    return word, word.rsplit("/", 1)[-1]


def program_of(part: Part) -> str:
    """The first word of a command, unquoted."""
    words = part.text.split(maxsplit=1)
    try:
        return shlex.split(words[0])[0] if words else ""
    except (ValueError, IndexError):
        return words[0]


def _paths(event: AuditEvent) -> Iterator[str]:
    if isinstance(event, Patched):
        yield from event.paths
    elif isinstance(event, Decided):
        for part in event.verdict.parts:
            if part.kind in ("read", "write", "delete", "execute"):
                yield part.text
                yield from part.text.split()


def _below(path: str, wanted: str) -> bool:
    if _GLOB & set(wanted):
        return fnmatch.fnmatchcase(path, wanted)
    wanted = wanted.rstrip("/") or "/"
    return path == wanted or path.startswith(wanted + "/") or path.endswith("/" + wanted)


@dataclass(slots=True)
class Place:
    """How far a log was read."""

    segment: str = ""
    offset: int = 0
    line: int = 1


def entries(log: Snapshot, wanted: Filter, place: Place | None = None) -> Iterator[Entry | Unreadable]:
    """The records of `log` that fit, oldest first; from `place` on, which is moved along."""
    needles = wanted.needles()
    place = place or Place()
    for path, size in log.parts:
        if segment_number(path.name) < segment_number(place.segment):
            continue
        if path.name != place.segment:
            place.segment, place.offset, place.line = path.name, 0, 1
        for first, block, after in blocks(path, size, place.offset, place.line):
            place.offset += len(block)
            place.line = after
            if not all(needle in block for needle in needles):
                continue
            for number, line in enumerate(BytesIO(block), first):
                if not all(needle in line for needle in needles) or not wanted.in_time(line):
                    continue
                entry = _read(line)
                if entry is None:
                    yield Unreadable(path.name, number)
                elif wanted.holds(entry.record.time, entry.event):
                    yield entry


def follow(
    folder: Path, wanted: Filter, wait: Callable[[], object], place: Place
) -> Iterator[Entry | Unreadable]:
    """What fits from `place` on, and what is still to come. `wait` is called before each new look."""
    while True:
        wait()
        yield from entries(snapshot(folder), wanted, place)


def _read(line: bytes) -> Entry | None:
    record = read_line(line)
    if record is None:
        return None
    try:
        return Entry(record, from_json(msgspec.json.decode(record.event)), line[:-1])
    except (RecordError, msgspec.DecodeError, RecursionError):
        return None


def last(found: Iterator[Entry | Unreadable], count: int) -> Iterator[Entry | Unreadable]:
    """The last `count` of `found`."""
    yield from deque(found, maxlen=count)
