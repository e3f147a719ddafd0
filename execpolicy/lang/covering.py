"""Which characters of a text stand inside some match of a pattern: two passes, whatever the text.

A character is covered when it can be a step of a match: the states that are reachable from a start at or
before it, and those from which acceptance is reachable behind it, have a stepping state in common.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, assert_never

from execpolicy.lang.expression import Branch, Chars, Edge, Node, Repeat, Row, read_regex
from execpolicy.lang.regular import Net, net_of
from execpolicy.lang.rules import Exact, Regex

MAX_REMEMBERED: Final = 20_000  # steps of one direction
MAX_SETS: Final = 4_000


class _TooMany(Exception):
    """A pattern and a text that together lead to more sets of states than are kept."""


@lru_cache(maxsize=4096)
def covering(pattern: Exact | Regex) -> Covering:
    """The finder of `pattern`. Raises `BadPattern`."""
    return Covering(pattern)


class Covering:
    """Finds one pattern in texts."""

    __slots__ = ("_backward", "_before", "_forward", "_most", "_needle", "_net", "_text", "least")

    def __init__(self, pattern: Exact | Regex) -> None:
        self._text = pattern.text if isinstance(pattern, Exact) else ""
        self.least = len(self._text)  # characters of the shortest match
        if isinstance(pattern, Regex):
            node = read_regex(pattern.pattern)
            self._needle = _needle(node)
            self.least = _least(node)
            self._most = _most(node)
            self._before = _before(node, self._needle)
            self._net = net_of(node)
            self._forward = _Walk(self._net, backward=False)
            self._backward = _Walk(self._net, backward=True)

    @property
    def needle(self) -> str:
        """What stands in every match; empty where nothing is sure to."""
        return self._text or self._needle

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """The covered parts of `text`, in order; matches that touch are one.

        Where a pattern takes too much memory on a text, all of the text counts as covered.
        """
        if self._text:
            yield from _occurrences(text, self._text)
            return
        if not text or len(text) < self.least or self._needle not in text:
            return
        if self._most is None or not self._needle:
            yield from self._within(text)
            return
        begun = reach = 0
        for at, behind in _occurrences(text, self._needle):  # a match lies as near to it as it is long
            first = at - (self._most if self._before is None else self._before)
            if first > reach:
                yield from ((begun + one, begun + two) for one, two in self._within(text[begun:reach]))
                begun = first
            reach = behind + self._most
        yield from ((begun + one, begun + two) for one, two in self._within(text[begun:reach]))

    def _within(self, text: str) -> Iterator[tuple[int, int]]:
        try:
            reached = self._forward.over(text)
            if not self._forward.ends(reached, 1):
                return
            wanted = self._backward.over(text[::-1])
        except _TooMany:
            yield 0, len(text)
            return
        stepping = frozenset(at for at, edge in enumerate(self._net.step) if edge is not None)
        known: dict[tuple[int, int], bool] = {}
        length = len(text)
        start = -1
        for at in range(length):
            pair = (reached[at], wanted[length - at])
            covered = known.get(pair)
            if covered is None:
                both = self._forward.sets[pair[0]] & self._backward.sets[pair[1]]
                covered = known[pair] = bool(both & stepping)
            if covered and start < 0:
                start = at
            elif not covered and start >= 0:
                yield start, at
                start = -1
        if start >= 0:
            yield start, length


class _Walk:
    """The automaton read in one direction. Sets of states are numbered when they are met."""

    def __init__(self, net: Net, *, backward: bool) -> None:
        self._backward = backward
        size = len(net.step)
        self._free: list[list[int]] = [[] for _ in range(size)]
        self._first: list[list[int]] = [[] for _ in range(size)]  # free before the first character read
        self._last: list[list[int]] = [[] for _ in range(size)]  # free behind the last one
        self._steps: list[list[tuple[Chars, int]]] = [[] for _ in range(size)]
        begin, end = (net.at_end, net.at_start) if backward else (net.at_start, net.at_end)
        for tables, edges in ((self._free, net.free), (self._first, begin), (self._last, end)):
            for state, targets in enumerate(edges):
                for target in targets:
                    tables[target if backward else state].append(state if backward else target)
        for state, edge in enumerate(net.step):
            if edge is not None:
                chars, target = edge
                source, reached = (target, state) if backward else (state, target)
                self._steps[source].append((chars, reached))
        self._seed = 1 if backward else 0
        self.sets: list[frozenset[int]] = []
        self._numbers: dict[frozenset[int], int] = {}
        self._follow: dict[tuple[int, str], int] = {}
        self._start = -1
        self._behind: dict[int, int] = {}  # a set at the end of a text, from the same elsewhere

    def over(self, text: str) -> array[int]:
        """The number of the set before each character of `text`, and behind the last."""
        if len(self._follow) > MAX_REMEMBERED or len(self.sets) > MAX_SETS // 2:
            self.sets, self._numbers, self._follow = [], {}, {}
            self._start, self._behind = -1, {}
        follow = self._follow
        if self._start < 0:
            self._start = self._number(self._close({self._seed}, self._first))
        number = self._start
        found = array("l", [number])
        add = found.append
        for char in text:
            after = follow.get((number, char))
            if after is None:
                after = self._number(self._step(self.sets[number], char))
                if len(follow) < MAX_REMEMBERED:
                    follow[number, char] = after
            number = after
            add(number)
        last = self._behind.get(number)
        if last is None:
            last = self._behind[number] = self._number(self._close(set(self.sets[number]), self._last))
        found[-1] = last
        return found

    def ends(self, found: array[int], state: int) -> bool:
        """Whether `state` is in one of the sets of these numbers."""
        return any(state in self.sets[number] for number in set(found))

    def _number(self, states: frozenset[int]) -> int:
        number = self._numbers.get(states)
        if number is None:
            if len(self.sets) >= MAX_SETS:
                raise _TooMany
            number = self._numbers[states] = len(self.sets)
            self.sets.append(states)
        return number

    def _step(self, states: frozenset[int], char: str) -> frozenset[int]:
        code = ord(char)
        reached = {target for state in states for chars, target in self._steps[state] if chars.has(code)}
        reached.add(self._seed)  # a match may begin anywhere
        return self._close(reached, ())

    def _close(self, states: set[int], edge: Iterable[list[int]]) -> frozenset[int]:
        more = list(edge)
        open_ = list(states)
        while open_:
            state = open_.pop()
            for target in (*self._free[state], *(more[state] if more else ())):
                if target not in states:
                    states.add(target)
                    open_.append(target)
        return frozenset(states)


def _occurrences(text: str, needle: str) -> Iterator[tuple[int, int]]:
    at = text.find(needle)
    while at >= 0:
        yield at, at + len(needle)
        at = text.find(needle, at + len(needle))


def _needle(node: Node) -> str:
    """The longest run of single characters that every match has to hold."""
    best = run = ""
    for char in _sure(node):
        run = run + char if char else ""
        best = max(best, run, key=len)
    return best


def _least(node: Node) -> int:
    match node:
        case Chars():
            return 1
        case Edge():
            return 0
        case Row(nodes):
            return sum(map(_least, nodes))
        case Branch(options):
            return min(map(_least, options))
        case Repeat(inner, low, _):
            return low * _least(inner)
    assert_never(node)


def _most(node: Node) -> int | None:
    """Characters of the longest match; None where it has no end, or depends on where the text ends."""
    match node:
        case Chars():
            return 1
        case Edge():
            return None
        case Row(nodes) | Branch(nodes):
            found = [_most(one) for one in nodes]
            known = [one for one in found if one is not None]
            if len(known) < len(found):
                return None
            return sum(known) if isinstance(node, Row) else max(known, default=0)
        case Repeat(inner, _, high):
            most = _most(inner)
            return None if most is None or high is None else most * high
    assert_never(node)


def _before(node: Node, needle: str) -> int | None:
    """Characters of a match before the needle at most; None where that is not plain to see."""
    nodes = node.nodes if isinstance(node, Row) else (node,)
    singles = ["".join(_sure(one)) if isinstance(one, Chars) else "" for one in nodes]
    for at in range(len(nodes)):
        if needle and tuple(singles[at : at + len(needle)]) == tuple(needle):
            found = [_most(one) for one in nodes[:at]]
            known = [one for one in found if one is not None]
            return sum(known) if len(known) == len(found) else None
    return None


def _sure(node: Node) -> Iterator[str]:
    """The characters of a match one by one; empty for a place where one of several may stand."""
    match node:
        case Chars():
            ranges = node.ranges()
            yield chr(ranges[0][0]) if len(ranges) == 1 and ranges[0][0] == ranges[0][1] else ""
        case Row(nodes):
            for inner in nodes:
                yield from _sure(inner)
        case Repeat(inner, low, high) if 0 < low <= 16:
            for _ in range(low):
                yield from _sure(inner)
            if low != high:
                yield ""
        case _:
            yield ""
