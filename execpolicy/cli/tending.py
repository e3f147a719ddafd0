"""The commands that tend rules: fmt, lint, test, import, facts, schema. Each does one call and ends."""

from __future__ import annotations

from typing import Annotated

import typer

TENDED = "Exit status: 0 nothing to say, 1 something is wrong, 2 wrong usage."

Rules = Annotated[
    list[str] | None,
    typer.Option("--rules", "-r", metavar="FILE", help="A rule file; repeatable. None: the layers in force."),
]
Folder = Annotated[str, typer.Option("--cd", "-C", metavar="FOLDER", help="Whose rules are in force.")]
Form = Annotated[str, typer.Option("--format", metavar="text|json", help="How the answer is written.")]


def add_to(app: typer.Typer) -> None:
    """Put the commands into the tree."""
    app.command("lint", epilog=TENDED)(lint_command)
    app.command("test", epilog=TENDED)(run_tests)
    app.command("fmt", epilog=TENDED, short_help="Write rule files in their canonical form.")(fmt_command)
    app.command("import", epilog=TENDED, short_help="Write the plain rules that a program of rules makes.")(
        import_command
    )
    app.command("facts", epilog=TENDED, short_help="Say what a script can do, without any rules.")(
        facts_command
    )
    app.command("schema", epilog=TENDED)(schema_command)


def _wants_json(form: str) -> bool:
    if form not in ("text", "json"):
        raise typer.BadParameter(f"`{form}` is none of text, json", param_hint="--format")
    return form == "json"


def fmt_command(
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="Rule files.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; show what would change.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin", help="From standard input to standard output.")] = False,
) -> None:
    """Write rule files in their canonical form. Comments and the meaning stay as they are."""
    if bool(files) == stdin:
        raise typer.BadParameter("give rule files, or `--stdin`")
    from execpolicy.cli.fmt import fmt

    raise typer.Exit(fmt(files or [], check=check, stdin=stdin))


def lint_command(
    rules: Rules = None,
    folder: Folder = ".",
    form: Form = "text",
    fix: Annotated[bool, typer.Option("--fix", help="Take out what is shown to be needless.")] = False,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODE", help="A check to leave out; repeatable.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="NAME", help="A group that there is; given once, all must be named."),
    ] = None,
    today: Annotated[
        str | None, typer.Option("--today", metavar="DATE", help="The day to take for today.")
    ] = None,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Say what one check is about.")
    ] = None,
) -> None:
    """Say what is wrong with the rules beside their errors."""
    from execpolicy.cli import linting
    from execpolicy.lint.run import check_of

    if explain is not None:
        raise typer.Exit(linting.explain(explain))
    codes = [code for word in ignore or [] for code in word.split(",")]
    known = {code: check_of(code) for code in codes}
    for code, check in known.items():
        if check is None:
            raise typer.BadParameter(f"there is no check `{code}`", param_hint="--ignore")
    if today is not None and not _is_date(today):
        raise typer.BadParameter(f"`{today}` is no date as 2027-06-30", param_hint="--today")
    wanted = linting.Wanted(
        rules=tuple(rules or ()),
        folder=folder,
        json=_wants_json(form),
        fix=fix,
        ignore=tuple(check.code for check in known.values() if check is not None),
        groups=tuple(group or ()),
        today=today,
    )
    raise typer.Exit(linting.answer(wanted))


def _is_date(text: str) -> bool:
    import datetime

    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def run_tests(
    cases: Annotated[
        list[str] | None, typer.Argument(metavar="[CASES.yaml]...", help="Tables of cases.")
    ] = None,
    rules: Rules = None,
    folder: Folder = ".",
    form: Form = "text",
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write a JUnit XML report as well.")
    ] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="Say which rules no case reached.")] = False,
) -> None:
    """Run the examples in the rules, and tables of cases against them."""
    from execpolicy.cli.testing import Wanted, answer

    wanted = Wanted(
        cases=tuple(cases or ()),
        rules=tuple(rules or ()),
        folder=folder,
        json=_wants_json(form),
        junit=junit,
        coverage=coverage,
    )
    raise typer.Exit(answer(wanted))


def import_command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A program of rules, as Codex reads it.")],
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where the rules go. None: standard output."),
    ] = None,
) -> None:
    """Run a program of rules once, in bounds, and write the plain rules that it makes."""
    from execpolicy.cli.importing import import_file

    raise typer.Exit(import_file(file, output))


def facts_command(
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[--] COMMAND...", help="A program and its words.")
    ] = None,
    script: Annotated[
        str | None, typer.Option("--script", metavar="TEXT", help="A script as bash would read it.")
    ] = None,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="One script a line: a JSON string, or an object with `script`.")
    ] = False,
    folder: Annotated[str, typer.Option("--cd", "-C", metavar="FOLDER", help="Where it would run.")] = ".",
    form: Annotated[
        str, typer.Option("--format", metavar="json", help="How the answer is written.")
    ] = "json",
) -> None:
    """Say what a script can do, without any rules: every command, what it writes, what is not known."""
    if (script is not None) + stdin + bool(words) != 1:
        raise typer.BadParameter("give one of `--script`, `--stdin` and a command behind `--`")
    if form != "json":
        raise typer.BadParameter(f"`{form}` is not json", param_hint="--format")
    from execpolicy.cli.facts import facts, facts_of_lines

    if stdin:
        raise typer.Exit(facts_of_lines(folder))
    raise typer.Exit(facts(script=script, words=tuple(words or ()), folder=folder))


def schema_command(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Which schema. None: list them.")
    ] = None,
) -> None:
    """Print the JSON Schema of an answer."""
    from execpolicy.cli import facts

    if name is None:
        raise typer.Exit(facts.names())
    if name not in facts.SCHEMAS:
        raise typer.BadParameter(f"`{name}` is none of {', '.join(facts.SCHEMAS)}", param_hint="NAME")
    raise typer.Exit(facts.schema(name))
