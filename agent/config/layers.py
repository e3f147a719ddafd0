"""Layers of settings: one place after the other, each value with where it was written."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.config.keys import BY_NAME, PROJECTS, TABLES, TRUST_LEVELS, Key
from agent.config.values import Bad, Value, absolute, read_value
from agent.errors import ConfigError

MOST_BYTES = 1 << 20
_HEADER = re.compile(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(?:#.*)?\Z")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value and where it was written."""

    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class FileLayer:
    """What one config.toml says."""

    entries: Mapping[str, Entry]  # by field of Settings
    trust: Mapping[Path, str]  # folder -> trust level


def read_file(path: Path, *, project: bool) -> FileLayer:
    """What the file at `path` says; nothing when there is none. Every error of the file is told at once."""
    try:
        # A pipe without a writer would be waited for, for ever.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
                raise ConfigError(f"`{path}` is a pipe", "make it an ordinary file or move it away")
            raw = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return FileLayer({}, {})
    except OSError as error:
        raise ConfigError(
            f"cannot read `{path}`: {error.strerror}", "make it readable or move it away"
        ) from None
    if len(raw) > MOST_BYTES:
        raise ConfigError(f"`{path}` is larger than {MOST_BYTES} bytes", "it is not a configuration file")
    try:
        text = raw.decode("utf-8-sig")
        table = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigError(f"`{path}` is not UTF-8 text (byte {error.start})", "save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_placed(path, text, str(error)), "see docs/reference/config.md") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply", "see docs/reference/config.md") from None
    return _read_table(path, text, table, project=project)


def read_override(text: str, base: Path) -> tuple[Key, Value]:
    """`key=value` of the command line; the value is TOML, and text when it is no TOML."""
    name, equals, raw = text.partition("=")
    name = name.strip()
    if not equals:
        raise ConfigError(f"`-c {text}` has no `=`", "write `-c key=value`")
    key = BY_NAME.get(name)
    if key is None:
        raise ConfigError(f"unknown key `{name}` in `-c {text}`", _nearest(name))
    try:
        table = tomllib.loads(f"x = {raw}")
        value: object = table["x"] if len(table) == 1 else raw
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    read = read_value(key, value, base)
    if isinstance(read, Bad):
        raise ConfigError(f"{read.why} (`-c {text}`)", f"{key.name}: {key.about}")
    return key, read


def _read_table(path: Path, text: str, table: Mapping[str, object], *, project: bool) -> FileLayer:
    entries: dict[str, Entry] = {}
    trust: dict[Path, str] = {}
    problems: list[tuple[int, str, str]] = []
    for name, raw in _flat(table, ""):
        line = _line_of(text, name)
        if name == PROJECTS or name.startswith(PROJECTS + "."):
            if project:
                problems.append(
                    (line, f"`{PROJECTS}` cannot be set by a project", "set it in your own config.toml")
                )
            else:
                why = _read_trust(raw, path.parent, trust)
                if why:
                    problems.append((line, why, 'write `[projects."/path"]` and `trust_level = "trusted"`'))
            continue
        key = BY_NAME.get(name)
        if key is None:
            problems.append((line, f"unknown key `{name}`", _nearest(name)))
        elif project and not key.project:
            problems.append((line, f"`{name}` cannot be set by a project", "set it in your own config.toml"))
        else:
            value = read_value(key, raw, path.parent)
            if isinstance(value, Bad):
                problems.append((line, value.why, f"{key.name}: {key.about}"))
            else:
                entries[key.field] = Entry(value, f"{path}:{line}")
    if problems:
        problems.sort()
        told = "\n".join(f"{path}:{line}: {what}" for line, what, _ in problems)
        raise ConfigError(told, problems[0][2])
    return FileLayer(entries, trust)


def _flat(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        full = prefix + name
        if full in TABLES and isinstance(value, dict):
            yield from _flat(value, full + ".")
        else:
            yield full, value


def _read_trust(raw: object, base: Path, trust: dict[Path, str]) -> str:
    if not isinstance(raw, dict):
        return f"`{PROJECTS}` must be a table of folders"
    for folder, about in raw.items():
        if not isinstance(about, dict) or set(about) != {"trust_level"}:
            return f"`{PROJECTS}.{folder}` must hold `trust_level` and nothing else"
        if about["trust_level"] not in TRUST_LEVELS:
            return f"`trust_level` of `{folder}` must be one of {', '.join(TRUST_LEVELS)}"
        trust[absolute(folder, base).resolve()] = about["trust_level"]
    return ""


def _nearest(name: str) -> str:
    close = difflib.get_close_matches(name, (*BY_NAME, PROJECTS), n=1, cutoff=0.5)
    if close:
        return f"did you mean `{close[0]}`?"
    ends = [known for known in BY_NAME if known.rpartition(".")[2] == name]
    return f"did you mean `{ends[0]}`?" if ends else "docs/reference/config.md lists every key"


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
