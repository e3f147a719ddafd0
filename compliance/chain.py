"""The hash chain over records: seal one, read one, verify many. Pure: bytes in, values out.

A record is one line of canonical JSON (sorted keys, no spaces, UTF-8, no floats) whose first member is
`digest`, the SHA-256 of the very line without that member. `prev` repeats the digest of the record before.
"""

from __future__ import annotations

import enum
import hashlib
import re
from typing import Final, assert_never

import msgspec

from compliance.codec import Json, JsonObject, from_json
from compliance.errors import RecordError
from compliance.events import SCHEMA, Gap, GapKind
from execpolicy.values import frozen, replace, slotted

GENESIS: Final = "0" * 64
_OPEN: Final = b'{"digest":"'
_BODY: Final = len(_OPEN) + 64 + len(b'",')
MOST_FLAWS: Final = 50
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Link(msgspec.Struct, frozen=True):
    """The end of a chain: number and digest of the last record."""

    seq: int
    digest: str


START: Final = Link(0, GENESIS)


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One record as it stands in a line. `event` is the JSON of the event, not yet read."""

    digest: str
    event: msgspec.Raw
    prev: str
    seq: int
    time: str
    v: int

    @property
    def link(self) -> Link:
        return Link(self.seq, self.digest)


_decoder = msgspec.json.Decoder(Record)


def canonical(value: Json) -> bytes:
    """The canonical JSON of `value` (RFC 8785 for values of `compliance.codec`)."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError:
        return msgspec.json.encode(_spelled_out(value), order="sorted")


def _spelled_out(value: Json) -> Json:
    """`value` with bytes that are no UTF-8 (surrogate escapes) written as `\\xNN`: JSON has no other word."""
    match value:
        case str():
            return _SURROGATE.sub(_spell, value)
        case list():
            return [_spelled_out(item) for item in value]
        case dict():
            return {_SURROGATE.sub(_spell, key): _spelled_out(item) for key, item in value.items()}
        case _:
            return value


