"""The pack as a value: control by control, what is shown, by which rules, and what is missing. Pure."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compliance.events import Reply
from compliance.evidence.catalogue import Control, Framework, framework, is_ours, named_by
from compliance.evidence.facts import WANTED, Fact, Facts
from compliance.evidence.uses import Ref, RuleKey, Use
from compliance.reports.base import Report
from compliance.rulebook import RuleBook, RuleCard
from compliance.soundness import Soundness
from execpolicy.decision import Decision

_ENFORCING: Final = frozenset(
    {"decisions", "denials", "asks", "least", "privileged", "confinement", "unreached"}
)

MOST_IDLE: Final = 10  # rules that are named one by one though they did nothing


class Status(enum.Enum):
    """How far records speak for a control. None of these is a judgement of conformity."""

    SUPPORTED = "supported by records"
    PARTLY = "partly supported"
    NONE = "no record"
    UNVERIFIED = "not verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleUse:
    """A rule that names the control and was enforced in the period."""

    key: RuleKey
    use: Use


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    control: Control
    status: Status
    shown: tuple[Fact, ...]
    rules: tuple[RuleUse, ...]
    answers: tuple[tuple[Reply, str, int], ...]  # to what these rules asked: answer, approver, how many
    missing: tuple[str, ...]
    beyond: tuple[str, ...]

    @property
    def refs(self) -> tuple[Ref, ...]:
        """The records that are named for it."""
        found = [ref for fact in self.shown for ref in fact.refs]
        return tuple(dict.fromkeys([*found, *(ref for rule in self.rules for ref in rule.use.refs)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """As it was asked for, and what of it the records reach. Times in UTC; empty: open."""

    since: str = ""
    until: str = ""

    def text(self, facts: Facts) -> str:
        return f"{self.since or facts.first or 'the beginning'} to {self.until or facts.last or 'the end'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Annexes:
    """Reports over the same records."""

    decisions: Report
    approvals: Report
    rules: Report
    coverage: Report
    drift: Report
    gaps: Report

    def named(self) -> tuple[tuple[str, Report], ...]:
        return (
            ("decisions", self.decisions),
            ("approvals", self.approvals),
            ("rules", self.rules),
            ("coverage", self.coverage),
            ("drift", self.drift),
            ("gaps", self.gaps),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    name: str
    framework: Framework
    period: Period
    generated: str  # empty: not said, so that the same records give the same bytes
    facts: Facts
    sound: tuple[Soundness, ...]
    incomplete: tuple[str, ...]  # why it must not be taken for the whole record
    findings: tuple[Finding, ...]
    annexes: Annexes
    notes: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.incomplete

    @property
    def unexplained(self) -> int:
        return sum(row[6] == "no" for row in self.annexes.gaps.tables[0].rows)


def make_pack(
    name: str,
    period: Period,
    facts: Facts,
    sound: Sequence[Soundness],
    book: RuleBook,
    annexes: Annexes,
    *,
    spoiled: int = 0,
    generated: str = "",
) -> Pack:
    """`spoiled`: lines of the period that could not be read as records."""
    asked = framework(name)
    incomplete = _incomplete(sound, spoiled)
    named = facts.named(sound)
    cards = {(card.id, card.digest): card for card in book.rules}
    gaps = annexes.gaps.tables[0].rows
    told = f"the record of the period has {len(gaps)} gaps, see Gaps" if gaps else ""
    findings = tuple(
        _finding(
            asked, control, named, facts, cards, (*incomplete, *((told,) if told else ())), bool(incomplete)
        )
        for control in asked.controls
    )
    return Pack(
        name=name,
        framework=asked,
        period=period,
        generated=generated,
        facts=facts,
        sound=tuple(sound),
        incomplete=incomplete,
        findings=findings,
        annexes=annexes,
        notes=_notes(asked, facts, book, cards),
    )


def _incomplete(sound: Sequence[Soundness], spoiled: int) -> tuple[str, ...]:
    found = [f"{one.log.name or 'the log'}: {one.text}" for one in sound if not one.intact]
    if spoiled:
        found.append(
            f"{spoiled} lines of the period are no sound records, or of a newer kind; they are left out"
        )
    return tuple(found)


def _finding(
    asked: Framework,
    control: Control,
    named: dict[str, Fact],
    facts: Facts,
    cards: dict[tuple[str, str], RuleCard],
    flaws: tuple[str, ...],
    broken: bool,
) -> Finding:
    known = [named[fact] for fact in control.shown_by]
    shown = tuple(fact for fact in known if fact.count)
    mapped = sorted(
        key for key, use in facts.uses.rules.items() if control in _controls(asked, key, use, cards)
    )
    rules = tuple(RuleUse(key=key, use=facts.uses.rules[key]) for key in mapped)
    answers: Counter[tuple[Reply, str]] = Counter()
    for rule in rules:
        answers.update(rule.use.answers)
    missing = [f"no record of {WANTED[name]}" for name in control.shown_by if not named[name].count]
    about = [card for card in cards.values() if control in named_by(asked, card.controls)]
    linked = any(card.id in facts.uses.linked for card in about)
    if not rules and not linked:
        missing.append("no rule that names this control was enforced in the period")
    fired = {(key.id, key.digest) for key in mapped}
    idle = [
        f"rule {card.id} ({card.path}:{card.line}) names this control, and no record shows it enforced"
        for card in sorted(about, key=lambda card: (card.id, card.path))
        if (card.id, card.digest) not in fired and card.id not in facts.uses.linked
    ]
    missing += idle[:MOST_IDLE]
    if len(idle) > MOST_IDLE:
        missing.append(
            f"{len(idle) - MOST_IDLE} further rules name this control, and no record shows them enforced"
        )
    whole = len(shown) == len(known) and bool(rules or linked or not _ENFORCING & set(control.shown_by))
    if not shown and not rules:
        status = Status.NONE
    elif broken:
        status = Status.UNVERIFIED
    else:
        status = Status.SUPPORTED if whole and known else Status.PARTLY
    return Finding(
        control=control,
        status=status,
        shown=shown,
        rules=rules,
        answers=tuple(
            (answer, who, count) for (answer, who), count in sorted(answers.items(), key=_by_answer)
        ),
        missing=(*missing, *flaws),
        beyond=control.beyond,
    )


def _by_answer(item: tuple[tuple[Reply, str], int]) -> tuple[str, str]:
    return item[0][0].value, item[0][1]


def _controls(
    asked: Framework, key: RuleKey, use: Use, cards: dict[tuple[str, str], RuleCard]
) -> tuple[Control, ...]:
    """From the record itself; for records that do not carry them, from the recorded version of the rule file."""
    if use.controls:
        return named_by(asked, use.controls)
    card = cards.get((key.id, key.digest))
    return named_by(asked, card.controls) if card and key.digest else ()


def _notes(
    asked: Framework, facts: Facts, book: RuleBook, cards: dict[tuple[str, str], RuleCard]
) -> tuple[str, ...]:
    texts = {text for use in facts.uses.rules.values() for text in use.controls}
    texts |= {text for card in cards.values() for text in card.controls}
    strange = sorted(text for text in texts if is_ours(asked, text) and not named_by(asked, (text,)))
    found = [f"named by rules, and not in this catalogue: {text}" for text in strange[:100]]
    found += [f"rule file not read: {text}" for text in book.unread[:100]]
    if facts.uses.left_out:
        found.append(f"{facts.uses.left_out} uses of further rules are not counted: name a shorter period")
    return tuple(found)


def buckets(facts: Facts) -> tuple[tuple[str, tuple[int, int, int]], ...]:
    """Verdicts in time, allow, ask and deny: by day, by month where there are many days."""
    days = sorted({day for day, _ in facts.days})
    width = 10 if len(days) <= 62 else 7
    found: dict[str, list[int]] = {}
    for day in days:
        counts = found.setdefault(day[:width], [0, 0, 0])
        for decision in Decision:
            counts[decision] += facts.days[day, decision]
    return tuple((name, (counts[0], counts[1], counts[2])) for name, counts in found.items())
