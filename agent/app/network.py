"""The network of commands, wired: hosts judged by the rules in force, asked about at the desk, put into the record."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from agent.config.asking import Ask
from agent.network.base import Bounds, Connection, Outcome, Ruling, Target, Unrecorded
from agent.network.dial import SystemResolver
from agent.network.door import ProxyDoor
from agent.network.guard import Guard
from agent.network.rooms import Rooms
from agent.protocol.approvals import NETWORK, Answer
from agent.protocol.events import NetworkUsed
from agent.protocol.verdicts import reason, way_out
from agent.sandbox.spec import Network, SandboxSpec
from agent.tools.approval import Answered, ApprovalDesk, Unanswered
from agent.tools.asks import for_a_person
from agent.tools.base import Emit, UseTool
from agent.tools.judgement import Judgement
from compliance import events as audit
from compliance.errors import AuditError
from compliance.sink import AuditSink
from execpolicy.decision import Decision, Verdict
from execpolicy.engine.check import check_host
from execpolicy.engine.context import CheckContext
from execpolicy.engine.judge import names_exactly
from execpolicy.engine.policy import Policy

_FRESH_SECONDS = 0.5
_REPLIES = {
    Answer.YES: audit.Reply.YES,
    Answer.SESSION: audit.Reply.SESSION,
    Answer.PROJECT: audit.Reply.PROJECT,
    Answer.USER: audit.Reply.USER,
    Answer.NO: audit.Reply.NO,
    Answer.STOP: audit.Reply.STOP,
}


class Rules:
    """What the rules say about hosts. `free`: what they are silent about is allowed."""

    def __init__(
        self, policy: Callable[[], Policy], context: Callable[[], CheckContext], *, free: bool
    ) -> None:
        self._policy = policy
        self._context = context
        self._free = free
        self._moment: tuple[float, CheckContext] | None = None

    def judge(self, target: Target) -> Ruling:
        try:
            policy, context = self._policy(), self._facts()
            about = (target.host, target.port, target.protocol, policy, context)
            verdict = check_host(*about)
            exact = names_exactly(policy, target.host, target.port, target.protocol, context)
        except Exception as error:  # noqa: BLE001 - fail closed: a fault of the analysis is a refusal
            return Ruling(
                decision=Decision.DENY,
                reason=f"it could not be judged ({type(error).__name__}: {error})",
            )
        return self._ruling(verdict, exact=exact)

    def _facts(self) -> CheckContext:
        """The facts of this moment, or of one just before: to gather them takes longer than to judge."""
        now = time.monotonic()
        if self._moment is None or now - self._moment[0] > _FRESH_SECONDS:
            self._moment = now, self._context()
        return self._moment[1]

    def _ruling(self, verdict: Verdict, *, exact: bool) -> Ruling:
        decision = verdict.decision
        spoke = [match for match in verdict.matches if match.enforced]
        if self._free and decision is Decision.ASK and not spoke and not verdict.unknowns:
            decision = Decision.ALLOW
        rules = tuple(dict.fromkeys(match.rule_id for match in spoke if match.decision is decision))
        return Ruling(
            decision=decision,
            reason=reason(verdict) or "no rule allows it",
            help=way_out(verdict),
            rules=rules,
            exact=exact and decision is Decision.ALLOW,
            verdict=verdict,
        )

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        return refused(ruling, "nobody can be asked in this run", _remedy(target))


class AskedRules(Rules):
    """The same, where the desk of a session can be asked."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        context: Callable[[], CheckContext],
        *,
        free: bool,
        desk: ApprovalDesk,
        sink: AuditSink,
        spec: SandboxSpec,
        session: str,
        call_id: str,
        cwd: str,
    ) -> None:
        super().__init__(policy, context, free=free)
        self._desk = desk
        self._sink = sink
        self._spec = spec
        self._session = session
        self._call_id = call_id
        self._cwd = cwd

    async def ask(self, target: Target, ruling: Ruling) -> Ruling:
        verdict = ruling.verdict or Verdict(decision=Decision.ASK)
        request = UseTool(
            subject=f"connect to {target} ({target.protocol})",
            cwd=self._cwd,
            arguments={"host": target.host, "port": target.port, "protocol": target.protocol},
            reason="a command that runs wants to connect, and waits",
        )
        judgement = Judgement.of(
            verdict,
            self._spec,
            frozenset({Ask.NETWORK}),
            person_only=for_a_person(self._policy(), verdict),
        )
        try:
            answered = await self._desk.ask(self._call_id, NETWORK, request, judgement)
        except asyncio.CancelledError:  # in vain: the time is up, or the command has ended
            with contextlib.suppress(AuditError, ValueError):
                self._unanswered(target, audit.Reply.TIMEOUT)
            raise
        try:
            self._record(target, answered)
        except (AuditError, ValueError) as error:
            return refused(ruling, f"the answer cannot be recorded ({error})")
        if not isinstance(answered, Answered):
            why = getattr(answered, "why", "") or "nobody can be asked in this run"
            return refused(ruling, f"{ruling.reason}; {why}", ruling.help or _remedy(target))
        match answered.reply.answer:
            case Answer.YES | Answer.SESSION | Answer.PROJECT | Answer.USER:
                return Ruling(
                    decision=Decision.ALLOW,
                    reason=f"{answered.reply.approver or 'the user'} said yes",
                    rules=ruling.rules,
                    verdict=ruling.verdict,
                )
            case Answer.NO | Answer.STOP:
                if answered.reply.answer is Answer.STOP:
                    self._desk.stop()
                said = f": {answered.reply.message}" if answered.reply.message else ""
                return refused(
                    ruling, f"{answered.reply.approver or 'the user'} said no{said}", "do without it"
                )

    def _record(self, target: Target, answered: Answered | Unanswered) -> None:
        about = f"{target} ({target.protocol})"
        if isinstance(answered, Answered):
            reply = answered.reply
            said = f"{about}: {reply.message}" if reply.message else about
            self._sink.record(
                audit.Approved(
                    self._session,
                    self._call_id,
                    _REPLIES[reply.answer],
                    reply.approver,
                    said,
                    answered.seconds,
                    scope=("once" if reply.answer is Answer.YES else reply.answer.value)
                    if reply.answer.granted
                    else "",
                    until=answered.until,
                    rules=answered.rules,
                    review=answered.review,
                )
            )
        else:
            self._unanswered(target, audit.Reply.UNATTENDED, answered)

    def _unanswered(self, target: Target, reply: audit.Reply, nobody: Unanswered | None = None) -> None:
        about = f"{target} ({target.protocol})"
        if nobody is not None:
            about = f"{about}: {nobody.why}"
        review = "" if nobody is None else nobody.review
        self._sink.record(audit.Approved(self._session, self._call_id, reply, "", about, review=review))


