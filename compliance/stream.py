"""Takes secrets out of a text that comes in pieces: what could still become one waits for the next piece.

Only the last word waits, or a row of lines that look like an encoding; so nobody notices.
"""

from __future__ import annotations

import re
from typing import Final

from compliance.redact import Redactor
from compliance.secrets import MARK

CONTEXT: Final = 512  # characters that were shown and may tell what the next ones are
CARRY: Final = 8192  # that may wait
_ENCODED: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"
_LEAST_LINE: Final = 16  # characters of a line of an encoding
_MOST_LINE: Final = 200
_GNIMAN: Final = re.compile(r"[\"']?[ \t]*[:=]?[ \t]*[\w\"'-]+")  # a name and its sign, read from the end
_END: Final = "-----END"


class Stream:
    """One text, piece by piece. What `feed` and `finish` give is the whole without its secrets."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._before = ""  # shown already
        self._held = ""
        self._inside = ""  # the kind of a secret that has begun and not ended
        self._clear = 0  # characters of what was shown and what waits that hold no sign of a secret
        self._version = redactor.version

    def feed(self, text: str) -> str:
        """Take a piece; what can be shown now."""
        self._held += text
        return self._shown(final=False)

    def finish(self) -> str:
        """What waited; the text is over."""
        return self._shown(final=True)

    def _shown(self, *, final: bool) -> str:
        if self._inside:
            end = self._held.find(_END)
            if end < 0:
                self._held = "" if final else self._held[-len(_END) :]
                return ""
            self._held, self._inside = self._held[end:], ""
        whole, known = self._before + self._held, len(self._before)
        stop = len(whole) if final else max(self._safe(whole), known)
        if self._version != self._redactor.version:
            self._version, self._clear = self._redactor.version, 0
        looked = self._redactor.in_shown(whole, self._clear)
        found = sorted(looked or (), key=lambda one: one.start)
        if not final:
            for one in reversed(found):
                if one.kind == "private-key" and one.end == len(whole):
                    self._inside = one.kind
                    stop = len(whole)
                elif one.start < stop < one.end or one.end == len(whole):
                    stop = min(stop, max(one.start, known))
        if stop <= known and len(self._held) > CARRY:
            stop = len(whole)  # whatever it is, it is not held for ever
        pieces, at = [], known
        for one in found:
            if one.end <= at or one.start >= stop or MARK in whole[one.start : one.end]:
                continue
            start = max(one.start, at)
            pieces += [whole[at:start], self._redactor.marker(whole[one.start : one.end], one.kind)]
            at = min(one.end, stop)
        pieces.append(whole[at:stop])
        self._before, self._held = whole[max(0, stop - CONTEXT) : stop], whole[stop:]
        if self._inside:
            self._before = ""
        self._clear = len(self._before) + len(self._held) if looked is None else 0
        return "".join(pieces)

    def _safe(self, whole: str) -> int:
        """Where what has to wait begins."""
        at = _blob(whole, max(0, len(whole) - CARRY))
        naming = _GNIMAN.match(whole[max(0, at - 200) : at][::-1])
        if naming is not None:
            at -= naming.end()
        return min(at, self._redactor.beginning(whole))


def _blob(text: str, least: int) -> int:
    """Where the last word of `text` begins, or the lines before it that look like an encoding; from `least` on."""
    words = text[least:].rsplit(None, 1)
    at = len(text) if not words or text[-1:].isspace() else len(text) - len(words[-1])
    while at > least and text[at - 1] == "\n":
        start = max(text.rfind("\n", least, at - 1) + 1, least)
        line = text[start : at - 1].removesuffix("\r").rstrip(" \t")
        size = min(len(line) - len(line.rstrip(_ENCODED)), _MOST_LINE)
        if size < _LEAST_LINE:
            break
        at = start + len(line) - size
        if at > start:
            break
    return at
