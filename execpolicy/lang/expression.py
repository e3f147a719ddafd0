"""Reads the text of a glob or regular expression; refuses what is not regular.

Classes are ASCII (`\\d` is 0-9), `.` is any character but a newline, `$` is the very end of the word.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from typing import Final

from execpolicy.values import frozen

LAST: Final = 0x10FFFF
MAX_REPEAT: Final = 1000
MAX_GROUPS: Final = 50  # inside each other
MAX_LENGTH: Final = 20_000


class BadPattern(ValueError):
    """A pattern that is broken, not regular, or too large."""

    def __init__(self, message: str, *, help: str = "") -> None:
        super().__init__(message)
        self.help = help


@frozen
class Chars:
    """A set of characters. Its members change at each of `bounds`: out, in, out, in, ..."""

    bounds: tuple[int, ...]

    def has(self, code: int) -> bool:
        return bisect_right(self.bounds, code) % 2 == 1

    @staticmethod
    def of(ranges: list[tuple[int, int]], *, negated: bool = False) -> Chars:
        """The characters of inclusive `ranges`, or all others."""
        bounds: list[int] = []
        for low, high in sorted(ranges):
            if bounds and low <= bounds[-1]:
                bounds[-1] = max(bounds[-1], high + 1)
            else:
                bounds += [low, high + 1]
        if negated:
            bounds = bounds[1:] if bounds and bounds[0] == 0 else [0, *bounds]
            if bounds and bounds[-1] > LAST:
                bounds.pop()
            elif len(bounds) % 2:
                bounds.append(LAST + 1)
        return Chars(tuple(bounds))

    def ranges(self) -> list[tuple[int, int]]:
        return [(self.bounds[at], self.bounds[at + 1] - 1) for at in range(0, len(self.bounds) - 1, 2)]


class Edge(enum.Enum):
    START = "^"
    END = "$"


@frozen
class Row:
    nodes: tuple[Node, ...]


@frozen
class Branch:
    options: tuple[Node, ...]


@frozen
class Repeat:
    inner: Node
    low: int
    high: int | None  # None: without end


Node = Chars | Edge | Row | Branch | Repeat

ANY: Final = Chars((0, LAST + 1))
ANY_BUT_SLASH: Final = Chars.of([(47, 47)], negated=True)
ANY_BUT_NEWLINE: Final = Chars.of([(10, 10)], negated=True)
DIGIT: Final = [(48, 57)]
WORD: Final = [(48, 57), (65, 90), (95, 95), (97, 122)]
SPACE: Final = [(9, 13), (32, 32)]
CLASSES: Final = {"d": DIGIT, "w": WORD, "s": SPACE}
CONTROLS: Final = {"n": 10, "t": 9, "r": 13, "f": 12, "v": 11, "a": 7, "0": 0}
NOT_REGULAR: Final = "a rule must be decided in one pass over the word"


# --- globs ----------------------------------------------------------------------------------


def read_glob(pattern: str, inside: Chars) -> Node:
    """`*` and `?` stand for characters of `inside`; `**` for any, `**/` for any number of folders."""
    _bounded(pattern)
    nodes: list[Node] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            stars = at
            while at < len(pattern) and pattern[at] == "*":
                at += 1
            if at == stars:
                nodes.append(Repeat(inside, 0, None))
            elif inside is not ANY and pattern[at : at + 1] == "/":
                at += 1
                nodes.append(Repeat(Row((Repeat(ANY, 0, None), _one("/"))), 0, 1))
            else:
                nodes.append(Repeat(ANY, 0, None))
        elif char == "?":
            nodes.append(inside)
        elif char == "[":
            chars, at = _glob_class(pattern, at)
            nodes.append(_meet(chars, inside))
        elif char == "\\":
            if at == len(pattern):
                raise BadPattern("`\\` escapes nothing", help="write `\\\\` for a backslash")
            nodes.append(_one(pattern[at]))
            at += 1
        else:
            nodes.append(_one(char))
    return Row(tuple(nodes))


def _glob_class(pattern: str, at: int) -> tuple[Chars, int]:
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    end = pattern.find("]", at + 1)
    if end < 0:
        raise BadPattern("`[` is never closed", help="write `[[]` for the character itself")
    ranges: list[tuple[int, int]] = []
    while at < end:
        low = high = ord(pattern[at])
        if at + 2 < end and pattern[at + 1] == "-":
            high = ord(pattern[at + 2])
            at += 2
        if high < low:
            raise BadPattern(f"`{chr(low)}-{chr(high)}` is an empty range")
        ranges.append((low, high))
        at += 1
    return Chars.of(ranges, negated=negated), end + 1


def _meet(chars: Chars, inside: Chars) -> Chars:
    """What is in both sets."""
    if inside is ANY:
        return chars
    out = Chars.of(chars.ranges(), negated=True).ranges() + Chars.of(inside.ranges(), negated=True).ranges()
    return Chars.of(out, negated=True)


def _one(char: str) -> Chars:
    return Chars((ord(char), ord(char) + 1))


def _bounded(pattern: str) -> None:
    if len(pattern) > MAX_LENGTH:
        raise BadPattern("pattern is too large", help=f"at most {MAX_LENGTH} characters")


# --- regular expressions --------------------------------------------------------------------


def read_regex(pattern: str) -> Node:
    """A regular expression without back-references, look-around or word boundaries."""
    _bounded(pattern)
    fold = pattern.startswith("(?i)")
    reader = _Reader(pattern, 4 if fold else 0, fold)
    node = reader.branch(0)
    if reader.at < len(pattern):
        raise BadPattern("`)` closes nothing", help="write `\\)` for the character itself")
    return node


class _Reader:
    def __init__(self, text: str, at: int, fold: bool) -> None:
        self.text = text
        self.at = at
        self.fold = fold

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def branch(self, depth: int) -> Node:
        if depth > MAX_GROUPS:
            raise BadPattern("nested too deeply", help=f"at most {MAX_GROUPS} groups inside each other")
        options = [self.row(depth)]
        while self.peek() == "|":
            self.at += 1
            options.append(self.row(depth))
        return options[0] if len(options) == 1 else Branch(tuple(options))

    def row(self, depth: int) -> Node:
        nodes: list[Node] = []
        while (char := self.peek()) and char not in "|)":
            nodes.append(self.repeated(self.atom(depth)))
        return Row(tuple(nodes))

    def atom(self, depth: int) -> Node:
        char = self.peek()
        self.at += 1
        match char:
            case "(":
                return self.group(depth)
            case "[":
                return self.chars()
            case ".":
                return ANY_BUT_NEWLINE
            case "^":
                return Edge.START
            case "$":
                return Edge.END
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                raise BadPattern(
                    f"`{char}` repeats nothing", help=f"write `\\{char}` for the character itself"
                )
            case _:
                return self.folded([(ord(char), ord(char))])

    def group(self, depth: int) -> Node:
        if self.peek() == "?":
            if self.text.startswith("?:", self.at):
                self.at += 2
            elif self.text.startswith(("?=", "?!", "?<=", "?<!"), self.at):
                raise BadPattern("look-around is not regular", help=NOT_REGULAR)
            elif self.text.startswith(("?P<", "?<"), self.at):
                end = self.text.find(">", self.at, self.at + 200)
                if end < 0:
                    raise BadPattern("the name of a group has no `>`")
                self.at = end + 1
            elif self.text.startswith(("?P=", "?(", "?R"), self.at):
                raise BadPattern("back-references are not regular", help=NOT_REGULAR)
            else:
                raise BadPattern(
                    f"`({self.text[self.at : self.at + 3]}` is not known", help="`(?i)` may stand in front"
                )
        inner = self.branch(depth + 1)
        if self.peek() != ")":
            raise BadPattern("`(` is never closed", help="write `\\(` for the character itself")
        self.at += 1
        return inner

    def repeated(self, node: Node) -> Node:
        char = self.peek()
        low, high = 0, 0
        unbounded = False
        if char and char in "*+?":
            self.at += 1
            low, high, unbounded = int(char == "+"), 1, char != "?"
        elif char == "{" and (bounds := self.bounds()):
            low, high, unbounded = bounds
        else:
            return node
        if isinstance(node, Edge):
            raise BadPattern(f"`{node.value}` cannot be repeated")
        if self.peek() == "?":
            self.at += 1  # a lazy repeat matches the same words
        elif self.peek() and self.peek() in "*+{" and not (self.peek() == "{" and not self.is_bounds()):
            raise BadPattern("a repeat of a repeat", help="put the inner one in a group: `(?:...)`")
        return Repeat(node, low, None if unbounded else high)

    def is_bounds(self) -> bool:
        at = self.at
        found = self.bounds()
        self.at = at
        return found is not None

    def bounds(self) -> tuple[int, int, bool] | None:
        """`{2}`, `{2,}`, `{2,4}`; None when the brace is a character."""
        end = self.text.find("}", self.at, self.at + 14)
        body = self.text[self.at + 1 : end] if end >= 0 else ""
        low, comma, high = body.partition(",")
        if not low.isascii() or not low.isdigit() or (high and not (high.isascii() and high.isdigit())):
            return None
        least, most = int(low), int(high) if high else int(low)
        if max(least, most) > MAX_REPEAT or most < least:
            raise BadPattern(
                f"`{{{body}}}` cannot be counted", help=f"at most {MAX_REPEAT}, the smaller number first"
            )
        self.at = end + 1
        return least, most, bool(comma and not high)

    def escape(self) -> Node:
        char = self.peek()
        self.at += 1
        if char.lower() in CLASSES and char:
            return Chars.of(list(CLASSES[char.lower()]), negated=char.isupper())
        if char == "A":
            return Edge.START
        if char in ("Z", "z"):
            return Edge.END
        if char in ("b", "B"):
            raise BadPattern(
                "word boundaries are not known here", help="anchor with `^` and `$`, or name the neighbours"
            )
        if char.isdigit() and char != "0":
            raise BadPattern("back-references are not regular", help=NOT_REGULAR)
        code = self.code(char)
        return self.folded([(code, code)])

    def code(self, char: str) -> int:
        """The character that an escape stands for."""
        if char in CONTROLS and char:
            return CONTROLS[char]
        width = {"x": 2, "u": 4, "U": 8}.get(char)
        if width:
            digits = self.text[self.at : self.at + width]
            self.at += width
            try:
                code = int(digits, 16) if len(digits) == width and digits.isalnum() else LAST + 1
            except ValueError:
                code = LAST + 1
            if code > LAST:
                raise BadPattern(f"`\\{char}{digits}` is no character")
            return code
        if not char:
            raise BadPattern("`\\` escapes nothing", help="write `\\\\` for a backslash")
        if char.isalnum():
            raise BadPattern(f"`\\{char}` is not known")
        return ord(char)

    def chars(self) -> Chars:
        """A class; its `[` is read."""
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self.peek() != "]":
            first = False
            low = self.member(ranges)
            if low is None:
                continue
            high = low
            if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                end = self.member(ranges)
                if end is None or end < low:
                    raise BadPattern("a range runs from a character to a later one")
                high = end
            ranges.append((low, high))
        self.at += 1
        return self.folded(ranges, negated=negated)

    def member(self, ranges: list[tuple[int, int]]) -> int | None:
        """One character of a class; None when it was a class of its own, which is added to `ranges`."""
        char = self.peek()
        self.at += 1
        if not char:
            raise BadPattern("`[` is never closed", help="write `\\[` for the character itself")
        if char != "\\":
            return ord(char)
        char = self.peek()
        self.at += 1
        if char and char.lower() in CLASSES:
            known = list(CLASSES[char.lower()])
            ranges += Chars.of(known, negated=True).ranges() if char.isupper() else known
            return None
        return 8 if char == "b" else self.code(char)

    def folded(self, ranges: list[tuple[int, int]], *, negated: bool = False) -> Chars:
        if self.fold:
            ranges = ranges + [
                (ord(other), ord(other))
                for low, high in ranges
                if high - low < 1000
                for code in range(low, high + 1)
                for other in (chr(code).lower(), chr(code).upper())
                if len(other) == 1
            ]
        return Chars.of(ranges, negated=negated)
