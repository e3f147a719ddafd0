"""`agent approvals`: what is allowed for longer, and taking it back."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.allow import allow
from agent.cli.options import Folder
from agent.cli.width import settings_of_help

if TYPE_CHECKING:
    from agent.approvals.store import ApprovalFile, Kept
    from agent.config.model import Settings

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings=settings_of_help(),
    help="What is allowed for longer by a yes.",
)


class Form(enum.StrEnum):
    TEXT = "text"
    JSON = "json"


FormOption = Annotated[Form, typer.Option("--format", metavar="FORM", help="text (default) or json.")]
Id = Annotated[
    str | None,
    typer.Argument(metavar="ID", help="The approval: its id, or a start of it that is the only one."),
]
All = Annotated[bool, typer.Option("--all", help="Every approval that counts here.")]
Expired = Annotated[bool, typer.Option("--expired", help="Those whose last day is over.")]


@app.callback()
def approvals() -> None:
    """What is allowed for longer by a yes."""


@app.command("list", context_settings=settings_of_help())
def list_approvals(form: FormOption = Form.TEXT, cd: Folder = None) -> int:
    """List the approvals that count here: for the user, and for a trusted project."""
    import json as encoder
    from datetime import date

    settings, found, broken = _found(cd)
    used = _used(settings)
    today = date.today().isoformat()
    rows = [_row(file, kept, used, today) for file, kept in found]
    if form is Form.JSON:
        typer.echo(encoder.dumps({"schema": 1, "approvals": rows, "broken": list(broken)}, indent=2))
    else:
        for row in rows:
            over = " (over)" if row["expired"] else ""
            typer.echo(
                f"{row['id']}  {row['scope']}  until {row['expires'] or 'revoked'}{over}  "
                f"{_age(row['age_days'])}  used {row['used']}x  {row['allows']}"
            )
        if not rows:
            typer.echo("nothing is approved for longer")
    _tell(broken)
    return 1 if broken else 0


app.command("allow", context_settings={**settings_of_help(), "allow_interspersed_args": False})(allow)


@app.command("show", context_settings=settings_of_help())
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="The approval: its id, or a start of it.")],
    cd: Folder = None,
) -> None:
    """Show one approval: who gave it, when, for what, and the rule that it is."""
    _, found, broken = _found(cd)
    for file, kept in _named(found, id):
        typer.echo(f"{file.path}:{kept.rule.meta.origin.line} ({file.layer.word})")
        for comment in kept.comments:
            typer.echo(f"# {comment}")
        typer.echo(kept.text)
    _tell(broken)


@app.command("revoke", context_settings=settings_of_help())
def revoke(id: Id = None, all: All = False, expired: Expired = False, cd: Folder = None) -> int:
    """Take approvals back, at once and for running sessions too."""
    from datetime import date

    from agent.errors import ApprovalError, UsageError

    if [id is not None, all, expired].count(True) != 1:
        raise UsageError(
            "one of ID, `--all` and `--expired` is wanted", "`agent approvals list` shows the ids"
        )
    settings, found, broken = _found(cd)
    today = date.today().isoformat()
    if id is not None:
        chosen = _named(found, id)
    else:
        chosen = [(file, kept) for file, kept in found if all or _over(kept, today)]
    gone: list[tuple[ApprovalFile, Kept]] = []
    failed: list[ApprovalError] = []
    for file in dict.fromkeys(file for file, _ in chosen):
        ids = [kept.id for one, kept in chosen if one == file]
        try:
            gone += [(file, kept) for kept in file.revoke(ids)]
        except ApprovalError as error:  # the other file's are taken back and recorded all the same
            failed.append(error)
    for file, kept in gone:
        typer.echo(f"taken back: {kept.id} ({file.layer.word}): {_allows(kept)}")
    if not gone and not failed:
        typer.echo("nothing to take back")
    _record(settings, gone)
    if failed:
        raise failed[0]
    _tell(broken)
    return 1 if broken else 0


# --- what the commands share ----------------------------------------------------------------------


def _found(
    cd: str | None,
) -> tuple[Settings, list[tuple[ApprovalFile, Kept]], tuple[str, ...]]:
    """The approvals that count here, and what is wrong with their files."""
    from agent.app.approvals import files_of
    from agent.cli.options import Shared

    settings = Shared(cd=cd).settings(interactive=True)
    found: list[tuple[ApprovalFile, Kept]] = []
    broken = []
    for file in files_of(settings):
        contents = file.read()
        found += [(file, kept) for kept in contents.kept]
        if contents.broken:
            broken.append(f"`{file.path}` is broken, so what it allows does not count: {contents.broken}")
    return settings, found, tuple(broken)


def _named(found: list[tuple[ApprovalFile, Kept]], id: str) -> list[tuple[ApprovalFile, Kept]]:
    """The approvals of that id: a project may give a rule of its own the id of another file's."""
    from agent.errors import ApprovalError

    exact = [one for one in found if one[1].id == id]
    near = exact or [
        one for one in found if one[1].id.startswith(id) or one[1].id.partition(".")[2].startswith(id)
    ]
    if len({kept.id for _, kept in near}) != 1:
        many = f"`{id}` is the start of {len(near)} approvals" if near else f"there is no approval `{id}`"
        raise ApprovalError(many, "`agent approvals list` shows the ids")
    return near