class Recorded:
    """A witness that writes into the record and tells frontends."""

    def __init__(self, sink: AuditSink, emit: Emit, session: str, call_id: str) -> None:
        self._sink = sink
        self._emit = emit
        self._session = session
        self._call_id = call_id

    def saw(self, connection: Connection) -> None:
        target, ruling = connection.target, connection.ruling
        refused = connection.outcome is Outcome.REFUSED
        decision = Decision.DENY if refused else ruling.decision
        event = audit.Connected(
            self._session,
            self._call_id,
            target.host,
            target.port,
            target.protocol,
            connection.address,
            decision.word,
            ruling.rules,
            audit.LinkEnd(connection.outcome.value),
            connection.why,
            connection.bytes_up,
            connection.bytes_down,
            connection.seconds,
            connection.count,
        )
        try:
            self._sink.record(event)
        except (AuditError, ValueError) as error:
            raise Unrecorded(str(error)) from error
        if connection.outcome is not Outcome.OPENED:
            self._emit(
                NetworkUsed(
                    self._call_id,
                    event.host,
                    event.port,
                    event.protocol,
                    event.decision,
                    event.outcome.value,
                    event.address,
                    event.rules,
                    event.why,
                    event.bytes_up,
                    event.bytes_down,
                    event.seconds,
                    event.count,
                )
            )


class Networks:
    """Makes the doors of one session."""

    def __init__(
        self,
        policy: Callable[[], Policy],
        context: Callable[[str], CheckContext],
        desk: ApprovalDesk,
        sink: AuditSink,
        spec: SandboxSpec,
        session: str,
        bounds: Bounds = Bounds(),
    ) -> None:
        self._policy = policy
        self._context = context
        self._desk = desk
        self._sink = sink
        self._spec = spec
        self._session = session
        self._bounds = bounds
        self._rooms = Rooms()
        self._resolver = SystemResolver()

    def door(self, call_id: str, cwd: str, network: Network, emit: Emit) -> ProxyDoor:
        """The door of one command."""
        judge = AskedRules(
            self._policy,
            lambda: self._context(cwd),
            free=network is Network.FILTERED,
            desk=self._desk,
            sink=self._sink,
            spec=self._spec,
            session=self._session,
            call_id=call_id,
            cwd=cwd,
        )
        witness = Recorded(self._sink, emit, self._session, call_id)
        return ProxyDoor(self._rooms, Guard(judge, witness, self._resolver, self._bounds))

    def close(self) -> None:
        """End what serves them all. Commands have ended before."""
        self._rooms.close()
        self._resolver.close()


def refused(ruling: Ruling, why: str, help: str = "") -> Ruling:
    """The same, as a no."""
    return Ruling(decision=Decision.DENY, reason=why, help=help, rules=ruling.rules, verdict=ruling.verdict)


def _remedy(target: Target) -> str:
    return f'a rule can allow it: `network_rule(host = "{target.host}", decision = "allow")`'
