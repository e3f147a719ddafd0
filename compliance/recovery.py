"""Where a log really ends after a crash or another hand: read only, says what to put right."""

from __future__ import annotations

from pathlib import Path

from compliance.chain import START, Link, read_line
from compliance.events import Gap, GapKind
from compliance.segments import MOST_LINE, Head, segment_name, segment_number, segments
from execpolicy.values import frozen


@frozen(kw_only=True)
class Leftover:
    """The place to go on from, and what has to be told about how it was found."""

    segment: str
    end: Link  # the next record takes the number after it and is linked to its digest
    gaps: tuple[Gap, ...] = ()
    torn_at: int | None = None  # half a line starts there in `segment`


@frozen
class _Scan:
    end: Link
    torn_at: int | None


def inspect(folder: Path, head: Head | None) -> Leftover:
    """Compare the head with the segments. A head of None is one that is missing or unreadable."""
    parts = segments(folder)
    if head is None:
        return _without_head(parts)
    current = folder / head.segment
    if current not in parts or current.stat().st_size < head.size:
        return _cut(parts, head)
    found = _Scan(head.link, None)
    for path in parts[parts.index(current) :]:
        at = head.size if path == current else 0
        if path.stat().st_size > at:
            found, current = _scan(path, at, found.end, linked=True), path
    return Leftover(segment=current.name, end=found.end, torn_at=found.torn_at)


def _without_head(parts: list[Path]) -> Leftover:
    last = parts[-1].name if parts else segment_name(1)
    if not any(path.stat().st_size for path in parts):
        return Leftover(segment=last, end=START)
    found = _last_sound(parts)
    gap = Gap("", GapKind.HEAD_LOST, "the head file was missing or unreadable when the log was opened")
    return Leftover(segment=last, end=found.end, torn_at=found.torn_at, gaps=(gap,))


def _cut(parts: list[Path], head: Head) -> Leftover:
    found = _last_sound(parts)
    last = parts[-1].name if parts else segment_name(segment_number(head.segment) + 1)
    gap = Gap(
        "",
        GapKind.CUT,
        "the log was shorter than its head says when it was opened",
        first_seq=min(found.end.seq + 1, head.seq),
        last_seq=head.seq,
        count=max(head.seq - found.end.seq, 0),
    )
    end = Link(max(head.seq, found.end.seq), found.end.digest)
    return Leftover(segment=last, end=end, torn_at=found.torn_at, gaps=(gap,))


def _last_sound(parts: list[Path]) -> _Scan:
    torn_at = None
    for path in reversed(parts):
        found = _scan(path, 0, START, linked=False)
        if path == parts[-1]:
            torn_at = found.torn_at
        if found.end != START:
            return _Scan(found.end, torn_at)
    return _Scan(START, torn_at)


def _scan(path: Path, at: int, end: Link, *, linked: bool) -> _Scan:
    """The last record from byte `at` on. Lines that are no record, or not linked, are left to `verify`."""
    torn_at = None
    with path.open("rb", buffering=1024 * 1024) as file:
        file.seek(at)
        while line := file.readline(MOST_LINE):
            record = read_line(line)
            if record is not None and (not linked or (record.seq, record.prev) == (end.seq + 1, end.digest)):
                end = record.link
            if line.endswith(b"\n"):
                at, torn_at = at + len(line), None
            elif torn_at is None:
                torn_at = at
                at += len(line)
            else:
                at += len(line)
    return _Scan(end, torn_at)
