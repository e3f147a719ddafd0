"""What rules speak about: which fired, which never did, and what was judged that no rule knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from compliance.events import BEGINNINGS, Connected, Decided, PolicyFile
from compliance.query import program_of
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, OTHERS, Report, Rows, Table, tally
from compliance.rulebook import RuleBook
from execpolicy.decision import Part


@dataclass(slots=True)
class _Judged:
    parts: int = 0
    ruled: int = 0
    unknown: int = 0
    example: str = ""  # of what no rule knows


@dataclass(slots=True)
class Coverage:
    """`book` gives the rules there are, from the rule files that the record names."""

    book: Callable[[Iterable[PolicyFile]], RuleBook]
    _seen: dict[tuple[str, str], _Judged] = field(default_factory=dict)
    _fired: Counter[str] = field(default_factory=Counter)
    _files: dict[tuple[str, str], PolicyFile] = field(default_factory=dict)
    _policy: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("decided", "connected")

    def feed(self, seen: Seen) -> None:
        policy = seen.scene.policy
        if policy is not None and id(policy) != self._policy:
            self._policy = id(policy)
            for file in policy.files:
                if len(self._files) < MOST_KEYS:
                    self._files.setdefault((file.path, file.digest), file)
        if isinstance(seen.event, Connected):
            if seen.event.outcome in BEGINNINGS:
                for named in seen.event.rules:
                    tally(self._fired, named, OTHERS)
            return
        if not isinstance(seen.event, Decided):
            return
        for rule in {match.rule_id for match in seen.event.verdict.matches}:
            tally(self._fired, rule, OTHERS)
        for part in seen.event.verdict.parts:
            judged = self._seen.setdefault(self._key(part), _Judged())
            judged.parts += 1
            judged.unknown += bool(part.unknowns)
            if any(match.enforced for match in part.matches):
                judged.ruled += 1
            else:
                judged.example = judged.example or part.text[:200]

    def spoil(self, spoiled: Spoiled) -> None:
        pass

    def _key(self, part: Part) -> tuple[str, str]:
        key = (part.kind, program_of(part) if part.kind == "command" else "")
        return key if key in self._seen or len(self._seen) < MOST_KEYS else (part.kind, OTHERS)

    def answer(self) -> Report:
        book = self.book(self._files.values())
        order = sorted(self._seen.items(), key=lambda item: (item[1].ruled - item[1].parts, item[0]))
        judged = tuple(
            (kind, program, one.parts, one.ruled, one.parts - one.ruled, one.unknown, one.example)
            for (kind, program), one in order
        )
        parts = sum(one.parts for one in self._seen.values())
        ruled = sum(one.ruled for one in self._seen.values())
        share = f"{100 * ruled / parts:.1f} %" if parts else "nothing was judged, so no share"
        silent = Rows()
        for rule in book.rules:
            if rule.id not in self._fired:
                mode = "" if rule.enforced else "audit"
                where = f"{rule.path}:{rule.line}"
                silent.add(rule.id, rule.decision.word, rule.layer, mode, where, rule.owner, rule.expires)
        known = {rule.id for rule in book.rules}
        fired = tuple(
            (rule, count, "yes" if rule in known else "no")
            for rule, count in sorted(self._fired.items(), key=lambda item: (-item[1], item[0]))
        )
        return Report(
            title="What rules speak about",
            tables=(
                Table(
                    name="judged",
                    columns=(
                        "kind",
                        "program",
                        "judged",
                        "by a rule",
                        "by silence",
                        "not fully read",
                        "for example",
                    ),
                    rows=judged,
                ),
                Table(name="rules that fired", columns=("rule", "verdicts", "in the rule files"), rows=fired),
                Table(
                    name="rules that never fired",
                    columns=("rule", "decision", "layer", "mode", "where", "owner", "expires"),
                    rows=tuple(silent.rows),
                ),
            ),
            notes=(
                f"{ruled} of {parts} parts judged by an enforced rule: {share}",
                f"{len(known & set(self._fired))} of {len(known)} rules in the rule files fired",
                *silent.note("rules that never fired"),
                *(f"not compared: {text}" for text in book.unread),
            ),
        )
