"""The approval card: everything that an answer needs, and nothing that a command could hide behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.protocol.approvals import Answer, ApprovalRequest
from agent.protocol.plain import command_text, visible
from agent.protocol.verdicts import reason, rule_place, speaking, way_out
from execpolicy.decision import Decision, Part

MOST_LINES = 60  # of the command; the rest is a key away and said to be missing
MOST_PARTS = 30


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the card. `mark` stands before it, `style` is a name that the screen knows."""

    text: str
    style: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What the person chose; None of `answer` with `view`: show all of it and ask again."""

    answer: Answer | None = None
    message: str = ""
    view: bool = False


def card(request: ApprovalRequest, *, whole: bool = False) -> list[Line]:
    """The lines of the card. Every character of the command is shown where it stands."""
    lines = [Line(f"{request.tool}: {_why_asked(request)}", "ask")]
    lines.extend(_cut(list(_command(request)), whole=whole))
    lines.append(Line(f"in {_flat(request.cwd)}", "quiet"))
    if request.reason:
        lines.append(Line(f"the model says: {_flat(request.reason)}", "quiet"))
    parts = request.verdict.parts
    if parts:
        lines.append(Line(""))
    if len(parts) > MOST_PARTS and not whole:
        left = len(parts) - MOST_PARTS
        parts = tuple(sorted(parts, key=lambda part: -part.decision))[:MOST_PARTS]
        lines.append(Line(f"the strictest {MOST_PARTS} parts; {left} more: [v] shows them", "ask"))
    for part in parts:
        lines.extend(_part(part))
    lines.append(Line(""))
    lines.append(Line(f"verdict: {request.verdict.decision.word}: {_flat(reason(request.verdict))}", "ask"))
    if instead := way_out(request.verdict):
        lines.append(Line(f"way out: {_flat(instead)}"))
    if request.waiting:
        lines.append(Line(f"{request.waiting} more waiting behind this one", "quiet"))
    return lines


def question(request: ApprovalRequest) -> str:
    """The choices."""
    session = f"[s] yes: {_flat(request.session_grant)}\n" if request.session_grant else ""
    return f"[y] yes, once\n{session}[n] no, with a message to the model   [x] stop"


def read_choice(line: str, request: ApprovalRequest) -> Choice | str:
    """What `line` answers, or what is wrong with it."""
    word, _, rest = line.strip().partition(" ")
    rest = rest.strip()
    match word.lower():
        case "n" | "no":
            return Choice(Answer.NO, rest)
        case "x" | "stop":
            return Choice(Answer.STOP, rest)
        case "v" | "view" if not rest:
            return Choice(view=True)
        case "y" | "yes" if not rest:
            return Choice(Answer.YES)
        case "s" | "session" if not rest:
            if request.session_grant:
                return Choice(Answer.SESSION)
            return "a yes for the session is not on offer here; answer y, n or x"
        case _:
            return "answer y, s, n, x or v" if request.session_grant else "answer y, n, x or v"


def _flat(text: str) -> str:
    """In one line: what others wrote must not look like a line of the card, or stand below it."""
    return visible(text).replace("\n", "⏎ ")


def _why_asked(request: ApprovalRequest) -> str:
    return "this needs your yes" if request.verdict.decision is Decision.ASK else "this needs an answer"


def _command(request: ApprovalRequest) -> Iterator[Line]:
    for line in command_text(request.subject).split("\n"):
        yield Line(line, "command", "$ ")
    if request.diff:
        for line in visible(request.diff).rstrip("\n").split("\n"):
            style = {"+": "added", "-": "removed", "@": "quiet"}.get(line[:1], "")
            yield Line(line, style, "  ")


def _cut(lines: list[Line], *, whole: bool) -> list[Line]:
    if whole or len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    left = Line(f"⟨{len(lines) - 2 * half} lines are not shown: [v] shows them⟩", "ask")
    return [*lines[:half], left, *lines[-half:]]


def _part(part: Part) -> Iterator[Line]:
    kind = "" if part.kind == "command" else f"{part.kind} "
    via = f" (via {_flat(' > '.join(part.via))})" if part.via else ""
    first, *rest = command_text(part.text).split("\n")
    yield Line(f"{kind}{first}{via}", part.decision.word, f"{part.decision.word:<6}")
    for line in rest:
        yield Line(line, part.decision.word, " " * 6)
    rules = speaking(part)
    for rule in rules:
        said = f": {_flat(rule.justification)}" if rule.justification else ""
        yield Line(f"rule {_flat(rule_place(rule))}{said}", "quiet", " " * 6)
    if not rules and part.why:
        yield Line(_flat(part.why), "quiet", " " * 6)
    for unknown in part.unknowns:
        yield Line(f"not known: {_flat(unknown)}", "quiet", " " * 6)
