"""Breaks text between words, so that no word is cut at the edge of the screen."""

from __future__ import annotations

import re
from collections.abc import Callable

_PIECES = re.compile(r"(\s)")


class Flow:
    """Text goes in as it comes; lines of at most `width` cells come out, a word at a time.

    Only line ends are added, and only in the place of blanks. A word wider than the screen is left to
    the terminal.
    """

    def __init__(self, width: int, cells: Callable[[str], int]) -> None:
        self._width = width
        self._cells = cells
        self._column = 0
        self._blanks = ""
        self._word = ""

    def feed(self, text: str) -> str:
        """What can be shown now; the last word waits until it is whole."""
        out: list[str] = []
        for piece in _PIECES.split(text):
            if piece == "\n":
                out += (self._place(), "\n")
                self._column, self._blanks = 0, ""
            elif piece.isspace():
                out.append(self._place())
                self._blanks += piece
            else:
                self._word += piece
        return "".join(out)

    def end(self) -> str:
        """What was held back."""
        return self._place()

    def _place(self) -> str:
        if not self._word:
            return ""
        blanks, word = self._blanks, self._word
        self._blanks = self._word = ""
        cells = self._cells(word)
        room = self._width - self._column - self._cells(blanks)
        if self._column and cells > room and cells <= self._width:
            self._column = cells
            return "\n" + word
        column = self._column + self._cells(blanks) + cells
        self._column = (column - 1) % self._width + 1
        return blanks + word


def rows(text: str, width: int, cells: Callable[[str], int]) -> list[str]:
    """`text` in rows of at most `width` cells, cut behind a blank where there is one. Nothing is lost."""
    found: list[str] = []
    start = used = 0
    blank = -1  # behind the last blank
    for index, char in enumerate(text):
        size = cells(char)
        while used + size > width and index > start:
            cut = blank if start < blank and char != " " else index
            found.append(text[start:cut])
            start, used = cut, cells(text[cut:index])
        used += size
        if char == " ":
            blank = index + 1
    found.append(text[start:])
    return found
