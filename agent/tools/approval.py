"""Asks a person, one question at a time, and remembers what was granted for the session."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from itertools import count

from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest
from agent.protocol.events import ApprovalAnswered, ApprovalAsked
from agent.tools.base import (
    CallServer,
    ChangeFiles,
    Emit,
    FeedProgram,
    Request,
    RunScript,
    UseTool,
    subject_of,
)
from agent.tools.judgement import Judgement
from execpolicy.decision import Scope, Verdict


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an ask. `remembered`: an earlier yes for the session spoke."""

    reply: ApprovalReply
    seconds: float
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class _Grant:
    """INVARIANT: everything that the person was shown. Another verdict is another question."""

    tool: str
    subject: str
    cwd: str
    verdict: Verdict


class ApprovalDesk:
    """The asks of one session. Several calls may ask at once; a person sees one after the other."""

    def __init__(self, emit: Emit, *, attended: bool) -> None:
        """`attended`: somebody is there to answer."""
        self.attended = attended
        self._emit = emit
        self._turn = asyncio.Lock()
        self._numbers = count(1)
        self._asking = 0
        self._open: dict[str, asyncio.Future[ApprovalReply]] = {}
        self._grants: dict[_Grant, ApprovalReply] = {}
        self._asking_since: float | None = None
        self._asked_seconds = 0.0

    @property
    def seconds_waited(self) -> float:
        """How long all in all a question has been open. Time that no time-out of a turn may count."""
        running = 0.0 if self._asking_since is None else time.monotonic() - self._asking_since
        return self._asked_seconds + running

    async def ask(self, call_id: str, tool: str, request: Request, judgement: Judgement) -> Answered | None:
        """The answer; None when nobody can be asked. Cancelling it takes the question back."""
        key = _Grant(tool, subject_of(request), request.cwd, judgement.verdict)
        started = time.monotonic()
        if found := self._remembered(key, started):
            return found
        if not self.attended:
            return None
        self._asking += 1
        try:
            async with self._turn:
                # Somebody may have said yes for the session to the same question meanwhile.
                if found := self._remembered(key, started):
                    return found
                reply = await self._put(call_id, tool, request, judgement)
        finally:
            self._asking -= 1
        if reply.answer is Answer.SESSION:
            if _offer(request, judgement.verdict):
                self._grants[key] = reply
            else:
                reply = replace(reply, answer=Answer.YES)
        self._emit(ApprovalAnswered(reply, call_id))
        return Answered(reply, time.monotonic() - started)

    def answer(self, reply: ApprovalReply) -> bool:
        """Hand in an answer. False: no such question is open."""
        question = self._open.get(reply.request_id)
        if question is None or question.done():
            return False
        question.set_result(reply)
        return True

    def _remembered(self, key: _Grant, started: float) -> Answered | None:
        reply = self._grants.get(key)
        return None if reply is None else Answered(reply, time.monotonic() - started, remembered=True)

    async def _put(self, call_id: str, tool: str, request: Request, judgement: Judgement) -> ApprovalReply:
        question = ApprovalRequest(
            id=f"ask-{next(self._numbers)}",
            call_id=call_id,
            tool=tool,
            subject=subject_of(request),
            cwd=request.cwd,
            verdict=judgement.verdict,
            reason=request.reason,
            session_grant=_offer(request, judgement.verdict),
            explanation=judgement.explanation,
            details=judgement.details,
            diff=request.diff if isinstance(request, ChangeFiles) else "",
            waiting=self._asking - 1,
        )
        future: asyncio.Future[ApprovalReply] = asyncio.get_running_loop().create_future()
        self._open[question.id] = future
        self._asking_since = time.monotonic()
        self._emit(ApprovalAsked(question))
        try:
            return await future
        finally:
            del self._open[question.id]
            self._asked_seconds += time.monotonic() - self._asking_since
            self._asking_since = None


def _offer(request: Request, verdict: Verdict) -> str:
    """What a yes for the session would cover; empty where there is none to give."""
    if verdict.scope is Scope.ONCE:
        return ""
    match request:
        case RunScript(before=before, escalate=escalate) if before or escalate:
            return ""
        case RunScript():
            words = f"exactly this command in {request.cwd}, for the rest of this session"
            return f"{words}, whatever its unknown parts are then" if verdict.unknowns else words
        case FeedProgram() | CallServer() | ChangeFiles() | UseTool():
            return ""
