"""Layers of settings: one place after the other, each value with where it was written."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path

from agent.config.keys import PROJECTS
from agent.config.tables import FileLayer, Problem, TableReader
from agent.errors import ConfigError

MOST_BYTES = 1 << 20
MOST_DOTS = 1_000  # of one line: the time to read a key grows with the square of its parts
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?\Z")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")


def read_file(path: Path, *, project: bool) -> FileLayer:
    """What the file at `path` says; nothing when there is none. Every error of the file is told at once."""
    text, table = read_toml(path)
    reader = TableReader(path.parent, lambda name: f"{path}:{_line_of(text, name)}", project=project)
    layer = reader.read(table)
    told(path, text, reader.problems)
    return layer


def told(path: Path, text: str, problems: Sequence[Problem]) -> None:
    """Raises `ConfigError` with every problem, each with its line, where there is one."""
    if problems:
        lines = sorted((_line_of(text, problem.key), problem.what, problem.help) for problem in problems)
        raise ConfigError("\n".join(f"{path}:{line}: {what}" for line, what, _ in lines), lines[0][2])


def read_toml(path: Path) -> tuple[str, dict[str, object]]:
    """The file at `path`, as text and as a table; empty when there is none."""
    try:
        # A pipe without a writer would be waited for, for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"`{path}` is a pipe", "make it an ordinary file or move it away")
            raw = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return "", {}
    except OSError as error:
        raise ConfigError(
            f"cannot read `{path}`: {error.strerror}", "make it readable or move it away"
        ) from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"`{path}` is larger than {MOST_BYTES} bytes", "it is not a configuration file")
    try:
        text = raw.decode("utf-8-sig")
        for number, line in enumerate(text.split("\n"), start=1):
            if line.count(".") > MOST_DOTS:
                raise ConfigError(
                    f"{path}:{number}: more than {MOST_DOTS} dots in one line", "see docs/reference/config.md"
                )
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{path}` is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_placed(path, text, str(error)), "see docs/reference/config.md") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply", "see docs/reference/config.md") from None
    return text, table


def read_override(text: str, base: Path) -> FileLayer:
    """`key=value` of the command line; the value is TOML, and text when it is no TOML."""
    name, equals, raw = text.partition("=")
    name = name.strip()
    if not equals:
        raise ConfigError(f"`-c {text}` has no `=`", "write `-c key=value`")
    try:
        if text.count(".") > MOST_DOTS:
            raise tomllib.TOMLDecodeError
        path = _path(name)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise ConfigError(f"`{name[:100]}` in `-c {text[:200]}` is no key", "write `-c key=value`") from None
    if path[0] == PROJECTS:
        raise ConfigError(f"unknown key `{name}` in `-c {text}`", "trust is a matter of your own config.toml")
    try:
        table = tomllib.loads(f"x = {raw}")
        value: object = table["x"] if len(table) == 1 else raw
    except (tomllib.TOMLDecodeError, RecursionError):
        value = raw.strip()
    for part in reversed(path):
        value = {part: value}
    assert isinstance(value, dict)
    reader = TableReader(base, lambda full: f"-c {full}", partial=True)
    layer = reader.read(value)
    for problem in reader.problems:
        where = f" in `-c {text}`" if problem.what.startswith("unknown") else f" (`-c {text}`)"
        raise ConfigError(problem.what + where, problem.help)
    return layer


def _path(name: str) -> list[str]:
    """The parts of a dotted key."""
    table: object = tomllib.loads(f"{name} = 0")
    parts: list[str] = []
    while isinstance(table, dict):
        if len(table) != 1:
            raise tomllib.TOMLDecodeError
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def _line_of(text: str, name: str) -> int:
    """The line that sets `name`. TOML keeps no positions; a scan of headers and keys finds it."""
    header = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _HEADER.match(line):
            header = _plain(found[1])
            if header == name or header.startswith(name + "."):
                return number
        elif found := _KEY.match(line):
            full = f"{header}.{_plain(found[1])}" if header else _plain(found[1])
            if full == name or full.startswith(name + "."):
                return number
    return 1


def _plain(dotted: str) -> str:
    return re.sub(r"\s*\.\s*", ".", dotted).replace('"', "").replace("'", "")


def _placed(path: Path, text: str, message: str) -> str:
    """`file:line:column: what`, from a message that ends in `(at line 3, column 5)`."""
    what, _, place = message.partition(" (at ")
    found = re.match(r"line (\d+), column (\d+)", place)
    line, column = (found[1], found[2]) if found else (str(text.count("\n") + 1), "1")
    return f"{path}:{line}:{column}: {what[:1].lower()}{what[1:]}"
