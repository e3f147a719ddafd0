"""A record judged again gives the same verdict, under every approval policy and every limit of the owner."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config.asking import AskPolicy, Mode
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import ChangeFiles, FeedProgram, Request, RunScript, ToolCall
from agent.tools.deposition import Asker, Witness, decided
from agent.tools.gate import Gate
from agent.tools.judgement import Owner, facts_of
from agent.tools.rejudge import rejudged
from compliance.chain import canonical
from compliance.codec import from_json, to_json
from compliance.errors import RecordError
from compliance.events import Decided, Situated
from execpolicy.decision import Decision, Layer, SandboxMode
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.facts import Access
from execpolicy.lang.lower import parse_rules
from execpolicy.values import replace

RULES = """
prefix_rule(pattern = ["echo"], decision = "allow")
prefix_rule(pattern = ["rm"], decision = "deny")
path_rule(paths = ["/w/a"], access = ["write"], decision = "allow")
"""
REQUESTS: tuple[Request, ...] = (
    RunScript(script="echo x", cwd="/w"),
    RunScript(script="echo x > out", cwd="/w"),
    RunScript(script="cat a", cwd="/w"),
    RunScript(script="date", cwd="/w"),
    RunScript(script="rm x", cwd="/w"),
    RunScript(script="echo x", cwd="/w", escalate=True),
    RunScript(script="echo x", cwd="/w", escalate=True, failed=True),
    FeedProgram(program="python3", text="1", cwd="/w"),
    ChangeFiles(accesses=(("/w/a", Access.WRITE), ("/w/b", Access.WRITE)), cwd="/w", subject="patch"),
    ChangeFiles(accesses=(("/w/a", Access.WRITE),), cwd="/w", subject="patch"),
)


def policy() -> Policy:
    parsed = parse_rules(RULES, "a.rules", Layer.USER)
    assert not parsed.diagnostics
    return Policy.build([(Layer.USER, parsed.file)])


def recorded_under(
    request: Request, asking: AskPolicy, owner: Owner, mode: SandboxMode
) -> tuple[Decided, Situated]:
    """As it is read back from the log."""
    spec = SandboxSpec(mode=mode, workspace="/w")
    context = CheckContext(cwd="/w", workspace="/w", sandbox=mode, facts=facts_of(asking, owner), env={})
    witness = Witness(
        lambda p, c, read: Gate(p, c, spec, read=read, asking=asking, owner=owner),
        policy(),
        lambda cwd: context,
    )
    judgement = witness.judge("exec_command", request)
    assert judgement.basis is not None
    event = decided("s", ToolCall("c", "exec_command", "{}"), request, judgement, Asker())
    again, there = (
        from_json(json.loads(canonical(to_json(one)))) for one in (event, judgement.basis.situated)
    )
    assert isinstance(again, Decided)
    assert isinstance(there, Situated)
    return again, there


@settings(max_examples=200)
@given(
    st.sampled_from(REQUESTS),
    st.sampled_from([AskPolicy(mode) for mode in Mode]),
    st.builds(Owner, st.sampled_from(SandboxMode), st.booleans()),
    st.sampled_from(SandboxMode),
)
def test_the_same_rules_give_the_same_verdict(
    request: Request, asking: AskPolicy, owner: Owner, mode: SandboxMode
) -> None:
    event, situated = recorded_under(request, asking, owner, mode)
    assert rejudged(event, situated, policy()).verdict == event.verdict


def test_the_approval_policy_of_the_record_decides_not_todays() -> None:
    request, owner = RunScript(script="echo x > out", cwd="/w"), Owner()
    for mode, want in ((Mode.UNTRUSTED, Decision.ASK), (Mode.ON_REQUEST, Decision.ALLOW)):
        event, situated = recorded_under(request, AskPolicy(mode), owner, SandboxMode.WORKSPACE_WRITE)
        assert event.verdict.decision is want
        assert rejudged(event, situated, policy()).verdict.decision is want


@pytest.mark.parametrize("name", ["gate.approval_policy", "gate.most_sandbox"])
def test_a_record_that_names_no_known_policy_is_not_judged(name: str) -> None:
    event, situated = recorded_under(REQUESTS[0], AskPolicy(), Owner(), SandboxMode.WORKSPACE_WRITE)
    facts = tuple((one, "other" if one == name else value) for one, value in situated.facts)
    with pytest.raises(RecordError):
        rejudged(event, replace(situated, facts=facts), policy())