def _row(file: ApprovalFile, kept: Kept, used: Mapping[str, int], today: str) -> dict[str, object]:
    return {
        "id": kept.id,
        "scope": file.layer.word,
        "allows": _allows(kept),
        "expires": kept.expires,
        "expired": _over(kept, today),
        "given": kept.given,
        "age_days": _days(kept.given, today),
        "used": used.get(kept.id, 0),
        "by_hand": not kept.made,
        "rule": " ".join(kept.text.split()),
        "path": str(file.path),
        "line": kept.rule.meta.origin.line,
    }


def _allows(kept: Kept) -> str:
    """In one line."""
    from agent.protocol.plain import one_line
    from execpolicy.engine.trace import pattern_of
    from execpolicy.lang.rules import CommandRule, End, PrefixRule

    rule = kept.rule
    if isinstance(rule, PrefixRule | CommandRule):
        closed = isinstance(rule, PrefixRule) and isinstance(rule.pattern[-1], End)
        return one_line(f"`{pattern_of(rule)}`{'' if closed else ' ...'}")
    return one_line(" ".join(kept.text.split()))


def _over(kept: Kept, today: str) -> bool:
    return bool(kept.expires) and kept.expires < today


def _days(given: str, today: str) -> int | None:
    from datetime import date

    try:
        return (date.fromisoformat(today) - date.fromisoformat(given[:10])).days
    except ValueError:
        return None


def _age(days: object) -> str:
    return "of unknown age" if days is None else f"{days} days old"


def _used(settings: Settings) -> Mapping[str, int]:
    """How often the record says that each spoke; nothing where there is no record."""
    from collections import Counter

    from agent.approvals.written import PREFIX
    from compliance.errors import RecordError
    from compliance.events import Decided
    from compliance.query import Entry, Filter, entries
    from compliance.segments import snapshot

    used: Counter[str] = Counter()
    try:
        for entry in entries(snapshot(settings.audit), Filter(rule=f"{PREFIX}*")):
            if isinstance(entry, Entry) and isinstance(entry.event, Decided):
                used.update({match.rule_id for match in entry.event.verdict.matches if match.enforced})
    except (RecordError, OSError):
        return used
    return used


def _record(settings: Settings, gone: list[tuple[ApprovalFile, Kept]]) -> None:
    """What was taken back stays so, also where it cannot be recorded; then that is an error."""
    import getpass
    import os

    from agent.errors import ApprovalError
    from compliance.errors import AuditError
    from compliance.events import Revoked
    from compliance.log import AuditLog
    from compliance.redact import Redactor
    from compliance.secrets import secret_values

    if not gone:
        return
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    try:
        log = AuditLog(settings.audit)
        clean = Redactor(sorted({*secret_values(os.environ), *settings.secrets}))
        try:
            for file, kept in gone:
                event = Revoked("", kept.id, file.layer.word, str(file.path), user, kept.text)
                log.record(clean.event(event))
        finally:
            log.close()
    except AuditError as error:
        raise ApprovalError(
            f"it was taken back, but this could not be recorded: {error}", error.help
        ) from error


def _tell(broken: tuple[str, ...]) -> None:
    for one in broken:
        typer.echo(f"warning: {one}", err=True)
