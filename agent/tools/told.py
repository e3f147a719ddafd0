"""The words in which the model hears that a call did not run. They never hand over the text of a rule."""

from __future__ import annotations

from agent.protocol.approvals import ApprovalReply
from agent.tools.base import Request, RunScript, subject_of
from agent.tools.judgement import Judgement
from execpolicy.decision import Decision, Verdict

_CLIP = 300
_DOING = {"read": "reading ", "write": "writing ", "delete": "deleting ", "execute": "running "}


def denied(tool: str, request: Request, judgement: Judgement) -> str:
    """A rule, or the failure to judge, forbids it."""
    verdict = judgement.verdict
    head = f"{tool} rejected: the policy denies {_named(request, verdict)}"
    return _joined(
        f"{head}: {_reasons(verdict)}",
        f"The way that is open: {verdict.suggest}" if verdict.suggest else "",
        f"Nearest allowed command: {verdict.nearest}" if verdict.nearest else "",
        "It was not run. Do not try to get the same effect in another way; ask the user if it is needed.",
    )


def unanswered(
    tool: str, request: Request, judgement: Judgement, why: str = "nobody can be asked in this run"
) -> str:
    """It needs a yes and nobody gives one; `why` says who does not."""
    verdict = judgement.verdict
    return _joined(
        f"{tool} rejected: {_named(request, verdict)} needs the user's approval, and {why}: {_reasons(verdict)}",
        f"The way that is open: {verdict.suggest}" if verdict.suggest else "",
        f"Nearest allowed command: {verdict.nearest}" if verdict.nearest else "",
        "It was not run. Do without it, or tell the user at the end what has to be run by hand or allowed "
        "by a rule.",
    )


def declined(tool: str, reply: ApprovalReply, verdict: Verdict) -> str:
    """Somebody said no: what they said, why they were asked, and what is open instead."""
    words = f": {reply.message}" if reply.message else ""
    who = "the reviewer" if reply.approver.startswith(("command:", "model:")) else "the user"
    return _joined(
        f"{tool} rejected by {who}{words}",
        f"It was asked about because: {_reasons(verdict)}",
        f"The way that is open: {verdict.suggest}" if verdict.suggest else "",
        f"Nearest allowed command: {verdict.nearest}" if verdict.nearest else "",
        "It was not run. Do not try to get the same effect in another way.",
    )


def outside(inside: str, sign: str, again: str) -> str:
    """It failed inside the sandbox, and was asked about for a run outside."""
    return (
        f"{inside}\n\nThe sandbox kept it from something ({_clipped(sign)}). Asked to run outside:\n{again}"
    )


def flawed(tool: str, flaw: str, verdict: Verdict) -> str:
    """It cannot work. What that says of a file nobody has allowed to read yet is kept back."""
    if any(part.kind == "read" and part.decision is not Decision.ALLOW for part in verdict.parts):
        return f"{tool} verification failed: it does not fit the files as they are"
    return flaw


def unrecorded(tool: str, cause: str) -> str:
    """The record cannot be written, so nothing runs."""
    return (
        f"{tool} rejected: the call could not be recorded ({cause}), and what cannot be recorded does not "
        "run. The user has to repair this; do not go on with other calls."
    )


def _named(request: Request, verdict: Verdict) -> str:
    parts = [part for part in verdict.parts if part.decision is verdict.decision]
    if isinstance(request, RunScript) and parts:
        doing = _DOING.get(parts[0].kind, "")
        return f"{doing}`{_clipped(parts[0].text)}`"
    return f"`{_clipped(subject_of(request))}`"


def _reasons(verdict: Verdict) -> str:
    """Why, in the words that rule writers chose for it, or in ours where no rule spoke."""
    found: list[str] = []
    parts = [part for part in verdict.parts if part.decision is verdict.decision]
    for part in parts:
        said = [match.justification for match in part.matches if match.enforced and match.justification]
        reason = said[0] if said else part.why
        if reason:
            found.append(f"{reason} (`{_clipped(part.text, 80)}`)" if len(parts) > 1 else reason)
    unread = [f"not known before it runs: {why}" for why in verdict.unknowns]
    reasons = list(dict.fromkeys(found or unread))
    if not reasons:
        return "no rule allows it" if verdict.decision is Decision.ASK else "a rule forbids it"
    rest = len(reasons) - 3
    return "; ".join(reasons[:3]) + (f"; and {rest} more" if rest > 0 else "")


def _clipped(text: str, most: int = _CLIP) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _joined(*lines: str) -> str:
    return "\n".join(filter(None, lines))
