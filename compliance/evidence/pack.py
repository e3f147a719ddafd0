"""The pack as a value: control by control, what is shown, by which rules, and what is missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compliance.evidence.catalogue import Control, framework, same_control
from compliance.evidence.facts import Facts, Seal
from execpolicy.decision import Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    control: Control
    shown: tuple[str, ...]
    rules: tuple[str, ...]  # that name the control and were enforced in the period
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    title: str
    period: str
    seal: Seal
    findings: tuple[Finding, ...]
    days: tuple[tuple[str, tuple[int, int, int]], ...]  # allow, ask, deny
    notes: tuple[str, ...]


def make_pack(
    name: str,
    period: str,
    facts: Facts,
    seal: Seal,
    controls: Mapping[tuple[str, str], tuple[str, ...]],
    unread: tuple[str, ...],
) -> Pack:
    named = facts.named(seal)
    asked = framework(name)
    findings = []
    for control in asked.controls:
        known = [named[fact] for fact in control.shown_by]
        rules = tuple(
            f"{rule} ({path}): {facts.by_rule[path, rule]} verdicts"
            for (path, rule), texts in sorted(controls.items())
            if facts.by_rule[path, rule] and any(same_control(name, text, control) for text in texts)
        )
        missing = [f"not supported by a record: {fact.text}" for fact in known if not fact.supported]
        if not rules:
            missing.append("no rule that was enforced in the period names this control")
        missing += [f"not in a record of this kind: {text}" for text in control.beyond]
        shown = tuple(fact.text for fact in known if fact.supported)
        findings.append(Finding(control=control, shown=shown, rules=rules, missing=tuple(missing)))
    names = sorted({day for day, _ in facts.days})
    return Pack(
        title=asked.title,
        period=period,
        seal=seal,
        findings=tuple(findings),
        days=tuple((day, _three(facts, day)) for day in names),
        notes=tuple(f"the recorded version cannot be read any more: {path}" for path in unread),
    )


def _three(facts: Facts, day: str) -> tuple[int, int, int]:
    allow, ask, deny = (facts.days[day, decision] for decision in Decision)
    return allow, ask, deny
