"""Answers `policy facts` and `policy schema`: what a script can do, and the form of every object that is printed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from execpolicy.cli.files import Unreadable, fail, read_stdin
from execpolicy.shell.analyse import analyse, analyse_argv
from execpolicy.shell.report import facts_to_json
from execpolicy.shell.report import schema as facts_schema

FOLDER: Final = Path(__file__).parents[1] / "schemas"
SCHEMAS: Final = {
    "verdict": "the answer of `check` and `explain` with `--format json`",
    "batch": "one answer of `check --stdin`",
    "question": "one question of `check --stdin`",
    "facts": "the answer of `facts`",
    "lint": "the answer of `lint --format json`",
    "test": "the answer of `test --format json`",
}


def facts(*, script: str | None, words: tuple[str, ...], folder: str) -> int:
    """Print what the script can do; standard input is the script when there is none."""
    try:
        text = read_stdin() if script is None and not words else script
    except Unreadable as error:
        return fail(str(error))
    found = analyse_argv(words) if text is None else analyse(text, cwd=os.path.abspath(folder))
    print(json.dumps(facts_to_json(found), indent=2))
    return 0


def schema(name: str) -> int:
    """Print one published JSON Schema."""
    print(json.dumps(schema_of(name), indent=2))
    return 0


def schema_of(name: str) -> Mapping[str, object]:
    """The JSON Schema of this name."""
    if name == "facts":
        return facts_schema()
    found: Mapping[str, object] = json.loads((FOLDER / f"{name}.schema.json").read_text("utf-8"))
    return found


def names() -> int:
    """List the schemas."""
    for name, what in SCHEMAS.items():
        print(f"{name:9} {what}")
    return 0
