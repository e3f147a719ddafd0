"""What a judgement rested on, noted while it is made, so that the record can be judged again.

A `Witness` stands in the place of the gate: it lets the gate judge, and notes what was read and looked up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import assert_never

from agent.tools.base import (
    CallServer,
    ChangeFiles,
    FeedProgram,
    Request,
    RunScript,
    ToolCall,
    UseTool,
    subject_of,
)
from agent.tools.judgement import Basis, Judge, Judgement
from compliance.events import Asked, CommandRead, Decided, LookedUp, Overridden, Situated
from execpolicy.engine.context import CheckContext, Resolver
from execpolicy.engine.policy import Policy
from execpolicy.engine.shadow import enforced
from execpolicy.facts import Access, CommandFacts, ScriptFacts
from execpolicy.shell.analyse import analyse
from execpolicy.values import frozen, replace

Analyse = Callable[[str, str], ScriptFacts]
MakeJudge = Callable[[Policy, Callable[[str], CheckContext], Analyse], Judge]


class Witness:
    """A judge whose judgements carry what they rested on. Any number of threads may ask at once."""

    def __init__(self, make: MakeJudge, policy: Policy, context: Callable[[str], CheckContext]) -> None:
        """`make` makes the gate over a policy, the facts of the moment, and a reader of scripts."""
        self._context = context
        self._now = threading.local()
        self._judge = make(policy, self._noted, self._read)
        self._strict = make(enforced(policy), self._again, self._read)
        self._situation: tuple[tuple[object, ...], Situated] | None = None

    def judge(self, tool: str, request: Request) -> Judgement:
        notes = _Notes()
        self._now.notes = notes
        judgement = self._judge.judge(tool, request)
        if notes.context is None:  # the judging failed before it began
            return judgement
        would = judgement.verdict.decision
        if any(not match.enforced and match.opened is None for match in judgement.verdict.matches):
            would = self._strict.judge(tool, request).verdict.decision
        context, facts = notes.context, notes.facts
        return replace(
            judgement,
            basis=Basis(
                asked=asked(request),
                situated=self._situated(context),
                would=would.word,
                today=context.today or "",
                minute=-1 if context.minute is None else context.minute,
                commands=() if facts is None else tuple(map(_read, facts.commands)),
                readable=facts is None or facts.readable,
                lookups=tuple(notes.lookups(request.cwd)),
            ),
        )

    def _noted(self, folder: str) -> CheckContext:
        self._now.notes.context = self._context(folder)
        return self._again(folder)

    def _again(self, folder: str) -> CheckContext:
        """The very context of this judgement, which notes what it is asked for."""
        notes: _Notes = self._now.notes
        context = notes.context
        assert context is not None, "the gate asks for it first"
        env = None if context.env is None else _NotedEnv(context.env, notes)
        resolver = None if context.resolver is None else _NotedResolver(context.resolver, notes)
        return replace(context, env=env, resolver=resolver)

    def _read(self, text: str, cwd: str) -> ScriptFacts:
        notes: _Notes = self._now.notes
        if notes.facts is None or notes.text != text:
            notes.text, notes.facts = text, analyse(text, cwd=cwd)
        return notes.facts

    def _situated(self, context: CheckContext) -> Situated:
        facts = tuple(sorted((name, value) for name, value in context.facts.items() if name != "cwd"))
        key = (context.workspace, context.home, context.writable, context.protected, context.sandbox, facts)
        known = self._situation
        if known is not None and known[0] == key:
            return known[1]
        text = json.dumps([str(one) if one is context.sandbox else one for one in key])
        found = Situated(
            "",
            id=sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            workspace=context.workspace,
            home=context.home,
            writable=context.writable,
            protected=context.protected,
            sandbox=context.sandbox.value,
            facts=facts,
        )
        self._situation = (key, found)
        return found


class _Notes:
    """What one judgement asked for."""

    __slots__ = ("answers", "context", "facts", "text")

    def __init__(self) -> None:
        self.context: CheckContext | None = None
        self.facts: ScriptFacts | None = None
        self.text = ""
        self.answers: dict[tuple[str, str, str], str | None] = {}

    def lookups(self, cwd: str) -> Iterator[LookedUp]:
        if self.context is not None and self.context.cwd != cwd:
            yield LookedUp("real", cwd, "", self.context.cwd)
        for (what, name, place), answer in self.answers.items():
            yield LookedUp(what, name, place, answer)


class _NotedResolver:
    __slots__ = ("_notes", "_resolver")

    def __init__(self, resolver: Resolver, notes: _Notes) -> None:
        self._resolver = resolver
        self._notes = notes

    def program(self, name: str, cwd: str) -> str | None:
        found = self._notes.answers["program", name, cwd] = self._resolver.program(name, cwd)
        return found

    def real(self, path: str) -> str:
        found = self._resolver.real(path)
        if found != path:  # most are: what is not recorded is itself
            self._notes.answers["real", path, ""] = found
        return found


class _NotedEnv(Mapping[str, str]):
    __slots__ = ("_env", "_notes")

    def __init__(self, env: Mapping[str, str], notes: _Notes) -> None:
        self._env = env
        self._notes = notes

    def __getitem__(self, name: str) -> str:
        self._notes.answers["env", name, ""] = self._env.get(name)
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)


def _read(command: CommandFacts) -> CommandRead:
    cwd = command.cwd
    return CommandRead(
        argv=tuple([word.text for word in command.argv]),
        unread=tuple([word.raw for word in command.argv if word.text is None]),
        via=tuple([carrier.name for carrier in command.via]),
        cwd="" if cwd is None else cwd.text,
        files=tuple([(access.access.value, access.path.raw) for access in command.files]),
        unknowns=tuple([unknown.why for unknown in command.unknowns]),
    )


def asked(request: Request) -> Asked:
    """`request` without what the record of a verdict says anyway."""
    match request:
        case RunScript():
            return Asked(
                form="script", before=request.before, escalate=request.escalate, failed=request.failed
            )
        case FeedProgram():
            return Asked(form="input", program=request.program, text=request.text)
        case CallServer():
            arguments = json.dumps(request.arguments, ensure_ascii=False, sort_keys=True)
            return Asked(form="server", server=request.server, tool=request.tool, arguments=arguments)
        case ChangeFiles():
            return Asked(
                form="files", accesses=tuple((access.value, path) for path, access in request.accesses)
            )
        case UseTool():
            return Asked(form="tool", arguments=json.dumps(request.arguments, sort_keys=True))
        case _:
            assert_never(request)


def request_of(asked: Asked, subject: str, cwd: str) -> Request:
    """The request that a record is about. ValueError when the record does not hold it (any more)."""
    match asked.form:
        case "script":
            return RunScript(
                script=subject,
                cwd=cwd,
                before=asked.before,
                escalate=asked.escalate,
                failed=asked.failed,
            )
        case "input":
            return FeedProgram(program=asked.program, text=asked.text, cwd=cwd)
        case "server":
            arguments = json.loads(asked.arguments)
            return CallServer(server=asked.server, tool=asked.tool, arguments=arguments, cwd=cwd)
        case "files":
            accesses = tuple((path, Access(access)) for access, path in asked.accesses)
            return ChangeFiles(accesses=accesses, cwd=cwd, subject=subject)
        case "tool":
            return UseTool(subject=subject, cwd=cwd, arguments=json.loads(asked.arguments))
        case form:
            raise ValueError(f"`{form}` is no form of a request")


@frozen(kw_only=True)
class Asker:
    """Who asks, and by which rules."""

    agent: str = "main"  # else the name of a helper
    model: str = ""
    approval: str = ""  # who answers an ask: user, nobody
    policy: str = ""  # digest of the rules in force


def decided(session: str, call: ToolCall, request: Request, judgement: Judgement, asker: Asker) -> Decided:
    """The record of a judgement."""
    found = Decided(
        session,
        call.id,
        call.name,
        subject_of(request),
        request.cwd,
        judgement.verdict,
        agent=asker.agent,
        model=asker.model,
        approval=asker.approval,
        policy=asker.policy,
    )
    basis = judgement.basis
    if basis is None:
        return found
    return replace(
        found,
        would=basis.would,
        situation=basis.situated.id,
        today=basis.today,
        minute=basis.minute,
        asked=basis.asked,
        commands=basis.commands,
        readable=basis.readable,
        lookups=basis.lookups,
    )


def overrides(decided: Decided) -> Iterator[Overridden]:
    """One for each rule that an exception opened."""
    opened = {match.rule_id: match.opened for match in decided.verdict.matches if match.opened is not None}
    for rule, by in opened.items():
        yield Overridden(
            decided.session, decided.call, rule, by.until, by.approved_by, by.ticket or "", str(by.origin)
        )
