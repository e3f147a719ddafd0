"""Takes secrets out of events, texts and JSON before anybody sees them: by form, by value, and as masks say.

What is taken out leaves `[masked:KIND]`, and an event lists where, as JSON pointers into its record, in
`masked`. A secret that is told by its surroundings in one field (`--token X`) is taken out of every other field,
and of later events, too.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from operator import attrgetter, is_
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from compliance.codec import to_json
from compliance.events import AuditEvent, Decided, LookedUp
from compliance.known import LEAST_PIECE, Known, as_bytes, unquoted
from compliance.secrets import (
    LEAST_VALUE,
    MARK,
    MOST_HINT,
    Found,
    find_secrets,
    find_tokens,
    hinted,
    is_secret_name,
)
from execpolicy import values
from execpolicy.values import frozen, replace

T = TypeVar("T")
MOST_LEARNED: Final = 256
MOST_CLEAR: Final = 4096  # texts that are remembered to hold no secret
LONGEST_CLEAR: Final = 2000
DIGEST: Final = 12  # characters of a keyed digest that a marker shows
_BETWEEN: Final = (
    "\n\0\n"  # texts that are looked at together: at a line end, as at the end of a text, pieces count
)
_SPLIT: Final = re.compile(  # a word that is put together, so that no hint need stand in the text
    r"""[A-Za-z0-9_]["'`\\]+[A-Za-z0-9_]|%[0-9A-Fa-f]{2}|\\[xu0-3]|[\u00ad\u200b-\u200f\u2060\ufeff]"""
)
_RUN: Final = "\"'`\\."  # of these an expression takes as many as there are
_KEPT: Final = frozenset(
    {"masked", "mask_key", "args_hmac", "call", "call_id", "session", "thread_id", "turn_id", "digest"}
    | {"output_sha256", "sha256", "layer", "rule_id", "policy", "situation"}
)


class Hiding(Protocol):
    """What masks hide in a text: `execpolicy.engine.masks.Masks`."""

    @property
    def reach(self) -> int: ...

    def may(self, text: str, lower: str) -> bool: ...

    def begins(self, text: str, lower: str) -> bool: ...

    def find(self, text: str, tool: str | None = None, server: str | None = None) -> Iterable[Any]: ...

    def whole_call(self, tool: str, server: str | None) -> bool: ...

    def argument(self, name: str, tool: str | None, server: str | None) -> str | None: ...


@frozen
class MaskKey:
    """The key of the digests in markers, and the name under which records refer to it."""

    id: str
    secret: bytes

    def digest(self, text: str) -> str:
        return hmac.digest(self.secret, as_bytes(text), "sha256").hex()


