"""Finds the AGENTS.md texts that hold for a folder and bounds them.

`AGENT_HOME` first, then each folder from the root of the repository down to the current one. An
`AGENTS.override.md` stands for the `AGENTS.md` of its own folder.

What is read goes to the model service. A repository that nobody trusts can hold links: one to a key of the user,
or to the settings of git, must not be followed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from execpolicy.values import frozen

MAX_BYTES = 32_768
_NAMES = ("AGENTS.override.md", "AGENTS.md")
_PROJECT_MARK = "--- project-doc ---"


@frozen
class Instructions:
    """The texts in one, the files they came from, and what a person should know about the reading."""

    text: str = ""
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


def find(agent_home: Path, root: Path, cwd: Path, max_bytes: int = MAX_BYTES) -> Instructions:
    """The instructions for work in `cwd`. Never raises: a file that cannot be read is a warning."""
    warnings: list[str] = []
    files: list[Path] = []
    left = max_bytes
    own = _first(agent_home)
    parts: list[str] = []
    if own is not None and (text := _read(own, left, warnings)):
        parts.append(text)
        files.append(own)
        left -= len(text.encode())
    project: list[str] = []
    way = _way(root, cwd)
    for folder in way:
        found = _first(folder)
        if found is None:
            continue
        if flaw := _astray(found, way[0]):
            warnings.append(f"`{found}` was left out: {flaw}")
            continue
        if left <= 0:
            warnings.append(f"`{found}` was left out: AGENTS.md texts together pass {max_bytes} bytes")
            continue
        if text := _read(found, left, warnings):
            project.append(text)
            files.append(found)
            left -= len(text.encode())
    if parts and project:
        parts.append(_PROJECT_MARK)
    return Instructions("\n\n".join([*parts, *project]), tuple(files), tuple(warnings))


def _way(root: Path, cwd: Path) -> list[Path]:
    """The folders from `root` down to `cwd`; `cwd` alone when it lies elsewhere."""
    if not cwd.is_relative_to(root):
        return [cwd]
    way = [cwd, *cwd.parents]
    return list(reversed(way[: way.index(root) + 1]))


def _first(folder: Path) -> Path | None:
    for name in _NAMES:
        path = folder / name
        try:
            if path.is_file():
                return path
        except OSError:
            continue
    return None


def _astray(path: Path, root: Path) -> str:
    """Why a file of a project is not to be read: a link may lead to another text of the project only."""
    try:
        if not path.is_symlink():
            return ""
        target = path.resolve(strict=True)
        inside = target.relative_to(root.resolve()).parts
    except ValueError:
        return "it is a link that leads out of the project"
    except (OSError, RuntimeError) as error:
        return f"it is a link that leads nowhere: {getattr(error, 'strerror', '') or error}"
    if ".git" in inside or target.suffix != ".md":
        return "it is a link to something else than a text (`.md`) of the project"
    return ""


def _read(path: Path, left: int, warnings: list[str]) -> str:
    try:
        # Not waiting: what was a file when it was looked for may be a pipe by now.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                warnings.append(f"`{path}` cannot be read: it is no file")
                return ""
            data = file.read(left + 1)
    except OSError as error:
        warnings.append(f"`{path}` cannot be read: {error.strerror or error}")
        return ""
    cut = len(data) > left
    # A byte that is no text becomes a character of three.
    text = data[:left].decode(errors="ignore" if cut else "replace").encode()
    if cut or len(text) > left:
        warnings.append(f"`{path}` was cut: AGENTS.md texts together pass their limit")
    return text[:left].decode(errors="ignore").strip()
