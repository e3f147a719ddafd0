"""The audit folder as it lies on disk: segment names, the head file, reading and verifying a log."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from compliance.chain import FlawKind, Link, Verification, Verifier
from compliance.errors import RecordError
from execpolicy.values import frozen

HEAD_NAME: Final = "head"
NOTES_NAME: Final = "checkpoints.jsonl"
HEAD_BYTES: Final = 512  # fixed, so that one small write in place replaces it
BLOCK: Final = 256 * 1024
MOST_LINE: Final = 4 * 1024 * 1024  # no record is longer
_NAME: Final = re.compile(r"records-([0-9]{12})\.jsonl")


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log ends: last record, its segment, and the bytes of that segment."""

    digest: str
    segment: str
    seq: int
    size: int

    @property
    def link(self) -> Link:
        return Link(self.seq, self.digest)


def pack_head(head: Head) -> bytes:
    """Fixed length, with a check sum so that half a write is seen."""
    text = msgspec.json.encode(head, order="sorted")
    return text.ljust(HEAD_BYTES - 65) + hashlib.sha256(text).hexdigest().encode() + b"\n"


def unpack_head(data: bytes) -> Head | None:
    """None when `data` is no head."""
    try:
        head = msgspec.json.decode(data[: HEAD_BYTES - 65], type=Head)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return head if pack_head(head) == data else None  # every byte of it is as it was written


def segment_name(number: int) -> str:
    return f"records-{number:012}.jsonl"


