"""Questions from standard input, one a line, in flat memory; each answered before the next is waited for."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterator
from typing import Final

CHUNK: Final = 1 << 16
MAX_LINE: Final = 16 * 1024 * 1024


class BadLine(Exception):
    """The line asks nothing that can be answered."""


def numbered() -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one that is too long. What is answered is written out before more is waited for."""
    number, held, size, skipping = 1, [], 0, False  # type: int, list[bytes], int, bool
    while chunk := os.read(0, CHUNK):
        *whole, rest = chunk.split(b"\n")
        for piece in whole:
            yield number, None if skipping else b"".join([*held, piece])
            number, held, size, skipping = number + 1, [], 0, False
        if not skipping:
            held.append(rest)
            size += len(rest)
            if size > MAX_LINE:
                held, size, skipping = [], 0, True
        sys.stdout.flush()
    if skipping or any(held):
        yield number, None if skipping else b"".join(held)


def text_of(line: bytes | None) -> str:
    """The line as text. Raises `BadLine`."""
    if line is None:
        raise BadLine(f"line has more than {MAX_LINE // 1024 // 1024} MB")
    try:
        return line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise BadLine("line is not UTF-8 text") from None


def json_of(line: bytes | None) -> object:
    """What the line says. Raises `BadLine`."""
    try:
        found: object = json.loads(text_of(line))
    except (ValueError, RecursionError) as error:
        raise BadLine(f"line is no JSON: {error}") from None
    if isinstance(found, dict):
        name = found.get("id")
        if name in (math.inf, -math.inf) or name != name:  # NaN
            raise BadLine("`id` is no number that JSON can say")
    return found
