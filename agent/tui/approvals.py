"""The approval card: everything that an answer needs, and nothing that a command could hide behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from agent.protocol.approvals import NETWORK, Answer, ApprovalRequest, Offer
from agent.protocol.plain import command_text, visible
from agent.protocol.verdicts import reason, rule_place, speaking, way_out
from execpolicy.decision import Decision, Part

MOST_LINES = 60  # of the command; the rest is a key away and said to be missing
MOST_PARTS = 30
MOST_WIDTH = 2000  # characters of one line
# A lasting answer, its key, and where it is kept.
_KEPT = ((Answer.PROJECT, "p", "for this project"), (Answer.USER, "u", "for you"))


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
    wide: bool = False  # of a lasting answer: the wider of the two offers


def card(request: ApprovalRequest, *, whole: bool = False) -> list[Line]:
    """The lines of the card. Every character of the command is shown where it stands."""
    lines = [Line(f"{request.tool}: {_why_asked(request)}", "ask")]
    lines.extend(_cut(list(_command(request)), whole=whole))
    lines.append(Line(f"in {_flat(request.cwd)}", "quiet"))
    if request.reason:
        # Of a connection nothing is known but that it waits: no model asked for it.
        who = "" if request.tool == NETWORK else "the model says: "
        lines.append(Line(f"{who}{_flat(request.reason)}", "quiet"))
    parts = request.verdict.parts
    if parts:
        lines.append(Line(""))
    if len(parts) > MOST_PARTS and not whole:
        left = len(parts) - MOST_PARTS
        parts = tuple(sorted(parts, key=lambda part: -part.decision))[:MOST_PARTS]
        lines.append(Line(f"the strictest {MOST_PARTS} parts; {left} more: [v] shows them", "ask"))
    for part in parts:
        lines.extend(_cut(list(_part(part)), whole=whole))
    lines.append(Line(""))
    lines.append(Line(f"verdict: {request.verdict.decision.word}: {_flat(reason(request.verdict))}", "ask"))
    if instead := way_out(request.verdict):
        lines.append(Line(f"way out: {_flat(instead)}"))
    if request.advice:
        lines.append(Line(_flat(request.advice), "quiet"))
    lines.extend(_lasting(request))
    if request.waiting:
        lines.append(Line(f"{request.waiting} more waiting behind this one", "quiet"))
    return lines


def question(request: ApprovalRequest) -> str:
    """The choices."""
    lines = ["[y] yes, once"]
    if request.session_grant:
        lines.append(f"[s] yes: {_flat(request.session_grant)}")
    for answer, key, where in _KEPT:
        for offer in request.offers.of(answer):
            more = "+" if offer.wide else ""
            extent = f"what begins the same, until {offer.ends}" if offer.wide else f"until {offer.ends}"
            lines.append(f"[{key}{more}] yes, always, {where}: {extent}")
    return "\n".join((*lines, "[n] no, with a message to the model   [x] stop"))


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
        case "u" | "u+" | "p" | "p+" if not rest:
            answer = Answer.USER if word.lower().startswith("u") else Answer.PROJECT
            wide = word.endswith("+")
            if any(offer.wide is wide for offer in request.offers.of(answer)):
                return Choice(answer, wide=wide)
            return f"`{word.lower()}` is not on offer here; answer {_keys(request)}"
        case _:
            return f"answer {_keys(request)}"


def _keys(request: ApprovalRequest) -> str:
    """The keys that are answers here."""
    kept = [
        f"{key}{'+' if offer.wide else ''}" for answer, key, _ in _KEPT for offer in request.offers.of(answer)
    ]
    keys = ["y", *(["s"] if request.session_grant else []), *kept, "n", "x"]
    return f"{', '.join(keys)} or v"


def _lasting(request: ApprovalRequest) -> Iterator[Line]:
    """What an always would allow beyond this. Both places are offered the same extents, so each is shown once."""
    shown: dict[bool, Offer] = {}
    for answer, _, _ in _KEPT:
        for offer in request.offers.of(answer):
            shown.setdefault(offer.wide, offer)
    for offer in shown.values():
        head = "always, wider, would allow" if offer.wide else "always would allow"
        yield Line(f"{head} until {offer.ends}: {_flat(offer.extent)}")
        for one in offer.also:
            yield Line(_flat(command_text(one)), "allow", "  also ")
        for one in offer.still:
            yield Line(_flat(command_text(one)), "quiet", "  not  ")
        for note in offer.notes:
            yield Line(_flat(note), "ask", "  note ")
    for why in request.offers.why_not:
        yield Line(f"always: {_flat(why)}", "quiet")


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
    if whole:
        return lines
    lines = [replace(line, text=_clipped(line.text)) for line in lines]
    if len(lines) <= MOST_LINES:
        return lines
    half = MOST_LINES // 2
    left = Line(f"⟨{len(lines) - 2 * half} lines are not shown: [v] shows them⟩", "ask")
    return [*lines[:half], left, *lines[-half:]]


def _clipped(text: str) -> str:
    """Head and tail of a line that would fill the screen by itself."""
    if len(text) <= MOST_WIDTH:
        return text
    half = MOST_WIDTH // 2
    return f"{text[:half]}⟨{len(text) - 2 * half} characters are not shown: [v] shows them⟩{text[-half:]}"


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
        if not rules and unknown in part.why:
            continue  # it was just said
        yield Line(f"not known: {_flat(unknown)}", "quiet", " " * 6)
