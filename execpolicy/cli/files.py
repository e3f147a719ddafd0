"""Reads and writes the files that commands are given: bounded, with one sentence when it does not work."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from execpolicy.bundle.load import PolicySource
from execpolicy.decision import Layer

MAX_BYTES: Final = 64 * 1024 * 1024


class Unreadable(Exception):
    """A file that is no text that could be read; the message says why."""


def read_text(path: Path) -> str:
    """The text of a file. Raises `Unreadable`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"cannot read `{path}`: {reason.lower()}") from None
    return _decoded(data, str(path))


def read_stdin() -> str:
    """Standard input. Raises `Unreadable`."""
    return _decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input")


def _decoded(data: bytes, name: str) -> str:
    if len(data) > MAX_BYTES:
        raise Unreadable(f"`{name}` has more than {MAX_BYTES // 1024 // 1024} MB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"`{name}` is not UTF-8 text (byte {error.start + 1})") from None


def write_text(path: Path, text: str) -> None:
    """Replaces a file at once, or not at all; a link stays a link and the mode stays. Raises `Unreadable`."""
    target = Path(os.path.realpath(path))
    made: str | None = None
    try:
        number, made = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(number, "wb") as stream:
            stream.write(text.encode("utf-8"))
            stream.flush()
            os.fsync(stream.fileno())
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
        os.chmod(made, mode)
        os.replace(made, target)
    except (OSError, ValueError) as error:
        if made is not None:
            with contextlib.suppress(OSError):
                os.unlink(made)
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable(f"cannot write `{path}`: {reason.lower()}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@dataclass(frozen=True, slots=True)
class Sources:
    """The rule files of a command: those named by hand, or those in force here."""

    sources: tuple[PolicySource, ...]
    named: bool

    @staticmethod
    def of(rules: Sequence[str], folder: Path) -> Sources:
        """Raises `Unreadable` when there is no such folder."""
        if rules:
            return Sources(tuple(PolicySource(Path(path), Layer.SESSION) for path in rules), True)
        from execpolicy.bundle.machine import is_trusted, layer_sources
        from execpolicy.cli.place import Place

        place = Place.of(str(folder))
        if place is None:
            raise Unreadable(f"`{folder}` is no folder")
        trusted = is_trusted(place.workspace, place.home)
        return Sources(tuple(layer_sources(place.home, place.workspace, trusted=trusted)), False)


def fail(message: str) -> int:
    """Tell what is wrong; the exit status."""
    print(f"error: {message}", file=sys.stderr)
    return 1
