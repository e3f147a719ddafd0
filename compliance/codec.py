"""Audit events to and from JSON values: same keys as the machine form of a verdict, no floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar, assert_never

from compliance.errors import RecordError
from compliance.events import (
    Approved,
    AuditEvent,
    Decided,
    Gap,
    GapKind,
    Outcome,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    SessionEnded,
    SessionStarted,
)
from execpolicy.decision import (
    Certainty,
    Confinement,
    Decision,
    Layer,
    NetworkAccess,
    Origin,
    Part,
    Reviewer,
    RuleMatch,
    SandboxMode,
    Scope,
    Verdict,
)

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]
T = TypeVar("T")

_DECISION_WORDS = {decision: decision.word for decision in Decision}
_CERTAINTY_WORDS = {certainty: certainty.name.lower() for certainty in Certainty}
_LAYER_WORDS = {layer: layer.word for layer in Layer}
MICRO = 1_000_000  # durations are whole microseconds: floats have no canonical form


def kind_of(event: AuditEvent) -> str:
    """The word that names the event's kind in JSON."""
    return _KINDS[type(event)]


def to_json(event: AuditEvent) -> JsonObject:
    """`event` as a JSON object with only strings, integers, booleans, null, lists and objects."""
    out: JsonObject = {"kind": _KINDS[type(event)], "session": event.session}
    if event.masked:
        out["masked"] = list(event.masked)
    match event:
        case SessionStarted():
            out.update(
                agent_version=event.agent_version,
                model=event.model,
                cwd=event.cwd,
                workspace=event.workspace,
                sandbox=event.sandbox,
                approval=event.approval,
                user=event.user,
                host=event.host,
                resumed=event.resumed,
            )
        case PolicyLoaded():
            out["files"] = [
                {"path": file.path, "layer": file.layer, "digest": file.digest, "usable": file.usable}
                for file in event.files
            ]
            out["errors"] = list(event.errors)
        case Decided():
            out.update(call=event.call, tool=event.tool, subject=event.subject, cwd=event.cwd)
            out["verdict"] = verdict_to_json(event.verdict)
        case Approved():
            out.update(
                call=event.call,
                answer=event.answer.value,
                approver=event.approver,
                message=event.message,
                micros=round(event.seconds * MICRO),
            )
        case Ran():
            out.update(
                call=event.call,
                exit_code=event.exit_code,
                status=event.status.value,
                micros=round(event.seconds * MICRO),
                output_sha256=event.output_sha256,
                output_bytes=event.output_bytes,
                sandbox=event.sandbox,
            )
        case Patched():
            out.update(call=event.call, paths=list(event.paths), status=event.status.value)
        case Refused():
            out.update(call=event.call, why=event.why)
        case SessionEnded():
            out["why"] = event.why
        case Gap():
            out.update(
                gap=event.kind.value,
                reason=event.reason,
                first_seq=event.first_seq,
                last_seq=event.last_seq,
                count=event.count,
                kept=event.kept,
                sha256=event.sha256,
            )
        case other:
            assert_never(other)
    return out


def verdict_to_json(verdict: Verdict) -> JsonObject:
    """`verdict` with the keys of its machine form."""
    written: dict[int, JsonObject] = {}  # rule by identity: each stands in its part and in the list of all
    return {
        "decision": _DECISION_WORDS[verdict.decision],
        "parts": [_part_to_json(part, written) for part in verdict.parts],
        "rules": [_rule_to_json(rule, written) for rule in verdict.matches],
        "unknowns": list(verdict.unknowns),
        "confinement": {
            "sandbox": verdict.confinement.sandbox.value if verdict.confinement.sandbox else None,
            "network": verdict.confinement.network.value if verdict.confinement.network else None,
        },
        "reviewer": verdict.reviewer.value,
        "scope": verdict.scope.value if verdict.scope else None,
        "expires": verdict.expires,
        "suggest": verdict.suggest,
        "nearest": verdict.nearest,
    }


