"""What of other repositories has to be guarded: linked ones, and those nested in the workspace."""

from __future__ import annotations

import os
import stat

_POINTER_BYTES = 4096
_LOOKED_AT = 2000  # entries of folders, so that a large workspace costs a command no more than 2 ms
_PASSED_BY = ("node_modules", "site-packages", "__pycache__")  # large, and made by programs
_NESTED = (
    "config",
    "hooks",
    "info",
    "commondir",
)  # what can start programs; commits in a nested repository stay possible


def linked(path: str) -> list[str]:
    """Where the `.git` file `path` of a work tree or sub-module points, and what that repository shares."""
    folder = _pointer(path, "gitdir:", os.path.dirname(path))
    if folder is None:
        return []
    shared = _pointer(f"{folder}/commondir", "", folder)
    return [folder] if shared is None else [folder, shared]


def repositories(*roots: str) -> list[str]:
    """Guarded paths of the repositories below `roots`, nearest first, as far as one look at all of them goes."""
    found: list[str] = []
    left = _LOOKED_AT
    folders = list(roots)
    while folders and left > 0:
        below: list[str] = []
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        left -= 1
                        if left < 0:
                            return found
                        if entry.name == ".git":
                            found += _guarded(entry) if folder not in roots else []
                        elif entry.is_dir(follow_symlinks=False) and entry.name not in _PASSED_BY:
                            below.append(entry.path)
            except OSError:
                continue
        folders = below
    return found


def _guarded(entry: os.DirEntry[str]) -> list[str]:
    if entry.is_dir(follow_symlinks=False):
        return [f"{entry.path}/{name}" for name in _NESTED]
    return [] if entry.is_symlink() else [entry.path, *linked(entry.path)]


def _pointer(path: str, prefix: str, base: str) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        text = os.fsdecode(os.read(descriptor, _POINTER_BYTES))
    finally:
        os.close(descriptor)
    if not text.startswith(prefix):
        return None
    target = text[len(prefix) :].strip()
    return os.path.normpath(os.path.join(base, target)) if target else None
