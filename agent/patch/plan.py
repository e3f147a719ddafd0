"""A patch against the files as they are: what each file becomes, before anything is written."""

from __future__ import annotations

import errno
import os
import stat

from agent.errors import PatchError
from agent.patch.diff import unified
from agent.patch.match import Found, NotFound, locate
from agent.patch.parse import AddFile, DeleteFile, FileChange, Mark, Patch, UpdateFile
from execpolicy.facts import Access
from execpolicy.values import frozen

_LARGEST = 32 << 20
_BOM = "\ufeff"


@frozen
class State:
    """A file as it is or shall be. `mode` None: as a new file gets it."""

    content: bytes
    mode: int | None


@frozen
class Change:
    """One file. `before` None: it does not exist; `after` None: it is removed. `path` has no links in it."""

    path: str
    before: State | None
    after: State | None

    @property
    def kind(self) -> str:
        """add, delete or update."""
        return "add" if self.before is None else "delete" if self.after is None else "update"


@frozen
class PatchPlan:
    """What a patch does: the files it touches by their real paths, their contents, and the difference."""

    accesses: tuple[tuple[str, Access], ...]
    changes: tuple[Change, ...]
    diff: str


def accesses(patch: Patch, cwd: str) -> tuple[tuple[str, Access], ...]:
    """Which files the patch touches, by real path. Reads no file: what `plan` says on failure quotes files,
    so judge these first where the difference matters."""
    found: dict[tuple[str, Access], None] = {}
    for change in patch.changes:
        match change:
            case AddFile():
                found[_target(change.path, cwd), Access.WRITE] = None
            case DeleteFile():
                found[_entry(change.path, cwd), Access.DELETE] = None
            case UpdateFile(move_to=None):
                found[_target(change.path, cwd), Access.WRITE] = None
            case UpdateFile(move_to=str(move_to)):
                found[_entry(change.path, cwd), Access.DELETE] = None
                found[_target(move_to, cwd), Access.WRITE] = None
    return tuple(found)


def plan(patch: Patch, cwd: str) -> PatchPlan:
    """Read the files and work out the new ones. Writes nothing. Raises PatchError where the patch does not
    fit, with the lines and the nearest place."""
    files = _Files()
    for change in patch.changes:
        _carry_out(files, change, cwd)
    changes = files.changes()
    text = "".join(
        unified(
            os.path.relpath(change.path, os.path.realpath(cwd)),
            None if change.before is None else change.before.content,
            None if change.after is None else change.after.content,
        )
        for change in changes
    )
    return PatchPlan(accesses(patch, cwd), changes, text)


def _carry_out(files: _Files, change: FileChange, cwd: str) -> None:
    match change:
        case AddFile(path, lines):
            target = _target(path, cwd)
            old = files.read(target)
            content = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
            files.write(target, State(content, None if old is None else old.mode))
        case DeleteFile(path):
            entry = _entry(path, cwd)
            if files.read(entry) is None:
                raise PatchError(f"cannot delete `{path}`: there is no such file")
            files.write(entry, None)
        case UpdateFile(path, _, move_to):
            source = _target(path, cwd) if move_to is None else _entry(path, cwd)
            old = files.read(source)
            if old is None:
                raise PatchError(
                    f"cannot update `{path}`: there is no such file", help="make it with `*** Add File:`"
                )
            if old.mode is not None and stat.S_ISLNK(old.mode):
                raise PatchError(
                    f"cannot move `{path}`: it is a symbolic link", help="move it with a command"
                )
            new = State(_updated(path, old.content, change), old.mode)
            if move_to is not None:
                files.write(source, None)
                source = _target(move_to, cwd)
                files.read(source)
            files.write(source, new)


class _Files:
    """The files as the patch leaves them so far; a later change of a patch sees the earlier ones."""

    def __init__(self) -> None:
        self._before: dict[str, State | None] = {}
        self._now: dict[str, State | None] = {}

    def read(self, path: str) -> State | None:
        if path not in self._now:
            self._before[path] = self._now[path] = read_state(path)
        return self._now[path]

    def write(self, path: str, state: State | None) -> None:
        self.read(path)
        self._now[path] = state

    def changes(self) -> tuple[Change, ...]:
        return tuple(
            Change(path, self._before[path], now)
            for path, now in self._now.items()
            if now != self._before[path]
        )


def read_state(path: str) -> State | None:
    """The file at `path`, or None where nothing is. Never follows a link, never waits on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK) and os.path.islink(path):
            return State(os.fsencode(os.readlink(path)), stat.S_IFLNK)
        raise PatchError(f"cannot read `{path}`: {error.strerror}") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            kind = "a folder" if stat.S_ISDIR(info.st_mode) else "no ordinary file"
            raise PatchError(f"cannot patch `{path}`: it is {kind}")
        if info.st_size > _LARGEST:
            raise PatchError(f"`{path}` is too large to patch: {info.st_size} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return State(file.read(), stat.S_IMODE(info.st_mode))
    finally:
        os.close(descriptor)


def _target(path: str, cwd: str) -> str:
    """Where a write to `path` arrives: links followed, so that the path is judged for what it is."""
    return os.path.realpath(os.path.join(cwd, path))


def _entry(path: str, cwd: str) -> str:
    """The name that a removal of `path` takes away: a link itself, not what it points to."""
    full = os.path.join(cwd, path)
    return os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))


def _updated(path: str, content: bytes, change: UpdateFile) -> bytes:
    if b"\0" in content:
        raise PatchError(f"cannot update `{path}`: it is not a text file")
    text = content.decode("utf-8", "surrogateescape")
    mark = _BOM if text.startswith(_BOM) else ""
    lines = text.removeprefix(_BOM).split("\n")
    last = lines.pop()
    ends = ["\r\n" if line.endswith("\r") else "\n" for line in lines]
    lines = [line.removesuffix("\r") for line in lines]
    if last:
        lines.append(last)
        ends.append("")
    usual = "\r\n" if ends.count("\r\n") > ends.count("\n") else "\n"
    out: list[tuple[str, str]] = []
    at = 0
    for chunk in change.chunks:
        match locate(lines, chunk, at):
            case NotFound(message, help):
                raise PatchError(f"cannot update `{path}`: {message}", help=help)
            case Found(place, changed):
                out += zip(lines[at:place], ends[at:place], strict=True)
                at = place
                for line in changed:
                    if line.mark is Mark.ADD:
                        out.append((line.text, usual))
                        continue
                    if line.mark is Mark.KEEP:
                        out.append((lines[at], ends[at]))
                    at += 1
    out += zip(lines[at:], ends[at:], strict=True)
    # Only the last line of a file may lack its end.
    whole = "".join(
        line + (end or (usual if place < len(out) - 1 else "")) for place, (line, end) in enumerate(out)
    )
    return (mark + whole).encode("utf-8", "surrogateescape")
