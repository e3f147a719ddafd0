"""Finds the AGENTS.md texts that hold for a folder and bounds them.

`AGENT_HOME` first, then each folder from the root of the repository down to the current one. An
`AGENTS.override.md` stands for the `AGENTS.md` of its own folder.
"""

from __future__ import annotations

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
    for folder in _way(root, cwd):
        found = _first(folder)
        if found is None:
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


def _read(path: Path, left: int, warnings: list[str]) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(left + 1)
    except OSError as error:
        warnings.append(f"`{path}` cannot be read: {error.strerror or error}")
        return ""
    if len(data) > left:
        warnings.append(f"`{path}` was cut: AGENTS.md texts together pass their limit")
        data = data[:left]
        return data.decode(errors="ignore").strip()
    return data.decode(errors="replace").strip()
