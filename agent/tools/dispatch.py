"""One straight line from the model's word to the record: judge, record, ask, sandbox, run, record.

INVARIANT: nothing runs whose verdict is not in the record, and every call gets an answer and a record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from agent.errors import SandboxUnavailable
from agent.protocol.approvals import Answer
from agent.protocol.events import CallFailed, Judged, PatchEnded, Refusal, Status, Warned
from agent.sandbox.base import Sandbox
from agent.tools import told
from agent.tools.again import Again, blocked
from agent.tools.approval import Answered, ApprovalDesk, Unanswered
from agent.tools.base import (
    BadCall,
    CallServer,
    Emit,
    FeedProgram,
    Grant,
    Prepared,
    Ran,
    RunScript,
    ToolCall,
    ToolResult,
    subject_of,
)
from agent.tools.denials import sign_of_denial
from agent.tools.deposition import Asker, decided, overrides
from agent.tools.judgement import Judge, Judgement
from agent.tools.registry import Registry
from compliance import events as audit
from compliance.errors import AuditError
from compliance.sink import AuditSink
from execpolicy.decision import Decision, SandboxMode
from execpolicy.values import replace

ABORTED = "aborted by user"
LONG = 4096  # characters of a command that takes long enough to judge to hold up everything else
_OUTCOMES = {
    Status.COMPLETED: audit.Outcome.COMPLETED,
    Status.FAILED: audit.Outcome.FAILED,
    Status.DECLINED: audit.Outcome.DECLINED,
    Status.INTERRUPTED: audit.Outcome.INTERRUPTED,
}
_REPLIES = {
    Answer.YES: audit.Reply.YES,
    Answer.SESSION: audit.Reply.SESSION,
    Answer.PROJECT: audit.Reply.PROJECT,
    Answer.USER: audit.Reply.USER,
    Answer.NO: audit.Reply.NO,
    Answer.STOP: audit.Reply.STOP,
}
_SCOPES = {Answer.SESSION: "session", Answer.PROJECT: "project", Answer.USER: "user"}


class Dispatcher:
    """Takes every call of one session along the line."""

    def __init__(
        self,
        *,
        session: str,
        registry: Registry,
        gate: Judge,
        desk: ApprovalDesk,
        sink: AuditSink,
        sandboxes: Callable[[SandboxMode], Sandbox],
        emit: Emit,
        asker: Callable[[], Asker] = Asker,
    ) -> None:
        """`sandboxes` picks a back end, or raises `SandboxUnavailable`."""
        self._session = session
        self._registry = registry
        self._gate = gate
        self._desk = desk
        self._sink = sink
        self._sandboxes = sandboxes
        self._emit = emit
        self._asker = asker
        self._situation = ""  # the last that was recorded
        self._open: set[asyncio.Task[None]] = set()

    @property
    def registry(self) -> Registry:
        return self._registry

    async def dispatch(self, call: ToolCall, after: Collection[asyncio.Task[None]] = ()) -> ToolResult:
        """The answer to a settled call, which waits for the calls `after` which it comes.

        Never raises: an interrupted call is recorded and answered, too.
        """
        try:
            if after:
                await asyncio.wait(after)
            prepared = self._registry.read(call)
            if isinstance(prepared, BadCall):
                return self._unreadable(call, prepared.message)
            return await self._judged(call, prepared)
        except AuditError as error:
            return self._unrecorded(call, error)
        except asyncio.CancelledError:
            return self.interrupted(call)
        except Exception as error:  # noqa: BLE001 - a call is a task of its own, and must be answered
            return self._unreadable(call, f"{call.name[:100]} failed: {type(error).__name__}: {error}")

    async def aclose(self) -> None:
        """Wait until what came of every session is recorded; they have to be ended before."""
        while self._open:
            await asyncio.wait(self._open)

    # --- the line -----------------------------------------------------------------------------

    async def _judged(self, call: ToolCall, prepared: Prepared) -> ToolResult:
        request = prepared.request
        subject = subject_of(request)
        if len(subject) > LONG:
            judgement = await asyncio.to_thread(self._gate.judge, call.name, request)
        else:
            judgement = self._gate.judge(call.name, request)
        verdict = judgement.verdict
        try:
            self._record_judgement(decided(self._session, call, request, judgement, self._asker()), judgement)
        except AuditError as error:
            return self._unrecorded(call, error, prepared)
        self._emit(
            Judged(
                call.id,
                call.name,
                subject,
                verdict,
                request.cwd,
                judgement.explanation,
                judgement.details,
            )
        )
        try:
            match verdict.decision:
                case Decision.DENY:
                    why = Refusal.POLICY if judgement.analysed else Refusal.ANALYSIS
                    text = told.denied(call.name, request, judgement)
                    return self._refused(call, prepared, why, text)
                case Decision.ALLOW | Decision.ASK:
                    if flaw := prepared.check():
                        return self._flawed(call, prepared, told.flawed(call.name, flaw, verdict))
                    if verdict.decision is Decision.ASK:
                        return await self._asked(call, prepared, judgement)
                    return await self._granted(call, prepared, judgement)
        except AuditError as error:
            return self._unrecorded(call, error, prepared)
        except asyncio.CancelledError:
            return self.interrupted(call, prepared)

    async def _asked(self, call: ToolCall, prepared: Prepared, judgement: Judgement) -> ToolResult:
        request = prepared.request
        answered = await self._desk.ask(call.id, call.name, request, judgement)
        self._record(self._approved(call, answered))
        if isinstance(answered, Unanswered):
            text = told.unanswered(call.name, request, judgement, answered.why)
            return self._refused(call, prepared, Refusal.NOBODY, text)
        match answered.reply.answer:
            case Answer.YES | Answer.SESSION | Answer.PROJECT | Answer.USER:
                return await self._granted(call, prepared, judgement)
            case Answer.NO:
                text = told.declined(call.name, answered.reply, judgement.verdict)
                return self._refused(call, prepared, Refusal.PERSON, text)
            case Answer.STOP:
                text = told.declined(call.name, answered.reply, judgement.verdict)
                return self._refused(call, prepared, Refusal.PERSON, text, stop=True)

    async def _granted(self, call: ToolCall, prepared: Prepared, judgement: Judgement) -> ToolResult:
        try:
            grant = Grant(self._sandboxes(judgement.spec.mode), judgement.spec)
            task = asyncio.current_task()
            assert task is not None
            with self._desk.stoppable(task.cancel):
                ran = await prepared.run(grant, self._emit)
        except SandboxUnavailable as error:
            text = f"{call.name} rejected: {error}. It was not run."
            self._emit(Warned(str(error), error.help))
            return self._refused(call, prepared, Refusal.SANDBOX, text)
        except Exception as error:  # noqa: BLE001 - a call is a task of its own; its record must not be lost
            return self._broken(call, prepared, error)
        if ran.later is not None:
            following = asyncio.create_task(self._follow(call, prepared, ran.later, grant))
            self._open.add(following)
            following.add_done_callback(self._open.discard)
            return ToolResult(ran.output)
        result = self._ended(call, prepared, ran, grant)
        if self._desk.asks_after_failure and (sign := blocked(call, prepared.request, ran, grant.spec)):
            return await self._outside(call, prepared, result, sign)
        return result

    async def _outside(self, call: ToolCall, prepared: Prepared, inside: ToolResult, sign: str) -> ToolResult:
        """The sandbox made it fail: the same line once more, for a run outside."""
        again = await self._judged(replace(call, id=f"{call.id}:outside"), Again.of(prepared, sign))
        return ToolResult(told.outside(inside.output, sign, again.output), again.stop)

    async def _follow(self, call: ToolCall, prepared: Prepared, later: Awaitable[Ran], grant: Grant) -> None:
        """Record the end of what ran on after its call was answered."""
        try:
            self._ended(call, prepared, await later, grant)
        except Exception as error:  # noqa: BLE001 - a task of its own; its record must not be lost
            try:
                self._broken(call, prepared, error)
            except AuditError as failed:
                self._warn_unrecorded(failed)

    # --- the ways it ends ---------------------------------------------------------------------

    def _ended(self, call: ToolCall, prepared: Prepared, ran: Ran, grant: Grant) -> ToolResult:
        stop = ran.status is Status.INTERRUPTED
        output = ran.output
        try:
            self._record_denial(call, ran, grant)
            self._record(self._outcome(call, prepared, ran, grant))
        except AuditError as error:
            self._warn_unrecorded(error)
            output += "\n\n" + told.unrecorded("the next call", str(error))
        self._emit(ran.event)
        return ToolResult(output, stop, () if output != ran.output else ran.content)

    def _outcome(self, call: ToolCall, prepared: Prepared, ran: Ran, grant: Grant) -> audit.AuditEvent:
        status = audit.Outcome.TIMED_OUT if ran.timed_out else _OUTCOMES[ran.status]
        if isinstance(ran.event, PatchEnded):
            paths = tuple(change.path for change in ran.event.changes)
            return audit.Patched(self._session, call.id, paths, status)
        request = prepared.request
        if not isinstance(request, RunScript | FeedProgram):
            server, tool = (
                (request.server, request.tool) if isinstance(request, CallServer) else ("", call.name)
            )
            return audit.ToolCalled(
                self._session,
                call.id,
                tool,
                server,
                status,
                ran.seconds,
                ran.output_sha256,
                ran.output_bytes,
            )
        return audit.Ran(
            self._session,
            call.id,
            ran.exit_code,
            status,
            ran.seconds,
            ran.output_sha256,
            ran.output_bytes,
            grant.sandbox.name if ran.confined else "none",
        )

    def _refused(
        self, call: ToolCall, prepared: Prepared, refusal: Refusal, text: str, *, stop: bool = False
    ) -> ToolResult:
        self._record(audit.Refused(self._session, call.id, f"{refusal.value}: {text}"))
        self._emit(prepared.not_run(Status.DECLINED, refusal, text))
        return ToolResult(text, stop)

    def _flawed(self, call: ToolCall, prepared: Prepared, text: str) -> ToolResult:
        self._record(audit.Refused(self._session, call.id, f"flawed: {text}"))
        self._emit(prepared.not_run(Status.FAILED, None, text))
        return ToolResult(text)

    def _unreadable(self, call: ToolCall, message: str) -> ToolResult:
        try:
            self._record(audit.Refused(self._session, call.id, f"unreadable {call.name[:100]}: {message}"))
        except AuditError as error:
            return self._unrecorded(call, error)
        self._emit(CallFailed(call.id, call.name[:100], message))
        return ToolResult(message)

    def _broken(self, call: ToolCall, prepared: Prepared, error: Exception) -> ToolResult:
        """The run itself could not be done: no such program, no memory, a fault of ours."""
        text = f"{call.name} failed: {error or type(error).__name__}"
        self._record(audit.Ran(self._session, call.id, None, audit.Outcome.FAILED, 0.0, "", 0, "none"))
        self._emit(prepared.not_run(Status.FAILED, None, text))
        return ToolResult(text)

    def _unrecorded(self, call: ToolCall, error: AuditError, prepared: Prepared | None = None) -> ToolResult:
        self._warn_unrecorded(error)
        text = told.unrecorded(call.name[:100], str(error))
        if prepared is None:
            self._emit(CallFailed(call.id, call.name[:100], text, Refusal.RECORD))
        else:
            self._emit(prepared.not_run(Status.DECLINED, Refusal.RECORD, text))
        return ToolResult(text)

    def interrupted(self, call: ToolCall, prepared: Prepared | None = None) -> ToolResult:
        """The answer to a call that ended before it ran: while it waited for its turn, or for a yes."""
        try:
            self._record(audit.Refused(self._session, call.id, ABORTED))
        except AuditError as error:
            self._warn_unrecorded(error)
        if prepared is None:
            self._emit(CallFailed(call.id, call.name[:100], ABORTED))
        else:
            self._emit(prepared.not_run(Status.INTERRUPTED, Refusal.PERSON, ABORTED))
        return ToolResult(ABORTED, stop=True)

    def _warn_unrecorded(self, error: AuditError) -> None:
        self._emit(Warned(f"the audit record cannot be written: {error}", error.help))

    # --- the record ---------------------------------------------------------------------------

    def _approved(self, call: ToolCall, answered: Answered | Unanswered) -> audit.Approved:
        if isinstance(answered, Unanswered):
            nobody = audit.Reply.UNATTENDED
            return audit.Approved(self._session, call.id, nobody, "", answered.why, review=answered.review)
        reply = answered.reply
        granted = reply.answer.granted
        return audit.Approved(
            self._session,
            call.id,
            _REPLIES[reply.answer],
            reply.approver,
            reply.message,
            answered.seconds,
            scope=_SCOPES.get(reply.answer, "once") if granted else "",
            until=answered.until,
            rules=answered.rules,
            review=answered.review,
        )

    def _record_judgement(self, event: audit.Decided, judgement: Judgement) -> None:
        """The verdict, before it where it was made, and after it which rules an exception opened."""
        basis = judgement.basis
        if basis is not None and basis.situated.id != self._situation:
            self._record(replace(basis.situated, session=self._session))
            self._situation = basis.situated.id
        self._record(event)
        for override in overrides(event):
            self._record(override)

    def _record_denial(self, call: ToolCall, ran: Ran, grant: Grant) -> None:
        told = sign_of_denial(ran)
        if told is not None:
            sign, path = told
            self._record(
                audit.SandboxDenied(
                    self._session, call.id, grant.sandbox.name, grant.spec.mode.value, sign, path
                )
            )

    def _record(self, event: audit.AuditEvent) -> None:
        try:
            self._sink.record(event)
        except ValueError as error:  # a text that has no form in the record, such as half a character
            raise AuditError(f"it has no form in the record ({error})") from error
