"""Audit events to and from JSON values: one table says for each kind which members it has.

What is added later has a default, so that old records still read: a member that is missing takes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeVar

from compliance.errors import RecordError
from compliance.events import (
    Approved,
    Asked,
    AuditEvent,
    BundleChanged,
    BundleStep,
    CommandRead,
    Connected,
    Decided,
    Gap,
    GapKind,
    LinkEnd,
    LookedUp,
    Outcome,
    Overridden,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.verdicts import Json, JsonObject, verdict_from_json, verdict_to_json
from execpolicy import values

__all__ = ["Json", "JsonObject", "from_json", "kind_of", "to_json", "verdict_from_json", "verdict_to_json"]

E = TypeVar("E", bound=Enum)
MICRO: Final = 1_000_000  # durations are whole microseconds: floats have no canonical form


class Member(NamedTuple):
    """One member of a JSON object: its name, how its value is read, and how it is written where it is no JSON yet."""

    name: str
    read: Callable[[Any], object]
    write: Callable[[Any], Json] | None = None
    attr: str = ""  # where the field has another name


class Shape:
    """The members of one class. `sparse`: what has its default is not written."""

    def __init__(self, cls: type, members: list[Member], *, sparse: bool = False) -> None:
        self.cls = cls
        self.members = members
        self.sparse = sparse
        self.defaults = {
            name: one.default for name, one in values.fields(cls).items() if one.default is not values.MISSING
        }
        self._names = [member.name for member in members]
        attrs = [member.attr or member.name for member in members]
        self._values: Callable[[object], tuple[object, ...]] = (
            attrgetter(*attrs) if len(attrs) > 1 else lambda value: (getattr(value, attrs[0]),)
        )
        self._written = [(member.name, member.write) for member in members if member.write is not None]

    def write(self, value: object) -> JsonObject:
        found: Any = dict(zip(self._names, self._values(value), strict=True))
        if self.sparse:
            found = {
                name: one for name, one in found.items() if self.defaults.get(name, values.MISSING) != one
            }
        for name, write in self._written:
            if name in found:
                found[name] = write(found[name])
        return found  # type: ignore[no-any-return]

    def read(self, data: object) -> Any:
        if not isinstance(data, dict):
            raise RecordError("not an object")
        return self.cls(**self.fields(data))

    def fields(self, data: Mapping[str, object]) -> dict[str, object]:
        found: dict[str, object] = {}
        for member in self.members:
            attr = member.attr or member.name
            if member.name not in data:
                if attr not in self.defaults:
                    raise RecordError(f"`{member.name}` is missing")
                continue
            try:
                found[attr] = member.read(data[member.name])
            except (RecordError, ValueError, KeyError, TypeError) as error:
                raise RecordError(f"`{member.name}` is not what it has to be") from error
        return found


def _text(name: str) -> Member:
    return Member(name, _read_text)


def _texts(name: str) -> Member:
    return Member(name, _list_of(_read_text), list)


def _number(name: str) -> Member:
    return Member(name, _read_number)


def _truth(name: str) -> Member:
    return Member(name, _read_truth)


def _maybe(member: Member) -> Member:
    read = member.read
    return member._replace(read=lambda value: None if value is None else read(value))


def _word(name: str, words: type[Enum], attr: str = "") -> Member:
    return Member(name, words, _value, attr)


def _seconds() -> Member:
    return Member(
        "micros", lambda value: _read_number(value) / MICRO, lambda value: round(value * MICRO), "seconds"
    )


def _many(name: str, shape: Shape) -> Member:
    return Member(name, _list_of(shape.read), lambda values: [shape.write(value) for value in values])


def _pairs(name: str) -> Member:
    return Member(name, _list_of(_read_pair), lambda values: [list(pair) for pair in values])


def _value(word: Enum) -> Json:
    return word.value  # type: ignore[no-any-return]


def _read_text(value: object) -> str:
    if not isinstance(value, str):
        raise RecordError("not text")
    return value


def _read_number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecordError("not a number")
    return value


def _read_truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise RecordError("neither true nor false")
    return value


def _read_word(value: object) -> str | None:
    return None if value is None else _read_text(value)


def _read_pair(value: object) -> tuple[str, str]:
    first, second = _list_of(_read_text)(value)
    return _read_text(first), _read_text(second)


def _list_of(read: Callable[[Any], object]) -> Callable[[object], tuple[Any, ...]]:
    def all(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise RecordError("not a list")
        return tuple([read(one) for one in value])

    return all


def _facts_to_json(facts: tuple[tuple[str, Any], ...]) -> Json:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in facts}


def _facts_from_json(data: object) -> tuple[tuple[str, object], ...]:
    if not isinstance(data, dict):
        raise RecordError("not an object")
    return tuple((name, _fact(value)) for name, value in sorted(data.items()))


def _fact(value: object) -> object:
    return (
        _list_of(_read_text)(value)
        if isinstance(value, list)
        else (value if isinstance(value, bool) else _read_text(value))
    )


_FILE = Shape(
    PolicyFile,
    [_text("path"), _text("layer"), _text("digest"), _truth("usable"), _text("version"), _text("bundle")],
    sparse=True,
)
_ASKED = Shape(
    Asked,
    [
        _text("form"),
        _text("before"),
        _truth("escalate"),
        _truth("failed"),
        _text("program"),
        _text("text"),
        _text("server"),
        _text("tool"),
        _text("arguments"),
        _pairs("accesses"),
    ],
    sparse=True,
)
_COMMAND = Shape(
    CommandRead,
    [
        Member("argv", _list_of(_read_word), list),
        _texts("unread"),
        _texts("via"),
        _maybe(_text("cwd")),
        _pairs("files"),
        _texts("unknowns"),
    ],
    sparse=True,
)
_LOOKUP = Shape(LookedUp, [_text("what"), _text("name"), _text("place"), _maybe(_text("answer"))])

# The one table: a kind of event, its class, its members in the order of the reference page. What is added to a
# class has a default there.
_KINDS: Final = {
    "session_started": Shape(
        SessionStarted,
        [
            *map(
                _text, ("agent_version", "model", "cwd", "workspace", "sandbox", "approval", "user", "host")
            ),
            _truth("resumed"),
            _text("provider"),
        ],
    ),
    "policy_loaded": Shape(PolicyLoaded, [_many("files", _FILE), _texts("errors"), _text("policy")]),
    "situated": Shape(
        Situated,
        [
            *map(_text, ("id", "workspace", "home")),
            _texts("writable"),
            _texts("protected"),
            _text("sandbox"),
            Member("facts", _facts_from_json, _facts_to_json),
        ],
    ),
    "decided": Shape(
        Decided,
        [
            *map(_text, ("call", "tool", "subject", "cwd")),
            Member("verdict", verdict_from_json, verdict_to_json),
            *map(_text, ("would", "agent", "model", "approval", "policy", "situation", "today")),
            _number("minute"),
            _maybe(
                Member("asked", _ASKED.read, lambda value: None if value is None else _ASKED.write(value))
            ),
            _many("commands", _COMMAND),
            _truth("readable"),
            _many("lookups", _LOOKUP),
        ],
    ),
    "overridden": Shape(
        Overridden, [*map(_text, ("call", "rule", "until", "approved_by", "ticket", "origin"))]
    ),
    "approved": Shape(
        Approved,
        [
            _text("call"),
            _word("answer", Reply),
            _text("approver"),
            _text("message"),
            _seconds(),
            _text("scope"),
            _text("until"),
            _texts("rules"),
            _text("review"),
        ],
    ),
    "revoked": Shape(Revoked, [*map(_text, ("rule", "scope", "path", "by", "text"))]),
    "ran": Shape(
        Ran,
        [
            _text("call"),
            _maybe(_number("exit_code")),
            _word("status", Outcome),
            _seconds(),
            _text("output_sha256"),
            _number("output_bytes"),
            _text("sandbox"),
        ],
    ),
    "tool_called": Shape(
        ToolCalled,
        [
            *map(_text, ("call", "tool", "server")),
            _word("status", Outcome),
            _seconds(),
            _text("output_sha256"),
            _number("output_bytes"),
        ],
    ),
    "sandbox_denied": Shape(SandboxDenied, [*map(_text, ("call", "sandbox", "mode", "sign", "path"))]),
    "connected": Shape(
        Connected,
        [
            _text("call"),
            _text("host"),
            _number("port"),
            *map(_text, ("protocol", "address", "decision")),
            _texts("rules"),
            _word("outcome", LinkEnd),
            _text("why"),
            *map(_number, ("bytes_up", "bytes_down")),
            _seconds(),
            _number("count"),
        ],
    ),
    "patched": Shape(Patched, [_text("call"), _texts("paths"), _word("status", Outcome)]),
    "refused": Shape(Refused, [_text("call"), _text("why")]),
    "bundle_changed": Shape(
        BundleChanged,
        [
            *map(_text, ("bundle", "version", "digest")),
            _word("step", BundleStep),
            *map(_text, ("ring", "why", "by")),
        ],
    ),
    "witnessed": Shape(Witnessed, [_text("witness"), _number("size"), _truth("cosigned"), _text("why")]),
    "session_ended": Shape(SessionEnded, [_text("why")]),
    "gap": Shape(
        Gap,
        [
            _word("gap", GapKind, "kind"),
            _text("reason"),
            *map(_number, ("first_seq", "last_seq", "count")),
            *map(_text, ("kept", "sha256")),
        ],
    ),
}
KINDS: Final = tuple(_KINDS)
_WORDS: Final = {shape.cls: (kind, shape) for kind, shape in _KINDS.items()}


def kind_of(event: AuditEvent) -> str:
    """The word that names the event's kind in JSON."""
    return _WORDS[type(event)][0]


