"""The JSON of an event in one go: what `codec` writes, for verdicts at a third of its cost.

INVARIANT: the fields of a class stand in the order of their names, so that what is encoded is canonical. What is
UNSET is not written.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from compliance.chain import canonical
from compliance.codec import to_json
from compliance.events import Asked, AuditEvent, CommandRead, Decided
from execpolicy.decision import Certainty, Confinement, Decision, Layer, Opening, Origin, RuleMatch

Texts = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]


class _Opened(msgspec.Struct, gc=False):
    approved_by: str
    layer: str
    origin: str
    ticket: str | None
    until: str


class _Rule(msgspec.Struct, gc=False):
    certainty: str
    controls: Texts | UnsetType
    decision: str
    enforced: bool
    id: str
    justification: str | None
    layer: str
    opened: _Opened | UnsetType
    origin: str
    owner: str | UnsetType
    severity: str | UnsetType
    suggest: str | None
    words: Texts


class _Part(msgspec.Struct, gc=False):
    decision: str
    kind: str
    rules: list[_Rule]
    text: str
    unknowns: Texts
    via: Texts
    why: str


class _Confinement(msgspec.Struct, frozen=True):
    network: str | None
    sandbox: str | None


class _Verdict(msgspec.Struct, gc=False):
    confinement: _Confinement
    decision: str
    expires: str | None
    nearest: str | None
    parts: list[_Part]
    reviewer: str
    rules: list[_Rule]
    scope: str | None
    suggest: str | None
    unknowns: Texts


class _Asked(msgspec.Struct, gc=False):
    accesses: Pairs | UnsetType
    arguments: str | UnsetType
    before: str | UnsetType
    escalate: bool | UnsetType
    form: str
    program: str | UnsetType
    server: str | UnsetType
    text: str | UnsetType
    tool: str | UnsetType


class _Command(msgspec.Struct, gc=False):
    argv: tuple[str | None, ...]
    cwd: str | UnsetType | None
    files: Pairs | UnsetType
    unknowns: Texts | UnsetType
    unread: Texts | UnsetType
    via: Texts | UnsetType


class _Lookup(msgspec.Struct, gc=False):
    answer: str | None
    name: str
    place: str
    what: str


class _Decided(msgspec.Struct, gc=False):
    agent: str
    approval: str
    asked: _Asked | None
    call: str
    commands: list[_Command]
    cwd: str
    kind: str
    lookups: list[_Lookup]
    masked: Texts | UnsetType
    minute: int
    model: str
    policy: str
    readable: bool
    session: str
    situation: str
    subject: str
    today: str
    tool: str
    verdict: _Verdict
    would: str


_encode: Final = msgspec.json.Encoder().encode
_DECISIONS: Final = {decision: decision.word for decision in Decision}
_CERTAINTIES: Final = {certainty: certainty.name.lower() for certainty in Certainty}
_LAYERS: Final = {layer: layer.word for layer in Layer}
_FREE: Final = _Confinement(None, None)
_ANYWHERE: Final = Confinement()


def encode(event: AuditEvent) -> bytes:
    """The canonical JSON of `event`."""
    if type(event) is Decided:
        try:
            return _encode(_decided(event))
        except UnicodeEncodeError:  # bytes that are no UTF-8: `canonical` spells them out
            pass
    return canonical(to_json(event))


def _decided(event: Decided) -> _Decided:
    verdict = event.verdict
    parts: list[_Part] = []
    rules: list[tuple[int, _Rule]] = []
    mixed = False
    for part in verdict.parts:
        spoke = [_rule(match) for match in part.matches]
        for match, rule in zip(part.matches, spoke, strict=True):
            mixed = mixed or (bool(rules) and rules[-1][0] != -match.decision)
            rules.append((-match.decision, rule))
        parts.append(
            _Part(_DECISIONS[part.decision], part.kind, spoke, part.text, part.unknowns, part.via, part.why)
        )
    if mixed:  # strictest first, as `Verdict.matches` has them
        rules.sort(key=_strictness)
    limits = verdict.confinement
    told = _Verdict(
        _FREE if limits == _ANYWHERE else _confinement(limits),
        _DECISIONS[verdict.decision],
        verdict.expires,
        verdict.nearest,
        parts,
        verdict.reviewer.value,
        [rule for _, rule in rules],
        None if verdict.scope is None else verdict.scope.value,
        verdict.suggest,
        verdict.unknowns,
    )
    return _Decided(
        event.agent,
        event.approval,
        None if event.asked is None else _asked(event.asked),
        event.call,
        [_command(command) for command in event.commands],
        event.cwd,
        "decided",
        [_Lookup(one.answer, one.name, one.place, one.what) for one in event.lookups],
        event.masked or UNSET,
        event.minute,
        event.model,
        event.policy,
        event.readable,
        event.session,
        event.situation,
        event.subject,
        event.today,
        event.tool,
        told,
        event.would,
    )


def _strictness(pair: tuple[int, _Rule]) -> int:
    return pair[0]


def _rule(match: RuleMatch) -> _Rule:
    origin = match.origin
    return _Rule(
        _CERTAINTIES[match.certainty],
        match.controls or UNSET,
        _DECISIONS[match.decision],
        match.enforced,
        match.rule_id,
        match.justification,
        _LAYERS[origin.layer],
        UNSET if match.opened is None else _opened(match.opened),
        _place(origin),
        UNSET if match.owner is None else match.owner,
        UNSET if match.severity is None else match.severity,
        match.suggest,
        match.words,
    )


def _place(origin: Origin) -> str:
    return f"{origin.path}:{origin.line}:{origin.column}"


def _opened(by: Opening) -> _Opened:
    return _Opened(by.approved_by, _LAYERS[by.origin.layer], _place(by.origin), by.ticket, by.until)


def _confinement(limits: Confinement) -> _Confinement:
    return _Confinement(
        None if limits.network is None else limits.network.value,
        None if limits.sandbox is None else limits.sandbox.value,
    )


def _asked(asked: Asked) -> _Asked:
    return _Asked(
        asked.accesses or UNSET,
        asked.arguments or UNSET,
        asked.before or UNSET,
        asked.escalate or UNSET,
        asked.form,
        asked.program or UNSET,
        asked.server or UNSET,
        asked.text or UNSET,
        asked.tool or UNSET,
    )


def _command(command: CommandRead) -> _Command:
    return _Command(
        command.argv,
        UNSET if command.cwd == "" else command.cwd,
        command.files or UNSET,
        command.unknowns or UNSET,
        command.unread or UNSET,
        command.via or UNSET,
    )
