"""Verdicts to and from JSON values, with the keys of their machine form and no floats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from compliance.errors import RecordError
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

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]
JsonObject = dict[str, Json]
T = TypeVar("T")

_DECISION_WORDS = {decision: decision.word for decision in Decision}
_CERTAINTY_WORDS = {certainty: certainty.name.lower() for certainty in Certainty}
_LAYER_WORDS = {layer: layer.word for layer in Layer}


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
        if rule.owner is not None:
            found["owner"] = rule.owner
        if rule.severity is not None:
            found["severity"] = rule.severity
        if rule.controls:
            found["controls"] = list(rule.controls)
        if rule.opened is not None:
            found["opened"] = {
                "until": rule.opened.until,
                "approved_by": rule.opened.approved_by,
                "ticket": rule.opened.ticket,
                "layer": _LAYER_WORDS[rule.opened.origin.layer],
                "origin": str(rule.opened.origin),
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

    def choice(self, key: str, read: Callable[[str], T]) -> T:
        try:
            return read(self.text(key))
        except (ValueError, KeyError):
            raise RecordError(f"`{key}` has a value that is not known") from None

    def maybe_choice(self, key: str, read: Callable[[str], T]) -> T | None:
        return None if self._data.get(key) is None else self.choice(key, read)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise RecordError("not text")
    return value


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
    return RuleMatch(
        rule_id=at.text("id"),
        decision=at.choice("decision", _decision),
        certainty=at.choice("certainty", lambda word: Certainty[word.upper()]),
        origin=_origin(at),
        justification=at.maybe("justification", str),
        suggest=at.maybe("suggest", str),
        words=at.texts("words"),
        enforced=at.get("enforced", bool),
        owner=at.maybe("owner", str),
        severity=at.maybe("severity", str),
        controls=at.texts("controls"),
        opened=None if (opened := at.maybe("opened", dict)) is None else _opening(opened),
    )


def _opening(data: object) -> Opening:
    at = Fields(data)
    return Opening(
        until=at.text("until"),
        approved_by=at.text("approved_by"),
        ticket=at.maybe("ticket", str),
        origin=_origin(at),
    )


def _origin(at: Fields) -> Origin:
    path, line, column = [*at.text("origin").rsplit(":", 2), "", ""][:3]
    if not (line.isascii() and line.isdecimal() and column.isascii() and column.isdecimal()):
        raise RecordError("`origin` is not path:line:column")
    return Origin(at.choice("layer", lambda word: Layer[word.upper()]), path, int(line), int(column))
