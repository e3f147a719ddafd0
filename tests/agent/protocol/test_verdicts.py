"""A verdict in one sentence."""

from __future__ import annotations

from agent.protocol.verdicts import headed, reason, remarkable, rule_place, way_out
from execpolicy.decision import Certainty, Decision, Layer, Origin, Part, RuleMatch, Verdict

RULE = RuleMatch(
    rule_id="git.push",
    decision=Decision.DENY,
    certainty=Certainty.YES,
    origin=Origin(Layer.USER, "/h/base.rules", 3),
    suggest="ask somebody",
)


def verdict(decision: Decision, *parts: Part, **about: object) -> Verdict:
    return Verdict(decision=decision, parts=parts, **about)  # type: ignore[arg-type]


def test_reason() -> None:
    part = Part(kind="command", text="x", decision=Decision.DENY, matches=(RULE,), why="unused")
    assert reason(verdict(Decision.DENY, part)) == "rule `git.push` says deny"
    silent = Part(kind="command", text="x", decision=Decision.ASK, why="no rule covers it")
    unread = Part(kind="command", text="x", decision=Decision.ASK, unknowns=("variable x", "a glob"))
    assert reason(verdict(Decision.ASK, silent)) == "no rule covers it"
    assert reason(verdict(Decision.ASK, unread)) == "variable x; a glob"
    assert reason(verdict(Decision.ASK, unknowns=("here-document",))) == "not known: here-document"
    assert reason(verdict(Decision.ASK)) == "no rule allows it"
    assert reason(verdict(Decision.ALLOW)) == ""


def test_way_out() -> None:
    part = Part(kind="command", text="x", decision=Decision.DENY, matches=(RULE,))
    assert way_out(verdict(Decision.DENY, part, suggest="first")) == "first"
    assert way_out(verdict(Decision.DENY, part)) == "ask somebody"
    assert way_out(verdict(Decision.DENY, nearest="git pull")) == "`git pull` is allowed"
    assert way_out(verdict(Decision.DENY)) == ""


def test_place_of_a_rule() -> None:
    assert rule_place(RULE) == "git.push (user, /h/base.rules:3)"
    nameless = RuleMatch(
        rule_id="base.rules:3", decision=Decision.ASK, certainty=Certainty.YES, origin=RULE.origin
    )
    assert rule_place(nameless) == "/h/base.rules:3 (user)"


def test_what_is_worth_a_line() -> None:
    tool = Part(kind="tool", text="x", decision=Decision.ALLOW)
    assert not remarkable(verdict(Decision.ALLOW, tool))
    assert remarkable(verdict(Decision.DENY, tool))
    assert remarkable(verdict(Decision.ALLOW, Part(kind="command", text="ls", decision=Decision.ALLOW)))
    assert headed("exec_command", "ls") == "$ ls"
    assert headed("apply_patch", "apply_patch: M a") == "apply_patch: M a"
    assert headed("view", "a.png") == "view a.png"
