"""Which bundle a rule file belongs to, as the manifest beside it says. Read by hand: no start pays for YAML."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

MANIFEST = "manifest.yaml"
MOST_BYTES = 64 * 1024
MOST_TEXT = 100
_NOBODY = ("", "")


def bundles_of(paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Name and version for each path; both empty where no manifest beside it lists it, or none can be read.

    Only plain manifests are read: `name`, `version` and `files` at the beginning of a line, the files in one
    list of plain words or a list of lines. It is what the manifest says; nobody signed for it.
    """
    known: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    found = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        if folder not in known:
            known[folder] = _read(Path(folder, MANIFEST)) if folder else ("", "", ())
        bundle, version, files = known[folder]
        found[path] = (bundle, version) if bundle and name in files else _NOBODY
    return found


def _read(path: Path) -> tuple[str, str, tuple[str, ...]]:
    try:
        lines = _text(path).splitlines()
    except (OSError, ValueError):
        return "", "", ()
    said = {"name": "", "version": ""}
    files: list[str] = []
    listing = False
    for line in lines:
        key, colon, rest = line.partition(":")
        if listing and line.lstrip().startswith("- "):
            files.append(_word(line.lstrip()[2:]))
            continue
        listing = key == "files" and bool(colon) and not _word(rest)
        if key in said and colon:
            said[key] = _word(rest)[:MOST_TEXT]
        elif key == "files" and _word(rest).startswith("["):
            files += [_word(one) for one in _word(rest).strip("[]").split(",")]
    return said["name"], said["version"], tuple(files)


def _text(path: Path) -> str:
    """Of an ordinary file, or ValueError: a pipe would be waited for."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError(f"`{path}` is no ordinary file")
        return file.read(MOST_BYTES).decode("utf-8")


def _word(text: str) -> str:
    plain = text.partition(" #")[0].strip()
    return plain.strip("\"'") if plain[:1] in "\"'" else plain
