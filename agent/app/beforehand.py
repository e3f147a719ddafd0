"""A lasting yes that is given before anybody asks: judged, worked out, kept and recorded as one that was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

from agent.app import approvals, policy
from agent.app.masking import masking
from agent.app.policy import PolicyInForce
from agent.config.asking import read_policy
from agent.config.model import Settings
from agent.errors import ApprovalError
from agent.process.environ import child_environment
from agent.protocol.approvals import Answer, ApprovalRequest, Offer, Offers
from agent.protocol.verdicts import reason, way_out
from agent.tools.base import RunScript
from agent.tools.gate import COMMAND_TOOL, Gate
from agent.tools.judgement import Owner
from agent.tools.offers import one_of
from compliance.errors import AuditError
from compliance.events import Approved, Reply
from compliance.log import AuditLog
from execpolicy.decision import Decision
from execpolicy.values import frozen, replace

NO_SESSION = "none"  # in the place of its id, in the file of approvals
_REPLIES = {Answer.USER: Reply.USER, Answer.PROJECT: Reply.PROJECT}


@frozen(kw_only=True)
class Beforehand:
    """A command that may be allowed for longer, the offer that would do it, and how to keep that."""

    request: ApprovalRequest  # with this one offer
    offer: Offer
    answer: Answer
    _keep: Callable[[Answer, Offer, ApprovalRequest, str], tuple[str, ...]]
    _take_back: Callable[[tuple[str, ...]], object]
    _settings: Settings
    _masked: Callable[[str], str]

    def keep(self, approver: str) -> tuple[str, ...]:
        """The ids of the rules. Raises `ApprovalError`; what cannot be recorded is not kept."""
        ids = self._keep(self.answer, self.offer, self.request, approver)
        event = Approved(
            "",
            "",
            _REPLIES[self.answer],
            self._masked(approver),
            self._masked(f"beforehand: {self.request.subject}"),
            scope=self.answer.value,
            until=self.offer.ends,
            rules=ids,
        )
        try:
            log = AuditLog(self._settings.audit)
            try:
                log.record(event)
            finally:
                log.close()
        except AuditError as error:
            self._undo(ids, error)
        return ids

    def _undo(self, ids: tuple[str, ...], error: AuditError) -> NoReturn:
        try:
            self._take_back(ids)
        except ApprovalError as other:
            raise ApprovalError(
                f"it is kept, and could neither be recorded ({error}) nor taken back ({other})",
                f"take it back: {' '.join(f'`agent approvals revoke {id_}`' for id_ in ids)}",
            ) from error
        raise ApprovalError(f"it could not be recorded, so it is not kept: {error}", error.help) from error


def work_out(settings: Settings, script: str, *, project: bool, in_force: PolicyInForce) -> Beforehand | None:
    """None where the policy allows it already. Raises `ApprovalError`, with the reason, where nothing is on offer."""
    gate = Gate(
        in_force.policy,
        policy.context_maker(settings, in_force.files, lambda: child_environment(os.environ)),
        policy.session_spec(settings, in_force.files),
        asking=read_policy(settings.approval_policy),
        owner=Owner(settings.most_sandbox, settings.most_network),
    )
    asked = RunScript(script=script, cwd=str(settings.cwd))
    judgement = gate.judge(COMMAND_TOOL, asked)
    verdict = judgement.verdict
    match verdict.decision:
        case Decision.ALLOW:
            return None
        case Decision.DENY:
            raise ApprovalError(
                f"the policy denies it, and no yes lifts a deny: {reason(verdict)}", way_out(verdict)
            )
        case Decision.ASK:
            pass
    masked = masking(settings, in_force.policy, os.environ).redactor.text
    keeping = approvals.keeping(settings, gate, NO_SESSION, masked)
    offers = keeping.offers(COMMAND_TOOL, asked, judgement)
    answer = Answer.PROJECT if project else Answer.USER
    offer = one_of(offers.of(answer), wide=False)
    if offer is None:
        raise ApprovalError(
            "; ".join(offers.why_not) or f"nothing is on offer for the {answer.value}",
            "`agent policy check` explains the verdict; a rule may be written by hand",
        )
    request = ApprovalRequest(
        id="",
        call_id="",
        tool=COMMAND_TOOL,
        subject=script,
        cwd=asked.cwd,
        verdict=verdict,
        explanation=judgement.explanation,
        details=judgement.details,
        offers=replace(Offers(), **{answer.value: (offer,)}),
    )
    file = keeping.files[0 if answer is Answer.USER else 1]
    return Beforehand(
        request=request,
        offer=offer,
        answer=answer,
        _keep=keeping.keep,
        _take_back=file.revoke,
        _settings=settings,
        _masked=masked,
    )
