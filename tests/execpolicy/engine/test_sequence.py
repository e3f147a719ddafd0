"""Words against elements when some words stand for any number of words."""

from __future__ import annotations

import pytest

from execpolicy.engine.sequence import Perhaps, start, whole
from execpolicy.engine.words import MAYBE, NO, YES, Places
from execpolicy.facts import Word, WordKind
from execpolicy.lang.rules import Element, End, Exact, Glob, Rest

HERE = Places("/ws", "/ws", "/home/u")
A, B = Exact("a"), Exact("b")
a, b = Word.literal("a"), Word.literal("b")
one = Word.unknown("x")
many = Word.unknown("x", many=True)
files = Word(raw="a/*", text=None, kind=WordKind.PATTERN, prefix="a/", many=True, why="glob")


@pytest.mark.parametrize(
    ("elements", "words", "first", "all_"),
    [
        ((), (), YES, YES),
        ((), (a,), YES, NO),
        ((A,), (), NO, NO),
        ((A,), (a,), YES, YES),
        ((A,), (a, b), YES, NO),
        ((A,), (b,), NO, NO),
        ((A,), (one,), MAYBE, MAYBE),
        ((A,), (many,), MAYBE, MAYBE),
        ((A,), (many, many), MAYBE, MAYBE),
        ((A, B), (many,), MAYBE, MAYBE),
        ((A, B), (a, many), MAYBE, MAYBE),
        ((A, B), (a, many, b), MAYBE, MAYBE),
        ((A,), (a, many), YES, MAYBE),
        ((A, End()), (a,), YES, YES),
        ((A, End()), (a, b), NO, NO),
        ((A, End()), (a, many), MAYBE, MAYBE),
        ((End(),), (many,), MAYBE, MAYBE),
        ((Rest(),), (a, many, one), YES, YES),
        ((Rest(A),), (a, a), YES, YES),
        ((Rest(A),), (a, b), NO, NO),
        ((Rest(A),), (a, one), MAYBE, MAYBE),
        ((Rest(Glob("*")),), (many,), YES, YES),
        ((Rest(), B), (a, a, b), YES, YES),
        ((Rest(), B), (a, a), NO, NO),
        ((A,), (files,), NO, NO),
        ((Glob("a/*"),), (files,), MAYBE, MAYBE),
        ((Rest(Glob("a/*")),), (files,), YES, YES),
        ((A,), (Perhaps(a),), MAYBE, MAYBE),
        ((A,), (Perhaps(b), a), MAYBE, MAYBE),
        ((B,), (Perhaps(a),), NO, NO),
        ((Rest(A),), (Perhaps(a),), YES, YES),
    ],
)
def test_sequences(elements: tuple[Element, ...], words: tuple[Word, ...], first: int, all_: int) -> None:
    assert (start(elements, words, HERE), whole(elements, words, HERE)) == (first, all_)