def _spell(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def seal(last: Link, time: str, event: JsonObject) -> tuple[bytes, Link]:
    """The line that follows `last`, line end included, and the new end of the chain."""
    return seal_json(last, time, canonical(event))


def seal_json(last: Link, time: str, event: bytes) -> tuple[bytes, Link]:
    """As `seal`, for what is canonical JSON already. Nothing in `time` needs to be escaped."""
    seq = last.seq + 1
    body = b'"event":%b,"prev":"%b","seq":%d,"time":"%b","v":%d}' % (
        event,
        last.digest.encode(),
        seq,
        time.encode(),
        SCHEMA,
    )
    digest = hashlib.sha256(b"{" + body).hexdigest()
    return b'{"digest":"%b",%b\n' % (digest.encode(), body), Link(seq, digest)


def is_sound(line: bytes) -> bool:
    """Whether a line, line end included, is as its digest says. What it holds is not looked at."""
    if not (line.startswith(_OPEN) and line.endswith(b"}\n")):
        return False
    body = hashlib.sha256(b"{")
    body.update(memoryview(line)[_BODY:-1])
    return line[len(_OPEN) : _BODY] == body.hexdigest().encode() + b'",'


def read_line(line: bytes) -> Record | None:
    """The record of a line, line end included; None when the line is not as it was sealed."""
    if not is_sound(line):
        return None
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


class FlawKind(enum.Enum):
    EDITED = "edited"
    DROPPED = "dropped"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "cut"  # the tail that the head speaks of is missing
    HEAD = "head"  # the head is missing, unreadable, or was lost once
    CHECKPOINT = "checkpoint"  # not what was signed
    UNSUPPORTED = "unsupported"  # written by a newer version


@frozen(kw_only=True)
class Flaw:
    """One thing that is wrong, and where."""

    kind: FlawKind
    seq: int  # of the record that is wrong; 0: not known
    segment: str
    line: int  # in the segment, from 1
    message: str


@frozen(kw_only=True)
class Verification:
    """What was checked and what was found. `flaws` come in the order of the log."""

    records: int
    end: Link
    flaws: tuple[Flaw, ...]
    gaps: tuple[str, ...] = ()  # recorded gaps that break nothing
    behind: int = 0  # records that the head did not know yet

    @property
    def intact(self) -> bool:
        return not self.flaws


@frozen
class _Place:
    segment: str
    line: int


@slotted
class _Missing:
    """Numbers that were jumped over, and the flaw that says so."""

    first: int
    last: int
    flaw: int  # index in the list of flaws
    found: int = 0


class Verifier:
    """Eats the lines of a log in order. Memory does not grow with the log.

    After a flaw the chain is taken up again at the next sound record, so that every flaw is named.
    """

    def __init__(self, head: Link | None) -> None:
        self._head = head
        self._end = START
        self._end_place = _Place("", 0)
        self._unread: list[_Place] = []
        self._missing: list[_Missing] = []
        self._flaws: list[Flaw] = []
        self._gaps: list[str] = []
        self._records = 0
        self.kept: list[tuple[int, str, str]] = []  # record, file and digest of what was put aside

    def feed(self, segment: str, number: int, line: bytes) -> None:
        """Check one line. `number` counts from 1 in `segment`."""
        record = read_line(line)
        place = _Place(segment, number)
        if record is None:
            if len(self._unread) < MOST_FLAWS:
                self._unread.append(place)
            return
        self._records += 1
        expected = self._end.seq + 1
        if record.seq == expected and not self._unread:
            self._follow(record, place)
        elif record.seq >= expected:
            self._jump(record, place)
        else:
            self._step_back(record, place)
        if not 1 <= record.v <= SCHEMA:
            self._add(FlawKind.UNSUPPORTED, record.seq, place, f"schema version {record.v} is not known here")
        if b'"kind":"gap"' in line:
            self._gap(record, place)

    def _follow(self, record: Record, place: _Place) -> None:
        if record.prev != self._end.digest:
            where = self._end_place if self._end.seq else place
            self._add(
                FlawKind.EDITED,
                self._end.seq or record.seq,
                where,
                f"record {record.seq} was linked to another record than the one before it",
            )
        self._accept(record, place)

    def _jump(self, record: Record, place: _Place) -> None:
        expected = self._end.seq + 1
        if record.seq == expected and record.prev == self._end.digest:
            for bad in self._unread:
                self._add(FlawKind.INSERTED, 0, bad, f"a line that is no record, before record {expected}")
        else:
            for bad in self._unread:
                self._add(FlawKind.EDITED, min(expected, record.seq - 1) or 1, bad, _EDITED)
                expected += expected < record.seq
            if expected < record.seq:
                last = record.seq - 1
                if len(self._missing) < MOST_FLAWS:
                    self._missing.append(_Missing(expected, last, len(self._flaws)))
                self._add(
                    FlawKind.DROPPED, expected, place, f"{_range(expected, last)} missing before this line"
                )
        self._unread.clear()
        self._accept(record, place)

    def _step_back(self, record: Record, place: _Place) -> None:
        for bad in self._unread:
            self._add(FlawKind.EDITED, 0, bad, _EDITED)
        self._unread.clear()
        for missing in self._missing:
            if missing.first <= record.seq <= missing.last and missing.found <= missing.last - missing.first:
                missing.found += 1
                if missing.flaw < len(self._flaws):
                    flaw = self._flaws[missing.flaw]
                    message = f"record {missing.first} belongs before this line and stands later"
                    self._flaws[missing.flaw] = replace(flaw, kind=FlawKind.REORDERED, message=message)
                self._add(
                    FlawKind.REORDERED,
                    record.seq,
                    place,
                    f"stands after record {self._end.seq}, out of order",
                )
                return
        again = f"number {record.seq} was used before; this record or the earlier one was put in"
        self._add(FlawKind.INSERTED, record.seq, place, again)

    def _accept(self, record: Record, place: _Place) -> None:
        self._end, self._end_place = record.link, place
        head = self._head
        if head is not None and record.seq == head.seq and record.digest != head.digest:
            self._add(FlawKind.EDITED, record.seq, place, "the head knows another record of this number")

    def _gap(self, record: Record, place: _Place) -> None:
        try:
            event = from_json(msgspec.json.decode(record.event))
        except (RecordError, msgspec.DecodeError, RecursionError):
            return
        if not isinstance(event, Gap):
            return
        match event.kind:
            case GapKind.HEAD_LOST:
                self._add(FlawKind.HEAD, record.seq, place, event.reason)
            case GapKind.CUT:
                missing = _range(event.first_seq, event.last_seq)
                self._add(FlawKind.CUT, event.first_seq, place, f"{missing} missing: {event.reason}")
            case GapKind.TORN | GapKind.UNWRITTEN | GapKind.LOST:
                if event.kept and len(self.kept) < MOST_FLAWS:
                    self.kept.append((record.seq, event.kept, event.sha256))
                if len(self._gaps) < MOST_FLAWS:
                    self._gaps.append(f"record {record.seq}: {event.reason}")
            case other:
                assert_never(other)

    def add(self, kind: FlawKind, seq: int, segment: str, line: int, message: str) -> None:
        """What is wrong with a log beside its lines."""
        self._add(kind, seq, _Place(segment, line), message)

    def _add(self, kind: FlawKind, seq: int, place: _Place, message: str) -> None:
        if len(self._flaws) < MOST_FLAWS:
            flaw = Flaw(kind=kind, seq=seq, segment=place.segment, line=place.line, message=message)
            self._flaws.append(flaw)

    def finish(self) -> Verification:
        """What was found, the end of the log compared with the head."""
        for number, bad in enumerate(self._unread, self._end.seq + 1):
            self._add(FlawKind.EDITED, number, bad, _EDITED)
        head, end = self._head, self._end
        after = _Place(self._end_place.segment, self._end_place.line + 1)
        if head is None:
            if self._records or self._unread:
                self._add(FlawKind.HEAD, 0, after, "no head file: a cut tail cannot be excluded")
        elif head.seq > end.seq and not self._unread:
            missing = _range(end.seq + 1, head.seq)
            self._add(FlawKind.CUT, end.seq + 1, after, f"{missing} missing at the end, says the head")
        behind = max(end.seq - head.seq, 0) if head else 0
        return Verification(
            records=self._records,
            end=end,
            flaws=tuple(self._flaws),
            gaps=tuple(self._gaps),
            behind=behind,
        )


_EDITED: Final = "the line is not as it was sealed"


def _range(first: object, last: object) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