def to_json(event: AuditEvent) -> JsonObject:
    """`event` as a JSON object with only strings, integers, booleans, null, lists and objects."""
    kind, shape = _WORDS[type(event)]
    out: JsonObject = {"kind": kind, "session": event.session}
    if event.masked:
        out["masked"] = list(event.masked)
        if event.mask_key:
            out["mask_key"] = event.mask_key
        if isinstance(event, Decided) and event.args_hmac:
            out["args_hmac"] = event.args_hmac
    out.update(shape.write(event))
    return out


def from_json(data: object) -> AuditEvent:
    """The event that `to_json` wrote, whatever version of it; RecordError for anything else."""
    if not isinstance(data, dict):
        raise RecordError("not an object")
    kind = data.get("kind")
    shape = _KINDS.get(kind) if isinstance(kind, str) else None
    if shape is None:
        raise RecordError(f"`{kind}` is no kind of event")
    fields = shape.fields(data)
    fields["session"] = _read_text(data.get("session"))
    if "masked" in data:
        fields["masked"] = _list_of(_read_text)(data["masked"])
    if "mask_key" in data:
        fields["mask_key"] = _read_text(data["mask_key"])
    if shape.cls is Decided and "args_hmac" in data:
        fields["args_hmac"] = _read_text(data["args_hmac"])
    found: AuditEvent = shape.cls(**fields)
    return found
