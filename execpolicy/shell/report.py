"""Facts as plain objects: what `agent policy facts` prints, one object a script."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from execpolicy.facts import Access, CommandFacts, FileAccess, ScriptFacts, Unknown, Word, WordKind
from execpolicy.source import Span

_WRITING = frozenset({Access.WRITE, Access.DELETE})


def facts_to_json(facts: ScriptFacts) -> dict[str, object]:
    """`commands`, `writes`, `unknowns` and `readable`; the form is that of `schema()`."""
    writes: list[dict[str, object]] = []
    unknowns: list[dict[str, object]] = []
    seen: set[tuple[str, Span]] = set()

    def note(unknown: Unknown) -> None:
        if (unknown.why, unknown.span) not in seen:
            seen.add((unknown.why, unknown.span))
            unknowns.append({"why": unknown.why, "span": _span(unknown.span), "code": unknown.code})

    for unknown in facts.unknowns:
        note(unknown)
    for command in facts.commands:
        for unknown in command.unknowns:
            note(unknown)
        for word in command.argv:
            if word.text is None:
                note(Unknown(word.why or word.kind.value, word.span))
        writes.extend(_access(access) for access in command.files if access.access in _WRITING)
    return {
        "commands": [_command(command) for command in facts.commands if command.argv],
        "writes": writes,
        "unknowns": unknowns,
        "readable": facts.readable,
    }


@cache
def schema() -> Mapping[str, object]:
    """The JSON Schema of what `facts_to_json` returns."""
    text = (Path(__file__).parent / "facts.schema.json").read_text("utf-8")
    return cast("Mapping[str, object]", json.loads(text))


def _command(command: CommandFacts) -> dict[str, object]:
    return {
        "argv": [word.text for word in command.argv],
        "words": [_word(word) for word in command.argv],
        "via": [carrier.name for carrier in command.via],
        "span": _span(command.span),
        "assignments": [
            {"name": one.name, "value": None if one.value is None or one.append else one.value.text}
            for one in command.assignments
        ],
        "context": list(command.context),
        "cwd": None if command.cwd is None else command.cwd.text,
        "cwd_known": command.cwd is None or command.cwd.text is not None,
        "transparent": command.transparent,
        "shadowed": command.shadowed,
        "effects": sorted({effect.value for carrier in command.via for effect in carrier.effects}),
    }


def _access(access: FileAccess) -> dict[str, object]:
    return {
        "path": access.path.text,
        "raw": access.path.raw,
        "access": access.access.value,
        "why": access.why,
        "span": _span(access.span),
    }


def _word(word: Word) -> dict[str, object]:
    if word.kind is WordKind.LITERAL:
        return {"raw": word.raw, "kind": word.kind.value}
    return {
        "raw": word.raw,
        "kind": word.kind.value,
        "prefix": word.prefix,
        "many": word.many,
        "why": word.why,
    }


def _span(span: Span) -> list[int]:
    return [span.start, span.end]
