"""Filters and folds over a log: a stream of lines in, the entries that fit out; memory stays flat."""

from __future__ import annotations

import fnmatch
import shlex
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from compliance.chain import Record, canonical, read_line
from compliance.codec import kind_of
from compliance.errors import RecordError
from compliance.events import AuditEvent, Connected, Decided, Patched, SessionStarted
from compliance.search import Search, Spots, many_are_better, read, searched
from compliance.segments import Snapshot, blocks, segment_number, snapshot
from compliance.unwire import decode
from execpolicy.decision import Decision, Part

MOST_SESSIONS: Final = 4096  # that are remembered for who started them
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
    host: str = ""  # that is reached, or asked for; * and ? match
    user: str = ""  # who started the session
    machine: str = ""  # it ran on; * and ? match
    kind: str = ""  # as in records: decided, approved, ran, ...
    since: str = ""
    until: str = ""

    def needles(self) -> tuple[bytes, ...]:
        """Pieces that stand in the line of every record that fits: looked for before anything is parsed."""
        found = []  # what is rare comes first: it is what is looked for
        if self.call:
            found.append(b'"call":' + canonical(self.call))
        if self.session:
            found.append(b'"session":' + canonical(self.session)[:-1])
        literals = [_longest_literal(text) for text in (self.rule, self.program, self.path, self.host)]
        found += [canonical(literal)[1:-1] for literal in literals if literal]
        if self.decision is not None:
            found.append(b'"decision":"%s"' % self.decision.word.encode())
        if self.kind:
            found.append(b'"kind":' + canonical(self.kind))
        return tuple(found)

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
            and (not self.host or any(fnmatch.fnmatchcase(host, self.host) for host in _hosts(event)))
            and (not self.kind or kind_of(event) == self.kind)
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


def _hosts(event: AuditEvent) -> Iterator[str]:
    if isinstance(event, Connected):
        yield event.host
    elif isinstance(event, Decided):
        for part in event.verdict.parts:
            if part.kind == "network":
                yield part.text
                yield part.text.rpartition("://")[2].partition(":")[0]


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
    people = _People(wanted)
    place = place or Place()
    search = Search(wanted.needles(), wanted.since, wanted.until, sessions=people.asked)
    parts = [part for part in log.parts if segment_number(part[0].name) >= segment_number(place.segment)]
    many = not place.segment and search.narrow and many_are_better(log.bytes)
    found = searched(parts, search) if many else None
    for path, size in parts:
        if path.name != place.segment:
            place.segment, place.offset, place.line = path.name, 0, 1
        lines = (
            _by_block(path, size, search, place)
            if found is None
            else _by_many(path, size, next(found), place)
        )
        for line, number in lines:
            entry = _read(line)
            if entry is None:
                yield Unreadable(path.name, number())
                continue
            people.learn(entry.event)
            if wanted.holds(entry.record.time, entry.event) and people.fits(entry.event):
                yield entry


_Line = tuple[bytes, Callable[[], int]]  # its number is asked for only when something is wrong with it


def _by_block(path: Path, size: int, search: Search, place: Place) -> Iterator[_Line]:
    for first, block, after in blocks(path, size, place.offset, place.line):
        place.offset += len(block)
        place.line = after
        for start, line in search.lines(block):
            yield line, partial(_number, first, block, start)


def _number(first: int, block: bytes, start: int) -> int:
    return first + block.count(b"\n", 0, start)


def _by_many(path: Path, size: int, found: Spots, place: Place) -> Iterator[_Line]:
    place.offset, place.line = size, found.lines + 1
    for start, line in read(path, found):
        yield line, partial(_number_in, path, start)


def _number_in(path: Path, start: int) -> int:
    return 1 + sum(block.count(b"\n") for _, block, _ in blocks(path, start))


class _People:
    """Which sessions were started by whom, and where: told once, at their beginning."""

    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self._sessions: OrderedDict[str, None] = OrderedDict()

    @property
    def asked(self) -> bool:
        return bool(self._wanted.user or self._wanted.machine)

    def learn(self, event: AuditEvent) -> None:
        wanted = self._wanted
        if not (self.asked and isinstance(event, SessionStarted)):
            return
        self._sessions.pop(event.session, None)
        if (not wanted.user or event.user == wanted.user) and (
            not wanted.machine or fnmatch.fnmatchcase(event.host, wanted.machine)
        ):
            self._sessions[event.session] = None
            if len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)

    def fits(self, event: AuditEvent) -> bool:
        return not self.asked or event.session in self._sessions


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
        return Entry(record, decode(bytes(record.event)), line[:-1])
    except RecordError:
        return None


def last(found: Iterator[Entry | Unreadable], count: int) -> Iterator[Entry | Unreadable]:
    """The last `count` of `found`."""
    yield from deque(found, maxlen=count)
