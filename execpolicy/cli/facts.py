"""Answers `policy facts` and `policy schema`: what a script can do, and the form of every object that is printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from execpolicy.cli.jsonlines import BadLine, json_of, numbered
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
    """Print what a script, or a program with its words, can do."""
    found = analyse_argv(words) if script is None else analyse(script, cwd=os.path.abspath(folder))
    print(json.dumps(facts_to_json(found), indent=2))
    return 0


def facts_of_lines(folder: str) -> int:
    """One answer a line of standard input, in order. Exit status 0 when every line was answered, else 1."""
    folder = os.path.abspath(folder)
    bad = False
    for number, line in numbered():
        if line is not None and not line.strip():
            continue
        name: object = number
        try:
            question = json_of(line)
            if isinstance(question, dict):
                name = question.get("id", number)
                script, cwd = question.get("script"), question.get("cwd", ".")
            else:
                script, cwd = question, "."
            if not isinstance(script, str):
                raise BadLine("line is neither a JSON string nor an object with a `script`")
            if not isinstance(cwd, str) or "\0" in cwd:
                raise BadLine("`cwd` is a path")
            found = facts_to_json(analyse(script, cwd=os.path.normpath(os.path.join(folder, cwd))))
            reply = {"id": name, **found}
        except BadLine as error:
            bad = True
            reply = {"id": name, "error": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
    return 1 if bad else 0


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
