"""Does one pattern of a word take everything that another takes, also about words that are half known.

`covers(wide, narrow)` holds when for every word, literal or unknown, the engine's answer for `wide` is at least as
certain as its answer for `narrow`. True is certain; False means that it could not be shown.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Final

from execpolicy.decision import Certainty
from execpolicy.engine.words import YES, Places, fits_text, inside
from execpolicy.lang.regular import Automaton, BadPattern, compile_word
from execpolicy.lang.rules import (
    AllOf,
    AnyOf,
    Exact,
    Glob,
    NoneOf,
    Regex,
    Within,
    WordPattern,
)

MAX_PAIRS: Final = 400  # below the bound to which the matcher itself looks ahead
NOWHERE: Final = Places(None, "/\0", "")  # a workspace that no path lies in


def covers(wide: WordPattern, narrow: WordPattern) -> bool:
    """Whether `wide` answers at least what `narrow` answers, whatever the word."""
    if wide == narrow or takes_everything(wide):
        return True
    match narrow:
        case AnyOf(options):
            return all(covers(wide, option) for option in options)
        case AllOf(options) if any(covers(wide, option) for option in options):
            return True
    match wide:
        case AnyOf(options) if not isinstance(narrow, Exact):
            return any(covers(option, narrow) for option in options)
        case AllOf(options) if not isinstance(narrow, Exact):
            return all(covers(option, narrow) for option in options)
        case NoneOf(outer) if isinstance(narrow, NoneOf):
            return covers(AnyOf(narrow.options), AnyOf(outer))
    match narrow:
        case Exact(text):
            return fits_text(wide, text, NOWHERE) is YES
        case Within(root):
            return isinstance(wide, Within) and _inside(root, wide.root)
        case Glob() | Regex():
            return isinstance(wide, Glob | Regex) and _included(wide, narrow)
        case _:
            return False


def takes_everything(pattern: WordPattern) -> bool:
    """Whether every word fits, known or not."""
    match pattern:
        case Glob(text):
            return text != "" and set(text) == {"*"}
        case AnyOf(options):
            return any(map(takes_everything, options))
        case AllOf(options):
            return all(map(takes_everything, options))
        case Regex(text):
            automaton = _automaton(pattern)
            return text == "" or (automaton is not None and automaton.matches_all_with_prefix(""))
        case _:
            return False


def _inside(narrow: str, wide: str) -> bool:
    if ".." in narrow.split("/") or ".." in wide.split("/"):
        return False
    return inside(posixpath.normpath(narrow), posixpath.normpath(wide))


def _automaton(pattern: Glob | Regex) -> Automaton | None:
    try:
        matcher = compile_word(pattern)
    except BadPattern:
        return None
    return matcher if isinstance(matcher, Automaton) else None


def _included(wide: Glob | Regex, narrow: Glob | Regex) -> bool:
    """Both automata are walked side by side over every state that they can be in together."""
    big, small = _automaton(wide), _automaton(narrow)
    if big is None or small is None:
        return False
    letters = _kinds(big, small)
    first = (big.begin(), small.begin(), True)
    seen, open_ = {first}, [first]
    while open_:
        outer, inner, start = open_.pop()
        if small.accepts(inner, start=start) and not big.accepts(outer, start=start):
            return False
        if small.alive(inner) and not big.alive(outer):
            return False
        if not inner:
            continue
        for letter in letters:
            after = (big.follow(outer, letter), small.follow(inner, letter), False)
            if after not in seen:
                if len(seen) >= MAX_PAIRS:
                    return False
                seen.add(after)
                open_.append(after)
    return True


def _kinds(*automata: Automaton) -> list[str]:
    return sorted({letter for automaton in automata for letter in automaton.letters()})


def is_empty(pattern: WordPattern) -> bool:
    """Whether no known word fits. True is certain."""
    match pattern:
        case AnyOf(options):
            return all(map(is_empty, options))
        case Glob() | Regex():
            automaton = _automaton(pattern)
            return automaton is not None and _no_word([automaton], [])
        case NoneOf(options):
            return any(map(takes_everything, options))
        case AllOf(options):
            return _empty_all(options)
        case Exact() | Within():
            return False


def _empty_all(options: Sequence[WordPattern]) -> bool:
    if any(map(is_empty, options)):
        return True
    for option in options:
        listed = texts(option)
        if listed is not None:
            return all(any(_refuses(other, text) for other in options) for text in listed)
    wanted = [one for option in options if isinstance(option, Glob | Regex) and (one := _automaton(option))]
    refused = [
        one
        for option in options
        if isinstance(option, NoneOf)
        for inner in option.options
        if isinstance(inner, Glob | Regex) and (one := _automaton(inner))
    ]
    return bool(wanted) and _no_word(wanted, refused)


def speaks_of_folders(pattern: WordPattern) -> bool:
    """Whether what fits depends on where the workspace and the home lie."""
    match pattern:
        case Within():
            return True
        case AnyOf(options) | AllOf(options) | NoneOf(options):
            return any(map(speaks_of_folders, options))
        case _:
            return False


def _refuses(pattern: WordPattern, text: str) -> bool:
    return not speaks_of_folders(pattern) and fits_text(pattern, text, NOWHERE) is Certainty.NO


def texts(pattern: WordPattern) -> tuple[str, ...] | None:
    """The words of a pattern that lists them."""
    match pattern:
        case Exact(text):
            return (text,)
        case AnyOf(options):
            found = [texts(option) for option in options]
            if any(one is None for one in found):
                return None
            return tuple(text for one in found if one is not None for text in one)
        case _:
            return None


def _no_word(wanted: Sequence[Automaton], refused: Sequence[Automaton]) -> bool:
    """Whether no word is taken by all of `wanted` and by none of `refused`."""
    every = [*wanted, *refused]
    letters = _kinds(*every)
    first = (tuple(one.begin() for one in every), True)
    seen, open_ = {first}, [first]
    while open_:
        states, start = open_.pop()
        says = [one.accepts(state, start=start) for one, state in zip(every, states, strict=True)]
        if all(says[: len(wanted)]) and not any(says[len(wanted) :]):
            return False
        for letter in letters:
            after = (
                tuple(one.follow(state, letter) for one, state in zip(every, states, strict=True)),
                False,
            )
            if after not in seen:
                if len(seen) >= MAX_PAIRS:
                    return False
                seen.add(after)
                open_.append(after)
    return True
