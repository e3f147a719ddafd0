"""A command that the sandbox made fail, to be run once more outside, if somebody says yes."""

from __future__ import annotations

from agent.protocol.events import Event, Refusal, Status
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import Emit, Grant, Prepared, Ran, Request, RunScript, ToolCall
from agent.tools.denials import sign_of_denial
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen, replace

COMMAND_TOOL = "exec_command"  # input for a running program cannot be given to another one


def blocked(call: ToolCall, request: Request, ran: Ran, spec: SandboxSpec) -> str:
    """What tells that the sandbox kept the command from its work; empty where nothing does, or it ran outside."""
    if call.name != COMMAND_TOOL or not isinstance(request, RunScript) or request.escalate or request.before:
        return ""
    if spec.mode is SandboxMode.FULL_ACCESS:
        return ""
    found = sign_of_denial(ran)
    return found[0] if found is not None else ""


@frozen
class Again:
    """The call as it was read, and the wish to run it outside."""

    prepared: Prepared
    request: RunScript

    @staticmethod
    def of(prepared: Prepared, sign: str) -> Again:
        """`sign` is what is said of the failure."""
        request = prepared.request
        assert isinstance(request, RunScript), "`blocked` was asked first"
        why = f"it failed inside the sandbox: {sign}"
        reason = f"{request.reason} ({why})" if request.reason else why
        return Again(prepared, replace(request, escalate=True, failed=True, reason=reason))

    def check(self) -> str:
        return self.prepared.check()

    async def run(self, grant: Grant, emit: Emit) -> Ran:
        return await self.prepared.run(grant, emit)

    def not_run(self, status: Status, refusal: Refusal | None, message: str) -> Event:
        return self.prepared.not_run(status, refusal, message)