def segment_number(name: str) -> int:
    """The number in the name of a segment; 0 for any other name."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def segments(folder: Path) -> list[Path]:
    """The segments of a log, oldest first."""
    found = [path for path in folder.iterdir() if segment_number(path.name) and path.is_file()]
    return sorted(found, key=lambda path: segment_number(path.name))


@frozen
class Snapshot:
    """What a log held at one moment, while others may go on writing."""

    folder: Path
    head: Head | None
    parts: tuple[tuple[Path, int], ...]  # segments and the bytes of each to read

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.parts)


def snapshot(folder: Path) -> Snapshot:
    """The log in `folder` now. RecordError, with a remedy, when there is none or it cannot be read."""
    try:
        head_path = folder / HEAD_NAME
        headless = not head_path.exists()
        sizes = _sizes(folder) if headless and folder.is_dir() else ()
        # A log has both as soon as it is opened. Where checkpoints are left, they tell what is missing.
        if headless and not sizes and not (folder / NOTES_NAME).exists():
            raise RecordError(
                f"no audit log in `{folder}`",
                "it is made when the agent first runs; name another folder with --dir",
            )
        if headless:
            return Snapshot(folder, None, sizes)
        if not head_path.is_file():  # a pipe would be waited for
            raise RecordError(f"`{head_path}` is no ordinary file", "move it away: it is not ours")
        with head_path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return Snapshot(folder, unpack_head(file.read(HEAD_BYTES + 1)), _sizes(folder))
    except OSError as error:
        why = error.strerror or error
        raise RecordError(f"cannot read the audit log in `{folder}`: {why}", "run as its owner") from error


def _sizes(folder: Path) -> tuple[tuple[Path, int], ...]:
    return tuple((path, path.stat().st_size) for path in segments(folder))


def lines(path: Path, size: int, at: int = 0) -> Iterator[bytes]:
    """The lines of the first `size` bytes of a segment from byte `at` on, line ends included, none longer
    than MOST_LINE."""
    with path.open("rb", buffering=1024 * 1024) as file:
        file.seek(at)
        size -= at
        while size > 0 and (line := file.readline(min(size, MOST_LINE))):
            size -= len(line)
            yield line


def blocks(path: Path, size: int, at: int = 0, number: int = 1) -> Iterator[tuple[int, bytes, int]]:
    """The first `size` bytes of a segment in blocks of whole lines: number of the first line, bytes, next number.

    With `at`, from that byte on, where line `number` begins.
    """
    rest = b""
    with path.open("rb", buffering=0) as file:
        file.seek(at)
        size -= at
        while size > 0 and (data := file.read(min(size, BLOCK))):
            size -= len(data)
            end = data.rfind(b"\n") + 1
            if not end and len(rest) < MOST_LINE:
                rest += data
                continue
            block = b"".join((rest, memoryview(data)[:end])) if end else rest
            rest = data[end:]
            after = number + block.count(b"\n")
            yield number, block, after
            number = after
    if rest:
        yield number, rest, number + 1


def verify(
    log: Snapshot,
    progress: Callable[[int], object] = lambda _: None,
    watch: Callable[[str, int, bytes], object] | None = None,
) -> Verification:
    """Check every record of `log`. `progress` is told the bytes read so far, now and then.

    `watch` sees each whole line, with its segment and where in it the line ends.
    """
    verifier = Verifier(log.head.link if log.head else None)
    done = step = 0
    try:
        _check_names(log, verifier)
        for path, size in log.parts:
            name, at = path.name, 0
            for number, line in enumerate(lines(path, size), 1):
                verifier.feed(name, number, line)
                at += len(line)
                if watch is not None and line.endswith(b"\n"):
                    watch(name, at, line)
                step += len(line)
                if step > 1024 * 1024:
                    done, step = done + step, 0
                    progress(done)
    except OSError as error:
        raise RecordError(f"cannot read `{error.filename}`: {error.strerror}", "run as its owner") from error
    _check_kept(log.folder, verifier)
    result = verifier.finish()
    if result.intact and log.head is not None and log.head.segment:  # else it is told better
        _check_end(log, log.head, verifier)
        result = verifier.finish()
    return result


def _check_names(log: Snapshot, verifier: Verifier) -> None:
    """Segments are numbered without a break, and the one that the head names is there, as long as it says."""
    numbers = [segment_number(path.name) for path, _ in log.parts]
    if numbers and numbers != list(range(1, len(numbers) + 1)):
        missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
        name = segment_name(missing[0]) if missing else log.parts[0][0].name
        message = f"`{name}` is not there, and later segments are: one was removed, or renamed"
        verifier.add(FlawKind.DROPPED, 0, name, 0, message)
    for name in sorted(_odd(log.folder)):
        message = "it has the name of a segment and is none: a folder, a pipe, a link to nothing, or number 0"
        verifier.add(FlawKind.INSERTED, 0, name, 0, message)


def _odd(folder: Path) -> list[str]:
    """Names of segments that stand for no file that a segment can be: the log cannot go on there."""
    named = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return [path.name for path in named if not (segment_number(path.name) and path.is_file())]


def _check_end(log: Snapshot, head: Head, verifier: Verifier) -> None:
    size = next((size for path, size in log.parts if path.name == head.segment), None)
    if size is None:
        verifier.add(FlawKind.CUT, head.seq, head.segment, 0, "the segment that the head names is not there")
    elif size < head.size:
        message = f"the head says that there are {head.size} bytes, and there are {size}"
        verifier.add(FlawKind.CUT, head.seq, head.segment, 0, message)


def _check_kept(folder: Path, verifier: Verifier) -> None:
    """What was put aside after a crash is still what it was."""
    for seq, name, digest in verifier.kept:
        path = folder / Path(name).name
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        except OSError:
            found = ""
        if found != digest:
            message = "half a line that was put aside is not there, or not what it was"
            verifier.add(FlawKind.EDITED if found else FlawKind.DROPPED, seq, name, 0, message)


def modes_open_to_others(log: Snapshot) -> list[str]:
    """Names in the log that others may read or write, against its promise."""
    paths = [log.folder, log.folder / HEAD_NAME, *(path for path, _ in log.parts)]
    return [path.name for path in paths if path.exists() and os.stat(path).st_mode & 0o077]
