"""Events in the words of the OpenTelemetry semantic conventions. Pure; knows no SDK.

Names that no convention has are ours, under `agent.`.
"""

from __future__ import annotations

import hashlib
from typing import Final

from compliance.events import Approved, Decided, Gap, PolicyFile, Reply, SessionStarted
from compliance.sink import ModelCall
from execpolicy.decision import Verdict

AGENT_NAME: Final = "agent"

Value = str | bool | int | float | list[str]
Attributes = dict[str, Value]


def of_session(seq: int, event: SessionStarted) -> Attributes:
    """Of the span `invoke_agent`."""
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.agent.version": event.agent_version,
        "gen_ai.conversation.id": event.session,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": event.model,
        "session.id": event.session,
        "process.working_directory": event.cwd,
        "agent.audit.seq": seq,
    }
    if event.user:
        attributes["user.hash"] = hashed(event.user)
    return attributes


def of_model_call(call: ModelCall) -> Attributes:
    """Of the span `chat`."""
    attributes: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.conversation.id": call.session,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
    }
    if call.response_id:
        attributes["gen_ai.response.id"] = call.response_id
    if call.error:
        attributes["error.type"] = call.error
    return attributes


def of_call(event: Decided) -> Attributes:
    """Of the span `execute_tool`. What the call says is not in it: that is for who opts in."""
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.tool,
        "gen_ai.tool.call.id": event.call,
        "gen_ai.tool.type": "function",
        "gen_ai.conversation.id": event.session,
        "process.working_directory": event.cwd,
    }
    commands = [part.text for part in event.verdict.parts if part.kind == "command" and part.text.strip()]
    if commands:
        attributes["process.executable.name"] = commands[0].split(maxsplit=1)[0].rsplit("/", 1)[-1]
    return attributes


def of_verdict(verdict: Verdict) -> Attributes:
    """What the policy said, on spans and on `agent.policy.decision`."""
    deciding = verdict.deciding
    attributes: Attributes = {
        "agent.policy.decision": verdict.decision.word,
        "agent.policy.mode": "enforce",
        "agent.policy.enforced": True,
        "agent.policy.default": deciding is None,
        "agent.policy.matched_rules": list(dict.fromkeys(match.rule_id for match in verdict.matches)),
    }
    if deciding is not None:
        attributes["security_rule.name"] = deciding.rule_id
        attributes["security_rule.ruleset.name"] = deciding.origin.path
        attributes["security_rule.reference"] = str(deciding.origin)
        attributes["security_rule.category"] = deciding.origin.layer.word
    return attributes


def of_count(event: Decided) -> dict[str, str]:
    """Of the metric `agent.policy.decisions`: few values each, or a metric is of no use."""
    deciding = event.verdict.deciding
    return {
        "agent.policy.decision": event.verdict.decision.word,
        "agent.policy.mode": "enforce",
        "security_rule.ruleset.name": deciding.origin.path if deciding else "",
        "gen_ai.tool.name": event.tool if event.tool.isidentifier() else "other",
    }


def of_approval(event: Approved) -> Attributes:
    """Of `agent.policy.approval`."""
    word = "granted" if event.answer.granted else "timeout" if event.answer is Reply.TIMEOUT else "rejected"
    attributes: Attributes = {
        "gen_ai.tool.call.id": event.call,
        "agent.policy.approval": word,
        "agent.policy.approval.reply": event.answer.value,
        "agent.policy.approval.duration": event.seconds,
    }
    if event.approver:
        attributes["agent.policy.approver.hash"] = hashed(event.approver)
    return attributes


def of_rule_file(file: PolicyFile) -> Attributes:
    """Of `agent.policy.bundle`."""
    return {
        "artifact.hash": file.digest,
        "artifact.filename": file.path,
        "agent.policy.layer": file.layer,
        "agent.policy.usable": file.usable,
    }


def of_gap(event: Gap) -> Attributes:
    """Of `agent.audit.gap`."""
    return {
        "agent.audit.gap.kind": event.kind.value,
        "agent.audit.gap.reason": event.reason,
        "agent.audit.gap.first_seq": event.first_seq,
        "agent.audit.gap.last_seq": event.last_seq,
    }


def hashed(name: str) -> str:
    """A person's name, as it may leave the machine."""
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
