"""Patch text -> what it wants to change: files added, deleted, updated, moved."""

from __future__ import annotations

import enum
import re

from agent.errors import PatchError
from execpolicy.values import frozen

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_ADD, _DELETE, _UPDATE = "*** Add File:", "*** Delete File:", "*** Update File:"
_MOVE, _END_OF_FILE = "*** Move to:", "*** End of File"
_HEREDOC = re.compile(r"(?:apply_?patch\s+)?<<-?\s*(['\"]?)(\w+)\1")
_UNIFIED = re.compile(r"@@ -\d+(,\d+)? \+\d+(,\d+)? @@")  # says nothing that the lines do not say
_HEADERS = f"`{_ADD} PATH`, `{_DELETE} PATH` or `{_UPDATE} PATH`"


class Mark(enum.Enum):
    """What a line of a change does."""

    KEEP = " "
    REMOVE = "-"
    ADD = "+"


@frozen
class Line:
    mark: Mark
    text: str


@frozen(kw_only=True)
class Chunk:
    """One place in a file. `context` are the lines to find first, one after the other."""

    context: tuple[str, ...] = ()
    lines: tuple[Line, ...]
    at_end: bool = False  # the change stands at the end of the file
    number: int  # the line of the patch where it begins


@frozen
class AddFile:
    path: str
    lines: tuple[str, ...]


@frozen
class DeleteFile:
    path: str


@frozen
class UpdateFile:
    path: str
    chunks: tuple[Chunk, ...]
    move_to: str | None = None


FileChange = AddFile | DeleteFile | UpdateFile


@frozen
class Patch:
    changes: tuple[FileChange, ...]


def parse_patch(text: str) -> Patch:
    """Read a patch. Raises PatchError with the line and what was expected there."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PatchError("the patch holds half a character (a lone surrogate)") from error
    return _Reader(text).patch()


class _Reader:
    def __init__(self, text: str) -> None:
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        first, last = 0, len(lines)
        while first < last and not lines[first].strip():
            first += 1
        while last > first and not lines[last - 1].strip():
            last -= 1
        # Models wrap a patch as they would on a command line.
        wrapped = _HEREDOC.fullmatch(lines[first].strip()) if first < last else None
        if wrapped is not None and lines[last - 1].strip() == wrapped[2]:
            first, last = first + 1, last - 1
        self._lines = lines[:last] if first < last else []
        if self._lines and self._lines[-1].strip() == _END:
            self._lines[-1] = _END  # with a blank before it, it would be a line that stays
        self._at = min(first, len(self._lines))

    def patch(self) -> Patch:
        self._expect(_BEGIN, "a patch starts with it")
        changes: list[FileChange] = []
        while True:
            self._skip_blank()
            if self._at >= len(self._lines):
                raise self._error(f"the patch ends without `{_END}`")
            if self._line().strip() == _END:
                break
            changes.append(self._change())
        self._at += 1
        self._skip_blank()
        if self._at < len(self._lines):
            raise self._error(f"there is text after `{_END}`")
        if not changes:
            raise PatchError("the patch changes nothing", help=f"write {_HEADERS} between the markers")
        return Patch(tuple(changes))

    def _change(self) -> FileChange:
        header = self._line().strip()
        if header.startswith(_ADD):
            path = self._path(header, _ADD)
            return AddFile(path, self._added())
        if header.startswith(_DELETE):
            return DeleteFile(self._path(header, _DELETE))
        if header.startswith(_UPDATE):
            return self._update(self._path(header, _UPDATE))
        raise self._error("this is no header of a change", f"expected {_HEADERS}, or `{_END}`")

    def _path(self, header: str, prefix: str) -> str:
        path = header.removeprefix(prefix).strip()
        if not path or "\0" in path:
            raise self._error(f"`{prefix}` needs a path")
        self._at += 1
        return path

    def _added(self) -> tuple[str, ...]:
        lines: list[str] = []
        while self._at < len(self._lines) and self._line().startswith("+"):
            lines.append(self._line()[1:])
            self._at += 1
        self._skip_blank()
        if self._at < len(self._lines) and not self._line().strip().startswith("***"):
            raise self._error("a line of an added file starts with `+`")
        return tuple(lines)

    def _update(self, path: str) -> UpdateFile:
        move_to = None
        if self._at < len(self._lines) and self._line().strip().startswith(_MOVE):
            move_to = self._path(self._line().strip(), _MOVE)
        chunks: list[Chunk] = []
        while self._at < len(self._lines):
            if not self._line().strip() and self._after_blank().startswith(("***", "@@")):
                self._at += 1
            elif self._line().startswith("***") and self._line().strip() != _END_OF_FILE:
                break
            else:
                chunks.append(self._chunk())
        if not chunks and move_to is None:
            raise self._error(
                f"the update of `{path}` is empty", "write `@@` and lines that start with ` `, `-`, `+`"
            )
        return UpdateFile(path, tuple(chunks), move_to)

    def _chunk(self) -> Chunk:
        number = self._at + 1
        context: list[str] = []
        while self._at < len(self._lines) and _is_context(self._line()):
            text = self._line()[3:].rstrip()
            if text and not _UNIFIED.match(self._line()):
                context.append(text)
            self._at += 1
        lines: list[Line] = []
        at_end = False
        while self._at < len(self._lines):
            line = self._line()
            if line.rstrip() == _END_OF_FILE:
                at_end = True
                self._at += 1
                break
            if line.startswith("***") or _is_context(line):
                break
            lines.append(self._changed(line))
            self._at += 1
        if not lines:
            raise self._error("a change without lines", "expected lines that start with ` `, `-` or `+`")
        return Chunk(context=tuple(context), lines=tuple(lines), at_end=at_end, number=number)

    def _changed(self, line: str) -> Line:
        if not line:
            return Line(Mark.KEEP, "")  # an empty line whose space was lost
        if line[0] not in " -+":
            raise self._error(
                "this is no line of a change", "it starts with ` ` (kept), `-` (removed) or `+` (added)"
            )
        return Line(Mark(line[0]), line[1:])

    def _line(self) -> str:
        return self._lines[self._at]

    def _skip_blank(self) -> None:
        while self._at < len(self._lines) and not self._line().strip():
            self._at += 1

    def _after_blank(self) -> str:
        at = self._at
        while at < len(self._lines) and not self._lines[at].strip():
            at += 1
        return self._lines[at] if at < len(self._lines) else "***"

    def _expect(self, marker: str, why: str) -> None:
        if self._at >= len(self._lines) or self._line().strip() != marker:
            raise self._error(f"expected `{marker}`", why)
        self._at += 1

    def _error(self, message: str, help: str = "") -> PatchError:
        if self._at >= len(self._lines):
            return PatchError(f"line {self._at + 1}: {message}, but the patch ends here", help=help)
        return PatchError(f"line {self._at + 1}: {message}: `{_shortened(self._line())}`", help=help)


def _is_context(line: str) -> bool:
    return line.rstrip() == "@@" or line.startswith("@@ ")


def _shortened(line: str) -> str:
    return line if len(line) <= 120 else line[:117] + "..."
