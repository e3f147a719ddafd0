"""Sends later what could not be sent at once: the record, and the OTLP files of machines without a network.

At least once: the cursor moves only behind what a collector took, so that whatever ends a run ends it before or
after, never between. What arrives twice has the same `host.name` and `agent.audit.seq`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from compliance.chain import read_line
from compliance.codec import JsonObject, from_json
from compliance.errors import RecordError
from compliance.events import SessionStarted
from compliance.note import read_regular
from compliance.otel import form
from compliance.otel.base import Encoding, Fate, Wire
from compliance.otel.files import otlp_files, signal_of
from compliance.otel.settings import Signal
from compliance.otlp import to_otlp
from compliance.segments import MOST_LINE as MOST_RECORD
from compliance.segments import Snapshot, lines, segment_number, snapshot

CURSOR: Final = "shipped.json"
LOCK: Final = "shipping.lock"
BATCH: Final = 512
BATCH_BYTES: Final = 1 << 20
MOST_LINE: Final = 64 << 20
MOST_SESSIONS: Final = 256
TRIES: Final = 6


class LogCursor(msgspec.Struct):
    """Where in the record the next thing to send begins."""

    segment: str = ""
    offset: int = 0
    start: int = 0  # of the line that ends there
    mark: str = ""  # SHA-256 of it: another log, or a changed one, has another line there
    seq: int = 0  # of the last that was sent
    sessions: dict[str, tuple[str, str]] = {}  # session -> version of the agent, host


class Cursor(msgspec.Struct):
    """What one collector has."""

    log: LogCursor = msgspec.field(default_factory=LogCursor)
    files: dict[str, int] = msgspec.field(default_factory=dict)


@dataclass(slots=True)
class Shipped:
    """What one run did."""

    records: int = 0  # of the log, sent or (dry run) to be sent
    lines: int = 0  # of files
    rejected: int = 0  # taken, and thrown away by the collector
    refused: int = 0  # not taken, and never will be
    torn: int = 0  # halves of lines, left by a crash
    unreadable: int = 0  # records and lines that are not as they were written
    removed: int = 0  # files
    stopped: str = ""  # why the rest was not sent

    @property
    def well(self) -> bool:
        return not (self.stopped or self.refused or self.rejected or self.unreadable)


class _Stopped(Exception):
    """The collector takes nothing more; the text says why."""


class Shipper:
    """Ships to one collector. `wire` gives the wire of a signal; `wait` waits between two tries."""

    def __init__(
        self,
        folder: Path,
        where: str,
        wire: Callable[[Signal], Wire],
        wait: Callable[[float], object],
        *,
        dry: bool = False,
        content: bool = False,
    ) -> None:
        """`folder` has the files and the cursor; `where` is the name under which the cursor is kept."""
        self._folder = folder
        self._where = where
        self._wire = wire
        self._wait = wait
        self._dry = dry
        self._content = content
        self._cursors = _read_cursors(folder)
        self._cursor = self._cursors.setdefault(where, Cursor())
        self.done = Shipped()

    def ship(self, log: Path | None, *, files: bool = True, remove: bool = False) -> Shipped:
        """Everything that this collector does not have. RecordError when there is nothing to read."""
        try:
            if log is not None:
                self._ship_log(log)
            if files:
                for path in otlp_files(self._folder):
                    self._ship_file(path, remove)
                kept = {path.name for path in otlp_files(self._folder)}
                self._cursor.files = {n: at for n, at in self._cursor.files.items() if n in kept}
                self._save()
        except _Stopped as stopped:
            self.done.stopped = str(stopped)
        return self.done

    # --- the record ---------------------------------------------------------------------------

    def _ship_log(self, folder: Path) -> None:
        batch: list[JsonObject] = []
        size = 0
        cursor = self._cursor.log
        for (segment, end, line), seq, request in self._requests(folder, cursor):
            if request is not None:
                batch.append(request)
                size += len(json.dumps(request))
            cursor.segment, cursor.offset, cursor.seq = segment, end, seq
            cursor.start, cursor.mark = end - len(line), hashlib.sha256(line).hexdigest()
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                self._send_records(batch)
                self._save()
                batch, size = [], 0
        if batch:
            self._send_records(batch)
        self._save()

    def _requests(
        self, folder: Path, cursor: LogCursor
    ) -> Iterator[tuple[tuple[str, int, bytes], int, JsonObject | None]]:
        """Segment, where the record ends in it and its line; its number, and what to send of it."""
        log = snapshot(folder)
        if not _stands(log, cursor):  # another log than before: from its beginning
            cursor.segment, cursor.offset, cursor.seq = "", 0, 0
        first = segment_number(cursor.segment)
        seq = cursor.seq
        for path, size in log.parts:
            if segment_number(path.name) < first:
                continue
            at = cursor.offset if segment_number(path.name) == first else 0
            for line in lines(path, size, at):
                at += len(line)
                if at == size and not line.endswith(b"\n") and path == log.parts[-1][0]:
                    self.done.torn += 1  # it is sent when an agent has put right what a crash left
                    return
                record = read_line(line)
                try:
                    if record is None:
                        raise RecordError("not as it was sealed")
                    event = from_json(msgspec.json.decode(record.event))
                except (RecordError, msgspec.DecodeError, RecursionError):
                    self.done.unreadable += 1
                    yield (path.name, at, line), seq, None
                    continue
                seq = record.seq
                if isinstance(event, SessionStarted):
                    _remember(cursor.sessions, event)
                started = _known(cursor.sessions, event.session)
                yield (path.name, at, line), seq, to_otlp(record, event, started, content=self._content)

    def _send_records(self, batch: Sequence[JsonObject]) -> None:
        if self._dry:
            self.done.records += len(batch)
            return
        answer = self._send(Signal.LOGS, json.dumps(_merged(batch), separators=(",", ":")).encode())
        if answer is not None:
            self.done.records += len(batch)
        elif len(batch) == 1:
            self.done.refused += 1
        else:
            middle = len(batch) // 2
            self._send_records(batch[:middle])
            self._send_records(batch[middle:])

    # --- files --------------------------------------------------------------------------------

    def _ship_file(self, path: Path, remove: bool) -> None:
        signal, at = signal_of(path.name), self._cursor.files.get(path.name, 0)
        with path.open("rb") as file:
            idle = _idle(file.fileno())
            bad = self.done.refused + self.done.unreadable
            at = _line_start(file, at)
            while line := file.readline(MOST_LINE):
                if not line.endswith(b"\n"):
                    if not idle:  # its writer is not done with it
                        break
                    self.done.torn += 1
                    at += len(line)
                    continue
                self._send_line(signal, line)
                at += len(line)
                self._cursor.files[path.name] = at
                self._save()
            whole = idle and self.done.refused + self.done.unreadable == bad
            if remove and whole and not self._dry:
                path.unlink()
                self.done.removed += 1

    def _send_line(self, signal: Signal, line: bytes) -> None:
        try:
            if not isinstance(json.loads(line), dict):
                raise ValueError("no object")
            if self._dry:
                self.done.lines += 1
            elif self._send(signal, line.strip()) is None:
                self.done.refused += 1
            else:
                self.done.lines += 1
        except (ValueError, RecursionError):
            self.done.unreadable += 1

    # --- sending ------------------------------------------------------------------------------

    def _send(self, signal: Signal, body: bytes) -> int | None:
        """How many the collector threw away; None when it does not take this request. _Stopped when it takes none."""
        wire = self._wire(signal)
        if wire.encoding is Encoding.PROTOBUF:
            body = form.encoded(form.from_json(body, signal), wire.encoding)
        waits = [min(2.0**number, 30.0) for number in range(TRIES)]
        for tried, pause in enumerate(waits, 1):
            answer = wire.send(signal, body)
            match answer.fate:
                case Fate.TAKEN:
                    self.done.rejected += answer.rejected
                    return answer.rejected
                case Fate.UNFIT:
                    return None
                case Fate.CLOSED:
                    raise _Stopped(answer.why)
                case Fate.LATER:
                    if tried == TRIES:
                        raise _Stopped(answer.why)
                    self._wait(pause if answer.seconds is None else answer.seconds)
        return None

    def _save(self) -> None:
        if self._dry:
            return
        path = self._folder / CURSOR
        fresh = path.with_name(f".{CURSOR}.new")
        fd = os.open(
            fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
        )
        with open(fd, "wb") as file:
            file.write(msgspec.json.encode(self._cursors))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one ships at a time. RecordError when another one does."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordError("another `agent audit ship` is at work", "wait for its end") from None
        yield
    finally:
        os.close(fd)


def _read_cursors(folder: Path) -> dict[str, Cursor]:
    """From the beginning where nothing sound is known: twice is better than never."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(read_regular(folder / CURSOR), type=dict[str, Cursor])
    return {}


