"""Verdicts read back from their bytes in one go; every other event, and every other form, by `codec`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

from compliance import wire
from compliance.codec import from_json
from compliance.errors import RecordError
from compliance.events import Asked, AuditEvent, CommandRead, Decided, LookedUp
from execpolicy.decision import (
    Certainty,
    Confinement,
    Decision,
    Layer,
    NetworkAccess,
    Opening,
    Origin,
    Part,
    Reviewer,
    RuleMatch,
    SandboxMode,
    Scope,
    Verdict,
)

_DECISIONS: Final = {decision.word: decision for decision in Decision}
_CERTAINTIES: Final = {certainty.name.lower(): certainty for certainty in Certainty}
_LAYERS: Final = {layer.word: layer for layer in Layer}
_START: Final = b'"kind":"decided"'


def _readable(cls: type, made: dict[type, type]) -> type:
    """`cls` with names for its fields, of which those that need not be there may be missing."""
    if cls not in made:
        fields: list[Any] = []
        for name, hint in get_type_hints(cls, vars(wire)).items():
            there = _substituted(hint, made)
            fields.append((name, there, UNSET) if UnsetType in get_args(hint) else (name, there))
        made[cls] = msgspec.defstruct(cls.__name__, fields, kw_only=True, gc=False)
    return made[cls]


def _substituted(hint: Any, made: dict[type, type]) -> Any:
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _readable(hint, made)
    if get_origin(hint) is list:
        return list[_substituted(get_args(hint)[0], made)]  # type: ignore[misc]
    if get_origin(hint) is not None and get_origin(hint) is not tuple and get_args(hint):
        first, *others = (_substituted(one, made) for one in get_args(hint))
        for other in others:
            first = first | other
        return first
    return hint


_decode: Callable[[bytes], Any] = msgspec.json.Decoder(_readable(wire._Decided, {})).decode


def decode(event: bytes) -> AuditEvent:
    """The event of a record. RecordError for what is none."""
    if _START in event:
        try:
            return _decided(_decode(event))
        except (msgspec.DecodeError, KeyError, ValueError, UnicodeDecodeError):
            pass  # of an older version, or none
    try:
        return from_json(msgspec.json.decode(event))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("it is no JSON") from error


def _decided(at: Any) -> Decided:
    if at.kind != "decided":
        raise ValueError
    told = at.verdict
    limits = told.confinement
    verdict = Verdict(
        decision=_DECISIONS[told.decision],
        parts=tuple([_part(part) for part in told.parts]),
        unknowns=told.unknowns,
        confinement=Confinement(
            sandbox=None if limits.sandbox is None else SandboxMode(limits.sandbox),
            network=None if limits.network is None else NetworkAccess(limits.network),
        ),
        reviewer=Reviewer(told.reviewer),
        scope=None if told.scope is None else Scope(told.scope),
        expires=told.expires,
        suggest=told.suggest,
        nearest=told.nearest,
    )
    return Decided(
        at.session,
        at.call,
        at.tool,
        at.subject,
        at.cwd,
        verdict,
        at.would,
        at.agent,
        at.model,
        at.approval,
        at.policy,
        at.situation,
        at.today,
        at.minute,
        None if at.asked is None else Asked(**_given(at.asked)),
        tuple([CommandRead(**_given(command)) for command in at.commands]),
        at.readable,
        tuple([LookedUp(one.what, one.name, one.place, one.answer) for one in at.lookups]),
        masked=() if at.masked is UNSET else at.masked,
    )


def _given(at: Any) -> Mapping[str, Any]:
    return {name: value for name in at.__struct_fields__ if (value := getattr(at, name)) is not UNSET}


def _part(at: Any) -> Part:
    return Part(
        kind=at.kind,
        text=at.text,
        decision=_DECISIONS[at.decision],
        matches=tuple([_rule(rule) for rule in at.rules]),
        unknowns=at.unknowns,
        via=at.via,
        why=at.why,
    )


def _rule(at: Any) -> RuleMatch:
    opened = at.opened
    return RuleMatch(
        rule_id=at.id,
        decision=_DECISIONS[at.decision],
        certainty=_CERTAINTIES[at.certainty],
        origin=_origin(at.layer, at.origin),
        justification=at.justification,
        suggest=at.suggest,
        words=at.words,
        enforced=at.enforced,
        owner=None if at.owner is UNSET else at.owner,
        severity=None if at.severity is UNSET else at.severity,
        controls=() if at.controls is UNSET else at.controls,
        opened=None
        if opened is UNSET
        else Opening(
            until=opened.until,
            approved_by=opened.approved_by,
            ticket=opened.ticket,
            origin=_origin(opened.layer, opened.origin),
        ),
    )


def _origin(layer: str, text: str) -> Origin:
    path, line, column = text.rsplit(":", 2)
    if not (line.isascii() and line.isdecimal() and column.isascii() and column.isdecimal()):
        raise ValueError
    return Origin(_LAYERS[layer], path, int(line), int(column))
