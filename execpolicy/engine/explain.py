"""A verdict as lines for a person and as an object for a machine."""

from __future__ import annotations

from execpolicy.decision import Certainty, Decision, Part, Reviewer, RuleMatch, Verdict
from execpolicy.diagnostics import printable

WIDTH = 200  # characters of a command that are shown


def lines(verdict: Verdict) -> list[str]:
    """Plain text: the decision, each part with the rules that spoke, and the way out."""
    out = [verdict.decision.word + (": nothing to run" if not verdict.parts and not verdict.unknowns else "")]
    for part in verdict.parts:
        out += ["  " + line for line in _part(part)]
    said = {why for part in verdict.parts for why in part.unknowns}
    out += [f"  not known: {_shown(why)}" for why in verdict.unknowns if why not in said]
    if verdict.decision is not Decision.ALLOW:
        if verdict.suggest is not None:
            out.append(f"  way out: {_shown(verdict.suggest)}")
        if verdict.nearest is not None:
            out.append(f"  nearest allowed: {_shown(verdict.nearest)}")
    return out + _terms(verdict)


def _terms(verdict: Verdict) -> list[str]:
    terms = []
    if verdict.confinement.sandbox is not None:
        terms.append(f"sandbox {verdict.confinement.sandbox.value}")
    if verdict.confinement.network is not None:
        terms.append(f"network {verdict.confinement.network.value}")
    if (
        verdict.decision is Decision.ASK and verdict.reviewer is not Reviewer.USER
    ):  # a person, if nothing is said
        terms.append(f"reviewer {verdict.reviewer.value}")
    if verdict.scope is not None:
        terms.append(f"scope {verdict.scope.value}")
    if verdict.expires is not None:
        terms.append(f"until {verdict.expires}")
    return [f"  terms: {', '.join(terms)}"] if terms else []


def _part(part: Part) -> list[str]:
    kind = "" if part.kind == "command" else f"{part.kind} "
    via = f"  (through {', '.join(map(_shown, part.via))})" if part.via else ""
    out = [f"{part.decision.word:5}  {kind}{_shown(part.text)}{via}"]
    out += [f"         {line}" for match in part.matches for line in _match(match)]
    out += [
        f"         not known: {_shown(why)}" for why in part.unknowns if not part.why.endswith(f": {why}")
    ]
    if part.why:
        out.append(f"         {_shown(part.why)}")
    return out


def _match(match: RuleMatch) -> list[str]:
    notes = []
    if match.certainty is Certainty.MAYBE:
        notes.append("may apply")
    if not match.enforced:
        notes.append("not enforced")
    note = f" ({', '.join(notes)})" if notes else ""
    words = f" about `{_shown(' '.join(match.words))}`" if match.words else ""
    head = f"{match.decision.word} by {_shown(match.rule_id)}{words}{note}, {match.origin.layer.word} layer"
    out = [f"{head}, {_shown(str(match.origin))}"]
    if match.justification is not None:
        out.append(f"  because {_shown(match.justification)}")
    if match.suggest is not None:
        out.append(f"  instead: {_shown(match.suggest)}")
    return out


def _shown(text: str) -> str:
    """One line, nothing that a terminal obeys."""
    line = printable(text.replace("\n", "\\n"))
    return line if len(line) <= WIDTH else line[: WIDTH - 3] + "..."


def to_json(verdict: Verdict) -> dict[str, object]:
    """The verdict as an object; its keys stay as they are, new ones may come."""
    return {
        "decision": verdict.decision.word,
        "parts": [_part_json(part) for part in verdict.parts],
        "rules": [_match_json(match) for match in verdict.matches],
        "unknowns": list(verdict.unknowns),
        "confinement": {
            "sandbox": None if verdict.confinement.sandbox is None else verdict.confinement.sandbox.value,
            "network": None if verdict.confinement.network is None else verdict.confinement.network.value,
        },
        "reviewer": verdict.reviewer.value,
        "scope": None if verdict.scope is None else verdict.scope.value,
        "expires": verdict.expires,
        "suggest": verdict.suggest,
        "nearest": verdict.nearest,
    }


def _part_json(part: Part) -> dict[str, object]:
    return {
        "kind": part.kind,
        "text": part.text,
        "decision": part.decision.word,
        "via": list(part.via),
        "unknowns": list(part.unknowns),
        "why": part.why,
        "rules": [_match_json(match) for match in part.matches],
    }


def _match_json(match: RuleMatch) -> dict[str, object]:
    return {
        "id": match.rule_id,
        "decision": match.decision.word,
        "certainty": match.certainty.name.lower(),
        "layer": match.origin.layer.word,
        "origin": str(match.origin),
        "justification": match.justification,
        "suggest": match.suggest,
        "words": list(match.words),
        "enforced": match.enforced,
    }
