"""Where a thing stands in a text."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

from execpolicy.values import frozen


@frozen
class Span:
    """Half-open range of character offsets into one text."""

    start: int
    end: int


NOWHERE = Span(0, 0)


@frozen(slots=False)
class SourceText:
    """A named text that can say line and column of an offset. Lines and columns count from 1."""

    path: str
    text: str

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def offset(self, line: int, column: int = 1) -> int:
        """The offset of a position; of a line past the last one, the end of the text."""
        return self._starts[line - 1] + column - 1 if line <= len(self._starts) else len(self.text)

    def line(self, number: int) -> str:
        """The text of line `number` without its line end."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")
