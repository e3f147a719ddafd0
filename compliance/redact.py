"""Takes secrets out of events before anything is written: by their form, and by the values it was told.

What is taken out leaves `[masked:KIND]`, and the event lists where in `masked`. A secret that is told by
its surroundings in one field (`--token X`) is taken out of every other field, and of later events, too.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any, Final, TypeVar, cast
from urllib.parse import quote, quote_plus

from compliance.events import AuditEvent
from compliance.secrets import (
    HINTS,
    LEAST_VALUE,
    MARK,
    NAME_HINTS,
    Found,
    find_secrets,
)
from execpolicy import values

T = TypeVar("T")
LEAST_PIECE: Final = 8
MOST_LEARNED: Final = 256
_HINTS: Final = tuple(dict.fromkeys((*NAME_HINTS, *HINTS)))
_KEPT: Final = frozenset(
    {"masked", "call", "session", "digest", "output_sha256", "sha256", "layer", "rule_id"}
)


def spellings(value: str) -> Iterator[str]:
    """`value` as it may stand in a text: plain, escaped, base64 at any offset, hex, URL-encoded."""
    yield value
    yield json.dumps(value)[1:-1]
    yield from (line for line in value.splitlines() if len(line) >= 16)
    data = _bytes(value)
    for offset in range(3):
        # characters that depend on what stands before or after the value are left out
        text = base64.b64encode(b"\0" * offset + data)
        core = text[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6].decode()
        if len(core) >= 8:
            yield core
            yield core.replace("+", "-").replace("/", "_")
    for spelled in (data.hex(), quote(data, safe=""), quote(data), quote_plus(data)):
        yield spelled
        yield spelled.upper() if spelled == data.hex() else spelled.replace("%2F", "%2f")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


class Redactor:
    """Masks secrets. `values` are secrets known to the caller, taken out in every spelling.

    With `key`, a marker carries a keyed digest, so that equal secrets can be told to be equal.
    """

    def __init__(self, values: Iterable[str] = (), key: bytes | None = None) -> None:
        self._key = key
        self._needles: dict[str, str] = {}  # spelling -> the secret it stands for
        self._learned = 0
        for value in values:
            self.learn(value)

    def learn(self, value: str) -> None:
        """Mask `value` from here on, however it is encoded."""
        if len(value) < LEAST_VALUE or value.startswith(MARK):
            return
        for spelled in spellings(value):
            self._needles.setdefault(spelled, value)

    def text(self, text: str) -> str:
        """`text` without its secrets."""
        return self._mask(text, self._find(text))

    def event(self, event: AuditEvent) -> AuditEvent:
        """`event` without its secrets; the very same event when there is none."""
        strings = list(dict.fromkeys(_strings(event)))
        joined = "\n".join(strings)
        if not self._suspicious(joined):
            return event
        found = {text: self._find(text) for text in strings}
        told = {text[one.start : one.end]: one.kind for text, all in found.items() for one in all}
        if not told:
            return event
        for text in strings:
            found[text] += [one for one in _occurrences(text, told) if one not in found[text]]
            if len(text) >= LEAST_PIECE:  # a word that is a piece of a secret
                found[text] += [Found(0, len(text), kind) for secret, kind in told.items() if text in secret]
        for secret, kind in told.items():
            self._remember(secret, kind)
        masked: list[str] = []

        def clean(text: str, where: str) -> str:
            if not (spots := found[text]):
                return text
            masked.extend(f"{where}:{kind}" for kind in dict.fromkeys(one.kind for one in spots))
            return self._mask(text, spots)

        cleaned = _rebuild(event, "", clean)
        return replace(cleaned, masked=tuple(dict.fromkeys((*event.masked, *masked))))

    def _suspicious(self, text: str) -> bool:
        lower = text.lower()
        return any(hint in lower for hint in _HINTS) or any(needle in text for needle in self._needles)

    def _find(self, text: str) -> list[Found]:
        found = list(find_secrets(text, text.lower()))
        found += _occurrences(text, dict.fromkeys((n for n in self._needles if n in text), "known"))
        return found

    def _remember(self, secret: str, kind: str) -> None:
        """Later events may quote the secret bare. What might be an ordinary word is not remembered."""
        distinct = any(char.isdigit() for char in secret) and any(char.isalpha() for char in secret)
        fits = kind != "known" and distinct and 8 <= len(secret) <= 512
        if fits and self._learned < MOST_LEARNED and secret not in self._needles:
            self._learned += 1
            self.learn(secret)

    def _mask(self, text: str, found: list[Found]) -> str:
        pieces, at = [], 0
        for start, end, kind in _merged(found):
            pieces += [text[at:start], MARK, kind]
            if self._key is not None:
                secret = self._needles.get(text[start:end], text[start:end])
                digest = hmac.new(self._key, _bytes(secret), hashlib.sha256)
                pieces += ["#", digest.hexdigest()[:12]]
            pieces.append("]")
            at = end
        return "".join((*pieces, text[at:]))


def _occurrences(text: str, secrets: dict[str, str]) -> list[Found]:
    found = []
    for secret, kind in secrets.items():
        if len(secret) < LEAST_VALUE and text != secret:
            continue
        at = text.find(secret)
        while at >= 0:
            found.append(Found(at, at + len(secret), kind))
            at = text.find(secret, at + len(secret))
    return found


def _merged(found: list[Found]) -> list[tuple[int, int, str]]:
    """Spans in order, overlapping ones as one under the kind of the longest."""
    out: list[tuple[int, int, str]] = []
    longest = 0
    for one in sorted(found, key=lambda one: (one.start, -one.end)):
        if out and one.start < out[-1][1]:
            start, end, kind = out[-1]
            if one.end - one.start > longest:
                longest, kind = one.end - one.start, one.kind
            out[-1] = (start, max(end, one.end), kind)
        else:
            out.append((one.start, one.end, one.kind))
            longest = one.end - one.start
    return out


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class whose values may hold what a user or a model wrote.

    Asked once a class: for values of the engine `__dataclass_fields__` is made anew each time.
    """
    return tuple(name for name in getattr(kind, "__dataclass_fields__", ()) if name not in _KEPT)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _strings(item)
    else:
        for name in _names(cast("Any", type(value))):
            yield from _strings(getattr(value, name))


def _rebuild(value: T, where: str, clean: Callable[[str, str], str]) -> T:
    """`value` with `clean` over each of its strings; `where` is the path of a string in the value."""
    if isinstance(value, str):
        return cast("T", clean(value, where))
    if isinstance(value, tuple):
        return cast("T", tuple(_rebuild(item, f"{where}[{at}]", clean) for at, item in enumerate(value)))
    changed: dict[str, Any] = {}
    for name in _names(cast("Any", type(value))):
        old = getattr(value, name)
        new = _rebuild(old, f"{where}.{name}" if where else name, clean)
        if new is not old:
            changed[name] = new
    if not changed:
        return value
    change = values.replace if hasattr(value, "__value_fields__") else replace
    return cast("T", change(cast("Any", value), **changed))
