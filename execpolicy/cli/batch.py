"""Answers questions from standard input line by line, in flat memory, and goes on after a bad one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from execpolicy.bundle.session import check_call
from execpolicy.cli.jsonlines import BadLine, json_of, numbered, text_of
from execpolicy.cli.place import with_facts
from execpolicy.decision import Verdict
from execpolicy.engine.context import CheckContext, FactValue
from execpolicy.engine.explain import to_json
from execpolicy.engine.policy import Policy
from execpolicy.engine.words import inside
from execpolicy.values import replace

FOLDERS: Final = 256  # whose contexts are kept
KEYS: Final = ("decision", "rules", "parts", "unknowns")


def answer_lines(policy: Policy, context: CheckContext, elsewhere: Callable[[str], CheckContext]) -> int:
    """One answer a line, in order. Exit status 0 when every line was answered, else 1.

    When the first character of the input is `{`, each line is an object with `script` or `argv`; else a script.
    `elsewhere` makes the context of a folder outside the workspace.
    """
    elsewhere = lru_cache(maxsize=FOLDERS)(elsewhere)
    objects: bool | None = None
    bad = False
    for number, line in numbered():
        if line is not None and not line.strip():
            continue
        if objects is None:
            objects = line is not None and line.lstrip().startswith(b"{")
        name: object = number
        try:
            if objects:
                question = _question(line)
                name = question.get("id", number)
                verdict = _answer(question, policy, _context(question, context, elsewhere))
            else:
                verdict = check_call(text_of(line), policy, context)
            found = to_json(verdict)
            reply: dict[str, object] = {"id": name, **{key: found[key] for key in KEYS}}
            reply.update((key, value) for key, value in found.items() if key not in reply)
        except BadLine as error:
            bad = True
            reply = {"id": name, "error": str(error)}
        sys.stdout.write(json.dumps(reply) + "\n")
    sys.stdout.flush()
    return 1 if bad else 0


def _question(line: bytes | None) -> dict[str, object]:
    question = json_of(line)
    if not isinstance(question, dict):
        raise BadLine("line is no JSON object")
    return question


def _answer(question: dict[str, object], policy: Policy, context: CheckContext) -> Verdict:
    script, argv = question.get("script"), question.get("argv")
    if script is not None and argv is not None:
        raise BadLine("give one of `script` and `argv`")
    if isinstance(script, str):
        return check_call(script, policy, context)
    if isinstance(argv, list) and argv and all(isinstance(word, str) for word in argv):
        return check_call(argv, policy, context)
    if script is not None:
        raise BadLine("`script` is a string")
    raise BadLine(
        "`argv` is a list of strings with a program" if argv is not None else "no `script` and no `argv`"
    )


def _context(
    question: dict[str, object], context: CheckContext, elsewhere: Callable[[str], CheckContext]
) -> CheckContext:
    cwd, facts = question.get("cwd"), question.get("facts")
    if cwd is not None:
        if not isinstance(cwd, str) or "\0" in cwd:
            raise BadLine("`cwd` is a path")
        here = os.path.normpath(os.path.join(context.cwd, cwd))
        context = replace(context, cwd=here) if inside(here, context.workspace) else elsewhere(here)
    if facts is None:
        return context
    if not isinstance(facts, dict):
        raise BadLine("`facts` is an object")
    return with_facts(context, {str(name): _value(name, value) for name, value in facts.items()})


def _value(name: object, value: object) -> FactValue:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise BadLine(f"fact `{name}` is a string, a truth value or a list of strings")
