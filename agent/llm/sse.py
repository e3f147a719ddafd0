"""Server-sent events without input or output: bytes in, data fields out.

Follows "Interpreting an event stream" of the HTML standard as far as an API client needs it: `data` lines
of one event are joined by newlines, comments and unknown fields are skipped, an unfinished last event is
dropped.
"""

from __future__ import annotations

import re

# The standard ends lines with LF, CRLF or CR. A CR at the end of what has come may be half of a CRLF.
_LINE_END = re.compile(rb"\r\n|\n|\r(?!\Z)")


class EventTooLarge(ValueError):
    """One event grew over the limit."""


class EventDecoder:
    """Feed it bytes in pieces of any size; it yields the data of each finished event."""

    def __init__(self, limit: int = 64 << 20) -> None:
        self._limit = limit
        self._tail: list[bytes] = []  # pieces of the line that has not ended yet
        self._tail_size = 0
        self._data: list[bytes] = []
        self._data_size = 0

    def feed(self, piece: bytes) -> list[str]:
        """Data of every event that `piece` finishes. Raises `EventTooLarge`."""
        if b"\n" not in piece and b"\r" not in piece and not self._ends_with_cr():
            self._keep(piece)
            return []
        text = b"".join((*self._tail, piece))
        self._tail, self._tail_size = [], 0
        events = []
        start = 0
        for end in _LINE_END.finditer(text):
            line = text[start : end.start()]
            start = end.end()
            if line:
                self._take(line)
            elif self._data:
                events.append(b"\n".join(self._data).decode("utf-8", "replace"))
                self._data, self._data_size = [], 0
        self._keep(text[start:])
        return events

    def _ends_with_cr(self) -> bool:
        return bool(self._tail) and self._tail[-1].endswith(b"\r")

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._tail.append(piece)
            self._tail_size += len(piece)
            self._check()

    def _take(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._data_size += len(value)
            self._check()

    def _check(self) -> None:
        if self._tail_size + self._data_size > self._limit:
            raise EventTooLarge(f"an event of more than {self._limit} bytes")
