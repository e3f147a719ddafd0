"""A verdict for a person says each thing once."""

from __future__ import annotations

from execpolicy.decision import Decision, Part, Reviewer, Verdict
from execpolicy.engine.explain import lines


def asked(why: str, *unknowns: str) -> Verdict:
    part = Part(kind="command", text="sh", decision=Decision.ASK, unknowns=unknowns, why=why)
    return Verdict(decision=Decision.ASK, parts=(part,), unknowns=unknowns)


def test_an_unknown_that_is_the_reason_is_told_once() -> None:
    verdict = asked("not known before it runs: its input", "its input", "its folder")
    assert lines(verdict) == [
        "ask",
        "  ask    sh",
        "           not known: its folder",
        "           not known before it runs: its input",
    ]


def test_only_a_reviewer_that_a_rule_names_is_a_term() -> None:
    verdict = asked("no rule covers it")
    assert lines(verdict) == ["ask", "  ask    sh", "           no rule covers it"]
    from dataclasses import replace

    assert lines(replace(verdict, reviewer=Reviewer.AUTO))[-1] == "  terms: reviewer auto"