def _part_to_json(part: Part, written: dict[int, JsonObject]) -> JsonObject:
    return {
        "kind": part.kind,
        "text": part.text,
        "decision": _DECISION_WORDS[part.decision],
        "via": list(part.via),
        "unknowns": list(part.unknowns),
        "why": part.why,
        "rules": [_rule_to_json(rule, written) for rule in part.matches],
    }


def _rule_to_json(rule: RuleMatch, written: dict[int, JsonObject]) -> JsonObject:
    found = written.get(id(rule))
    if found is None:
        origin = rule.origin
        found = written[id(rule)] = {
            "id": rule.rule_id,
            "decision": _DECISION_WORDS[rule.decision],
            "certainty": _CERTAINTY_WORDS[rule.certainty],
            "layer": _LAYER_WORDS[origin.layer],
            "origin": f"{origin.path}:{origin.line}:{origin.column}",
            "justification": rule.justification,
            "suggest": rule.suggest,
            "words": list(rule.words),
            "enforced": rule.enforced,
        }
    return found


class Fields:
    """Typed access to one JSON object; what is missing or of another type is a RecordError."""

    def __init__(self, data: object) -> None:
        if not isinstance(data, dict):
            raise RecordError("not an object")
        self._data: Mapping[str, object] = data

    def get(self, key: str, kind: type[T]) -> T:
        value = self._data.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise RecordError(f"`{key}` is missing or not {kind.__name__}")
        return value

    def text(self, key: str) -> str:
        return self.get(key, str)

    def maybe(self, key: str, kind: type[T]) -> T | None:
        return None if self._data.get(key) is None else self.get(key, kind)

    def list(self, key: str, read: Callable[[object], T]) -> tuple[T, ...]:
        return tuple(read(item) for item in self.get(key, list))

    def texts(self, key: str) -> tuple[str, ...]:
        return self.list(key, _text) if key in self._data else ()

    def seconds(self) -> float:
        return self.get("micros", int) / MICRO

    def choice(self, key: str, read: Callable[[str], T]) -> T:
        try:
            return read(self.text(key))
        except (ValueError, KeyError):
            raise RecordError(f"`{key}` has a value that is not known") from None

    def maybe_choice(self, key: str, read: Callable[[str], T]) -> T | None:
        return None if self._data.get(key) is None else self.choice(key, read)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RecordError("a list holds something that is not text")
    return value


def from_json(data: object) -> AuditEvent:
    """The event that `to_json` wrote; RecordError for anything else."""
    at = Fields(data)
    kind = at.text("kind")
    read = _READERS.get(kind)
    if read is None:
        raise RecordError(f"`{kind}` is no kind of event")
    return read(at)


def verdict_from_json(data: object) -> Verdict:
    at = Fields(data)
    limits = Fields(at.get("confinement", dict))
    return Verdict(
        decision=at.choice("decision", _decision),
        parts=at.list("parts", _part),
        unknowns=at.texts("unknowns"),
        confinement=Confinement(
            sandbox=limits.maybe_choice("sandbox", SandboxMode),
            network=limits.maybe_choice("network", NetworkAccess),
        ),
        reviewer=at.choice("reviewer", Reviewer),
        scope=at.maybe_choice("scope", Scope),
        expires=at.maybe("expires", str),
        suggest=at.maybe("suggest", str),
        nearest=at.maybe("nearest", str),
    )


def _decision(word: str) -> Decision:
    return Decision[word.upper()]


def _part(data: object) -> Part:
    at = Fields(data)
    return Part(
        kind=at.text("kind"),
        text=at.text("text"),
        decision=at.choice("decision", _decision),
        matches=at.list("rules", _rule),
        unknowns=at.texts("unknowns"),
        via=at.texts("via"),
        why=at.text("why"),
    )


