"""Answers one `policy lint`: what is wrong with the rules beside their errors, and safe corrections."""

from __future__ import annotations

import difflib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from execpolicy.bundle.load import PolicySource
from execpolicy.cli.files import Sources, Unreadable, fail, read_text, write_text
from execpolicy.diagnostics import Diagnostic, Severity, render, to_json
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules
from execpolicy.lint.base import Finding, LintFile, Subject
from execpolicy.lint.fix import take_out
from execpolicy.lint.run import CHECKS, Report, check_of, lint

ROUNDS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one call of `policy lint` asks for."""

    rules: tuple[str, ...]
    folder: str
    json: bool
    fix: bool
    ignore: tuple[str, ...]  # codes
    groups: tuple[str, ...]
    today: str | None = None


def answer(wanted: Wanted) -> int:
    """Print what was found. Exit status 1 for an error or a warning, 0 when there are at most notes."""
    try:
        sources = Sources.of(wanted.rules, Path(wanted.folder))
        files, errors = read(sources.sources)
        fixed: list[Finding] = []
        subject = _subject(files, wanted)
        report = lint(subject, leave_out=wanted.ignore)
        if wanted.fix and not errors:
            files, report, fixed = _fix(files, wanted)
    except Unreadable as error:
        return fail(str(error))
    if wanted.json:
        _as_json(files, errors, report, fixed)
    else:
        _as_text(errors, report, fixed, len(files), sum(len(file.rules.rules) for file in files))
    bad = any(error.severity is Severity.ERROR for error in errors)
    return 1 if bad or report.serious else 0


def read(sources: Sequence[PolicySource]) -> tuple[list[LintFile], list[Diagnostic]]:
    """The files and their errors. Raises `Unreadable`."""
    files: list[LintFile] = []
    errors: list[Diagnostic] = []
    for source in sources:
        parsed = _parsed(read_text(Path(source.path)), source)
        files.append(parsed[0])
        errors += parsed[1]
    return files, errors


def _parsed(text: str, source: PolicySource) -> tuple[LintFile, Sequence[Diagnostic]]:
    from execpolicy.source import SourceText

    path = str(source.path)
    parsed = parse_rules(text, path, source.layer)
    return LintFile(SourceText(path, text), source.layer, parsed.file), parsed.diagnostics


def _subject(files: Sequence[LintFile], wanted: Wanted) -> Subject:
    return Subject(
        files=tuple(files),
        policy=Policy.build([(file.layer, file.rules) for file in files]),
        today=wanted.today or time.strftime("%Y-%m-%d"),
        groups=frozenset(wanted.groups) if wanted.groups else None,
    )


def _fix(files: list[LintFile], wanted: Wanted) -> tuple[list[LintFile], Report, list[Finding]]:
    """Taken out in rounds, since a finding may come into sight once another is gone; then the files are written."""
    before = {file.source.path: file.source.text for file in files}
    done: list[Finding] = []
    for _ in range(ROUNDS):
        found = lint(_subject(files, wanted), leave_out=wanted.ignore, many=sys.maxsize).findings
        removable = [finding for finding in found if finding.removable]
        gone: list[Finding] = []
        corrected: list[LintFile] = []
        for file in files:
            mine = [finding for finding in removable if finding.file is file]
            text, taken = take_out(file, mine) if mine else (file.source.text, ())
            source = PolicySource(Path(file.source.path), file.layer)
            corrected.append(_parsed(text, source)[0] if taken else file)
            gone += taken
        files = corrected
        done += gone
        if not gone:
            break
    report = lint(_subject(files, wanted), leave_out=wanted.ignore)
    for file in files:
        old = before[file.source.path]
        if file.source.text != old:
            write_text(Path(file.source.path), file.source.text)
            if not wanted.json:
                _show(file.source.path, old, file.source.text)
    return files, report, done


def _show(path: str, old: str, new: str) -> None:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), path, f"{path} (corrected)"
    )
    sys.stdout.writelines(line if line.endswith("\n") else line + "\n" for line in lines)
    print()


def _as_text(
    errors: Sequence[Diagnostic], report: Report, fixed: Sequence[Finding], files: int, rules: int
) -> None:
    for one in (*errors, *(finding.diagnostic for finding in report.findings)):
        print(render(one) + "\n")
    told = [_count(sum(error.severity is Severity.ERROR for error in errors), "error")]
    told += [_count(report.serious, "warning"), _count(len(report.findings) - report.serious, "note")]
    more = [f"{len(fixed)} corrected"] if fixed else []
    more += [f"{report.ignored} ignored for a reason"] if report.ignored else []
    more += [f"{report.unshown} more not shown"] if report.unshown else []
    found = ", ".join([word for word in told if word] + more) or "nothing found"
    print(f"{found} in {_count(rules, 'rule') or 'no rules'} of {_count(files, 'file') or 'no files'}")
    codes = sorted({finding.code for finding in report.findings})
    if codes:
        print(f"about a check: agent policy lint --explain {codes[0]}")


def _count(number: int, what: str) -> str:
    return "" if not number else f"{number} {what}{'s' if number > 1 else ''}"


def _as_json(
    files: Sequence[LintFile], errors: Sequence[Diagnostic], report: Report, fixed: Sequence[Finding]
) -> None:
    findings = [
        {**to_json(finding.diagnostic), "name": _name(finding.code), "page": page(finding.code)}
        for finding in report.findings
    ]
    answer = {
        "errors": [to_json(error) for error in errors],
        "findings": findings,
        "fixed": [to_json(finding.diagnostic) for finding in fixed],
        "ignored": report.ignored,
        "unshown": report.unshown,
        "files": [file.source.path for file in files],
    }
    print(json.dumps(answer, indent=2))


def _name(code: str) -> str:
    check = check_of(code)
    return "" if check is None else check.name


def page(code: str) -> str:
    """The page of a check in the documentation."""
    return f"docs/reference/checks/{code}-{_name(code)}.md"


def explain(code: str) -> int:
    """Print what a check is about."""
    check = check_of(code)
    if check is None:
        known = ", ".join(f"{one.code} {one.name}" for one in sorted(CHECKS, key=lambda one: one.code))
        print(f"error: there is no check `{code}`; there are {known}", file=sys.stderr)
        return 2
    print(f"{check.code} {check.name}: {check.summary}")
    _, _, more = (sys.modules[type(check).__module__].__doc__ or "").partition("\n\n")
    if more.strip():
        print("\n" + more.strip())
    print(f"\nsee {page(check.code)}")
    return 0
