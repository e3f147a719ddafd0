"""The facts of a script or of words: the one door into this package."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from execpolicy.facts import ScriptFacts, Word
from execpolicy.shell.lexer import Budget
from execpolicy.shell.recursion import endless
from execpolicy.shell.state import State
from execpolicy.shell.walk import Walk
from execpolicy.source import NOWHERE, Span


def analyse(script: str, *, cwd: str | None = None, dialect: str = "bash") -> ScriptFacts:
    """The facts of `script`. Never raises; bounded in time and memory whatever the text."""
    return _walked(script, lambda walk, state: walk.text(script, state, NOWHERE, fixed=False), dialect)


def analyse_argv(argv: Sequence[str]) -> ScriptFacts:
    """The facts of words that no shell reads."""
    words = []
    at = 0
    for text in argv:
        words.append(Word.literal(text, span=Span(at, at + len(text))))
        at += len(text) + 1

    def run(walk: Walk, state: State) -> None:
        if words:
            walk.run(tuple(words), state, Span(0, at - 1))

    return _walked(" ".join(argv), run, "bash")


def _walked(text: str, go: Callable[[Walk, State], None], dialect: str) -> ScriptFacts:
    walk = _walk(go, Walk(Budget()), State(dialect=dialect))
    removes = not walk.removed.isdisjoint(walk.defined)
    if walk.readable and (removes or walk.trapped):
        # What stands later in the text may run before what was walked first: once more, with less taken for certain.
        again = State(dialect=dialect)
        if walk.trapped:
            again.interrupt()
        walk = _walk(go, Walk(Budget(), functions_stay=not removes), again)
    circling = endless(walk.commands) if walk.defined else ()
    return ScriptFacts(
        text=text,
        commands=tuple(walk.commands),
        unknowns=tuple(dict.fromkeys((*walk.unknowns, *circling))),
        readable=walk.readable,
    )


def _walk(go: Callable[[Walk, State], None], walk: Walk, state: State) -> Walk:
    try:
        go(walk, state)
    except RecursionError:
        walk.stop("nested too deeply", NOWHERE)
    return walk