def _rule(data: object) -> RuleMatch:
    at = Fields(data)
    path, line, column = [*at.text("origin").rsplit(":", 2), "", ""][:3]
    if not (line.isdecimal() and column.isdecimal()):
        raise RecordError("`origin` is not path:line:column")
    layer = at.choice("layer", lambda word: Layer[word.upper()])
    return RuleMatch(
        rule_id=at.text("id"),
        decision=at.choice("decision", _decision),
        certainty=at.choice("certainty", lambda word: Certainty[word.upper()]),
        origin=Origin(layer, path, int(line), int(column)),
        justification=at.maybe("justification", str),
        suggest=at.maybe("suggest", str),
        words=at.texts("words"),
        enforced=at.get("enforced", bool),
    )


def _policy_file(data: object) -> PolicyFile:
    at = Fields(data)
    return PolicyFile(at.text("path"), at.text("layer"), at.text("digest"), at.get("usable", bool))


def _session_started(at: Fields) -> SessionStarted:
    return SessionStarted(
        at.text("session"),
        agent_version=at.text("agent_version"),
        model=at.text("model"),
        cwd=at.text("cwd"),
        workspace=at.text("workspace"),
        sandbox=at.text("sandbox"),
        approval=at.text("approval"),
        user=at.text("user"),
        host=at.text("host"),
        resumed=at.get("resumed", bool),
        masked=at.texts("masked"),
    )


def _policy_loaded(at: Fields) -> PolicyLoaded:
    return PolicyLoaded(
        at.text("session"), at.list("files", _policy_file), at.texts("errors"), masked=at.texts("masked")
    )


def _decided(at: Fields) -> Decided:
    return Decided(
        at.text("session"),
        at.text("call"),
        at.text("tool"),
        at.text("subject"),
        at.text("cwd"),
        verdict_from_json(at.get("verdict", dict)),
        masked=at.texts("masked"),
    )


def _approved(at: Fields) -> Approved:
    return Approved(
        at.text("session"),
        at.text("call"),
        at.choice("answer", Reply),
        at.text("approver"),
        at.text("message"),
        at.seconds(),
        masked=at.texts("masked"),
    )


def _ran(at: Fields) -> Ran:
    return Ran(
        at.text("session"),
        at.text("call"),
        at.maybe("exit_code", int),
        at.choice("status", Outcome),
        at.seconds(),
        at.text("output_sha256"),
        at.get("output_bytes", int),
        at.text("sandbox"),
        masked=at.texts("masked"),
    )


def _patched(at: Fields) -> Patched:
    return Patched(
        at.text("session"),
        at.text("call"),
        at.texts("paths"),
        at.choice("status", Outcome),
        masked=at.texts("masked"),
    )


def _refused(at: Fields) -> Refused:
    return Refused(at.text("session"), at.text("call"), at.text("why"), masked=at.texts("masked"))


def _session_ended(at: Fields) -> SessionEnded:
    return SessionEnded(at.text("session"), at.text("why"), masked=at.texts("masked"))


def _gap(at: Fields) -> Gap:
    return Gap(
        at.text("session"),
        at.choice("gap", GapKind),
        at.text("reason"),
        at.get("first_seq", int),
        at.get("last_seq", int),
        at.get("count", int),
        at.text("kept"),
        at.text("sha256"),
        masked=at.texts("masked"),
    )


_KINDS: Mapping[type, str] = {
    SessionStarted: "session_started",
    PolicyLoaded: "policy_loaded",
    Decided: "decided",
    Approved: "approved",
    Ran: "ran",
    Patched: "patched",
    Refused: "refused",
    SessionEnded: "session_ended",
    Gap: "gap",
}

_READERS: Mapping[str, Callable[[Fields], AuditEvent]] = {
    "session_started": _session_started,
    "policy_loaded": _policy_loaded,
    "decided": _decided,
    "approved": _approved,
    "ran": _ran,
    "patched": _patched,
    "refused": _refused,
    "session_ended": _session_ended,
    "gap": _gap,
}
