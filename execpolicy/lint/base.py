"""What a check is, what it looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from execpolicy.decision import Layer, Origin
from execpolicy.diagnostics import Diagnostic, Severity
from execpolicy.engine.policy import Policy
from execpolicy.lang import syntax
from execpolicy.lang.rules import Rule, RuleFile
from execpolicy.lang.scanner import Scanner
from execpolicy.source import SourceText, Span


@dataclass(frozen=True)
class LintFile:
    """One rule file: its text and what was read in it. A statement is parsed only when it is asked for."""

    source: SourceText
    layer: Layer
    rules: RuleFile

    def statement(self, origin: Origin) -> Span:
        """Where the declaration that stands at `origin` begins and ends."""
        chunk, _ = Scanner(self.source).statement(self.source.offset(origin.line, origin.column))
        return Span(chunk.start, chunk.end)

    def call(self, origin: Origin) -> syntax.Call | None:
        """The syntax of the declaration that stands at `origin`."""
        from execpolicy.lang.parser import parse_statement  # late: a file without findings needs no parser

        chunk, _ = Scanner(self.source).statement(self.source.offset(origin.line, origin.column))
        statement, _ = parse_statement(chunk, self.source)
        if isinstance(statement, syntax.Expression) and isinstance(statement.value, syntax.Call):
            return statement.value
        return None

    def span(self, origin: Origin, key: str = "", place: int = 0) -> Span:
        """The value of `key` (also when it is given without its name, at `place`), else the head of the declaration."""
        call = self.call(origin)
        if call is None:
            start = self.source.offset(origin.line, origin.column)
            return Span(start, start + 1)
        for index, argument in enumerate(call.arguments):
            named = argument.name.id if argument.name is not None else ""
            if key and (named == key or (not named and index == place)):
                return argument.value.span
        return call.function.span


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A whole policy under review. `today` and `groups` are None when they are not known."""

    files: tuple[LintFile, ...]
    policy: Policy
    today: str | None = None  # ISO date
    groups: frozenset[str] | None = None  # every group that there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check found. `removable`: without the declaration the policy decides the same."""

    code: str
    severity: Severity
    message: str
    file: LintFile
    origin: Origin  # of the declaration
    key: str = ""  # whose value it is about; none: the head of the declaration
    place: Span | None = None  # where it is about no declaration
    label: str = ""
    help: str = ""
    removable: bool = False

    @property
    def span(self) -> Span:
        """Worked out when it is asked for: of many findings only some are shown."""
        return self.file.span(self.origin, self.key) if self.place is None else self.place

    @property
    def diagnostic(self) -> Diagnostic:
        return Diagnostic(
            code=self.code,
            message=self.message,
            source=self.file.source,
            span=self.span,
            severity=self.severity,
            label=self.label,
            help=self.help,
        )


class Check(Protocol):
    """One question about a policy."""

    @property
    def code(self) -> str: ...

    @property
    def name(self) -> str:
        """The page of the check is `docs/reference/checks/CODE-NAME.md`."""
        ...

    @property
    def summary(self) -> str:
        """One line, for lists."""
        ...

    def run(self, subject: Subject) -> Iterator[Finding]: ...


@dataclass(frozen=True)
class Numbered:
    """The rules of a policy by number, with the file of each."""

    subject: Subject

    @cached_property
    def _files(self) -> list[LintFile]:
        ordered = sorted(self.subject.files, key=lambda file: file.layer)
        return [file for file in ordered for _ in file.rules.rules]

    def file(self, number: int) -> LintFile:
        return self._files[number]

    def __iter__(self) -> Iterator[tuple[int, Rule, LintFile]]:
        rules: Sequence[Rule] = self.subject.policy.rules
        return zip(range(len(rules)), rules, self._files, strict=True)
