"""Patterns of one word as automata: matched in one pass over the word, without backtracking.

A glob or regular expression becomes a non-deterministic automaton. Its sets of states are numbered when they
are first met and remembered, up to a bound; then they are forgotten and met again.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Protocol, assert_never

from execpolicy.lang.expression import (
    ANY,
    ANY_BUT_SLASH,
    BadPattern,
    Branch,
    Chars,
    Edge,
    Node,
    Repeat,
    Row,
    read_glob,
    read_regex,
)
from execpolicy.lang.rules import AllOf, AnyOf, Exact, Glob, NoneOf, Regex, Within, WordPattern
from execpolicy.values import frozen

__all__ = ["Automaton", "BadPattern", "Matcher", "Net", "compile_path", "compile_word", "net_of"]

MAX_STATES: Final = 4_000  # of one pattern
MAX_REMEMBERED: Final = 20_000  # steps of one pattern
MAX_EXPLORED: Final = 500  # sets looked at to say that everything matches


class Matcher(Protocol):
    """What can be said about a word that is known, or known only at its start."""

    def matches(self, text: str) -> bool: ...

    def may_match_prefix(self, prefix: str) -> bool:
        """Could any word that starts with `prefix` match? False is certain."""
        ...

    def matches_all_with_prefix(self, prefix: str) -> bool:
        """Does every word that starts with `prefix` match? True is certain."""
        ...


@lru_cache(maxsize=8192)
def compile_word(pattern: WordPattern) -> Matcher:
    """The matcher of a pattern; `*` of a glob stands for any text. Raises `BadPattern`.

    `Within` depends on the machine and has no matcher of its own: a `TypeError`.
    """
    match pattern:
        case Exact(text):
            return _Text(text)
        case Glob(glob):
            return Automaton(net_of(read_glob(glob, ANY), search=False))
        case Regex(expression):
            return Automaton(net_of(read_regex(expression), search=True))
        case AnyOf(options):
            return _Any(tuple(map(compile_word, options)))
        case AllOf(options):
            return _All(tuple(map(compile_word, options)))
        case NoneOf(options):
            return _None(tuple(map(compile_word, options)))
        case Within():
            raise TypeError("a folder is known at match time only")
    assert_never(pattern)


@lru_cache(maxsize=8192)
def compile_path(pattern: Glob) -> Matcher:
    """The matcher of a glob over a path: `*` stays inside a folder, `**` does not. Raises `BadPattern`."""
    return Automaton(net_of(read_glob(pattern.pattern, ANY_BUT_SLASH), search=False))


@frozen
class _Text:
    text: str

    def matches(self, text: str) -> bool:
        return text == self.text

    def may_match_prefix(self, prefix: str) -> bool:
        return self.text.startswith(prefix)

    def matches_all_with_prefix(self, prefix: str) -> bool:
        return False


@frozen
class _Any:
    options: tuple[Matcher, ...]

    def matches(self, text: str) -> bool:
        return any(option.matches(text) for option in self.options)

    def may_match_prefix(self, prefix: str) -> bool:
        return any(option.may_match_prefix(prefix) for option in self.options)

    def matches_all_with_prefix(self, prefix: str) -> bool:
        return any(option.matches_all_with_prefix(prefix) for option in self.options)


@frozen
class _All:
    options: tuple[Matcher, ...]

    def matches(self, text: str) -> bool:
        return all(option.matches(text) for option in self.options)

    def may_match_prefix(self, prefix: str) -> bool:
        return all(option.may_match_prefix(prefix) for option in self.options)

    def matches_all_with_prefix(self, prefix: str) -> bool:
        return all(option.matches_all_with_prefix(prefix) for option in self.options)


@frozen
class _None:
    options: tuple[Matcher, ...]

    def matches(self, text: str) -> bool:
        return not any(option.matches(text) for option in self.options)

    def may_match_prefix(self, prefix: str) -> bool:
        return not any(option.matches_all_with_prefix(prefix) for option in self.options)

    def matches_all_with_prefix(self, prefix: str) -> bool:
        return not any(option.may_match_prefix(prefix) for option in self.options)


class Net:
    """The automaton. State 0 is the start, state 1 accepts."""

    __slots__ = ("at_end", "at_start", "free", "search", "step")

    def __init__(self, *, search: bool) -> None:
        self.search = search
        self.free: list[list[int]] = [[], []]
        self.at_start: list[list[int]] = [[], []]  # free before the first character only
        self.at_end: list[list[int]] = [[], []]  # free behind the last character only
        self.step: list[tuple[Chars, int] | None] = [None, None]

    def state(self) -> int:
        if len(self.free) >= MAX_STATES:
            raise BadPattern("pattern is too large", help="repeat less often, or use a list of alternatives")
        self.free.append([])
        self.at_start.append([])
        self.at_end.append([])
        self.step.append(None)
        return len(self.free) - 1

    def add(self, at: int, node: Node) -> int:
        """Lays `node` behind state `at`; the state where it ends."""
        match node:
            case Chars():
                before, after = self.state(), self.state()
                self.free[at].append(before)
                self.step[before] = (node, after)
                return after
            case Edge.START | Edge.END:
                after = self.state()
                (self.at_start if node is Edge.START else self.at_end)[at].append(after)
                return after
            case Row(nodes):
                for inner in nodes:
                    at = self.add(at, inner)
                return at
            case Branch(options):
                after = self.state()
                for option in options:
                    start = self.state()
                    self.free[at].append(start)
                    self.free[self.add(start, option)].append(after)
                return after
            case Repeat(inner, low, high):
                return self._repeat(at, inner, low, high)
        assert_never(node)

    def _repeat(self, at: int, inner: Node, low: int, high: int | None) -> int:
        for _ in range(low):
            at = self.add(at, inner)
        after = self.state()
        if high is None:
            hub = self.state()
            self.free[at].append(hub)
            self.free[self.add(hub, inner)].append(hub)
            self.free[hub].append(after)
            return after
        for _ in range(high - low):
            self.free[at].append(after)
            at = self.add(at, inner)
        self.free[at].append(after)
        return after


def net_of(node: Node, *, search: bool = False) -> Net:
    """The automaton of a pattern."""
    net = Net(search=search)
    net.free[net.add(0, node)].append(1)
    return net


class Automaton:
    """The matcher of one glob or regular expression."""

    __slots__ = ("_ends", "_first", "_follow", "_live", "_net", "_numbers", "_sets")

    def __init__(self, net: Net) -> None:
        self._net = net
        self._live = _live(net)
        self._first = self._close({0}, start=True, end=False)
        self._forget()

    def _forget(self) -> None:
        self._numbers: dict[frozenset[int], int] = {}
        self._sets: list[frozenset[int]] = []
        self._follow: dict[tuple[int, str], int] = {}
        self._ends: list[bool | None] = []  # by number: whether a text may end there

    def matches(self, text: str) -> bool:
        if not text:
            return self.accepts(self._first, start=True)
        number = self._read(text)
        ends = self._ends[number]
        if ends is None:
            ends = self._ends[number] = self.accepts(self._sets[number], start=False)
        return ends

    def may_match_prefix(self, prefix: str) -> bool:
        return bool(self._after(prefix) & self._live) or (not prefix and self.matches(""))

    def matches_all_with_prefix(self, prefix: str) -> bool:
        first = self._after(prefix)
        letters = self._letters()
        seen = {(first, not prefix)}
        open_ = [(first, not prefix)]
        while open_:
            states, start = open_.pop()
            if 1 not in self._close(set(states), start=start, end=True):
                return False
            for letter in letters:
                follow = (self._step(states, letter), False)
                if follow not in seen:
                    if len(seen) >= MAX_EXPLORED:
                        return False
                    seen.add(follow)
                    open_.append(follow)
        return True

    # Walking the automaton one character at a time, to compare it with another.

    def begin(self) -> frozenset[int]:
        return self._first

    def follow(self, states: frozenset[int], char: str) -> frozenset[int]:
        return self._step(states, char)

    def accepts(self, states: frozenset[int], *, start: bool) -> bool:
        """Whether the text may end here; `start`: nothing is read yet."""
        return 1 in self._close(set(states), start=start, end=True)

    def alive(self, states: frozenset[int]) -> bool:
        """What `may_match_prefix` says about a text that leads here."""
        return bool(states & self._live)

    def letters(self) -> list[str]:
        """One character of every kind that the pattern tells apart."""
        return self._letters()

    def _after(self, text: str) -> frozenset[int]:
        """The set of states once `text` is read."""
        return self._sets[self._read(text)]

    def _read(self, text: str) -> int:
        """The number of the set of states once `text` is read."""
        number = self._number(self._first)
        follow = self._follow
        for char in text:
            after = follow.get((number, char))
            if after is None:
                states = self._sets[number]
                if len(follow) >= MAX_REMEMBERED:
                    self._forget()
                    follow = self._follow
                    number = self._number(states)
                after = self._number(self._step(states, char))
                follow[number, char] = after
            number = after
        return number

    def _number(self, states: frozenset[int]) -> int:
        number = self._numbers.get(states)
        if number is None:
            number = self._numbers[states] = len(self._sets)
            self._sets.append(states)
            self._ends.append(None)
        return number

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        code, step = ord(char), self._net.step
        reached = {edge[1] for state in states if (edge := step[state]) is not None and edge[0].has(code)}
        if self._net.search:
            if 1 in states:
                reached.add(1)  # found is found, whatever follows
            reached.add(0)
        return self._close(reached, start=False, end=False)

    def _close(self, states: set[int], *, start: bool, end: bool) -> frozenset[int]:
        net = self._net
        open_ = list(states)
        while open_:
            state = open_.pop()
            targets: Iterable[int] = net.free[state]
            if start and net.at_start[state]:
                targets = [*targets, *net.at_start[state]]
            if end and net.at_end[state]:
                targets = [*targets, *net.at_end[state]]
            for target in targets:
                if target not in states:
                    states.add(target)
                    open_.append(target)
        return frozenset(states)

    def _letters(self) -> list[str]:
        """One character of every kind that the pattern tells apart."""
        bounds = {0}
        for edge in self._net.step:
            if edge is not None:
                bounds.update(edge[0].bounds)
        codes = (code for code in bounds if code <= 0x10FFFF)
        return [chr(code) for code in codes]


def _live(net: Net) -> frozenset[int]:
    """States from which some text leads to acceptance, once the start is behind."""
    back: list[list[int]] = [[] for _ in net.free]
    for state, edge in enumerate(net.step):
        for target in (*net.free[state], *net.at_end[state]):
            back[target].append(state)
        if edge is not None:
            back[edge[1]].append(state)
    live, open_ = {1}, [1]
    while open_:
        for source in back[open_.pop()]:
            if source not in live:
                live.add(source)
                open_.append(source)
    return frozenset(live)
