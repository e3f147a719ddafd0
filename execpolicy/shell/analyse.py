"""The facts of a script or of words: the one door into this package."""

from __future__ import annotations

from collections.abc import Sequence

from execpolicy.facts import ScriptFacts, Word
from execpolicy.shell.lexer import Budget
from execpolicy.shell.state import State
from execpolicy.shell.walk import Walk
from execpolicy.source import NOWHERE, Span


def analyse(script: str, *, cwd: str | None = None, dialect: str = "bash") -> ScriptFacts:
    """The facts of `script`. Never raises; bounded in time and memory whatever the text."""
    walk = Walk(Budget())
    state = State(dialect=dialect)
    try:
        walk.text(script, state, NOWHERE, fixed=False)
    except RecursionError:
        walk.stop("nested too deeply", NOWHERE)
    return ScriptFacts(
        text=script,
        commands=tuple(walk.commands),
        unknowns=tuple(dict.fromkeys(walk.unknowns)),
        readable=walk.readable,
    )


def analyse_argv(argv: Sequence[str]) -> ScriptFacts:
    """The facts of words that no shell reads."""
    walk = Walk(Budget())
    words = []
    at = 0
    for text in argv:
        words.append(Word.literal(text, span=Span(at, at + len(text))))
        at += len(text) + 1
    try:
        if words:
            walk.run(tuple(words), State(), Span(0, at - 1))
    except RecursionError:
        walk.stop("nested too deeply", NOWHERE)
    return ScriptFacts(
        text=" ".join(argv),
        commands=tuple(walk.commands),
        unknowns=tuple(dict.fromkeys(walk.unknowns)),
        readable=walk.readable,
    )
