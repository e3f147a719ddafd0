"""`# lint: ignore L003 because ...`: a comment that takes a finding back, with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from execpolicy.decision import Origin
from execpolicy.diagnostics import Severity
from execpolicy.lang.scanner import Scanner
from execpolicy.lint.base import Finding, LintFile, Subject
from execpolicy.source import Span

MENTION: Final = re.compile(r"#[ \t]*lint[ \t]*:")
IGNORE: Final = re.compile(
    r"#[ \t]*lint[ \t]*:[ \t]*(?P<what>ignore-file|ignore)[ \t]+(?P<codes>L[0-9]{3}(?:[ \t]*,[ \t]*L[0-9]{3})*)"
    r"(?:[ \t]+because[ \t]+(?P<reason>\S.*))?[ \t]*"
)
CODES: Final = frozenset(f"L{number:03}" for number in range(13))
FORM: Final = "write `# lint: ignore L003 because ...`"


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment. `start` and `end` bound the declaration that it is about; a whole file has no end."""

    codes: tuple[str, ...]
    span: Span
    start: int
    end: int
    whole: bool


@dataclass(frozen=True)
class _FileIgnores:
    file: LintFile

    @cached_property
    def read(self) -> tuple[tuple[Ignore, ...], tuple[tuple[Span, str], ...]]:
        """The comments that are well-formed, and what is wrong with the others."""
        source = self.file.source
        if MENTION.search(source.text) is None:
            return (), ()
        scanner = Scanner(source)
        statements = [Span(chunk.start, chunk.end) for chunk in scanner.chunks()]
        good: list[Ignore] = []
        bad: list[tuple[Span, str]] = []
        for comment in scanner.comments:
            if MENTION.match(comment.text) is None:
                continue
            found = IGNORE.fullmatch(comment.text)
            if found is None:
                bad.append((comment.span, "this comment is not understood"))
                continue
            codes = tuple(re.findall(r"L[0-9]{3}", found["codes"]))
            unknown = [code for code in codes if code not in CODES]
            if unknown:
                bad.append((comment.span, f"there is no check `{unknown[0]}`"))
            elif found["reason"] is None:
                bad.append((comment.span, "a finding is ignored for a reason only"))
            elif found["what"] == "ignore-file":
                good.append(Ignore(codes, comment.span, 0, len(source.text), True))
            else:
                about = _about(comment.span, comment.own_line, statements, source.text)
                if about is None:
                    bad.append((comment.span, "no declaration stands here"))
                else:
                    good.append(Ignore(codes, comment.span, about.start, about.end, False))
        return tuple(good), tuple(bad)


def _about(place: Span, own_line: bool, statements: Sequence[Span], text: str) -> Span | None:
    """The declaration around a comment, before it on its line, or next behind it."""
    for statement in statements:
        if statement.start < place.start < statement.end:
            return statement
        if not own_line and statement.end <= place.start and "\n" not in text[statement.end : place.start]:
            return statement
        if own_line and statement.start >= place.end:
            return statement
    return None


class Ignores:
    """The comments of all files, and which of them were of use."""

    def __init__(self, files: Sequence[LintFile]) -> None:
        self._files = {id(file): _FileIgnores(file) for file in files}
        self._used: set[tuple[int, int]] = set()

    def covers(self, finding: Finding) -> bool:
        """Whether a comment takes `finding` back."""
        if finding.code == BadIgnore.code:
            return False
        good, _ = self._files[id(finding.file)].read
        if not good:
            return False
        at = finding.file.source.offset(finding.origin.line, finding.origin.column)
        hit = False
        for ignore in good:
            if finding.code in ignore.codes and (ignore.whole or ignore.start <= at < ignore.end):
                self._used.add((id(finding.file), ignore.span.start))
                hit = True
        return hit

    def unused(self, ran: set[str]) -> Iterator[Finding]:
        """Comments that took nothing back, of checks that were run."""
        for key, ignores in self._files.items():
            for ignore in ignores.read[0]:
                if (key, ignore.span.start) not in self._used and set(ignore.codes) <= ran:
                    yield _finding(
                        ignores.file,
                        ignore.span,
                        f"nothing here is found by {', '.join(ignore.codes)}",
                        Severity.NOTE,
                        "take the comment out",
                    )


class BadIgnore:
    """L000: a `lint:` comment that is not understood, gives no reason, or is of no use."""

    code = "L000"
    name = "ignore"
    summary = "a `lint: ignore` comment without a reason, or of no use"

    def run(self, subject: Subject) -> Iterator[Finding]:
        for file in subject.files:
            for span, message in _FileIgnores(file).read[1]:
                yield _finding(file, span, message, Severity.WARNING, FORM)


def _finding(file: LintFile, span: Span, message: str, severity: Severity, help_: str) -> Finding:
    line, column = file.source.position(span.start)
    return Finding(
        code=BadIgnore.code,
        severity=severity,
        message=message,
        file=file,
        origin=Origin(file.layer, file.source.path, line, column),
        place=span,
        help=help_,
    )
