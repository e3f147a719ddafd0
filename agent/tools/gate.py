"""The one door to execpolicy: a request in, a judgement out. Never raises: what cannot be judged is denied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import assert_never

from agent.config.asking import AskPolicy, Mode
from agent.protocol.items import JsonObject
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools import asks
from agent.tools.base import (
    HOST_TOOL,
    CallServer,
    ChangeFiles,
    FeedProgram,
    Request,
    RunScript,
    UseTool,
    host_of,
    subject_of,
)
from agent.tools.judgement import Judgement, Owner, confined
from agent.tools.reach import Reach, reach
from execpolicy.decision import Confinement, Decision, NetworkAccess, Part, SandboxMode, Scope, Verdict
from execpolicy.engine.check import check_facts, check_files, check_host, check_tool
from execpolicy.engine.context import CheckContext
from execpolicy.engine.fold import stricter
from execpolicy.engine.policy import Policy
from execpolicy.facts import ScriptFacts
from execpolicy.shell.analyse import analyse
from execpolicy.values import replace

COMMAND_TOOL = "exec_command"


def _analysed(script: str, cwd: str) -> ScriptFacts:
    return analyse(script, cwd=cwd)


class Gate:
    """Judges for one session."""

    def __init__(
        self,
        policy: Policy | Callable[[], Policy],
        context: Callable[[str], CheckContext],
        session: SandboxSpec,
        *,
        read: Callable[[str, str], ScriptFacts] = _analysed,
        asking: AskPolicy = AskPolicy(),
        owner: Owner = Owner(),
    ) -> None:
        """`context` gives the facts of this moment for a folder; `session` is the session's own confinement.

        A `policy` that is called gives the rules of this moment.
        """
        self._policy = policy
        self._context = context
        self._session = session
        self._read = read
        self._asking = asking
        self._owner = owner
        self._reach: tuple[Policy, Reach] | None = None

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        return self._policy if isinstance(self._policy, Policy) else self._policy()

    def judge(self, tool: str, request: Request) -> Judgement:
        """The verdict over everything that `request` would do."""
        try:
            policy = self.policy
            verdict = self.under(policy, tool, request)
            spec = self._confined(policy, verdict)
            return Judgement.of(
                verdict,
                spec if self._owner.network else replace(spec, network=Network.NONE),
                asks.kinds_of(request, verdict),
                person_only=asks.for_a_person(policy, verdict),
            )
        except Exception as error:  # noqa: BLE001 - fail closed: a fault of the analysis is a refusal
            return self._failed(tool, request, error)

    def _confined(self, policy: Policy, verdict: Verdict) -> SandboxSpec:
        if self._reach is None or self._reach[0] is not policy:
            self._reach = policy, reach(policy, self._session.network)
        found = self._reach[1]
        session = replace(self._session, network=found.usual, loopback=found.loopback)
        return confined(session, verdict, found.most)

    def under(self, policy: Policy, tool: str, request: Request) -> Verdict:
        """The verdict that `policy` would give."""
        if tool == HOST_TOOL and isinstance(request, UseTool):
            return check_host(*host_of(request), policy, self._context(request.cwd))
        verdict = self._verdict(policy, tool, request)
        return asks.untrusted(request, verdict) if self._asking.mode is Mode.UNTRUSTED else verdict

    def _verdict(self, policy: Policy, tool: str, request: Request) -> Verdict:
        context = self._context(request.cwd)
        match request:
            case RunScript():
                verdict = self._of_script(policy, request, context)
                arguments: Mapping[str, object] = {"cmd": request.script, "workdir": request.cwd}
                if tool != COMMAND_TOOL:  # whatever way a text for the shell comes, the same rules hold
                    of_command = check_tool(None, COMMAND_TOOL, arguments, policy, context)
                    verdict = stricter(verdict, of_command, self._session.mode)
            case FeedProgram():
                arguments = {"program": request.program, "chars": request.text, "cwd": request.cwd}
                verdict = _of_input(request, check_tool(None, tool, arguments, policy, context))
            case CallServer():
                return check_tool(request.server, request.tool, request.arguments, policy, context)
            case ChangeFiles():
                context = replace(context, protected=(*context.protected, *_guarded(request)))
                verdict = check_files(request.accesses, policy, context, outside=Decision.DENY)
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
        of_tool = check_tool(None, tool, arguments, policy, context)
        return stricter(verdict, of_tool, self._session.mode)

    def _of_script(self, policy: Policy, request: RunScript, context: CheckContext) -> Verdict:
        # Not a character between them: the shell reads both as one script, also where a line goes on.
        facts = self._read(request.before + request.script, context.cwd)
        verdict = check_facts(facts, policy, context)
        if request.escalate and self._session.mode is not SandboxMode.FULL_ACCESS:
            if never := self._never_outside(policy, request, verdict):
                return asks.denied(verdict, request.script, never)
            asked = verdict.confinement
            if asked.sandbox is None:  # where a rule says how it is confined, that holds
                asked = Confinement(
                    sandbox=SandboxMode.FULL_ACCESS, network=asked.network or NetworkAccess.ALLOW
                )
            why = "it is to run outside the sandbox, with all the rights of the user"
            way = 'run it inside the sandbox, or let a rule allow it with `sandbox = "full-access"`'
            verdict = replace(_asked(verdict, request.script, why, way), confinement=asked, scope=Scope.ONCE)
        return verdict

    def _never_outside(self, policy: Policy, request: RunScript, verdict: Verdict) -> str:
        """Why nobody is asked to let it run outside the sandbox; empty where somebody may be."""
        if why := self._owner.why_not_outside() or asks.kept_inside(policy, verdict):
            return why
        if self._asking.mode is Mode.ON_FAILURE and not request.failed:
            return "approval_policy is `on-failure`: it runs inside the sandbox first, and may be asked about then"
        return ""

    def _failed(self, tool: str, request: Request, error: Exception) -> Judgement:
        fault = f"it could not be judged ({type(error).__name__}: {error})"
        part = Part(kind="tool", text=subject_of(request), decision=Decision.DENY, why=fault)
        verdict = Verdict(decision=Decision.DENY, parts=(part,), unknowns=(fault,))
        details: JsonObject = {"decision": "deny", "unknowns": [fault], "tool": tool}
        spec = replace(self._session, mode=SandboxMode.READ_ONLY, network=Network.NONE)
        return Judgement(verdict, (fault,), details, spec, analysed=False)


def _asked(verdict: Verdict, text: str, why: str, way: str) -> Verdict:
    """`verdict`, but at least an ask."""
    part = Part(kind="tool", text=text, decision=Decision.ASK, why=why)
    return replace(
        verdict,
        decision=max(verdict.decision, Decision.ASK),
        parts=(*verdict.parts, part),
        suggest=verdict.suggest or way,
    )


def _of_input(request: FeedProgram, of_tool: Verdict) -> Verdict:
    """Silence is an ask here: only a rule about the program and its input makes it less."""
    if of_tool.decision is Decision.ALLOW and any(
        match.enforced and match.decision is Decision.ALLOW for match in of_tool.matches
    ):
        return of_tool
    why = "what a program does with its input is not known before"
    way = "run what is needed as a command of its own"
    return _asked(of_tool, request.subject, why, way)


def _guarded(request: ChangeFiles) -> set[str]:
    """Every `.git` and `.agent` on the way to a file, also of a repository inside the repository."""
    return {
        str(folder)
        for path, _ in request.accesses
        for folder in (PurePath(path), *PurePath(path).parents)
        if folder.name.lower() in (".git", ".agent")
    }
