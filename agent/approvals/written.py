"""An approval as a rule: the text that is shown, tried and stored, always the same."""

from __future__ import annotations

from agent.approvals.candidates import Candidate
from agent.errors import ApprovalError
from agent.protocol.plain import one_line
from execpolicy.decision import Layer
from execpolicy.digest import sha256
from execpolicy.lang.rules import Rule
from execpolicy.lang.strings import encode
from execpolicy.values import frozen

PREFIX = "approved."  # of the id of every rule that an approval made


@frozen(kw_only=True)
class Given:
    """Who said yes, when, to what."""

    approver: str
    at: str  # ISO time
    session: str
    subject: str
    reason: str = ""  # what the model said it is for
    shown: tuple[str, ...] = ()  # what the person was shown of what it would allow


def declarations(candidate: Candidate, expires: str) -> tuple[str, ...]:
    """The rules of `candidate` with all that takes part in deciding."""
    texts = []
    for kind, keys in candidate.rules:
        about = (*keys, 'decision = "allow"', f"expires = {encode(expires)}")
        texts.append(_formatted(f"{kind}({', '.join(about)})"))
    return tuple(texts)


def rules_of(texts: tuple[str, ...], layer: Layer) -> tuple[Rule, ...]:
    """What `declarations` mean. Raises `ApprovalError` for a text that is no rule."""
    from execpolicy.lang.lower import parse_rules  # late: a session that keeps nothing needs no parser

    parsed = parse_rules("".join(texts), "approvals.rules", layer)
    if parsed.diagnostics or len(parsed.file.rules) != len(texts):
        why = parsed.diagnostics[0].message if parsed.diagnostics else "it is not as many rules"
        raise ApprovalError(f"the approval cannot be written as a rule: {why}")
    return parsed.file.rules


def entry(text: str, given: Given) -> tuple[str, str]:
    """The id of the rule `text`, and what stands in the file for it: comments, then the rule."""
    id_ = PREFIX + sha256(f"{text}\0{given.at}\0{given.session}".encode("utf-8", "replace")).hex()[:10]
    why = f"approved by {given.approver}: {given.subject}"
    lines = [f"# {one_line(given.approver, 80)}, {given.at}, session {one_line(given.session, 80)}"]
    lines.append(f"# asked: {one_line(given.subject, 300)}")
    if given.reason:
        lines.append(f"# the model said: {one_line(given.reason, 300)}")
    lines += [f"# shown: {one_line(shown, 300)}" for shown in given.shown]
    head, _, rest = text.rstrip().rpartition(")")
    assert not rest
    about = f"id = {encode(id_)}, justification = {encode(one_line(why, 200))}"
    comma = "" if head.rstrip().endswith((",", "(")) else ","
    return id_, "\n".join(lines) + "\n" + _formatted(f"{head}{comma} {about})")


def _formatted(text: str) -> str:
    from execpolicy.lang.format import format_text  # late, as above

    found = format_text(text + "\n", "approvals.rules")
    if found.text is None:
        raise ApprovalError(f"the approval cannot be written as a rule: {found.diagnostics[0].message}")
    return found.text
