"""Records of several logs and exports, each with what is known of its session. Memory does not grow with them."""

from __future__ import annotations

import fnmatch
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from compliance.chain import Record, canonical, is_sound, read_line
from compliance.codec import KINDS
from compliance.errors import RecordError
from compliance.events import AuditEvent, Decided, Overridden, PolicyFile, PolicyLoaded, SessionStarted
from compliance.segments import HEAD_NAME, NOTES_NAME, Snapshot, blocks, segments, snapshot
from compliance.unwire import decode

MOST_SESSIONS: Final = 4096
MOST_CALLS: Final = 20_000
_KIND: Final = b'"kind":"'
_KNOWN: Final = frozenset(_KIND + kind.encode() + b'"' for kind in KINDS)
_SCENES: Final = (b'"kind":"session_started"', b'"kind":"policy_loaded"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which records. An empty condition holds always; times as they stand in records."""

    since: str = ""
    until: str = ""
    session: str = ""  # a beginning is enough
    user: str = ""
    host: str = ""
    rule: str = ""  # of the records about a call, only those of calls in which it spoke; * and ? match
    kinds: tuple[str, ...] = ()  # of events; others are checked against their digest, and not read


@dataclass(frozen=True, slots=True)
class Log:
    """A log with its name: a folder that the agent wrote, or an export as JSON Lines."""

    name: str
    shot: Snapshot
    sealed: bool  # a whole log with head and checkpoints; an export has neither


@dataclass(frozen=True, slots=True)
class Scene:
    """What is known of a record's session: from its beginning, and its last load of rules."""

    started: SessionStarted | None = None
    policy: PolicyLoaded | None = None

    def file(self, path: str) -> PolicyFile | None:
        """The version of a rule file that was in force."""
        found = self.policy.files if self.policy else ()
        return next((file for file in found if file.path == path), None)


NOWHERE: Final = Scene()


@dataclass(frozen=True, slots=True)
class Seen:
    log: Log
    record: Record
    event: AuditEvent
    scene: Scene


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A line that is no sound record, or of a kind that this version does not know."""

    log: Log
    segment: str
    number: int


def find_logs(places: Sequence[Path]) -> tuple[Log, ...]:
    """The logs in `places`: folders of logs, JSON Lines exports, and folders that hold several of either.

    RecordError, with a remedy, for a place that holds none.
    """
    found: list[Log] = []
    for place in places:
        if _is_log(place):
            found.append(Log(place.name if len(places) > 1 else "", snapshot(place), True))
            continue
        if place.is_file():
            found.append(_exported(place))
            continue
        inside = sorted(place.iterdir()) if place.is_dir() else []
        found += [Log(path.name, snapshot(path), True) for path in inside if _is_log(path)]
        found += [_exported(path) for path in inside if path.suffix == ".jsonl" and path.is_file()]
        if not found:
            snapshot(place)  # says what is wrong with it
            raise RecordError(f"no audit log in `{place}`", "name the folder of a log, or an export")
    return tuple(found)


def _is_log(place: Path) -> bool:
    try:
        return place.is_dir() and bool(
            (place / HEAD_NAME).exists() or (place / NOTES_NAME).exists() or segments(place)
        )
    except OSError:
        return True  # what is wrong is told when it is read


def _exported(path: Path) -> Log:
    try:
        return Log(path.stem, Snapshot(path.parent, None, ((path, path.stat().st_size),)), False)
    except OSError as error:
        raise RecordError(f"cannot read `{path}`: {error.strerror}", "run as its owner") from error


@dataclass(slots=True)
class Scenes:
    """Remembers the sessions of one log."""

    _known: OrderedDict[str, Scene] = field(default_factory=OrderedDict)

    def after(self, event: AuditEvent) -> Scene:
        """The scene in which `event` stands."""
        scene = self._known.get(event.session, NOWHERE)
        match event:
            case SessionStarted():
                scene = Scene(event, scene.policy)
            case PolicyLoaded():
                scene = Scene(scene.started, event)
            case _:
                return scene
        self._known[event.session] = scene
        self._known.move_to_end(event.session)
        _bound(self._known, MOST_SESSIONS)
        return scene


def read(logs: Sequence[Log], wanted: Wanted) -> Iterator[Seen | Spoiled]:
    """What is wanted of each log, log by log, oldest first. RecordError when a log cannot be read."""
    needle = b'"session":' + canonical(wanted.session)[:-1] if wanted.session else b""
    read_kinds = _needles(wanted)
    for log in logs:
        scenes = Scenes()
        calls: OrderedDict[tuple[str, str], None] = OrderedDict()
        for segment, number, line in _lines(log):
            inside = needle in line and _in_time(line, wanted)
            if not inside and not any(kind in line for kind in _SCENES):
                continue
            if not any(kind in line for kind in read_kinds) and _skippable(line):
                continue
            read = _read(line)
            if read is None:
                if inside:
                    yield Spoiled(log, segment, number)
                continue
            record, event = read
            scene = scenes.after(event)
            if (
                _holds(record.time, event, wanted)
                and _of(scene, event, wanted)
                and _about(event, wanted.rule, calls)
            ):
                yield Seen(log, record, event, scene)


def _needles(wanted: Wanted) -> tuple[bytes, ...]:
    """What a line that is read holds. Written canonically, they stand in no text: there quotes are escaped."""
    if not wanted.kinds:
        return (b"",)
    return tuple(dict.fromkeys((*(b'"kind":"%b"' % kind.encode() for kind in wanted.kinds), *_SCENES)))


def _skippable(line: bytes) -> bool:
    """Sound, and of a kind that is known."""
    at = line.find(_KIND)
    return line[at : line.find(b'"', at + len(_KIND)) + 1] in _KNOWN and is_sound(line)


def _in_time(line: bytes, wanted: Wanted) -> bool:
    """False when the line itself says that it is too old or too new."""
    if not (wanted.since or wanted.until):
        return True
    at = line.rfind(b'"time":"') + 8
    return _during(line[at : at + 27].decode("ascii", "replace"), wanted)


def _during(time: str, wanted: Wanted) -> bool:
    return (not wanted.since or time >= wanted.since) and (not wanted.until or time < wanted.until)


def _holds(time: str, event: AuditEvent, wanted: Wanted) -> bool:
    return _during(time, wanted) and event.session.startswith(wanted.session)


def _lines(log: Log) -> Iterator[tuple[str, int, bytes]]:
    try:
        for path, size in log.shot.parts:
            for first, block, _ in blocks(path, size):
                for number, line in enumerate(BytesIO(block), first):
                    yield path.name, number, line
    except OSError as error:
        raise RecordError(f"cannot read `{error.filename}`: {error.strerror}", "run as its owner") from error


def _read(line: bytes) -> tuple[Record, AuditEvent] | None:
    record = read_line(line if line.endswith(b"\n") else line + b"\n")
    if record is None:
        return None
    try:
        return record, decode(bytes(record.event))
    except RecordError:
        return None


def _of(scene: Scene, event: AuditEvent, wanted: Wanted) -> bool:
    """What belongs to no session, such as a gap, is anybody's."""
    if not event.session or not (wanted.user or wanted.host):
        return True
    started = scene.started
    return started is not None and (
        (not wanted.user or started.user == wanted.user) and (not wanted.host or started.host == wanted.host)
    )


def _about(event: AuditEvent, rule: str, calls: OrderedDict[tuple[str, str], None]) -> bool:
    call = getattr(event, "call", "")
    if not rule or not call:
        return True
    spoke = [match.rule_id for match in event.verdict.matches] if isinstance(event, Decided) else []
    spoke += [event.rule] if isinstance(event, Overridden) else []
    if any(fnmatch.fnmatchcase(id, rule) for id in spoke):
        calls[event.session, call] = None
        _bound(calls, MOST_CALLS)
    return (event.session, call) in calls


def _bound(table: OrderedDict[Any, Any], most: int) -> None:
    if len(table) > most:
        table.popitem(last=False)
