"""What a lasting yes may be given for: rules are built, added, and the same request is judged again.

INVARIANT: an offer is what the engine says, not what we think of it. One that would not let this very request run
is not shown, and what it would let run beside this is found by asking the engine about neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from typing import Protocol, assert_never

from agent.approvals import candidates, neighbours
from agent.approvals.candidates import Candidate, NoCandidate
from agent.approvals.trial import MOST_RULES, widened
from agent.approvals.written import declarations, rules_of
from agent.errors import ApprovalError
from agent.protocol.approvals import Offer, Offers
from agent.protocol.verdicts import reason, rule_place
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
from agent.tools.judgement import Judgement
from execpolicy.decision import Decision, Layer, RuleMatch, Scope, Verdict
from execpolicy.engine.policy import Policy
from execpolicy.shell.analyse import analyse
from execpolicy.values import frozen, replace

SHOWN = 3  # examples of either kind


class Judging(Protocol):
    """A gate, asked what would be."""

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        ...

    def under(self, policy: Policy, tool: str, request: Request) -> Verdict:
        """The verdict that `policy` would give."""
        ...


@frozen(kw_only=True)
class Offering:
    """Works out the offers of one session."""

    gate: Judging
    days: int  # that an approval lasts
    today: Callable[[], date] = date.today
    no_project: str = ""  # why nothing can be kept for the project; empty: it can
    no_user: str = ""
    masked: Callable[[str], str] = str  # takes secrets out of a text

    def offers(self, tool: str, request: Request, judgement: Judgement) -> Offers:
        """What may be allowed for longer than this call, and why not more. Never raises."""
        verdict = judgement.verdict
        if why := self._closed(request, verdict):
            return Offers(why_not=(why,))
        found = _candidates(tool, request, verdict)
        if isinstance(found, NoCandidate):
            return Offers(why_not=(f"no lasting yes is offered: {found.why}",))
        ends = (self.today() + timedelta(days=self.days)).isoformat()
        if verdict.expires is not None:
            ends = min(ends, verdict.expires)
        told: dict[str, None] = {}
        by_layer: dict[Layer, tuple[Offer, ...]] = {}
        for layer, closed in ((Layer.USER, self.no_user), (Layer.PROJECT, self.no_project)):
            if layer is Layer.USER and verdict.scope is Scope.PROJECT:
                closed = "a rule limits a yes to the project"
            if closed:
                told[f"not for the {layer.word}: {closed}"] = None
                continue
            offers = []
            for candidate in found:
                offer = self._tried(tool, request, candidate, layer, ends)
                if isinstance(offer, Offer):
                    offers.append(offer)
                elif not candidate.wide:
                    told[offer] = None
            by_layer[layer] = tuple(offers)
        return Offers(
            user=by_layer.get(Layer.USER, ()), project=by_layer.get(Layer.PROJECT, ()), why_not=tuple(told)
        )

    def _closed(self, request: Request, verdict: Verdict) -> str:
        """Why nothing at all is offered."""
        if verdict.decision is not Decision.ASK:
            return "nothing is asked"
        if isinstance(request, RunScript) and request.escalate:
            return "running outside the sandbox is for this one time"
        explicit = next(_explicit(verdict), None)
        if explicit is not None:
            return _who(explicit)
        if verdict.scope in (Scope.ONCE, Scope.SESSION):
            return f"a rule limits a yes to `{verdict.scope.value}`"
        if len(self.gate.policy.rules) > MOST_RULES:
            return "no lasting yes is worked out for a policy of so many rules"
        subject = subject_of(request)
        if self.masked(subject) != subject:
            return "it holds a secret, which no rule may"
        return ""

    def _tried(
        self, tool: str, request: Request, candidate: Candidate, layer: Layer, ends: str
    ) -> Offer | str:
        """The offer, if it lets the request run; else why it would not."""
        try:
            texts = declarations(candidate, ends)
            policy = widened(self.gate.policy, layer, rules_of(texts, layer))
        except ApprovalError as error:
            return f"no lasting yes is offered: {error}"
        after = self.gate.under(policy, tool, request)
        if after.decision is not Decision.ALLOW:
            return f"a rule of the {layer.word} would not be enough: {reason(after)}"
        also: list[str] = []
        still: list[str] = []
        for label, near in _near(tool, request, candidate):
            if self.gate.under(policy, tool, near).decision is not Decision.ALLOW:
                still.append(label)
            elif self.gate.under(self.gate.policy, tool, near).decision is not Decision.ALLOW:
                also.append(label)
        return Offer(
            wide=candidate.wide,
            extent=candidate.extent,
            rules=texts,
            also=tuple(also[:SHOWN]),
            still=tuple(still[:SHOWN]),
            ends=ends,
            notes=candidate.notes,
        )


def _explicit(verdict: Verdict) -> Iterator[RuleMatch]:
    """The rules that ask. No allow opens them: the strictest answer wins."""
    for part in verdict.parts:
        for match in part.matches:
            if part.decision is Decision.ASK and match.enforced and match.decision is not Decision.ALLOW:
                yield match


def _who(rule: RuleMatch) -> str:
    """Why a rule that asks stays, and who could change it."""
    head = f"rule {rule_place(rule)} asks every time, and no allow opens it"
    if rule.origin.layer is Layer.MANAGED:
        return f"{head}: the owner of this machine decides about it"
    return f'{head}: change it where it stands, or write an `exception(to = "{rule.rule_id}", ...)`'


def _candidates(tool: str, request: Request, verdict: Verdict) -> tuple[Candidate, ...] | NoCandidate:
    match request:
        case RunScript(before=before) if before:
            return NoCandidate("it goes on from what the same shell was given before")
        case RunScript():
            facts = analyse(request.script, cwd=request.cwd)
            return candidates.of_script(facts, verdict.parts, request.cwd)
        case CallServer():
            found = candidates.of_tool(request.server, request.tool, request.arguments)
        case ChangeFiles():
            asked = {(part.text, part.kind) for part in verdict.parts if part.decision is Decision.ASK}
            files = [(path, access.value) for path, access in request.accesses]
            found = candidates.of_paths([one for one in files if one in asked])
        case UseTool() if tool == HOST_TOOL:
            found = candidates.of_host(*host_of(request))
        case FeedProgram() | UseTool():
            return NoCandidate("only the program itself knows what it would do")
        case _:
            assert_never(request)
    return found if isinstance(found, NoCandidate) else (found,)


def _near(tool: str, request: Request, candidate: Candidate) -> Iterator[tuple[str, Request]]:
    """Requests that are nearly this one, each with a name."""
    match request:
        case RunScript() if candidate.commands:
            for script in neighbours.of_command(candidate.commands[0], wide=candidate.wide):
                if script != request.script:
                    yield script, replace(request, script=script)
        case RunScript():
            for script in (f"{request.script}.other", f"{request.script}; true"):
                yield script, replace(request, script=script)
        case CallServer():
            for arguments in neighbours.of_arguments(request.arguments):
                near = replace(request, arguments=arguments)
                yield near.subject, near
        case ChangeFiles():
            for path, access in request.accesses[:2]:
                other = f"{path}.other"
                yield f"{access.value} {other}", replace(request, accesses=((other, access),))
        case UseTool() if tool == HOST_TOOL:
            host, port, protocol = host_of(request)
            for label, arguments in neighbours.of_host(host, port, protocol):
                yield label, replace(request, arguments=arguments)
        case FeedProgram() | UseTool():
            return
        case _:
            assert_never(request)


def one_of(offers: Sequence[Offer], *, wide: bool) -> Offer | None:
    """The offer of that width."""
    return next((offer for offer in offers if offer.wide is wide), None)


__all__ = ["Judging", "Offering", "one_of"]
