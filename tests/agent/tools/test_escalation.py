"""A command that asks to run outside the sandbox: never in silence, never against a rule."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import Rig, ScriptedModel, done, of, runs, says

from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.events import CommandStarted, Judged
from agent.sandbox.unconfined import Unconfined
from agent.tools.base import RunScript
from execpolicy.decision import Decision, SandboxMode, Scope

RULES = """
prefix_rule(pattern = ["make"], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "deny", justification = "no")
prefix_rule(pattern = ["curl"], decision = "ask")
prefix_rule(pattern = ["tight"], decision = "allow", sandbox = "read-only")
"""


@pytest.mark.parametrize(
    ("script", "want", "mode"),
    [
        pytest.param("make", Decision.ASK, SandboxMode.FULL_ACCESS, id="allowed-is-asked"),
        pytest.param("curl x", Decision.ASK, SandboxMode.FULL_ACCESS, id="asked"),
        pytest.param("unknown", Decision.ASK, SandboxMode.FULL_ACCESS, id="silence"),
        pytest.param("", Decision.ASK, SandboxMode.FULL_ACCESS, id="nothing"),
        pytest.param("rm x", Decision.DENY, None, id="denied"),
        pytest.param("make; rm x", Decision.DENY, None, id="denied-in-part"),
        pytest.param("tight", Decision.ASK, SandboxMode.READ_ONLY, id="a-rule-says-where"),
    ],
)
def test_it_is_an_ask_at_least(
    real_gate: Callable[..., Any], script: str, want: Decision, mode: SandboxMode | None
) -> None:
    found = real_gate(RULES).judge("exec_command", RunScript(script=script, cwd="/", escalate=True))
    assert found.verdict.decision is want
    assert mode is None or found.spec.mode is mode
    if want is Decision.ASK:
        assert found.verdict.scope is Scope.ONCE
        assert "outside the sandbox" in " ".join(found.explanation)


def test_where_there_is_no_sandbox_there_is_nothing_to_ask(real_gate: Callable[..., Any]) -> None:
    gate = real_gate(RULES, SandboxMode.FULL_ACCESS)
    request = RunScript(script="make", cwd="/", escalate=True)
    assert gate.judge("exec_command", request).verdict.decision is Decision.ALLOW


def rig(
    gate: Any, folder: Path, *, attended: bool, **more: Any
) -> tuple[Rig, ScriptedModel, list[SandboxMode]]:
    modes: list[SandboxMode] = []

    def sandboxes(mode: SandboxMode) -> Unconfined:
        modes.append(mode)
        return Unconfined()

    step = runs("echo ran > out", "c1", sandbox_permissions="require_escalated", **more)
    model = ScriptedModel([*step, *done()], [*says("ok"), *done()])
    return Rig(model, folder, judge=gate, attended=attended, sandboxes=sandboxes), model, modes


ALLOWED = 'prefix_rule(pattern = ["echo"], decision = "allow")'


async def test_a_person_sees_what_it_would_get_and_says_yes(
    real_gate: Callable[..., Any], tmp_path: Path
) -> None:
    made, _, modes = rig(real_gate(ALLOWED), tmp_path, attended=True, justification="needs the daemon")
    asked: list[ApprovalRequest] = []

    def person(request: ApprovalRequest) -> Answer:
        asked.append(request)
        return Answer.SESSION

    events = await made.turn(person=person)
    assert (tmp_path / "out").exists()
    assert modes == [SandboxMode.FULL_ACCESS]
    assert of(CommandStarted, events)[0].sandbox == "none full-access"
    assert "outside the sandbox" in " ".join(asked[0].explanation)
    assert (asked[0].reason, asked[0].session_grant) == ("needs the daemon", "")


async def test_nobody_to_ask_is_a_refusal_with_the_way_out(
    real_gate: Callable[..., Any], tmp_path: Path
) -> None:
    made, model, modes = rig(real_gate(ALLOWED), tmp_path, attended=False, justification="x")
    await made.turn()
    assert not (tmp_path / "out").exists()
    assert modes == []
    assert "nobody can be asked" in model.outputs()["c1"]
    assert "inside the sandbox" in model.outputs()["c1"]


async def test_it_needs_a_reason(real_gate: Callable[..., Any], tmp_path: Path) -> None:
    made, model, _ = rig(real_gate(ALLOWED), tmp_path, attended=True)
    events = await made.turn()
    assert "needs a justification" in model.outputs()["c1"]
    assert of(Judged, events) == []
