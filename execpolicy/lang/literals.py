"""Whether one of many texts stands in another: one expression for all of them, once it is worth its making."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

WORTH: Final = (
    40_000  # characters that are looked through one text after the other; then the expression is made
)
MANY: Final = (
    500  # texts past which none is left out: to hold each against each would take longer than it saves
)
LONGEST: Final = 100  # of texts that are made into one expression: it nests as deep as they are long
EACH: Final = 100  # characters that a call counts as, besides those that it is given


class Literals:
    """Finds whether one of `texts` stands somewhere; an empty one stands everywhere."""

    __slots__ = ("_left", "_search", "longest", "texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self.texts = shortest(texts)
        self.longest = max(map(len, self.texts), default=0)
        self._left = WORTH
        self._search: Any = None

    def within(self, text: str) -> bool:
        if self._search is not None:
            return self._search(text) is not None
        self._left -= EACH + len(text)
        if self._left < 0 and self.texts and self.longest <= LONGEST:
            self._search = re.compile(_tree(self.texts)).search
        for one in self.texts:  # noqa: SIM110 - half the time of `any`
            if one in text:
                return True
        return False


def shortest(texts: Iterable[str]) -> tuple[str, ...]:
    """Those of `texts` that hold no other one: where none of these stands, none of `texts` does."""
    all_ = tuple(dict.fromkeys(texts))
    if len(all_) > MANY:
        return all_
    return tuple(one for one in all_ if not any(other != one and other in one for other in all_))


def _tree(texts: Iterable[str]) -> str:
    """An expression for `texts` in which what begins alike is written once: it is searched in a third of the time."""
    root: dict[str, Any] = {}
    for text in texts:
        at = root
        for char in text:
            at = at.setdefault(char, {})
        at[""] = {}
    return _branch(root)


def _branch(node: dict[str, Any]) -> str:
    written: list[str] = []
    while len(node) == 1 and "" not in node:
        ((char, node),) = node.items()
        written.append(re.escape(char))
    if "" in node:
        return "".join(written)
    inner = "|".join(re.escape(char) + _branch(below) for char, below in node.items())
    return f"{''.join(written)}(?:{inner})"
