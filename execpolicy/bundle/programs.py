"""A Codex file that is a program: run once in a bounded child, its rules placed where the calls stand."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from execpolicy.codex.dialect import PLACE
from execpolicy.codex.expand import PROGRAM, FileError, MissingExtra, Stopped
from execpolicy.codex.importer import plain_rules
from execpolicy.codex.starlark import Child
from execpolicy.decision import Layer, Origin
from execpolicy.diagnostics import Diagnostic, Severity
from execpolicy.lang.lower import Parsed, parse_rules
from execpolicy.lang.rules import Example, NetworkRule, PathRule, Rule, RuleFile, ToolRule
from execpolicy.source import SourceText, Span
from execpolicy.values import replace

SECONDS: Final = 5.0
# Declarations that Codex does not have: a file with one of them is no file of Codex's.
OURS: Final = re.compile(
    r"^(?:command_rule|path_rule|tool_rule|defaults|exception|mask)[ \t]*\(", re.MULTILINE
)
CALL: Final = re.compile(r"(?<![\w.])(prefix_rule|network_rule|host_executable)[ \t]*\(")
COMMENT: Final = re.compile(r"#[^\n]*")
NAME: Final = re.compile(r"\w+")


def expanded(parsed: Parsed, text: str, layer: Layer) -> Parsed:
    """What Codex reads in a file that the language does not accept; `parsed` where Codex does not accept it."""
    if not any(one.severity is Severity.ERROR for one in parsed.diagnostics) or OURS.search(text):
        return parsed
    program = any(one.code == "E007" for one in parsed.diagnostics)
    path = parsed.file.path
    try:
        with Child(PROGRAM, seconds=SECONDS) as child:
            plain = plain_rules(text, path, child)
    except MissingExtra:
        if not program:
            return parsed
        help_ = (
            "install the `starlark` extra (`pip install 'policy-agent[starlark]'`),"
            " or where it is installed turn the file into plain rules: `agent policy import`"
        )
        found = _error(
            "E008", "this file is a Starlark program, and what runs one is missing", path, text, help_
        )
        return Parsed(parsed.file, (found,))
    except Stopped as error:
        help_ = "write the rules that it makes, or fewer of them"
        return Parsed(parsed.file, (_error("E009", _message(error), path, text, help_), *parsed.diagnostics))
    except FileError as error:
        if not program:
            return parsed
        help_ = "`agent policy check --format codex` shows the whole message"
        return Parsed(parsed.file, (_error("E008", _message(error), path, text, help_, _line(error)),))
    made = parse_rules(plain, path, layer)
    lines = tuple(_lines(plain, text))
    diagnostics = tuple(_elsewhere(one, lines, text) for one in made.diagnostics)
    return Parsed(_placed(made.file, lines), diagnostics)


def _message(error: FileError) -> str:
    return "this program fails: " + error.message.removeprefix("error: ").splitlines()[0]


def _line(error: FileError) -> int:
    found = PLACE.search(error.text)
    return int(found["line"]) if found else 1


def _error(code: str, message: str, path: str, text: str, help_: str, line: int = 1) -> Diagnostic:
    source = SourceText(path, text)
    start = source.offset(line)
    end = start + len(source.line(line)) if line <= text.count("\n") + 1 else start
    return Diagnostic(code=code, message=message, source=source, span=Span(start, end), help=help_)


def _lines(plain: str, text: str) -> Iterator[int]:
    """For each call in `plain` the line in `text` that made it: the only call of that name, or the one as far
    down the list when there are as many; else the first line of the file.
    """
    calls = [found[0] for line in plain.splitlines() if (found := NAME.match(line))]
    bare = COMMENT.sub(lambda comment: " " * len(comment[0]), text)
    places: dict[str, list[int]] = {}
    for site in CALL.finditer(bare):
        places.setdefault(site[1], []).append(text.count("\n", 0, site.start()) + 1)
    many = Counter(calls)
    seen: Counter[str] = Counter()
    for name in calls:
        known = places.get(name, [])
        if len(known) == 1:
            yield known[0]
        else:
            yield known[seen[name]] if len(known) == many[name] else 1
        seen[name] += 1


def _elsewhere(found: Diagnostic, lines: tuple[int, ...], text: str) -> Diagnostic:
    """The same about the program's own text."""
    line, _ = found.source.position(found.span.start)
    path = found.source.path
    return _error(found.code, found.message, path, text, found.help, _at(lines, line))


def _at(lines: tuple[int, ...], line: int) -> int:
    return lines[line - 1] if line <= len(lines) else 1


def _placed(file: RuleFile, lines: tuple[int, ...]) -> RuleFile:
    taken: Counter[str] = Counter()

    def origin(old: Origin) -> Origin:
        return replace(old, line=_at(lines, old.line), column=1)

    def examples(old: Iterable[Example]) -> tuple[Example, ...]:
        return tuple(replace(one, origin=origin(one.origin)) for one in old)

    def rule(old: Rule) -> Rule:
        place = origin(old.meta.origin)
        name = f"{old.meta.id.rpartition(':')[0]}:{place.line}"
        taken[name] += 1
        meta = replace(old.meta, origin=place, id=name if taken[name] == 1 else f"{name}.{taken[name]}")
        if isinstance(old, NetworkRule | PathRule | ToolRule):
            return replace(old, meta=meta)
        return replace(old, meta=meta, match=examples(old.match), not_match=examples(old.not_match))

    hosts = tuple(replace(host, origin=origin(host.origin)) for host in file.host_executables)
    return replace(file, rules=tuple(map(rule, file.rules)), host_executables=hosts)