def _stands(log: Snapshot, cursor: LogCursor) -> bool:
    """Whether the line that was dealt with last still is where it was."""
    found = next(((path, size) for path, size in log.parts if path.name == cursor.segment), None)
    if found is None:
        return not cursor.segment
    path, size = found
    if not 0 <= cursor.start < cursor.offset <= size or cursor.offset - cursor.start > MOST_RECORD:
        return False
    with path.open("rb") as file:
        file.seek(cursor.start)
        line = file.read(cursor.offset - cursor.start)
    return hashlib.sha256(line).hexdigest() == cursor.mark


def _line_start(file: BinaryIO, at: int) -> int:
    """Go to `at` where a line begins there, else to the beginning: twice is better than never."""
    if not 0 < at <= os.fstat(file.fileno()).st_size:
        at = 0
    file.seek(max(at - 1, 0))
    if at and file.read(1) != b"\n":
        at = 0
    file.seek(at)
    return at


def _idle(fd: int) -> bool:
    """Whether nobody writes this file any more. The lock goes with the descriptor."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remember(sessions: dict[str, tuple[str, str]], event: SessionStarted) -> None:
    sessions.pop(event.session, None)
    sessions[event.session] = (event.agent_version, event.host)
    while len(sessions) > MOST_SESSIONS:
        del sessions[next(iter(sessions))]


def _known(sessions: dict[str, tuple[str, str]], session: str) -> SessionStarted | None:
    """Who and where; what belongs to no session is of the host that wrote last."""
    found = sessions.get(session) or (next(reversed(sessions.values()), None) if not session else None)
    if found is None:
        return None
    version, host = found
    return SessionStarted(session, version, "", "", "", "", "", host=host)


def _merged(batch: Sequence[JsonObject]) -> JsonObject:
    """One request of many; neighbours of one resource share it."""
    found: list[Any] = []
    for request in batch:
        one: Any = request["resourceLogs"]
        for resource in one:
            (inner,) = resource["scopeLogs"]
            if not found or _apart(found[-1]) != _apart(resource):
                found.append({**resource, "scopeLogs": [{**inner, "logRecords": []}]})
            found[-1]["scopeLogs"][0]["logRecords"] += inner["logRecords"]
    return {"resourceLogs": found}


def _apart(resource: Any) -> tuple[object, object]:
    """What has to be equal to share it."""
    return resource["resource"], resource["scopeLogs"][0]["scope"]
