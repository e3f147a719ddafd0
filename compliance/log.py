"""The record on disk: append-only segments of sealed lines, shared by any number of processes.

One append holds a lock on the head file, takes up the chain where the head says it ends, writes one line
with one write, and moves the head. What a crash or another hand left behind is found at the next append.
"""

from __future__ import annotations

import enum
import errno
import fcntl
import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from compliance.chain import GENESIS, seal_json
from compliance.errors import AuditError
from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    Overridden,
    Patched,
    PolicyLoaded,
    Ran,
    Refused,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.recovery import inspect
from compliance.segments import (
    HEAD_BYTES,
    HEAD_NAME,
    MOST_LINE,
    Head,
    pack_head,
    segment_name,
    segment_number,
    segments,
    unpack_head,
)
from compliance.wire import encode
from execpolicy.decision import Decision

SEGMENT_BYTES: Final = 64 * 1024 * 1024
LOCK_SECONDS: Final = 5.0
LOOK_EVERY: Final = (
    8  # records between looks whether the folder still is what it was: a moved one loses nothing
)
QUOTA_RESERVE: Final = 64 * 1024  # above the quota, for gaps and ends of sessions
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
_datasync: Final[Callable[[int], None]] = getattr(os, "fdatasync", os.fsync)


class Effort(enum.Enum):
    """What happens to a call that cannot be recorded."""

    REQUIRED = "required"  # it does not run
    BEST = "best-effort"  # it runs, and a gap is recorded as soon as that can be done


class LogGone(AuditError):
    """The log is not where it was when it was opened."""


class _QuotaUsed(OSError):
    """The log may not grow any more."""


def must_be_durable(event: AuditEvent) -> bool:
    """Whether `event` has to survive a power cut the moment it is recorded."""
    match event:
        case Decided():
            return event.verdict.decision is not Decision.ALLOW
        case (
            Approved()
            | Revoked()
            | Overridden()
            | SandboxDenied()
            | Refused()
            | BundleChanged()
            | SessionEnded()
            | Gap()
        ):
            return True
        case Connected():
            return event.outcome is LinkEnd.REFUSED
        case SessionStarted() | PolicyLoaded() | Situated() | Ran() | ToolCalled() | Patched() | Witnessed():
            return False


