"""The policy commands as Typer has them: each one reads its words, does one call and ends."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from execpolicy.cli.tending import add_to

app = typer.Typer(
    name="policy",
    help="Ask, test and tend the rules.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
)

WORDS = {"allow_interspersed_args": False, "ignore_unknown_options": False}

Rules = Annotated[
    list[str] | None,
    typer.Option("--rules", "-r", metavar="FILE", help="A rule file; repeatable. None: the layers in force."),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME", help="The rules of a shipped profile; repeatable."),
]
Folder = Annotated[
    str, typer.Option("--cd", "--cwd", "-C", metavar="FOLDER", help="Where the command would run.")
]
Form = Annotated[str, typer.Option("--format", metavar="text|json|codex", help="How the answer is written.")]
Script = Annotated[
    str | None, typer.Option("--script", metavar="TEXT", help="A script as bash would read it.")
]
Facts = Annotated[
    list[str] | None,
    typer.Option(
        "--fact", metavar="NAME=VALUE", help="A fact that holds instead of the machine's; repeatable."
    ),
]
Stdin = Annotated[
    bool,
    typer.Option(
        "--stdin", help="One question a line: scripts, or JSON objects when the input starts with `{`."
    ),
]
Words = Annotated[
    list[str] | None, typer.Argument(metavar="[--] COMMAND...", help="A program and its words.")
]

EPILOG = "Exit status: 0 allow, 10 ask, 11 deny, 1 a bad rule file, 2 wrong usage (codex: 0 whatever the decision)."


class CheckCommand(typer.core.TyperCommand):
    """`check`, whose words belong to another dialect when `--format codex` is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from execpolicy.cli.asked import codex_words

        words = codex_words(args)
        if words is not None:
            from execpolicy.cli.check import check_as_codex

            ctx.exit(check_as_codex(words))
        return super().parse_args(ctx, args)


@app.callback()
def policy() -> None:
    """Ask, test and tend the rules."""


@app.command(
    "check",
    cls=CheckCommand,
    context_settings=WORDS,
    epilog=EPILOG,
    short_help="Say what the rules decide about a command.",
)
def check_command(
    context: typer.Context,
    words: Words = None,
    rules: Rules = None,
    profiles: Profiles = None,
    folder: Folder = ".",
    form: Form = "text",
    script: Script = None,
    stdin: Stdin = False,
    facts: Facts = None,
) -> None:
    """Say what the rules decide about a command. One word that is no program's name is read as a script."""
    from execpolicy.cli.check import answer
    from execpolicy.cli.place import no_settings

    asked = _asked(words, rules, profiles, folder, form, script, stdin, facts)
    raise typer.Exit(answer(asked, context.obj or no_settings))


@app.command(
    "explain",
    context_settings=WORDS,
    epilog=EPILOG,
    short_help="Say also why other rules did not speak.",
)
def explain_command(
    context: typer.Context,
    words: Words = None,
    rules: Rules = None,
    profiles: Profiles = None,
    folder: Folder = ".",
    form: Form = "text",
    script: Script = None,
    facts: Facts = None,
) -> None:
    """Say what the rules decide about a command, and why other rules did not speak."""
    from execpolicy.cli.explain import explain
    from execpolicy.cli.place import no_settings

    asked = _asked(words, rules, profiles, folder, form, script, False, facts)
    raise typer.Exit(explain(asked, context.obj or no_settings))


add_to(app)


def _asked(
    words: list[str] | None,
    rules: list[str] | None,
    profiles: list[str] | None,
    folder: str,
    form: str,
    script: str | None,
    stdin: bool,
    facts: list[str] | None,
) -> Any:
    from execpolicy.cli.asked import Asked, Format

    if form not in ("text", "json"):
        raise typer.BadParameter(f"`{form}` is none of text, json, codex", param_hint="--format")
    asked = Asked(
        rules=tuple(rules or ()),
        profiles=tuple(profiles or ()),
        folder=folder,
        format=Format(form),
        script=script,
        stdin=stdin,
        facts=tuple(facts or ()),
        words=tuple(words or ()),
    )
    if asked.wrong is not None:
        raise typer.BadParameter(asked.wrong)
    return asked