class Redactor:
    """Masks secrets. `values` are secrets known to the caller, taken out in every spelling.

    With `key`, a marker carries a keyed digest, so that equal secrets can be told to be equal; without the
    key it tells nothing about them. `masks` is what rules say.
    """

    def __init__(
        self, values: Iterable[str] = (), key: MaskKey | None = None, masks: Hiding | None = None
    ) -> None:
        self._key = key
        self._masks = masks
        self._known = Known()
        self._learned = 0
        self._clear: set[str] = set()
        self.version = 0  # grows when what was clear may be so no more
        self._reach = max(MOST_HINT, masks.reach if masks is not None else 0)
        for value in values:
            self.learn(value)

    def learn(self, value: str) -> None:
        """Mask `value` from here on, however it is encoded."""
        if self._known.learn(value):
            self._clear.clear()
            self.version += 1

    def text(self, text: str, tool: str | None = None, server: str | None = None) -> str:
        """`text` without its secrets. `tool` is what it is a call of, where that is known."""
        if tool is None and not self._suspicious(text):
            return text
        found = self.find(text, tool, server)
        for one in found:
            if one.kind != "known":
                self._remember(text[one.start : one.end], one.kind)
        return self._mask(text, found)

    def beginning(self, text: str) -> int:
        """Where the end of `text` begins that could be the start of a known value; its length when nowhere."""
        return self._known.beginning(text)

    def event(self, event: AuditEvent) -> AuditEvent:
        """`event` without its secrets; the very same event when there is none."""
        strings: list[str] = []
        _collect(event, strings)
        clear = self._clear
        fresh = [text for text in dict.fromkeys(strings) if text not in clear]
        tool, server = _called(event)
        looked_up = any(map(_secret_variable, event.lookups)) if isinstance(event, Decided) else False
        whole = tool is not None and self._masks is not None and self._masks.whole_call(tool, server)
        suspects = self._suspects(fresh) if fresh else ()
        if not looked_up and not whole and not suspects:
            self._remember_clear(fresh)
            return event
        cleaned = self._cleaned(event, list(dict.fromkeys(strings)), suspects, tool, server)
        if looked_up and isinstance(cleaned, Decided):
            cleaned = replace(cleaned, lookups=tuple(map(self._unlooked, cleaned.lookups)))
        if cleaned is event:
            return event
        masked = tuple(dict.fromkeys((*event.masked, *_differences(to_json(event), to_json(cleaned), ""))))
        if self._key is None:
            return replace(cleaned, masked=masked)
        if isinstance(event, Decided):
            cleaned = replace(cast("Decided", cleaned), args_hmac=self._key.digest(event.subject))
        return replace(cleaned, masked=masked, mask_key=self._key.id)

    def value(self, value: T) -> T:
        """A value of the program (a frozen class, a tuple, a text) without its secrets."""
        strings: list[str] = []
        _collect(value, strings)
        texts = list(dict.fromkeys(strings))
        suspects = self._suspects(texts)
        return self._cleaned(value, texts, suspects, None, None) if suspects else value

    def json(self, value: T, tool: str | None = None, server: str | None = None) -> T:
        """JSON without its secrets; also what stands under a secret's name, or in an argument that is masked."""
        return cast("T", self._json(value, "", tool, server))

    # --- finding ----------------------------------------------------------------------------

    def _suspects(self, texts: list[str]) -> Collection[str]:
        """Those of `texts` that are; what is in none of them is seldom in all of them put together."""
        return set(filter(self._suspicious, texts)) if self._suspicious(_BETWEEN.join(texts)) else ()

    def _suspicious(self, text: str) -> bool:
        """Whether `find` may find something in `text`, no whole call being masked. False is certain."""
        if len(text) < 2 or text in self._clear:
            return False
        lower = text.lower()
        if hinted(text, lower) or _SPLIT.search(text):
            return True
        return (self._masks is not None and self._masks.may(text, lower)) or self._known.may(text)

    def _suspicious_end(self, text: str, clear: int) -> bool:
        """As `_suspicious`, where `clear` characters at the beginning are the end of a text that was not."""
        if clear < self._reach:
            return self._suspicious(text)
        at = len(text[: clear - self._reach + 1].rstrip(_RUN)) - 1
        if at <= 0:
            return self._suspicious(text)
        tail = text[at:]
        lower = tail.lower()
        if hinted(tail, lower) or _SPLIT.search(tail):
            return True
        if (
            self._masks is not None
            and self._masks.begins(tail, lower)
            and self._masks.may(text, text.lower())
        ):
            return True
        return self._known.may(text, clear)

    def _remember_clear(self, texts: list[str]) -> None:
        if len(self._clear) + len(texts) > MOST_CLEAR:
            self._clear.clear()
        for text in texts:
            if len(text) <= LONGEST_CLEAR:
                self._clear.add(text)

    def find(self, text: str, tool: str | None = None, server: str | None = None) -> list[Found]:
        """Every secret in `text`."""
        lower = text.lower()
        found = [one for one in find_secrets(text, lower) if MARK not in text[one.start : one.end]]
        long = len(text) > LONGEST_CLEAR  # to look whether there is a sign takes as long, and there mostly is
        if self._masks is not None and (long or tool is not None or self._masks.may(text, lower)):
            found += [Found(one.start, one.end, one.mask) for one in self._masks.find(text, tool, server)]
        found += self._put_together(text)
        if long or self._known.may(text):
            found += [one for one, _ in self._known.find(text)]
        return found

    def in_shown(self, text: str, clear: int = 0) -> list[Found] | None:
        """As `find`, for text that mostly holds nothing; None where nothing even looks as if.

        `clear` characters at its beginning are the end of a text for which None was told at this `version`.
        """
        return self.find(text) if self._suspicious_end(text, clear) else None

    def _put_together(self, text: str) -> Iterator[Found]:
        """Tokens that quotes, escapes or invisible characters split."""
        view = unquoted(text)
        if view is None:
            return
        whole, starts = view
        for one in find_tokens(whole, whole.lower()):
            start, end = starts[one.start], starts[one.end - 1] + 1
            if end - start != one.end - one.start:
                yield Found(start, max(end, starts[one.end]) if one.end == len(whole) else end, one.kind)

    def _cleaned(
        self, value: T, strings: list[str], suspects: Collection[str], tool: str | None, server: str | None
    ) -> T:
        whole = tool is not None and self._masks is not None and self._masks.whole_call(tool, server)
        found = {text: self.find(text, tool, server) if whole or text in suspects else [] for text in strings}
        told = {
            text[one.start : one.end]: one.kind
            for text, all_ in found.items()
            for one in all_
            if one.end - one.start < 4096
        }
        if not told and not any(found.values()):
            # What holds nothing in a call of one tool may hold something in a call of another.
            self._remember_clear([text for text in strings if tool is None or text not in suspects])
            return value
        for text in strings:
            seen = set(found[text])
            found[text] += [one for one in _occurrences(text, told) if one not in seen]
            if len(text) >= LEAST_PIECE:  # a word that is a piece of a secret
                found[text] += [Found(0, len(text), kind) for secret, kind in told.items() if text in secret]
        for secret, kind in told.items():
            self._remember(secret, kind)

        def clean(text: str) -> str:
            spots = found.get(text)
            return self._mask(text, spots) if spots else text

        return _rebuild(value, clean)

    def _remember(self, secret: str, kind: str) -> None:
        """Later events may quote the secret bare. What might be an ordinary word is not remembered."""
        distinct = any(char.isdigit() for char in secret) and any(char.isalpha() for char in secret)
        fits = kind != "known" and distinct and 8 <= len(secret) <= 512
        if fits and self._learned < MOST_LEARNED and secret not in self._known:
            self._learned += 1
            self.learn(secret)

    def _unlooked(self, one: LookedUp) -> LookedUp:
        if not _secret_variable(one) or one.answer is None:
            return one
        return replace(one, answer=self._mask(one.answer, [Found(0, len(one.answer), "value")]))

    # --- masking ----------------------------------------------------------------------------

    def _mask(self, text: str, found: list[Found]) -> str:
        pieces, at = [], 0
        for start, end, kind in _merged(found):
            pieces += [text[at:start], self.marker(text[start:end], kind)]
            at = end
        return "".join((*pieces, text[at:]))

    def marker(self, secret: str, kind: str) -> str:
        """What stands in the place of `secret`."""
        if self._key is None:
            return f"{MARK}{kind}]"
        return f"{MARK}{kind}#{self._key.digest(self._meant(secret, kind))[:DIGEST]}]"

    def _meant(self, secret: str, kind: str) -> str:
        """The value that a spelling stands for: it has the same digest, however it is written."""
        if kind != "known":
            return secret
        return next((value for _, value in self._known.find(secret)), secret)

    def _json(self, value: object, name: str, tool: str | None, server: str | None) -> object:
        if isinstance(value, str):
            if name and is_secret_name(name) and len(value) >= LEAST_VALUE and not value.startswith(MARK):
                return self.marker(value, "value")
            return self.text(value)
        if isinstance(value, list):
            return [self._json(item, name, tool, server) for item in value]
        if not isinstance(value, dict):
            return value
        found: dict[str, object] = {}
        for key, inner in value.items():
            hidden = None if self._masks is None or tool is None else self._masks.argument(key, tool, server)
            clean = self.text(key)
            if hidden is not None:
                text = inner if isinstance(inner, str) else json.dumps(inner)
                found[clean] = self.marker(text, hidden)
            else:
                found[clean] = self._json(inner, key, tool, server)
        return found