class Clock:
    """The time as records have it. What stays the same within a second is written once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self) -> str:
        second, rest = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        return f"{self._text}.{rest // 1000:06}Z"


class AuditLog:
    """An AuditSink over a folder. Several threads and processes may write to one folder at once."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], str] | None = None,
        segment_bytes: int = SEGMENT_BYTES,
        lock_seconds: float = LOCK_SECONDS,
        effort: Effort = Effort.REQUIRED,
        quota_bytes: int = 0,
    ) -> None:
        """Make the folder if need be; AuditError when it cannot be written.

        No record begins beyond `quota_bytes` (0: no quota), gaps and ends of sessions in a small reserve excepted.
        """
        self._folder = folder
        self._head_path = os.fspath(folder / HEAD_NAME)
        self._clock = clock or Clock()
        self._segment_bytes = segment_bytes
        self._lock_seconds = lock_seconds
        self._mutex = threading.Lock()
        self._packed: bytes | None = None  # the head as we last wrote it: equal means nobody else wrote
        self._head = Head(GENESIS, "", 0, 0)
        self._segment = -1
        self._lost = 0  # events that could not be written since the last that could
        self._lost_why = ""
        self._owed: list[Gap] = []  # what was found wrong and is not in the log yet
        self._effort = effort
        self._quota = quota_bytes
        self._quota_told = False  # in the log, since it was reached
        self._older: tuple[str, int] = ("", 0)  # a segment, and the bytes of all others
        self.trouble = ""  # why something was not recorded, whatever came of it
        self._closed = False
        self._head_fd = -1
        self._head_id = (0, 0)
        self._looks = -1
        try:
            with self._mutex:
                self._begin()
        except OSError as error:
            self._not_begun(_cannot_write(folder, error), error)
        except AuditError as error:
            self._not_begun(error, error)

    def _begin(self) -> None:
        """Open the log, and stand at its end."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = os.stat(self._folder).st_uid
        if owner not in (os.geteuid(), 0):
            raise AuditError(
                f"the folder `{self._folder}` of the audit log belongs to another user",
                "set AGENT_HOME to a folder of your own",
            )
        self._head_fd = self._open(HEAD_NAME, os.O_RDWR)
        self._packed = None
        self._lock()
        try:
            self._take_up()
        finally:
            self._unlock()

    def _not_begun(self, told: AuditError, cause: OSError | AuditError) -> None:
        """With best effort another try is made for each record."""
        self._release()
        if self._effort is Effort.REQUIRED:
            raise told from cause
        self.trouble = str(told)

    def record(self, event: AuditEvent) -> int:
        """Append `event`; its number when it is written.

        When it cannot be: AuditError where the record is required, 0 with best effort.
        """
        with self._mutex:
            if self._closed:
                raise AuditError("the audit log is closed", "open it again")
            try:
                data = encode(event)
                if self._head_fd < 0:
                    self._begin()
                self._lock()
                try:
                    if must_be_durable(event):
                        self._looks = -1
                    self._take_up()
                    if self._quota:
                        self._mind_quota(event)
                    if self._lost:
                        self._write_gap()
                    return self._append(event, data)
                finally:
                    self._unlock()
            except OSError as error:
                return self._unwritten(_cannot_write(self._folder, error), error)
            except AuditError as error:
                return self._unwritten(error, error)

    def _unwritten(self, told: AuditError, cause: OSError | AuditError) -> int:
        why = os.strerror(cause.errno or errno.EIO) if isinstance(cause, OSError) else str(cause)
        self._lost += 1
        self._lost_why = f"could not be written: {'quota used up' if isinstance(cause, _QuotaUsed) else why}"
        self.trouble = str(told)
        if self._effort is Effort.REQUIRED:
            raise told from cause
        if isinstance(cause, LogGone):
            self._release()  # the next try makes a new one, and tells what is missing
        return 0

    def _mind_quota(self, event: AuditEvent) -> None:
        if self._used() >= self._quota:
            if not isinstance(event, Gap | SessionEnded) or self._used() >= self._quota + QUOTA_RESERVE:
                self._tell_quota()
                raise _QuotaUsed(errno.EDQUOT, f"its quota of {self._quota} bytes is used up")
        else:
            self._quota_told = False

    def _tell_quota(self) -> None:
        if not self._quota_told and self._used() < self._quota + QUOTA_RESERVE:
            then = "run unrecorded" if self._effort is Effort.BEST else "are refused"
            why = f"the quota of {self._quota} bytes is used up; calls {then} from here on"
            self._tell(Gap("", GapKind.UNWRITTEN, why))
            self._quota_told = True

    def _write_gap(self) -> None:
        went = "; the calls ran all the same" if self._effort is Effort.BEST else ""
        self._tell(Gap("", GapKind.UNWRITTEN, f"{self._lost_why}{went}", count=self._lost))
        self._lost = 0

    def _used(self) -> int:
        """Bytes of all segments."""
        if self._older[0] != self._head.segment:
            others = (path for path in segments(self._folder) if path.name != self._head.segment)
            self._older = (self._head.segment, sum(path.stat().st_size for path in others))
        return self._older[1] + self._head.size

    def _last_words(self) -> None:
        """Say what was not recorded, if there is room for that by now."""
        with suppress(OSError, AuditError):
            if self._head_fd < 0:
                self._begin()
            self._lock()
            try:
                self._take_up()
                if self._lost and (not self._quota or self._used() < self._quota + QUOTA_RESERVE):
                    self._write_gap()
            finally:
                self._unlock()

    def close(self) -> None:
        with self._mutex:
            if self._closed:
                return
            if self._lost:
                self._last_words()
            with suppress(OSError):  # what had to be durable is; the rest is for the kernel
                if self._head_fd >= 0:
                    os.fsync(self._segment)
                    os.fsync(self._head_fd)
            self._release()
            self._closed = True

    def _release(self) -> None:
        for fd in (self._segment, self._head_fd):
            if fd >= 0:
                os.close(fd)
        self._segment = self._head_fd = -1

    def _open(self, name: str, flags: int) -> int:
        path = self._folder / name
        fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        if not stat.S_ISREG(os.fstat(fd).st_mode):  # a pipe would take what nobody reads
            os.close(fd)
            raise FileExistsError(errno.EEXIST, "no ordinary file", str(path))
        return fd

    def _lock(self) -> None:
        try:
            fcntl.flock(self._head_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._wait_for_lock()

    def _wait_for_lock(self) -> None:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                fcntl.flock(self._head_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AuditError(
                        f"the audit log in `{self._folder}` is held by another process",
                        "find who holds it (`fuser` on the file `head`) and end that process",
                    ) from None
                time.sleep(0.0005)

    def _unlock(self) -> None:
        if self._head_fd >= 0:
            fcntl.flock(self._head_fd, fcntl.LOCK_UN)

    def _take_up(self) -> None:
        """Stand at the end of the log, whoever wrote last and however they ended."""
        if not self._is_ours():
            raise LogGone(
                f"the audit log in `{self._folder}` was removed or replaced while it was in use",
                "find out who did that, then start again",
            )
        packed = os.pread(self._head_fd, HEAD_BYTES + 1, 0)
        if packed != self._packed:
            head = unpack_head(packed)
            if head is None:
                self._recover(None)
                return
            self._change_segment(head)
            self._head, self._packed = head, packed
        now = os.fstat(self._segment) if self._segment >= 0 else None
        if now is None or now.st_size != self._head.size or not now.st_nlink:
            self._recover(self._head)

    def _is_ours(self) -> bool:
        """Whether the head that is open stands in the folder still: who follows the path reads what we write."""
        self._looks += 1
        if self._looks % LOOK_EVERY:
            return bool(os.fstat(self._head_fd).st_nlink)
        try:
            there = os.stat(self._head_path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if self._head_id == (there.st_ino, there.st_dev):
            return True
        mine = os.fstat(self._head_fd)
        self._head_id = (mine.st_ino, mine.st_dev)
        return self._head_id == (there.st_ino, there.st_dev)

    def _change_segment(self, head: Head) -> None:
        if self._segment >= 0 and head.segment == self._head.segment:
            return
        self._drop_segment()
        if segment_number(head.segment):
            with suppress(FileNotFoundError):  # then it was removed, and that is told
                self._segment = os.open(self._folder / head.segment, _APPEND)

    def _drop_segment(self) -> None:
        if self._segment >= 0:
            os.close(self._segment)
        self._segment = -1

    def _recover(self, head: Head | None) -> None:
        """Go on after the last sound record. The head is not put right before what was wrong is in the log."""
        left = inspect(self._folder, head)
        self._drop_segment()
        self._segment = self._open(left.segment, _APPEND)
        self._owed += left.gaps
        if left.torn_at is not None:
            self._owed.append(self._put_aside(left.segment, left.torn_at))
        self._sync_folder()
        self._packed = None
        self._head = Head(left.end.digest, left.segment, left.end.seq, os.fstat(self._segment).st_size)
        if not self._owed:
            self._move_head(self._head)
        while self._owed:
            self._tell(self._owed[0])
            del self._owed[0]

    def _put_aside(self, segment: str, at: int) -> Gap:
        """Keep half a line in a file of its own, take it off the segment, say so."""
        name = f"torn-{segment_number(segment):012}-{at}"
        digest, size = hashlib.sha256(), 0
        kept = self._open(name, os.O_WRONLY | os.O_TRUNC)
        try:
            while piece := os.pread(self._segment, 1024 * 1024, at + size):
                digest.update(piece)
                size += os.write(kept, piece)
            os.fsync(kept)
        finally:
            os.close(kept)
        os.ftruncate(self._segment, at)
        reason = f"half a line of {size} bytes was left by a crash; it is kept in `{name}`"
        return Gap("", GapKind.TORN, reason, kept=name, sha256=digest.hexdigest())

    def _tell(self, gap: Gap) -> None:
        self._append(gap, encode(gap))

    def _append(self, event: AuditEvent, data: bytes) -> int:
        line, link = seal_json(self._head.link, self._clock(), data)
        if len(line) > MOST_LINE:
            raise AuditError(
                f"a record of {len(line)} bytes is longer than the {MOST_LINE} that the audit log takes",
                "make the call smaller",
            )
        if self._head.size and self._head.size + len(line) > self._segment_bytes:
            self._next_segment()
        before, packed = self._head, self._packed
        head = Head(link.digest, before.segment, link.seq, before.size + len(line))
        try:
            if os.write(self._segment, line) != len(line):  # the rest would not fit either
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if must_be_durable(event):
                _datasync(self._segment)
            self._move_head(head)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._segment, before.size)
            self._take_back(before, packed)
            raise
        return link.seq

    def _take_back(self, head: Head, packed: bytes | None) -> None:
        """Stand where `head` is. `packed` is what the file of the head held, if that was sound."""
        with suppress(OSError):
            if packed is not None:  # or it might tell of a record that is not there
                os.pwrite(self._head_fd, packed, 0)
        self._drop_segment()
        self._head, self._packed = head, None

    def _next_segment(self) -> None:
        before, packed = self._head, self._packed
        try:
            os.fsync(self._segment)
            name = segment_name(segment_number(before.segment) + 1)
            fd = self._open(name, _APPEND)
            self._drop_segment()
            self._segment = fd
            self._sync_folder()
            self._move_head(Head(before.digest, name, before.seq, os.fstat(fd).st_size))
            os.fsync(self._head_fd)
        except OSError:
            self._take_back(before, packed)
            raise

    def _move_head(self, head: Head) -> None:
        packed = pack_head(head)
        if os.pwrite(self._head_fd, packed, 0) != len(packed):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._head, self._packed = head, packed

    def _sync_folder(self) -> None:
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _cannot_write(folder: Path, error: OSError) -> AuditError:
    if isinstance(error, _QuotaUsed):
        remedy = "raise `audit.max_bytes`, or move the folder to an archive: a new log begins"
        return AuditError(f"cannot write the audit log in `{folder}`: {error.strerror}", remedy)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            remedy = "free some space there, or move AGENT_HOME to a disk that has some"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            remedy = "make it writable for you, or set AGENT_HOME to a folder that is"
        case errno.EEXIST | errno.EISDIR | errno.ENOTDIR | errno.ELOOP:
            remedy = "move what stands in its place, or set AGENT_HOME to another folder"
        case _:
            remedy = "look at the disk, or set AGENT_HOME to a folder on another one"
    why = (error.strerror or str(error)).lower()
    return AuditError(f"cannot write the audit log in `{folder}`: {why}", remedy)
