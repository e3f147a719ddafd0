"""How often each rule spoke, decided, and would have decided were it enforced."""

from __future__ import annotations

from dataclasses import dataclass, field

from compliance.events import BEGINNINGS, Connected, Decided
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, OTHERS, Report, Table
from execpolicy.decision import RuleMatch

HOSTS = "(about a host)"


@dataclass(slots=True)
class _Use:
    spoke: int = 0
    decided: int = 0
    observed: int = 0  # in audit mode: told, not enforced
    stricter: int = 0  # of these, where the verdict would have been stricter
    opened: int = 0  # by an exception
    last: str = ""
    owner: str = ""
    controls: tuple[str, ...] = ()


@dataclass(slots=True)
class Rules:
    _uses: dict[tuple[str, str, str, str], _Use] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("decided", "connected")

    def feed(self, seen: Seen) -> None:
        event = seen.event
        if isinstance(event, Connected):
            self._connected(event, seen.record.time)
        if not isinstance(event, Decided):
            return
        verdict = event.verdict
        deciding = verdict.deciding
        counted: set[tuple[str, str, str, str]] = set()
        for match in verdict.matches:
            key = self._key(match)
            if key in counted:  # once a verdict, however many parts it spoke about
                continue
            counted.add(key)
            use = self._uses.setdefault(key, _Use())
            use.spoke += 1
            use.last = max(use.last, seen.record.time)
            use.decided += match is deciding
            use.opened += match.opened is not None
            use.owner = match.owner or use.owner
            use.controls = match.controls or use.controls
            if not match.enforced:
                use.observed += 1
                use.stricter += match.decision > verdict.decision

    def spoil(self, spoiled: Spoiled) -> None:
        pass

    def _connected(self, event: Connected, time: str) -> None:
        """The record names these rules by their ids only."""
        if event.outcome not in BEGINNINGS:
            return
        for id in event.rules:
            key = (id, event.decision, "", HOSTS)
            if key not in self._uses and len(self._uses) >= MOST_KEYS:
                key = (OTHERS, event.decision, "", "")
            use = self._uses.setdefault(key, _Use())
            use.spoke += event.count
            use.decided += event.count
            use.last = max(use.last, time)

    def _key(self, match: RuleMatch) -> tuple[str, str, str, str]:
        key = (match.rule_id, match.decision.word, match.origin.layer.word, str(match.origin))
        if key not in self._uses and len(self._uses) >= MOST_KEYS:
            return (OTHERS, match.decision.word, "", "")
        return key

    def answer(self) -> Report:
        rows = tuple(
            (
                *key,
                use.spoke,
                use.decided,
                use.observed,
                use.stricter,
                use.opened,
                use.last,
                use.owner,
                " ".join(use.controls),
            )
            for key, use in sorted(self._uses.items(), key=lambda item: (-item[1].spoke, item[0]))
        )
        columns = (
            "rule",
            "decision",
            "layer",
            "where",
            "spoke",
            "decided",
            "in audit mode",
            "would be stricter",
            "opened",
            "last",
            "owner",
            "controls",
        )
        return Report(
            title="Which rules spoke",
            tables=(Table(name="rules", columns=columns, rows=rows),),
            notes=("a rule that never spoke is in no verdict: `coverage` compares with rule files",),
        )
