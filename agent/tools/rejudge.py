"""A recorded call judged again: by the rules that are given, in its own surroundings and under its own approval policy.

What the gate was told beside rules and surroundings stands in the recorded facts.
"""

from __future__ import annotations

from agent.config.asking import AskPolicy, Mode
from agent.sandbox.spec import SandboxSpec
from agent.tools.deposition import request_of
from agent.tools.gate import Gate
from agent.tools.judgement import MODE_FACT, NETWORK_FACT, SANDBOX_FACT, Owner
from compliance.errors import RecordError
from compliance.events import Decided, Situated
from compliance.replay import recorded
from execpolicy.decision import SandboxMode, Verdict
from execpolicy.engine.policy import Policy
from execpolicy.values import frozen


@frozen
class Rejudged:
    """The verdict, and what the rules asked for that nobody had looked up then."""

    verdict: Verdict
    missing: frozenset[str]


def rejudged(decided: Decided, situated: Situated, policy: Policy) -> Rejudged:
    """The verdict of `policy` over the recorded call. Raises `RecordError` where the record does not hold it."""
    found = recorded(decided, situated)
    assert decided.asked is not None, "else nothing is recorded"
    facts = dict(situated.facts)
    try:
        asking = AskPolicy(Mode(facts.get(MODE_FACT, Mode.ON_REQUEST.value)))
        most = SandboxMode(facts.get(SANDBOX_FACT, SandboxMode.FULL_ACCESS.value))
        request = request_of(decided.asked, decided.subject, decided.cwd)
    except (ValueError, TypeError) as error:
        raise RecordError(f"the record does not hold what was judged: {error}") from None
    gate = Gate(
        policy,
        lambda cwd: found.context,
        SandboxSpec(mode=found.context.sandbox, workspace=situated.workspace),
        asking=asking,
        owner=Owner(most, facts.get(NETWORK_FACT) is not False),
    )
    verdict = gate.judge(decided.tool, request).verdict
    return Rejudged(verdict, frozenset(found.missing))
