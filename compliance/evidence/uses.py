"""How each rule was used: its verdicts, its answers, its exceptions. A rule is its id in one version of its file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from compliance.events import Approved, Connected, Decided, Overridden, Reply, Revoked, SessionEnded
from compliance.reading import Seen
from compliance.reports.base import Recent
from execpolicy.decision import Certainty, Decision, RuleMatch

MOST: Final = 20_000
EXAMPLES: Final = 3


@dataclass(frozen=True, slots=True)
class Ref:
    """A record that supports a claim."""

    log: str
    seq: int
    time: str
    digest: str


@dataclass(frozen=True, slots=True, order=True)
class RuleKey:
    id: str
    path: str
    digest: str  # of the version that was in force; empty: not known


@dataclass(slots=True)
class Use:
    layer: str = ""
    line: int = 0
    says: Decision = Decision.ALLOW
    owner: str = ""
    justification: str = ""
    controls: tuple[str, ...] = ()
    verdicts: Counter[Decision] = field(default_factory=Counter)
    answers: Counter[tuple[Reply, str]] = field(default_factory=Counter)  # answer, approver
    first: str = ""
    last: str = ""
    refs: list[Ref] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Opening:
    """An exception as it was used."""

    rule: str
    approved_by: str
    until: str
    ticket: str
    origin: str


@dataclass(slots=True)
class Opened:
    calls: int = 0
    first: str = ""
    last: str = ""
    refs: list[Ref] = field(default_factory=list)


@dataclass(slots=True)
class Standing:
    """A yes that reaches beyond its call: an override with an end."""

    rule: str
    approver: str
    scope: str  # session, project, user
    until: str  # last day; empty: no day is set
    session: str
    ref: Ref
    made: tuple[str, ...] = ()  # ids of the rules that it made
    end: str = ""  # when it ended, and how; empty: no end is recorded


@dataclass(slots=True)
class Uses:
    rules: dict[RuleKey, Use] = field(default_factory=dict)
    openings: dict[Opening, Opened] = field(default_factory=dict)
    standing: list[Standing] = field(default_factory=list)
    linked: set[str] = field(default_factory=set)  # ids of rules that decided over connections
    left_out: int = 0
    _asked: Recent[tuple[str, str], tuple[RuleKey, ...]] = field(default_factory=Recent)
    _ends: Recent[str, list[Standing]] = field(default_factory=Recent)  # of those that end with their session
    _made: Recent[str, Standing] = field(default_factory=Recent)  # of those that made a rule

    def feed(self, seen: Seen, ref: Ref) -> None:
        match seen.event:
            case Decided() as event:
                self._decided(seen, event, ref)
            case Approved() as event:
                self._answered(event, ref)
            case Connected() as event:
                if len(self.linked) < MOST:
                    self.linked.update(event.rules)
            case Overridden() as event:
                key = Opening(event.rule, event.approved_by, event.until, event.ticket, event.origin)
                self._opened(key, ref)
            case SessionEnded() as event:
                for one in self._ends.pop(event.session, ()):
                    one.end = f"{_short(ref.time)}, with the session"
            case Revoked() as event:
                taken = self._made.pop(event.rule, None)
                if taken is not None:
                    taken.end = f"{_short(ref.time)}, taken back by {event.by or 'nobody named'}"
            case _:
                pass

    def _decided(self, seen: Seen, event: Decided, ref: Ref) -> None:
        deciding = event.verdict.deciding
        enforced = {  # what only might be meant shows nothing, unless it is why the verdict is what it is
            (one.rule_id, one.origin.path): one
            for one in event.verdict.matches
            if one.enforced and (one.certainty is Certainty.YES or one is deciding)
        }
        keys = []
        for match in enforced.values():
            file = seen.scene.file(match.origin.path)
            key = RuleKey(match.rule_id, match.origin.path, file.digest if file else "")
            use = self._use(key, match)
            if use is None:
                continue
            keys.append(key)
            use.verdicts[event.verdict.decision] += 1
            use.first = min(use.first or ref.time, ref.time)
            use.last = max(use.last, ref.time)
            if len(use.refs) < EXAMPLES:
                use.refs.append(ref)
        if event.verdict.decision is Decision.ASK:
            self._asked.put((event.session, event.call), tuple(keys))

    def _use(self, key: RuleKey, match: RuleMatch) -> Use | None:
        found = self.rules.get(key)
        if found is None:
            if len(self.rules) >= MOST:
                self.left_out += 1
                return None
            found = self.rules[key] = Use(
                layer=match.origin.layer.word,
                line=match.origin.line,
                says=match.decision,
                owner=match.owner or "",
                justification=match.justification or "",
                controls=match.controls,
            )
        return found

    def _answered(self, event: Approved, ref: Ref) -> None:
        keys = self._asked.pop((event.session, event.call), ())
        for key in keys:
            self.rules[key].answers[event.answer, event.approver] += 1
        scope = event.scope or ("session" if event.answer is Reply.SESSION else "once")
        if event.answer.granted and scope != "once":
            self._stands(event, scope, ", ".join(key.id for key in keys), ref)

    def _stands(self, event: Approved, scope: str, rule: str, ref: Ref) -> None:
        if len(self.standing) >= MOST:
            self.left_out += 1
            return
        one = Standing(rule, event.approver, scope, event.until, event.session, ref, event.rules)
        self.standing.append(one)
        if scope == "session":
            self._ends.put(event.session, [*self._ends.get(event.session, []), one])
        for made in event.rules:
            self._made.put(made, one)

    def _opened(self, key: Opening, ref: Ref) -> None:
        if key not in self.openings and len(self.openings) >= MOST:
            self.left_out += 1
            return
        found = self.openings.setdefault(key, Opened())
        found.calls += 1
        found.first = min(found.first or ref.time, ref.time)
        found.last = max(found.last, ref.time)
        if len(found.refs) < EXAMPLES:
            found.refs.append(ref)


def _short(time: str) -> str:
    return time[:19].replace("T", " ")
