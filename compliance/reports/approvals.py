"""Who answered what was asked, under which rule, how long it took, and how far the answer reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from compliance.events import Approved, Decided, Overridden, Reply, Revoked
from compliance.reading import Seen, Spoiled
from compliance.reports.base import MOST_KEYS, OTHERS, SILENCE, Recent, Report, Rows, Table
from execpolicy.decision import Decision

NOT_HERE = "(not in the period)"
HOST = "(for a host)"  # a command that ran already wanted to connect


@dataclass(slots=True)
class _Answers:
    count: int = 0
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class Approvals:
    _open: Recent[tuple[str, str], tuple[str, str]] = field(default_factory=Recent)  # rule, subject
    _judged: Recent[tuple[str, str], None] = field(default_factory=Recent)
    _answers: dict[tuple[str, str, str], _Answers] = field(default_factory=dict)
    _single: Rows = field(default_factory=Rows)
    _opened: Rows = field(default_factory=Rows)
    _taken: Rows = field(default_factory=Rows)
    _unanswered: int = 0

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("decided", "approved", "overridden", "revoked")

    def feed(self, seen: Seen) -> None:
        match seen.event:
            case Decided(session=session, call=call, verdict=verdict) as event:
                self._judged.put((session, call), None)
                if verdict.decision is Decision.ASK:
                    rule = verdict.deciding
                    asked = (rule.rule_id if rule else SILENCE, event.subject[:200])
                    self._unanswered += self._open.put((session, call), asked) is not None
            case Approved():
                self._answered(seen, seen.event)
            case Overridden() as event:
                self._opened.add(
                    seen.record.seq,
                    seen.record.time,
                    event.rule,
                    event.approved_by,
                    event.until,
                    event.ticket,
                )
            case Revoked() as event:
                self._taken.add(
                    seen.record.seq, seen.record.time, event.rule, event.scope, event.by, event.path
                )
            case _:
                pass

    def spoil(self, spoiled: Spoiled) -> None:
        pass

    def _answered(self, seen: Seen, event: Approved) -> None:
        call = (event.session, event.call)
        otherwise = (HOST, event.message[:200]) if call in self._judged else (NOT_HERE, "")
        rule, subject = self._open.pop(call, otherwise)
        key = (rule, event.answer.value, event.approver or "nobody")
        if key not in self._answers and len(self._answers) >= MOST_KEYS:
            key = (OTHERS, event.answer.value, OTHERS)
        found = self._answers.setdefault(key, _Answers())
        found.count += 1
        found.seconds += event.seconds
        found.longest = max(found.longest, event.seconds)
        started = seen.scene.started
        self._single.add(
            seen.record.seq,
            seen.record.time,
            started.user if started else "",
            rule,
            subject,
            event.answer.value,
            event.approver or "nobody",
            f"{event.seconds:.1f}",
            event.scope or ("session" if event.answer is Reply.SESSION else "once"),
            event.until,
        )

    def answer(self) -> Report:
        rows = tuple(
            (*key, found.count, f"{found.seconds / found.count:.1f}", f"{found.longest:.1f}")
            for key, found in sorted(self._answers.items())
        )
        without = self._unanswered + len(self._open)
        return Report(
            title="Who answered what was asked",
            tables=(
                Table(
                    name="by rule",
                    columns=("rule", "answer", "approver", "answers", "mean seconds", "longest"),
                    rows=rows,
                ),
                Table(
                    name="each answer",
                    columns=(
                        "record",
                        "time",
                        "user",
                        "rule",
                        "subject",
                        "answer",
                        "approver",
                        "seconds",
                        "reach",
                        "last day",
                    ),
                    rows=tuple(self._single.rows),
                ),
                Table(
                    name="calls that an exception opened",
                    columns=("record", "time", "rule", "approved by", "until", "ticket"),
                    rows=tuple(self._opened.rows),
                ),
                Table(
                    name="lasting answers that were taken back",
                    columns=("record", "time", "rule", "reach", "by", "file"),
                    rows=tuple(self._taken.rows),
                ),
            ),
            notes=(
                f"{sum(found.count for found in self._answers.values())} answers",
                f"{without} asks without an answer in the record",
                *self._single.note("answers"),
                *self._opened.note("opened calls"),
                *self._taken.note("answers that were taken back"),
            ),
        )
