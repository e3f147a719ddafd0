"""Finds values that are known to be secret in texts, however they are written.

A value is looked for as it stands, and with all but letters and digits taken out of both: then quotes that split
it, line ends, separators and the padding of an encoding do not count. Of encodings those are looked for that a
command of every machine makes: base64 at any offset, base32, hexadecimal, `rev`; escapes (`\\x41`, `%41`,
`&#65;`) are undone first.
"""

from __future__ import annotations

import base64
import re
from array import array
from collections.abc import Iterator
from itertools import compress
from typing import Final

from compliance.secrets import LEAST_VALUE, MARK, Found

LEAST_LETTERS: Final = 8  # of a value that is looked for among letters and digits alone
LEAST_PACKED: Final = 7  # of an encoded one: what is left of it, once its edges are cut away
GRAM: Final = 5
LEAST_PIECE: Final = 8  # of a value that was cut at an edge
LEAST_CUT: Final = 12  # length of a value whose pieces are looked for

_OTHERS: Final = bytes(code for code in range(256) if code > 127 or not chr(code).isalnum())
_LETTERS: Final = frozenset(chr(code) for code in range(128) if code not in _OTHERS)
_ESCAPE: Final = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)|(?P<hex>(?:(?:\\\\?|0)x[0-9A-Fa-f]{2})+)|\\\\?u\{?(?P<four>[0-9A-Fa-f]{4,6})\}?"
    r"|\\\\?U(?P<eight>[0-9A-Fa-f]{8})|\\\\?(?P<octal>[0-3][0-7]{2})|&(?:#[xX](?P<sharphex>[0-9A-Fa-f]{1,6})"
    r"|#(?P<sharp>[0-9]{1,7})|(?P<entity>[A-Za-z]{2,8}));|\\(?P<plain>[\"'\\/ $`!&|;<>(){}*?#~=,:-])"
)
_HEX: Final = re.compile(r"0x[0-9A-Fa-f]{2}")
_EDGE: Final = re.compile(r"\n|…|\.\.\.|\[")


