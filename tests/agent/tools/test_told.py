"""The words in which the model hears of a refusal: what, why, the way out; golden, over a real policy."""

from __future__ import annotations

import pytest

from agent.sandbox.spec import SandboxSpec
from agent.tools import told
from agent.tools.base import RunScript
from agent.tools.gate import Gate
from execpolicy.decision import Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules

RULES = """
prefix_rule(pattern = ["ls"], decision = "allow", justification = "looks only")
prefix_rule(pattern = ["rm"], decision = "ask", justification = "deletes files")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "publishing is for people",
    suggest = "leave the change in the working tree")
"""
REFUSED = "It was not run. Do not try to get the same effect in another way; ask the user if it is needed."
BY_HAND = "It was not run. Do without it, or tell the user at the end what has to be run by hand or allowed by a rule."
NOBODY = "needs the user's approval, and nobody can be asked in this run"


@pytest.fixture(scope="module")
def gate() -> Gate:
    parsed = parse_rules(RULES, "test.rules", Layer.USER)

    def context(cwd: str) -> CheckContext:
        return CheckContext(cwd=cwd, workspace="/ws", protected=("/ws/.git",))

    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/ws")
    return Gate(Policy.build([(Layer.USER, parsed.file)]), context, spec)


@pytest.mark.parametrize(
    ("script", "first"),
    [
        pytest.param(
            "sudo git push -f",
            "exec_command rejected: the policy denies `git push -f`: publishing is for people",
            id="rule-behind-a-wrapper",
        ),
        pytest.param(
            "ls > .git/config",
            "exec_command rejected: the policy denies writing `.git/config`: `.git/config` is protected: "
            "change it by hand, outside the session",
            id="protected",
        ),
    ],
)
def test_a_denial(gate: Gate, script: str, first: str) -> None:
    request = RunScript(script=script, cwd="/ws")
    lines = told.denied("exec_command", request, gate.judge("exec_command", request)).splitlines()
    assert (lines[0], lines[-1]) == (first, REFUSED)


@pytest.mark.parametrize(
    ("script", "first"),
    [
        pytest.param(
            "rm -r build", f"exec_command rejected: `rm -r build` {NOBODY}: deletes files", id="rule"
        ),
        pytest.param("frob", f"exec_command rejected: `frob` {NOBODY}: no rule covers it", id="silence"),
        pytest.param(
            "ls && rm x; frob",
            f"exec_command rejected: `rm x` {NOBODY}: deletes files (`rm x`); no rule covers it (`frob`)",
            id="several",
        ),
        pytest.param(
            "a; b; c; d; e",
            f"exec_command rejected: `a` {NOBODY}: no rule covers it (`a`); no rule covers it (`b`); "
            "no rule covers it (`c`); and 2 more",
            id="many",
        ),
    ],
)
def test_an_ask_nobody_answers(gate: Gate, script: str, first: str) -> None:
    request = RunScript(script=script, cwd="/ws")
    lines = told.unanswered("exec_command", request, gate.judge("exec_command", request)).splitlines()
    assert (lines[0], lines[-1]) == (first, BY_HAND)


def test_a_text_that_cannot_be_read_says_so(gate: Gate) -> None:
    request = RunScript(script="echo $(", cwd="/ws")
    text = told.unanswered("exec_command", request, gate.judge("exec_command", request))
    assert "not known before it runs: " in text


def test_the_way_that_is_open_is_named(gate: Gate) -> None:
    request = RunScript(script="git push", cwd="/ws")
    text = told.denied("exec_command", request, gate.judge("exec_command", request))
    assert "The way that is open: leave the change in the working tree\n" in text


def test_a_long_command_is_cut(gate: Gate) -> None:
    request = RunScript(script="frob " + "x" * 50_000, cwd="/ws")
    assert len(told.unanswered("exec_command", request, gate.judge("exec_command", request))) < 1000
