"""The one door to execpolicy: a request in, a judgement out. Never raises: what cannot be judged is denied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from agent.protocol.items import JsonObject
from agent.sandbox.spec import SandboxSpec
from agent.tools.base import ChangeFiles, Request, RunScript, UseTool, subject_of
from execpolicy.decision import Confinement, Decision, NetworkAccess, Part, SandboxMode, Verdict
from execpolicy.engine import explain
from execpolicy.engine.check import check, check_files, check_tool
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy

_POWER = (SandboxMode.READ_ONLY, SandboxMode.WORKSPACE_WRITE, SandboxMode.FULL_ACCESS)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, told twice, and what the call is confined to if it runs."""

    verdict: Verdict
    explanation: tuple[str, ...]  # for a person
    details: JsonObject  # for a machine
    spec: SandboxSpec
    analysed: bool = True  # False: the judging itself failed


class Gate:
    """Judges for one session."""

    def __init__(self, policy: Policy, context: Callable[[str], CheckContext], session: SandboxSpec) -> None:
        """`context` gives the facts of this moment for a folder; `session` is the session's own confinement."""
        self._policy = policy
        self._context = context
        self._session = session

    def judge(self, tool: str, request: Request) -> Judgement:
        """The verdict over everything that `request` would do."""
        try:
            verdict = self._verdict(tool, request)
            return Judgement(
                verdict,
                tuple(explain.lines(verdict)),
                explain.to_json(verdict),
                confined(self._session, verdict),
            )
        except Exception as error:  # noqa: BLE001 - fail closed: a fault of the analysis is a refusal
            return self._failed(tool, request, error)

    def _verdict(self, tool: str, request: Request) -> Verdict:
        context = self._context(request.cwd)
        match request:
            case RunScript():
                verdict = check(request.script, self._policy, context)
                arguments: Mapping[str, object] = {"cmd": request.script, "workdir": request.cwd}
            case ChangeFiles():
                verdict = check_files(request.accesses, self._policy, context, outside=Decision.DENY)
                arguments = {"paths": [path for path, _ in request.accesses]}
            case UseTool():
                part = Part(
                    kind="tool",
                    text=request.subject,
                    decision=Decision.ALLOW,
                    why="it touches nothing outside this program",
                )
                verdict = Verdict(decision=Decision.ALLOW, parts=(part,))
                arguments = request.arguments
            case _:
                assert_never(request)
        return stricter(verdict, check_tool(None, tool, arguments, self._policy, context))

    def _failed(self, tool: str, request: Request, error: Exception) -> Judgement:
        fault = f"it could not be judged ({type(error).__name__}: {error})"
        part = Part(kind="tool", text=subject_of(request), decision=Decision.DENY, why=fault)
        verdict = Verdict(decision=Decision.DENY, parts=(part,), unknowns=(fault,))
        details: JsonObject = {"decision": "deny", "unknowns": [fault], "tool": tool}
        spec = replace(self._session, mode=SandboxMode.READ_ONLY, network=False)
        return Judgement(verdict, (fault,), details, spec, analysed=False)


def stricter(verdict: Verdict, of_tool: Verdict) -> Verdict:
    """`verdict`, made stricter by what the rules about the tool itself say. Their silence adds nothing."""
    speaks = any(match.enforced and match.decision is not Decision.ALLOW for match in of_tool.matches)
    if not speaks:
        return verdict
    harder = of_tool.decision > verdict.decision
    return replace(
        verdict,
        decision=max(verdict.decision, of_tool.decision),
        parts=(*verdict.parts, *of_tool.parts),
        unknowns=tuple(dict.fromkeys((*verdict.unknowns, *of_tool.unknowns))),
        confinement=_tighter(verdict.confinement, of_tool.confinement),
        suggest=of_tool.suggest if harder else verdict.suggest,
        scope=of_tool.scope or verdict.scope if harder else verdict.scope,
    )


def _tighter(one: Confinement, other: Confinement) -> Confinement:
    modes = [mode for mode in (one.sandbox, other.sandbox) if mode is not None]
    networks = {one.network, other.network} - {None}
    return Confinement(
        sandbox=min(modes, key=_POWER.index) if modes else None,
        network=NetworkAccess.DENY
        if NetworkAccess.DENY in networks
        else (NetworkAccess.ALLOW if networks else None),
    )


def confined(session: SandboxSpec, verdict: Verdict) -> SandboxSpec:
    """What a call is confined to.

    A rule may always take power away. It gives more than the session has only where the whole call is
    one command, so that the rule that asked for it is the rule that speaks about all that runs.
    """
    asked = verdict.confinement
    commands = [part for part in verdict.parts if part.kind == "command"]
    alone = len(commands) == 1 and any(match.enforced for match in commands[0].matches)
    mode, network = session.mode, session.network
    if asked.sandbox is not None and (alone or _POWER.index(asked.sandbox) < _POWER.index(mode)):
        mode = asked.sandbox
    if asked.network is NetworkAccess.DENY or (asked.network is NetworkAccess.ALLOW and alone):
        network = asked.network is NetworkAccess.ALLOW
    return replace(session, mode=mode, network=network)
