"""Characters and places: line continuations taken out, blanks and comments skipped, effort counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from execpolicy.late import late_pattern
from execpolicy.source import Span
from execpolicy.values import slotted

MAX_LENGTH = 1_100_000  # characters
MAX_STEPS = 60_000  # words, pieces of words and commands
MAX_DEPTH = 40

# bash treats these bytes in its own way inside words, or cannot be given them at all.
_STRANGE = late_pattern("[\x00\x01\x7f\ud800-\udfff]")
# A backslash and newline that bash takes out: the run of backslashes before the newline is odd.
_CONTINUATION = late_pattern(r"(?<!\\)((?:\\\\)*)\\\n")
_BLANKS = late_pattern(r"[ \t]*(#[^\n]*)?")


class Unread(Exception):
    """Raised inside this package where reading stops; the reader turns it into a `Failure`."""

    def __init__(self, why: str, start: int, end: int) -> None:
        super().__init__(why)
        self.why = why
        self.start = start
        self.end = end


@slotted
class Budget:
    """Effort that all texts of one script share."""

    steps: int = MAX_STEPS
    depth: int = 0


class Lexer:
    """A place in a text.

    `text` is the source without line continuations. Where bash keeps them (single quotes, quoted
    here-documents, comments) they are put back from `source`.
    """

    def __init__(self, source: str, budget: Budget, *, base: int = 0, fixed: Span | None = None) -> None:
        self.source = source
        self.budget = budget
        self.base = base
        self.fixed = fixed
        self.cuts: list[int] = []  # places in `text` where two characters of `source` are missing
        self.text = self._join(source)
        self.end = len(self.text)
        self.pos = 0
        self.mapped = bool(self.cuts or base or fixed)  # places in `text` are not those of the outermost

    def _join(self, source: str) -> str:
        if "\\\n" not in source:
            return source
        pieces = []
        done = 0
        gone = 0
        for match in _CONTINUATION.finditer(source):
            cut = match.end() - 2
            pieces.append(source[done:cut])
            self.cuts.append(cut - gone)
            gone += 2
            done = cut + 2
        pieces.append(source[done:])
        return "".join(pieces)

    # --- places ---

    def place(self, start: int, end: int) -> Span:
        """The span in the outermost text for two places in `text`."""
        if self.fixed is not None:
            return self.fixed
        if self.cuts:
            return Span(self.base + self.origin(start), self.base + self.origin_end(end))
        return Span(self.base + start, self.base + end)

    def at(self, start: int, end: int) -> tuple[int, int]:
        """`place` as two numbers."""
        if not self.mapped:
            return start, end
        span = self.place(start, end)
        return span.start, span.end

    def joined(self, at: int) -> int:
        """The place in `text` for one in `source`."""
        return at - 2 * sum(1 for index, cut in enumerate(self.cuts) if cut + 2 * index < at)

    def origin(self, at: int) -> int:
        return at + 2 * bisect_right(self.cuts, at)

    def origin_end(self, at: int) -> int:
        return at + 2 * bisect_left(self.cuts, at)

    def as_written(self, start: int, end: int) -> str:
        """The source between two places, continuations kept."""
        if not self.cuts:
            return self.text[start:end]
        return self.source[self.origin(start) : self.origin_end(end)]

    def cut_within(self, start: int, end: int) -> bool:
        """Whether a continuation was taken out between two places, or at the second."""
        if not self.cuts:
            return False
        return bisect_right(self.cuts, end) > bisect_left(self.cuts, start)

    # --- effort ---

    def step(self) -> None:
        self.budget.steps -= 1
        if self.budget.steps < 0:
            raise Unread("too long to be read", self.pos, self.pos)

    def deeper(self) -> None:
        self.budget.depth += 1
        if self.budget.depth > MAX_DEPTH:
            raise Unread("nested too deeply", self.pos, self.pos)

    def shallower(self) -> None:
        self.budget.depth -= 1

    def fail(self, why: str, start: int | None = None) -> Unread:
        return Unread(why, self.pos if start is None else start, min(self.pos + 1, self.end))

    # --- blanks ---

    def blanks(self) -> str:
        """Skip blanks and a comment; the character that comes next, empty at the end."""
        pos = self.pos
        if pos >= self.end:
            return ""
        char = self.text[pos]
        if char not in " \t#":
            return char
        if char == " " and pos + 1 < self.end:
            following = self.text[pos + 1]
            if following not in " \t#":
                self.pos = pos + 1
                return following
        match = _BLANKS.match(self.text, self.pos)
        assert match is not None
        if match.start(1) >= 0 and self.cuts:
            self._comment(match.start(1), match.end())
        else:
            self.pos = match.end()
        return self.text[self.pos] if self.pos < self.end else ""

    def _comment(self, start: int, end: int) -> None:
        """Skip a comment that may hold a backslash before its newline: there the comment ends."""
        index = bisect_right(self.cuts, start)
        if index >= len(self.cuts) or self.cuts[index] > end:
            self.pos = end
            return
        cut = self.cuts[index]
        self.budget.steps -= (self.end + 40 * len(self.cuts)) // 500
        self.step()
        self.text = f"{self.text[:cut]}\\\n{self.text[cut:]}"
        self.end += 2
        self.cuts[index:] = [at + 2 for at in self.cuts[index + 1 :]]
        self.pos = cut + 1

    def strange(self) -> Unread | None:
        """Characters that bash cannot be given or treats in its own way."""
        found = _STRANGE.search(self.text)
        if found is None:
            return None
        names = {"\x00": "NUL character", "\x01": "control character", "\x7f": "control character"}
        why = names.get(found.group(), "text that is not UTF-8")
        return Unread(why, found.start(), found.end())
