"""What a command said, in bounded memory: its head, its tail, and how much lay between."""

from __future__ import annotations

import codecs
import hashlib
from collections import deque

_LEAST = 256


class Capture:
    """Takes bytes as they come. `text()` is the whole output, or head and tail with a line that counts."""

    def __init__(self, limit: int) -> None:
        limit = max(limit, _LEAST)
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._digest = hashlib.sha256()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.size = 0

    def feed(self, data: bytes) -> str:
        """Keep `data`; what of it can be shown now."""
        self._digest.update(data)
        self.size += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
        rest = data[room:] if room > 0 else data
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            while self._tail_size - len(self._tail[0]) >= self._tail_limit:
                self._tail_size -= len(self._tail.popleft())
        return self._decoder.decode(data)

    def finish(self) -> str:
        """What was held back because it could still have become a character."""
        return self._decoder.decode(b"", final=True)

    @property
    def digest(self) -> str:
        """SHA-256 of everything, also of what was not kept."""
        return self._digest.hexdigest()

    def kept(self) -> tuple[str, int]:
        """The text, and how many bytes are missing from its middle."""
        tail = b"".join(self._tail)
        if self.size <= self._head_limit + self._tail_limit:
            return (bytes(self._head) + tail).decode("utf-8", "replace"), 0
        head = _whole_end(bytes(self._head))
        tail = _whole_start(tail[-self._tail_limit :])
        omitted = self.size - len(head) - len(tail)
        text = head.decode("utf-8", "replace") + f"\n[... {omitted} bytes omitted ...]\n"
        return text + tail.decode("utf-8", "replace"), omitted


def _whole_end(data: bytes) -> bytes:
    """Without a character that was cut at the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        width = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if width > back else data
    return data


def _whole_start(data: bytes) -> bytes:
    """Without the rest of a character that was cut at the start."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
