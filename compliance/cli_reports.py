"""`agent audit report`: answer one question over the records of one machine or many."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from compliance.cli_options import Logs, RuleFiles, Since, Until, default_folder, moment_of, rule_sources

if TYPE_CHECKING:
    from compliance.events import PolicyFile
    from compliance.reading import Wanted
    from compliance.reports.base import Report
    from compliance.rulebook import RuleBook


class ReportName(Enum):
    DECISIONS = "decisions"
    APPROVALS = "approvals"
    RULES = "rules"
    COVERAGE = "coverage"
    DRIFT = "drift"
    GAPS = "gaps"


class ReportForm(Enum):
    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def report_command(
    name: Annotated[ReportName, typer.Argument(help="Which question.", show_default=False)],
    logs: Logs = None,
    since: Since = "",
    until: Until = "",
    session: Annotated[str, typer.Option(help="Of this session; a beginning of its id is enough.")] = "",
    user: Annotated[str, typer.Option(help="Of sessions of this user.")] = "",
    host: Annotated[str, typer.Option("--host", "--machine", help="Of sessions on this machine.")] = "",
    rule: Annotated[str, typer.Option(help="About calls in which this rule spoke; * and ? match.")] = "",
    rules: RuleFiles = None,
    profile: Annotated[str, typer.Option(help="Compare with the rules of this shipped profile.")] = "",
    wanted: Annotated[
        str,
        typer.Option(
            metavar="DIGEST|PATH",
            help="What machines ought to have: a digest, a folder of rule files, a list of digests.",
        ),
    ] = "",
    form: Annotated[ReportForm, typer.Option("--format", help="How it is written.")] = ReportForm.TEXT,
) -> None:
    """Answer one question over the record.

    decisions: what was decided. approvals: who answered what was asked. rules: which rules spoke. coverage:
    which rules fired, which never did, what no rule knows. drift: which machines run other rules than they
    ought to, and what changed. gaps: what is not in the record.

    Exit status 1 when a line is not as it was sealed.
    """
    from compliance.reading import Spoiled, find_logs, read
    from compliance.reports.questions import Beside, question
    from compliance.reports.wanted import read_wanted
    from compliance.rulebook import of_record, of_sources
    from compliance.soundness import assess

    found = find_logs(logs or [default_folder()])
    sources = rule_sources(rules or [], profile)

    def book(recorded: Iterable[PolicyFile]) -> RuleBook:
        return of_sources(sources) if sources else of_record(recorded)

    beside = Beside(
        book=book,
        wanted=read_wanted(wanted) if wanted else None,
        sound=[assess(log) for log in found] if name is ReportName.GAPS else (),
    )
    asked = question(name.value, beside)
    bad = 0
    for seen in read(found, _wanted(since, until, session, user, host, rule, asked.kinds)):
        if isinstance(seen, Spoiled):
            bad += 1
            asked.spoil(seen)
            if bad <= 20:
                typer.echo(f"error: {seen.segment}:{seen.number} is not as it was sealed", err=True)
        else:
            asked.feed(seen)
    if bad > 20:
        typer.echo(f"error: and {bad - 20} more lines; run `agent audit verify`", err=True)
    _print(asked.answer(), form)
    raise typer.Exit(1 if bad else 0)


def _print(report: Report, form: ReportForm) -> None:
    from compliance.reports.render import Form, render, rich_text

    if form is ReportForm.TEXT and sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False, markup=False, emoji=False)
        for one in rich_text(report):
            console.print(one)
    else:
        typer.echo(render(report, Form(form.value)).encode("utf-8", "replace"))


def _wanted(
    since: str, until: str, session: str, user: str, host: str, rule: str, kinds: tuple[str, ...]
) -> Wanted:
    from compliance.reading import Wanted

    return Wanted(
        since=moment_of(since, "--from"),
        until=moment_of(until, "--to"),
        session=session,
        user=user,
        host=host,
        rule=rule,
        kinds=kinds,
    )
