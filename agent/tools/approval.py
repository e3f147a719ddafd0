"""Asks a reviewer or a person, one question at a time, and remembers what was granted for longer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Protocol

from agent.approvals.answers import Reviewer
from agent.config.asking import AskPolicy, Mode
from agent.errors import ApprovalError
from agent.protocol.approvals import Answer, ApprovalReply, ApprovalRequest, Offer, Offers
from agent.protocol.events import ApprovalAnswered, ApprovalAsked, ApprovalMissing, Warned
from agent.tools.base import (
    HOST_TOOL,
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
from execpolicy.values import frozen, replace

MOST_MISSING = 200  # questions without anybody to answer, of one session, whose offers are worked out


@frozen
class Answered:
    """What came of an ask. `remembered`: an earlier yes for the session spoke."""

    reply: ApprovalReply
    seconds: float
    remembered: bool = False
    rules: tuple[str, ...] = ()  # ids of the rules that the yes made
    until: str = ""  # their last day
    review: str = ""  # what a reviewer said who left it to a person


@frozen
class Unanswered:
    """Nobody answered, and why."""

    why: str
    review: str = ""


class Lasting(Protocol):
    """What a yes may be kept for, and where."""

    def offers(self, tool: str, request: Request, judgement: Judgement) -> Offers:
        """What is on offer. Never raises; may take a moment."""
        ...

    def keep(self, answer: Answer, offer: Offer, asked: ApprovalRequest, approver: str) -> tuple[str, ...]:
        """Keep what was shown, and nothing more; the ids of the rules. Raises `ApprovalError`."""
        ...


@frozen
class _Grant:
    """INVARIANT: everything that the person was shown. Another verdict is another question."""

    tool: str
    subject: str
    cwd: str
    verdict: Verdict


class ApprovalDesk:
    """The asks of one session. Several calls may ask at once; a person sees one after the other."""

    def __init__(
        self,
        emit: Emit,
        *,
        attended: bool,
        policy: AskPolicy = AskPolicy(),
        reviewer: Reviewer | None = None,
        lasting: Lasting | None = None,
    ) -> None:
        """`attended`: a person is there to answer."""
        self.attended = attended
        self.policy = policy
        self._emit = emit
        self._reviewer = reviewer
        self._lasting = lasting
        self._turn = asyncio.Lock()
        self._numbers = count(1)
        self._asking = 0
        self._open: dict[str, asyncio.Future[ApprovalReply]] = {}
        self._grants: dict[_Grant, ApprovalReply] = {}
        self._unanswered: dict[_Grant, Offers] = {}
        self._stops: dict[int, Callable[[], object]] = {}
        self._asking_since: float | None = None
        self._asked_seconds = 0.0

    @property
    def asks_after_failure(self) -> bool:
        """What the sandbox made fail may be asked about, and somebody can answer."""
        return self.policy.mode is Mode.ON_FAILURE and (self.attended or self._reviewer is not None)

    @property
    def seconds_waited(self) -> float:
        """How long all in all a question has been open. Time that no time-out of a turn may count."""
        running = 0.0 if self._asking_since is None else time.monotonic() - self._asking_since
        return self._asked_seconds + running

    async def ask(
        self, call_id: str, tool: str, request: Request, judgement: Judgement
    ) -> Answered | Unanswered:
        """The answer. Cancelling it takes the question back."""
        if why := self.policy.refuses(judgement.kinds):
            return await self._missing(Unanswered(why), call_id, tool, request, judgement)
        key = _Grant(tool, subject_of(request), request.cwd, judgement.verdict)
        started = time.monotonic()
        if found := self._remembered(key, started):
            return found
        question = self._question(call_id, tool, request, judgement)
        review = await self._reviewed(question, judgement)
        if isinstance(review, ApprovalReply):
            self._emit(ApprovalAnswered(review, call_id))
            return Answered(review, time.monotonic() - started)
        if not self.attended:
            nobody = Unanswered("nobody can be asked in this run", review)
            return await self._missing(nobody, call_id, tool, request, judgement)
        self._asking += 1
        try:
            async with self._turn:
                # Somebody may have said yes for the session to the same question meanwhile.
                if found := self._remembered(key, started):
                    return found
                offers = await self._offers(tool, request, judgement)
                question = replace(question, offers=offers, advice=review, waiting=self._asking - 1)
                reply = await self._put(question)
        finally:
            self._asking -= 1
        answered = Answered(reply, time.monotonic() - started, review=review)
        answered = self._kept(answered, question)
        if answered.reply.answer is Answer.SESSION:
            if question.session_grant:
                self._grants[key] = answered.reply
            else:
                answered = replace(answered, reply=replace(reply, answer=Answer.YES))
        self._emit(ApprovalAnswered(answered.reply, call_id))
        return answered

    def answer(self, reply: ApprovalReply) -> bool:
        """Hand in an answer. False: no such question is open."""
        question = self._open.get(reply.request_id)
        if question is None or question.done():
            return False
        question.set_result(reply)
        return True

    @contextlib.contextmanager
    def stoppable(self, stop: Callable[[], object]) -> Iterator[None]:
        """While it is open, a stop that is said to something on the way calls `stop`."""
        key = next(self._numbers)
        self._stops[key] = stop
        try:
            yield
        finally:
            del self._stops[key]

    def stop(self) -> None:
        """Somebody answered `stop` to what a running call wanted: what runs ends, and with it the turn."""
        for stop in tuple(self._stops.values()):
            stop()

    async def _offers(self, tool: str, request: Request, judgement: Judgement) -> Offers:
        if self._lasting is None:
            return Offers()
        return await asyncio.to_thread(self._lasting.offers, tool, request, judgement)

    async def _missing(
        self, nobody: Unanswered, call_id: str, tool: str, request: Request, judgement: Judgement
    ) -> Unanswered:
        """`nobody`, and an event that says how it could be allowed beforehand."""
        key = _Grant(tool, subject_of(request), request.cwd, judgement.verdict)
        offers = self._unanswered.get(key)
        if offers is None:
            offers = Offers(why_not=("no more offers are worked out in this session",))
            if len(self._unanswered) < MOST_MISSING:
                self._unanswered[key] = offers
                offers = self._unanswered[key] = await self._offers(tool, request, judgement)
        self._emit(ApprovalMissing(call_id, tool, key.subject, nobody.why, offers))
        return nobody

    def _remembered(self, key: _Grant, started: float) -> Answered | None:
        reply = self._grants.get(key)
        return None if reply is None else Answered(reply, time.monotonic() - started, remembered=True)

    def _question(self, call_id: str, tool: str, request: Request, judgement: Judgement) -> ApprovalRequest:
        return ApprovalRequest(
            id=f"ask-{next(self._numbers)}",
            call_id=call_id,
            tool=tool,
            subject=subject_of(request),
            cwd=request.cwd,
            verdict=judgement.verdict,
            reason=request.reason,
            session_grant=_offer(tool, request, judgement.verdict),
            explanation=judgement.explanation,
            details=judgement.details,
            diff=request.diff if isinstance(request, ChangeFiles) else "",
        )

    async def _reviewed(self, question: ApprovalRequest, judgement: Judgement) -> ApprovalReply | str:
        """The answer of the reviewer, or what it said who left it to a person."""
        reviewer = self._reviewer
        if reviewer is None:
            return ""
        if judgement.person_only:
            return f"{reviewer.name} was not asked: a rule says that a person answers"
        review = await reviewer.review(question)
        if review.allow is None:
            return f"{reviewer.name} left it to a person: {review.reason}"
        answer = Answer.YES if review.allow else Answer.NO
        return ApprovalReply(
            request_id=question.id, answer=answer, message=review.reason, approver=reviewer.name
        )

    async def _put(self, question: ApprovalRequest) -> ApprovalReply:
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

    def _kept(self, answered: Answered, question: ApprovalRequest) -> Answered:
        """`answered`, with its rules stored where it is to last; a yes for once where it cannot."""
        reply = answered.reply
        if reply.answer not in (Answer.PROJECT, Answer.USER):
            return answered
        once = replace(answered, reply=replace(reply, answer=Answer.YES))
        offer = next((one for one in question.offers.of(reply.answer) if one.wide is reply.wide), None)
        if offer is None or self._lasting is None:
            self._emit(Warned("the yes holds for this call only: a lasting one was not on offer"))
            return once
        try:
            rules = self._lasting.keep(reply.answer, offer, question, reply.approver)
        except ApprovalError as error:
            self._emit(Warned(f"the yes holds for this call only: {error}", error.help))
            return once
        return replace(answered, rules=rules, until=offer.ends)


def _offer(tool: str, request: Request, verdict: Verdict) -> str:
    """What a yes for the session would cover; empty where there is none to give."""
    if verdict.scope is Scope.ONCE:
        return ""
    match request:
        case RunScript(before=before, escalate=escalate) if before or escalate:
            return ""
        case RunScript():
            words = f"exactly this command in {request.cwd}, for the rest of this session"
            return f"{words}, whatever its unknown parts are then" if verdict.unknowns else words
        case UseTool() if tool == HOST_TOOL:
            return f"exactly this connection, of every command in {request.cwd}, for the rest of this session"
        case FeedProgram() | CallServer() | ChangeFiles() | UseTool():
            return ""