def _called(event: AuditEvent) -> tuple[str | None, str | None]:
    """The tool and the server that an event speaks of, where it says."""
    if isinstance(event, Decided):
        asked = event.asked
        return (asked.tool or event.tool, asked.server or None) if asked is not None else (event.tool, None)
    return None, None


def _secret_variable(one: LookedUp) -> bool:
    return one.what == "env" and bool(one.answer) and is_secret_name(one.name)


def _occurrences(text: str, secrets: dict[str, str]) -> list[Found]:
    found = []
    for secret, kind in secrets.items():
        if not secret or (len(secret) < LEAST_VALUE and text != secret):
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
    for one in sorted(sorted(found, key=attrgetter("end"), reverse=True), key=attrgetter("start")):
        if one.start >= one.end:
            continue
        if out and one.start < out[-1][1]:
            start, end, kind = out[-1]
            if one.end - one.start > longest:
                longest, kind = one.end - one.start, one.kind
            out[-1] = (start, max(end, one.end), kind)
        else:
            out.append((one.start, one.end, one.kind))
            longest = one.end - one.start
    return out


def _differences(before: object, after: object, pointer: str) -> list[str]:
    """JSON pointers to the texts that are not the same in both."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            found
            for key, value in before.items()
            if key in after
            for found in _differences(value, after[key], f"{pointer}/{_escaped(key)}")
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            found
            for at, (one, other) in enumerate(zip(before, after, strict=True))
            for found in _differences(one, other, f"{pointer}/{at}")
        ]
    return [pointer]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


# --- walking ------------------------------------------------------------------------------------


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a class whose values may hold what a user or a model wrote.

    Asked once a class: for values of the engine `__dataclass_fields__` is made anew each time.
    """
    if "__value_fields__" in kind.__dict__:
        return tuple(name for name in values.fields(kind) if name not in _KEPT and not _textless(kind, name))
    return tuple(name for name in getattr(kind, "__dataclass_fields__", ()) if name not in _KEPT)


