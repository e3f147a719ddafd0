"""Does a list of words fit a list of elements, when some words stand for any number of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from execpolicy.decision import Certainty
from execpolicy.engine.words import MAYBE, NO, YES, Places, fits
from execpolicy.facts import Word, WordKind
from execpolicy.lang.rules import Element, End, Rest, WordPattern
from execpolicy.values import frozen


class Fits(Protocol):
    def __call__(self, pattern: WordPattern, word: Word, places: Places, /) -> Certainty: ...


@frozen
class Perhaps:
    """A word that may not be one of the list: what follows an option whose arity is not known."""

    word: Word


Listed = Word | Perhaps


def whole(
    elements: Sequence[Element], words: Sequence[Listed], places: Places, test: Fits = fits
) -> Certainty:
    """Whether all `words` fit all `elements`."""
    return _run(elements, words, places, test, open_end=False)


def start(
    elements: Sequence[Element], words: Sequence[Listed], places: Places, test: Fits = fits
) -> Certainty:
    """Whether the first words fit all `elements`. A `rest(...)` at the end speaks about every word left."""
    ends = isinstance(elements[-1], Rest | End) if elements else False
    return _run(elements, words, places, test, open_end=not ends)


def _run(
    elements: Sequence[Element], words: Sequence[Listed], places: Places, test: Fits, *, open_end: bool
) -> Certainty:
    items = tuple(element for element in elements if not isinstance(element, End))
    if any(isinstance(element, End) for element in elements[:-1]):
        return NO
    sure = _walk(items, words, places, test, open_end, YES)
    if sure:
        return YES
    return MAYBE if _walk(items, words, places, test, open_end, MAYBE) else NO


def _walk(
    items: tuple[WordPattern | Rest, ...],
    words: Sequence[Listed],
    places: Places,
    test: Fits,
    open_end: bool,
    least: Certainty,
) -> bool:
    """Whether some way through `items` takes every word with at least `least`.

    With YES the same way serves whatever the unknown words become; with MAYBE it serves for some.
    """
    done = len(items)
    states = _skip_rests({0}, items)
    for listed in words:
        if open_end and done in states:
            return True
        word = listed.word if isinstance(listed, Perhaps) else listed
        states = _eat(states, word, items, places, test, least, loose=isinstance(listed, Perhaps))
        if not states:
            return False
    return done in states


def _skip_rests(states: set[int], items: tuple[WordPattern | Rest, ...]) -> set[int]:
    for state in sorted(states):
        at = state
        while at < len(items) and isinstance(items[at], Rest):
            at += 1
            states.add(at)
    return states


def _eat(
    states: set[int],
    word: Word,
    items: tuple[WordPattern | Rest, ...],
    places: Places,
    test: Fits,
    least: Certainty,
    *,
    loose: bool,
) -> set[int]:
    many = word.many and word.text is None
    if least is MAYBE and many:
        return _eat_many(states, word, items, places, test)
    after: set[int] = set()
    for state in states:
        if state == len(items):
            continue
        item = items[state]
        if isinstance(item, Rest):
            if _rest_takes(item, word, places, test) >= least:
                after.add(state)
        elif not many and (not loose or least is MAYBE) and test(item, word, places) >= least:
            after.add(state + 1)
    if loose and least is MAYBE:
        after |= states
    return _skip_rests(after, items)


def _rest_takes(item: Rest, word: Word, places: Places, test: Fits) -> Certainty:
    if item.each is None:
        return YES
    if word.many and word.text is None and word.kind is not WordKind.PATTERN:
        # Only the first of its words is known to start with the prefix.
        word = Word.unknown(word.why)
    return test(item.each, word, places)


def _eat_many(
    states: set[int], word: Word, items: tuple[WordPattern | Rest, ...], places: Places, test: Fits
) -> set[int]:
    """Every state that some number of words could lead to."""
    every = word.kind is WordKind.PATTERN
    after: set[int] = set() if word.prefix and not every else set(states)
    anything = word if every else Word.unknown(word.why)
    frontier = [(state, word) for state in states]
    while frontier:
        state, current = frontier.pop()
        if state == len(items):
            continue
        item = items[state]
        target = state if isinstance(item, Rest) else state + 1
        pattern = item.each if isinstance(item, Rest) else item
        if (pattern is None or test(pattern, current, places) > NO) and (
            target not in after or (target == state and current is not anything)
        ):
            for reached in _skip_rests({target}, items):
                if reached not in after or reached == target:
                    after.add(reached)
                    if (reached, anything) != (state, current):
                        frontier.append((reached, anything))
    return after
