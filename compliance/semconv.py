"""Events in the words of the OpenTelemetry semantic conventions. Pure; knows no SDK.

Names that no convention has are ours, under `agent.`; docs/reference/telemetry.md lists them under SCHEMA_URL.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple, assert_never

from compliance.events import (
    Approved,
    AuditEvent,
    BundleChanged,
    BundleStep,
    Connected,
    Decided,
    Gap,
    LinkEnd,
    Outcome,
    Overridden,
    Patched,
    PolicyFile,
    PolicyLoaded,
    Ran,
    Refused,
    Reply,
    Revoked,
    SandboxDenied,
    SessionEnded,
    SessionStarted,
    Situated,
    ToolCalled,
    Witnessed,
)
from compliance.sink import ModelCall
from execpolicy.decision import Decision, Verdict

AGENT_NAME: Final = "agent"
SCOPE: Final = "policy-agent.audit"
SCHEMA_URL: Final = "https://policy-agent.invalid/schemas/telemetry/1.0.0"
INFO, WARN, ERROR = 9, 13, 17  # severity numbers of the log data model
MOST_WORD: Final = 256  # characters of one word of a command
MOST_WORDS: Final = 64

Value = str | bool | int | float | list[str]
Attributes = dict[str, Value]

# Ours -> what the GenAI conventions may call it; sent only to who opts in, because they may still change.
CANDIDATES: Final[Mapping[str, str]] = {
    "agent.policy.decision": "gen_ai.security.verdict.type",
    "agent.policy.reason": "gen_ai.security.verdict.reason",
    "security_rule.name": "gen_ai.security.policy.rule.id",
    "security_rule.ruleset.name": "gen_ai.security.policy.name",
    "security_rule.version": "gen_ai.security.policy.version",
    "gen_ai.tool.call.id": "gen_ai.security.target.id",
    "agent.command.args_hmac": "gen_ai.security.content.input.hash",
}


class Told(NamedTuple):
    """One event for the log of a collector."""

    name: str
    attributes: Attributes
    severity: int = INFO


def told(event: AuditEvent) -> tuple[Told, ...]:
    """What one event of the record is to a collector; a load of rules is one for each file."""
    match event:
        case SessionStarted():
            return (Told("agent.session.start", of_session(event)),)
        case PolicyLoaded():
            found = [Told("agent.policy.bundle", of_rule_file(file, event.policy)) for file in event.files]
            broken: list[Told] = [
                Told(
                    "agent.policy.bundle", {"agent.policy.bundle.step": "failed", "error.message": one}, ERROR
                )
                for one in event.errors
            ]
            return (*found, *broken)
        case Situated():
            about: Attributes = {
                "agent.policy.situation": event.id,
                "agent.sandbox.mode": event.sandbox,
                "process.working_directory": event.workspace,
            }
            return (Told("agent.policy.situation", about),)
        case Decided():
            denied = event.verdict.decision is Decision.DENY
            return (Told("agent.policy.decision", of_decision(event), WARN if denied else INFO),)
        case Approved():
            return (Told("agent.policy.approval", of_approval(event)),)
        case Overridden():
            return (Told("agent.policy.override", of_override(event), WARN),)
        case Revoked():
            return (Told("agent.policy.revocation", of_revocation(event)),)
        case Ran():
            return (Told("agent.tool.end", of_call_end(event.call, event.status) | of_run(event)),)
        case ToolCalled():
            return (Told("agent.tool.end", of_call_end(event.call, event.status) | of_tool(event)),)
        case Patched():
            return (Told("agent.tool.end", of_call_end(event.call, event.status) | of_patch(event)),)
        case Refused():
            about = of_call_end(event.call, Outcome.DECLINED) | {"agent.policy.refusal": event.why}
            return (Told("agent.tool.end", about, WARN),)
        case SandboxDenied():
            return (Told("agent.sandbox.denial", of_denial(event), WARN),)
        case Connected():
            refused = event.outcome in (LinkEnd.REFUSED, LinkEnd.CUT)
            return (Told("agent.network.connection", of_connection(event), WARN if refused else INFO),)
        case BundleChanged():
            name, severity = _step(event.step)
            return (Told(name, of_bundle(event), severity),)
        case Witnessed():
            return (Told("agent.audit.checkpoint", of_checkpoint(event), INFO if event.cosigned else WARN),)
        case SessionEnded():
            return (Told("agent.session.end", {"agent.session.end": event.why}),)
        case Gap():
            return (Told("agent.audit.gap", of_gap(event), ERROR),)
        case other:
            assert_never(other)


def has_span(event: AuditEvent) -> bool:
    """Whether a span tells of it, so that an event beside it would say nothing new."""
    return isinstance(event, SessionStarted | Situated | Ran | ToolCalled | Patched | Refused | SessionEnded)


def of_record(seq: int, event: AuditEvent) -> Attributes:
    """What every event says: where it stands in the record, and whose it is."""
    found: Attributes = {"agent.audit.seq": seq}
    if event.session:
        found |= {"session.id": event.session, "gen_ai.conversation.id": event.session}
    if event.masked:
        found["agent.audit.masked_paths"] = list(event.masked)
    return found


def candidates(attributes: Mapping[str, Value]) -> Attributes:
    """The names that the conventions may get, beside ours."""
    found: Attributes = {new: attributes[old] for old, new in CANDIDATES.items() if old in attributes}
    if "gen_ai.security.target.id" in found:
        found["gen_ai.security.target.type"] = "tool_call"
    return found


# --- sessions and requests ------------------------------------------------------------------------


def of_session(event: SessionStarted) -> Attributes:
    """Of the span `invoke_agent`."""
    attributes: Attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": AGENT_NAME,
        "gen_ai.agent.version": event.agent_version,
        "gen_ai.conversation.id": event.session,
        "gen_ai.provider.name": event.provider or "openai",
        "gen_ai.request.model": event.model,
        "session.id": event.session,
        "process.working_directory": event.cwd,
        "process.interactive": event.approval == "user",
        "agent.sandbox.mode": event.sandbox,
        "agent.session.resumed": event.resumed,
    }
    if event.user:
        attributes["user.hash"] = hashed(event.user)
    return attributes


def of_model_call(call: ModelCall) -> Attributes:
    """Of the span `chat`."""
    session, _, helper = call.session.partition(":")
    attributes: Attributes = {
        **of_model(call),
        "gen_ai.conversation.id": session,
        "gen_ai.agent.name": helper or AGENT_NAME,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
    }
    if call.response_id:
        attributes["gen_ai.response.id"] = call.response_id
    return attributes


def of_model(call: ModelCall) -> dict[str, str]:
    """Of the metrics of requests: few values each, or a metric is of no use."""
    found = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
    }
    if call.error:
        found["error.type"] = call.error
    return found


# --- calls and verdicts ---------------------------------------------------------------------------


def of_call(event: Decided, *, words: bool = False) -> Attributes:
    """Of the span `execute_tool`. What the call says is not in it: that is for who opts in (`words`)."""
    served = event.asked is not None and event.asked.form == "server"
    attributes: Attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": event.tool,
        "gen_ai.tool.call.id": event.call,
        "gen_ai.tool.type": "extension" if served else "function",
        "gen_ai.conversation.id": event.session,
        "gen_ai.agent.name": event.agent if event.agent not in ("", "main") else AGENT_NAME,
        "process.working_directory": event.cwd,
    }
    if served:
        attributes["mcp.method.name"] = "tools/call"
    if event.model:
        attributes["gen_ai.request.model"] = event.model
    return attributes | _of_command(event, words)


def _of_command(event: Decided, words: bool) -> Attributes:
    """The first command of a script; how many words it has only where there is no other."""
    argv = event.commands[0].argv if event.commands else ()
    program = (argv[0] or "") if argv else _program(event.verdict)
    if not program:
        return {}
    name = program.rsplit("/", 1)[-1]
    found: Attributes = {"process.executable.name": name}
    if program.startswith("/"):
        found["process.executable.path"] = program
    elif path := next(
        (one.answer for one in event.lookups if one.what == "program" and one.name == program), ""
    ):
        found["process.executable.path"] = path
    if len(event.commands) == 1:
        found["process.args_count"] = len(argv)
    if event.commands:
        found["agent.command.count"] = len(event.commands)
    if words and argv:
        found["process.command_args"] = [_short("?" if word is None else word) for word in argv[:MOST_WORDS]]
    return found


def _short(word: str) -> str:
    return word if len(word) <= MOST_WORD else f"{word[:MOST_WORD]}..."


def _program(verdict: Verdict) -> str:
    texts = [part.text for part in verdict.parts if part.kind == "command" and part.text.strip()]
    return texts[0].split(maxsplit=1)[0] if texts else ""


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
        if deciding.justification:
            attributes["agent.policy.reason"] = deciding.justification
    if audited := list(dict.fromkeys(one.rule_id for one in verdict.matches if not one.enforced)):
        attributes["agent.policy.audited_rules"] = audited
    if opened := next((one.opened for one in verdict.matches if one.opened is not None), None):
        attributes["agent.policy.exception.id"] = opened.ticket or str(opened.origin)
    return attributes


def of_decision(event: Decided) -> Attributes:
    """Of `agent.policy.decision`."""
    attributes = of_verdict(event.verdict)
    attributes |= {"gen_ai.tool.call.id": event.call, "gen_ai.tool.name": event.tool}
    attributes |= _of_command(event, words=False)
    if event.would and event.would != event.verdict.decision.word:
        attributes["agent.policy.shadow.decision"] = event.would
    if event.policy:
        attributes["agent.policy.digest"] = event.policy
    if event.situation:
        attributes["agent.policy.situation"] = event.situation
    if event.args_hmac:
        attributes |= {
            "agent.command.args_hmac": event.args_hmac,
            "agent.command.hmac_key_id": event.mask_key,
        }
    if event.masked:
        attributes["agent.command.args_redacted"] = True
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


def of_shadow(event: Decided) -> dict[str, str]:
    """Of the metric `agent.policy.shadow.changed`; empty when rules in audit mode would change nothing."""
    was = event.verdict.decision.word
    if not event.would or event.would == was:
        return {}
    return {"agent.policy.decision": was, "agent.policy.shadow.decision": event.would}


def of_approval(event: Approved) -> Attributes:
    """Of `agent.policy.approval`."""
    attributes: Attributes = {
        "gen_ai.tool.call.id": event.call,
        "agent.policy.approval": approval_word(event.answer),
        "agent.policy.approval.reply": event.answer.value,
        "agent.policy.approval.duration": event.seconds,
    }
    if event.approver:
        attributes["agent.policy.approver.hash"] = hashed(event.approver)
    if event.scope:
        attributes["agent.policy.approval.scope"] = event.scope
    if event.rules:
        attributes["agent.policy.approval.rules"] = list(event.rules)
    return attributes


def approval_word(answer: Reply) -> str:
    return "granted" if answer.granted else "timeout" if answer is Reply.TIMEOUT else "rejected"


def of_override(event: Overridden) -> Attributes:
    """Of `agent.policy.override`."""
    return {
        "gen_ai.tool.call.id": event.call,
        "security_rule.name": event.rule,
        "agent.policy.exception.id": event.ticket or event.origin,
        "agent.policy.exception.until": event.until,
        "agent.policy.approver.hash": hashed(event.approved_by),
    }


def of_revocation(event: Revoked) -> Attributes:
    """Of `agent.policy.revocation`."""
    return {
        "security_rule.name": event.rule,
        "security_rule.ruleset.name": event.path,
        "security_rule.category": event.scope,
        "agent.policy.approver.hash": hashed(event.by),
    }


# --- outcomes -------------------------------------------------------------------------------------


def of_call_end(call: str, status: Outcome) -> Attributes:
    """How a call ended, where no span says which it was."""
    found: Attributes = {"gen_ai.tool.call.id": call, "agent.tool.outcome": status.value}
    if status is not Outcome.COMPLETED:
        found["error.type"] = status.value
    return found


def of_run(event: Ran) -> Attributes:
    """Of a command that ended."""
    found: Attributes = {"agent.sandbox.name": event.sandbox, "agent.tool.output.size": event.output_bytes}
    if event.exit_code is not None:
        found["process.exit.code"] = event.exit_code
    return found


def of_tool(event: ToolCalled) -> Attributes:
    """Of a call of a tool that ended."""
    found: Attributes = {"gen_ai.tool.name": event.tool, "agent.tool.output.size": event.output_bytes}
    if event.server:
        found["agent.mcp.server"] = event.server
    return found


def of_patch(event: Patched) -> Attributes:
    """Of a patch."""
    return {"agent.patch.paths": list(event.paths)}


def of_connection(event: Connected) -> Attributes:
    """Of `agent.network.connection`."""
    return {
        "gen_ai.tool.call.id": event.call,
        "server.address": event.host,
        "server.port": event.port,
        "network.peer.address": event.address,
        "network.protocol.name": event.protocol,
        "agent.policy.decision": event.decision,
        "agent.policy.rules": list(event.rules),
        "agent.network.outcome": event.outcome.value,
        "agent.network.reason": event.why,
        "agent.network.bytes_up": event.bytes_up,
        "agent.network.bytes_down": event.bytes_down,
    }


def of_denial(event: SandboxDenied) -> Attributes:
    """Of `agent.sandbox.denial`."""
    found: Attributes = {
        "gen_ai.tool.call.id": event.call,
        "agent.sandbox.name": event.sandbox,
        "agent.sandbox.mode": event.mode,
        "agent.sandbox.sign": event.sign,
    }
    if event.path:
        found["file.path"] = event.path
    return found


# --- rules and the record -------------------------------------------------------------------------


def of_rule_file(file: PolicyFile, policy: str = "") -> Attributes:
    """Of `agent.policy.bundle`, a file in force."""
    found: Attributes = {
        "artifact.hash": file.digest,
        "artifact.filename": file.path,
        "agent.policy.layer": file.layer,
        "agent.policy.usable": file.usable,
        "agent.policy.bundle.step": "loaded",
    }
    if file.version:
        found["artifact.version"] = file.version
    if policy:
        found["agent.policy.digest"] = policy
    return found


def _step(step: BundleStep) -> tuple[str, int]:
    match step:
        case BundleStep.FETCHED | BundleStep.VERIFIED | BundleStep.ACTIVATED:
            return "agent.policy.bundle", INFO
        case BundleStep.FAILED | BundleStep.STALE | BundleStep.EXPIRED:
            return "agent.policy.bundle", ERROR
        case BundleStep.ROLLED_OUT | BundleStep.ROLLED_BACK:
            return "agent.policy.rollout", INFO
        case BundleStep.KILLED:
            return "agent.policy.kill", ERROR
        case other:
            assert_never(other)


def of_bundle(event: BundleChanged) -> Attributes:
    """Of `agent.policy.bundle`, `agent.policy.rollout` and `agent.policy.kill`. A ring is a feature flag."""
    found: Attributes = {
        "artifact.filename": event.bundle,
        "artifact.version": event.version,
        "artifact.hash": event.digest,
        "agent.policy.bundle.step": event.step.value,
    }
    if event.ring:
        found |= {"feature_flag.key": event.bundle, "feature_flag.result.variant": event.ring}
        found |= {"feature_flag.version": event.version, "feature_flag.result.reason": "targeting_match"}
    if event.why:
        found["agent.policy.reason"] = event.why
    if event.by:
        found["agent.policy.approver.hash"] = hashed(event.by)
    return found


def of_checkpoint(event: Witnessed) -> Attributes:
    """Of `agent.audit.checkpoint`."""
    found: Attributes = {
        "agent.audit.witness": event.witness,
        "agent.audit.checkpoint.size": event.size,
        "agent.audit.checkpoint.cosigned": event.cosigned,
    }
    if event.why:
        found["error.message"] = event.why
    return found


def of_gap(event: Gap) -> Attributes:
    """Of `agent.audit.gap`."""
    return {
        "agent.audit.gap.kind": event.kind.value,
        "agent.audit.gap.reason": event.reason,
        "agent.audit.gap.count": event.count,
        "agent.audit.gap.first_seq": event.first_seq,
        "agent.audit.gap.last_seq": event.last_seq,
    }


def sound(attributes: Attributes) -> Attributes:
    """`attributes` with bytes that are no UTF-8 spelled out: one such word would spoil a whole request."""
    return {
        name: sound_text(value)
        if isinstance(value, str)
        else [sound_text(one) for one in value]
        if isinstance(value, list)
        else value
        for name, value in attributes.items()
    }


def sound_text(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


# --- names and ids --------------------------------------------------------------------------------


def hashed(name: str) -> str:
    """A person's name, as it may leave the machine."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def trace_id(session: str) -> int:
    """The trace of a session that has no parent. Derived, so that what is shipped later belongs to it, too."""
    return _derived("trace", session) & ((1 << 128) - 1) or 1


def span_id(session: str, call: str) -> int:
    """The span of a call, or of the session itself where `call` is empty."""
    return _derived("span", session, call) & ((1 << 64) - 1) or 1


def _derived(*words: str) -> int:
    text = "\0".join(words).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(text).digest(), "big")