def _told(kind: type, name: str) -> tuple[str, type]:
    """The type of a field as it is written, and the class that says so."""
    for base in kind.__mro__:
        told = base.__dict__.get("__annotations__", {}).get(name)  # noqa: RUF063 - `inspect` takes 6 ms
        if told is not None:
            return told if isinstance(told, str) else "", base
    return "", kind


def _textless(kind: type, name: str) -> bool:
    """Whether the field can hold no text: it is a number, a truth, a word of an enumeration, or None."""
    told, base = _told(kind, name)
    known = vars(sys.modules[base.__module__])
    return bool(told) and all(
        one in ("int", "bool", "float", "None")
        or (isinstance(found := known.get(one), type) and issubclass(found, Enum))
        for one in told.split(" | ")
    )


_Values: TypeAlias = Callable[[object], tuple[Any, ...]]


def _getter(names: Sequence[str]) -> _Values:
    if len(names) > 1:
        return attrgetter(*names)
    read = attrgetter(*names)
    return lambda value: (read(value),)


class _Getters(dict[type, "_Values | None"]):
    """How the fields of a class are read; None where there are none. Filled as classes are met."""

    def __missing__(self, kind: type) -> _Values | None:
        names = _names(cast("Any", kind))
        self[kind] = _getter(names) if names else None
        return self[kind]


class _Sorted(dict[type, "tuple[_Values | None, _Values | None, _Values | None] | None"]):
    """The same apart: what is a text, what is a row of texts, and what has to be looked at."""

    def __missing__(self, kind: type) -> tuple[_Values | None, _Values | None, _Values | None] | None:
        names = _names(cast("Any", kind))
        texts = [name for name in names if _told(kind, name)[0] == "str"]
        rows = [name for name in names if _told(kind, name)[0] == "tuple[str, ...]"]
        if len(texts) + len(rows) < len(names):  # one alone is not worth a call of its own
            texts, rows = texts[: len(texts) > 1 and len(texts)], rows[: len(rows) > 1 and len(rows)]
        others = [name for name in names if name not in texts and name not in rows]
        found = [_getter(some) if some else None for some in (texts, rows, others)]
        self[kind] = (found[0], found[1], found[2]) if names else None
        return self[kind]


_TEXTLESS: Final = (int, float, bool, type(None), bytes)
_READ: Final = _Getters(dict.fromkeys(_TEXTLESS))
_SORTED: Final = _Sorted(dict.fromkeys(_TEXTLESS))


def _collect(value: object, into: list[str]) -> None:
    """Every text in `value`."""
    open_ = [value]
    take = open_.pop
    while open_:
        one = take()
        kind = type(one)
        if kind is str:
            into.append(one)  # type: ignore[arg-type]
        elif kind is tuple or kind is list:
            open_ += one  # type: ignore[arg-type]
        elif kind is dict:
            open_ += one  # type: ignore[arg-type]
            open_ += one.values()  # type: ignore[attr-defined]
        elif (read := _SORTED[kind]) is not None:
            texts, rows, others = read
            if texts is not None:
                into += texts(one)
            if rows is not None:
                for row in rows(one):
                    into += row
            if others is not None:
                open_ += others(one)


def _rebuild(value: T, clean: Callable[[str], str]) -> T:
    """`value` with `clean` over each of its texts; the very same where none changes."""
    kind = type(value)
    if kind is str:
        return cast("T", clean(cast("str", value)))
    read = _READ[kind]
    if read is None:
        return value if kind in _TEXTLESS else _rebuild_many(value, clean)
    changed: dict[str, Any] = {}
    for name, old in zip(_names(cast("Any", kind)), read(value), strict=True):
        new = _rebuild(old, clean)
        if new is not old and new != old:
            changed[name] = new
    if not changed:
        return value
    if hasattr(value, "__value_fields__"):
        return replace(value, **changed)
    import dataclasses  # late: few values are made by it, and it takes long to load

    return cast("T", dataclasses.replace(cast("Any", value), **changed))


def _rebuild_many(value: T, clean: Callable[[str], str]) -> T:
    if isinstance(value, (tuple, list)):
        items = [_rebuild(item, clean) for item in value]
        return value if all(map(is_, items, value)) else cast("T", type(value)(items))
    if isinstance(value, Mapping):
        return cast("T", {_rebuild(key, clean): _rebuild(item, clean) for key, item in value.items()})
    return value