def as_bytes(text: str) -> bytes:
    """`text` in UTF-8, whatever it holds."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


_DROPPED: Final = re.compile(r"\\\\\r?\n|[\"'`\\\u00ad\u200b-\u200f\u2060\ufeff]")


def unquoted(text: str) -> tuple[str, array[int]] | None:
    """`text` as a shell puts it together: no quotes, no escapes, no invisible characters; and where each
    character of it comes from. None where that is the text itself."""
    if not (_DROPPED.search(text) or "%" in text or "&#" in text):
        return None
    undone, origin = _traced(text) if _ESCAPE.search(text) else (text, None)
    pieces: list[str] = []
    starts = array("l")
    at = 0
    for dropped in _DROPPED.finditer(undone):
        pieces.append(undone[at : dropped.start()])
        starts.extend(range(at, dropped.start()))
        at = dropped.end()
    pieces.append(undone[at:])
    starts.extend(range(at, len(undone) + 1))
    return "".join(pieces), starts if origin is None else array("l", [origin[one] for one in starts])


class Known:
    """Values, and what stands for one of them in a text."""

    def __init__(self) -> None:
        self._plain: dict[str, str] = {}  # as it may stand -> the value
        self._bare: list[str] = []  # of these, what has too few letters and digits to be told by them
        self._letters: dict[bytes, str] = {}  # letters and digits of it -> the value
        self._folded: dict[bytes, str] = {}  # the same in lower case
        self._spread_grams: set[bytes] = set()  # of the two above, in lower case
        self._grams: dict[str, list[tuple[str, int]]] = {}  # pieces of values, and where they stand in which
        self._chars: set[str] = set()  # of all that may stand
        self._longest = 0  # of what is bare, and of the needles among letters
        self._step = 0  # of places that are looked at, so that each needle holds one with all of its gram

    def __bool__(self) -> bool:
        return bool(self._plain)

    def __contains__(self, value: str) -> bool:
        return value in self._plain

    def learn(self, value: str) -> bool:
        """Look for `value` from here on; False when it is too short, or known."""
        if len(value) < LEAST_VALUE or value.startswith(MARK) or value in self._plain:
            return False
        for plain in (value, value[::-1], *(line for line in value.splitlines() if len(line) >= 16)):
            self._plain.setdefault(plain, value)
            self._chars.update(plain)
        if len(as_bytes(value).translate(None, _OTHERS)) < LEAST_LETTERS:
            self._bare += (value, value[::-1])
        self._bare += [line for line in value.splitlines() if len(line) >= 16 and line != value]
        for needles, found in ((self._letters, _packed(value)), (self._folded, _folded(value))):
            for needle in found:
                if len(needle) >= LEAST_PACKED:
                    needles.setdefault(needle, value)
                    low = needle.lower()
                    self._spread_grams.update(low[at : at + GRAM] for at in range(len(low) - GRAM + 1))
                    step = len(low) - GRAM + 1
                    self._step = min(self._step, step) if self._step else step
                    self._longest = max(self._longest, len(low))
        self._longest = max(self._longest, max(map(len, self._bare), default=0))
        if len(value) >= LEAST_CUT and "\n" not in value:
            for at in range(len(value) - LEAST_PIECE + 1):
                self._grams.setdefault(value[at : at + LEAST_PIECE], []).append((value, at))
        return True

    def may(self, text: str, clear: int = 0) -> bool:
        """Whether `find` may find something. False is certain.

        `clear` characters at the beginning are the end of a text in which it may not.
        """
        near = max(
            clear - max(self._longest, LEAST_PIECE + 3), 0
        )  # what is new lies behind, with what it may end
        near = len(text[:near].rstrip("."))
        if self._is_bare(text[near:] if near else text) or self._at_edges(text, near):
            return True
        if self._in_letters(as_bytes(text), len(as_bytes(text[clear:])) if clear else None):
            return True
        if _has_escape(text):
            undone = _undone(text)
            return self._is_bare(undone) or self._in_letters(as_bytes(undone))
        return False

    def _is_bare(self, text: str) -> bool:
        for plain in self._bare:  # noqa: SIM110 - half the time of `any`
            if plain in text:
                return True
        return False

    def _in_letters(self, data: bytes, new: int | None = None) -> bool:
        """Whether letters and digits of `data` hold a needle; one that lies before its `new` last bytes is none."""
        if not self._step:
            return False
        letters = data.translate(None, _OTHERS)
        if new is not None:
            letters = letters[-(new + self._longest) :]
        folded = letters.lower()
        grams = self._spread_grams
        for at in range(0, len(folded) - GRAM + 1, self._step):
            if folded[at : at + GRAM] in grams:
                break
        else:
            return False
        return any(one in letters for one in self._letters) or any(one in folded for one in self._folded)

    def find(self, text: str) -> list[tuple[Found, str]]:
        """Where a value stands in `text`, and which."""
        found = [
            (Found(start, start + len(plain), "known"), value)
            for plain, value in self._plain.items()
            for start in _places(text, plain)
        ]
        told = {(one.start, one.end) for one, _ in found}
        found += self._pieces(text, told)
        found += self._spread(text, None, told)
        if _has_escape(text):
            undone, starts = _traced(text)
            for plain, value in self._plain.items():
                for start in _places(undone, plain):
                    found.append((Found(starts[start], starts[start + len(plain)], "known"), value))
            found += self._spread(undone, starts, told)
        return found

    def beginning(self, text: str) -> int:
        """Where in `text` the last part begins that could be the start of a value; its length when nowhere."""
        best = len(text)
        if text[-1:] not in self._chars:
            return best
        for plain in self._plain:
            least = max(len(text) - len(plain) + 1, 0)
            at = text.find(plain[0], least)
            while 0 <= at < best:
                if plain.startswith(text[at:]):
                    best = at
                    break
                at = text.find(plain[0], at + 1)
        return best

    def _spread(
        self, text: str, origin: array[int] | None, told: set[tuple[int, int]]
    ) -> Iterator[tuple[Found, str]]:
        letters = as_bytes(text).translate(None, _OTHERS)
        folded = letters.lower()
        hits = [
            (start, start + len(needle), value)
            for needles, where in ((self._letters, letters), (self._folded, folded))
            for needle, value in needles.items()
            for start in _byte_places(where, needle)
        ]
        if not hits:
            return
        places = array("l", compress(range(len(text)), map(_LETTERS.__contains__, text)))
        for start, end, value in hits:
            first, behind = places[start], places[end - 1] + 1
            span = (first, behind) if origin is None else (origin[first], origin[behind])
            if span not in told:
                told.add(span)
                yield Found(*span, "known"), value

    def _at_edges(self, text: str, near: int) -> bool:
        if not self._grams or len(text) < LEAST_PIECE:
            return False
        grams = self._grams
        if text[:LEAST_PIECE] in grams or text[-LEAST_PIECE:] in grams:
            return True
        return any(
            text[at - LEAST_PIECE : at] in grams or text[end : end + LEAST_PIECE] in grams
            for at, end in ((edge.start(), edge.end()) for edge in _EDGE.finditer(text, near))
        )

    def _pieces(self, text: str, told: set[tuple[int, int]]) -> Iterator[tuple[Found, str]]:
        """What of a value was left where a text was cut: at its ends, at those of a line, around a mark."""
        if not self._grams:
            return
        edges = [
            (0, 0),
            *((edge.start(), edge.end()) for edge in _EDGE.finditer(text)),
            (len(text), len(text)),
        ]
        for before, behind in edges:
            if before >= LEAST_PIECE and text[before - LEAST_PIECE : before] in self._grams:
                yield from self._piece(text, before, told, backward=True)
            if text[behind : behind + LEAST_PIECE] in self._grams:
                yield from self._piece(text, behind, told, backward=False)

    def _piece(
        self, text: str, edge: int, told: set[tuple[int, int]], *, backward: bool
    ) -> Iterator[tuple[Found, str]]:
        gram = text[edge - LEAST_PIECE : edge] if backward else text[edge : edge + LEAST_PIECE]
        for value, at in self._grams[gram]:
            if backward:
                size = at + LEAST_PIECE
                if not text.endswith(value[:size], 0, edge):
                    size = LEAST_PIECE
                    while text[edge - size - 1 : edge - size] == value[at + LEAST_PIECE - size - 1]:
                        size += 1
                span = (edge - size, edge)
            else:
                size = len(value) - at
                if not text.startswith(value[at:], edge):
                    size = LEAST_PIECE
                    while text[edge + size : edge + size + 1] == value[at + size]:
                        size += 1
                span = (edge, edge + size)
            if span not in told:
                told.add(span)
                yield Found(*span, "known"), value


def _packed(value: str) -> Iterator[bytes]:
    """Base64 at each offset, of the bytes and of their UTF-16, without what depends on the neighbours."""
    data = as_bytes(value)
    for raw in (data, data.decode("utf-8", "replace").encode("utf-16-le", "surrogatepass")):
        for offset in range(3):
            text = base64.b64encode(b"\0" * offset + raw)
            core = text[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6]
            yield core.translate(None, _OTHERS)


def _folded(value: str) -> Iterator[bytes]:
    """What is compared whatever its case: the letters and digits, also from the end; hexadecimal, base32."""
    data = as_bytes(value)
    own = data.translate(None, _OTHERS).lower()
    if len(own) >= LEAST_LETTERS:
        yield own
        yield own[::-1]
    yield data.hex().encode()
    for offset in range(5):
        text = base64.b32encode(b"\0" * offset + data)
        yield text[-(-offset * 8 // 5) : (offset + len(data)) * 8 // 5].lower()


def _places(text: str, needle: str) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + len(needle))


def _byte_places(text: bytes, needle: bytes) -> Iterator[int]:
    at = text.find(needle)
    while at >= 0:
        yield at
        at = text.find(needle, at + len(needle))


def _undo(escape: re.Match[str]) -> str:
    kind = escape.lastgroup
    written = escape[kind] if kind else ""
    match kind:
        case "percent":
            return bytes.fromhex(written.replace("%", "")).decode("utf-8", "replace")
        case "hex":
            digits = written.replace("\\x", "").replace("\\", "").replace("0x", "")
            return bytes.fromhex(digits).decode("utf-8", "replace") if len(digits) % 2 == 0 else written
        case "octal":
            return chr(int(written, 8))
        case "sharp":
            return _char(int(written))
        case "four" | "eight" | "sharphex":
            return _char(int(written, 16))
        case "entity":
            from html.entities import html5  # late: two thousand names that few texts use

            return html5.get(f"{written};", escape[0])
        case _:
            return written


def _char(code: int) -> str:
    return chr(code) if code <= 0x10FFFF else "\ufffd"


def _has_escape(text: str) -> bool:
    usual = "%" in text or "\\" in text or "&" in text
    return (_ESCAPE.search(text) if usual else _HEX.search(text)) is not None


def _undone(text: str) -> str:
    return _ESCAPE.sub(_undo, text)


def _traced(text: str) -> tuple[str, array[int]]:
    """`text` without its escapes, and for each place in it the place it comes from."""
    pieces: list[str] = []
    starts = array("l")
    at = 0
    for escape in _ESCAPE.finditer(text):
        pieces.append(text[at : escape.start()])
        starts.extend(range(at, escape.start()))
        undone = _undo(escape)
        pieces.append(undone)
        first, at = escape.span()
        size = len(undone)
        if size and (at - first) % size == 0:
            starts.extend(range(first, at, (at - first) // size))
        else:
            starts.extend(first + index * (at - first) // size for index in range(size))
    pieces.append(text[at:])
    starts.extend(range(at, len(text) + 1))
    return "".join(pieces), starts
