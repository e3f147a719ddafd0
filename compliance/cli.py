"""`agent audit`: show what was recorded, and check that nobody changed it."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from compliance.chain import Verification
    from compliance.segments import Snapshot

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
    help="Show and check the record of what was decided and done.",
)


class Format(Enum):
    TEXT = "text"
    JSON = "json"


class DecisionWord(Enum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


Folder = Annotated[
    Path | None, typer.Option("--dir", help="Folder of the log.", show_default="$AGENT_HOME/audit")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Text for people, or JSON.")]


def default_folder() -> Path:
    """`AGENT_HOME`/audit, by default `~/.agent/audit`."""
    home = os.environ.get("AGENT_HOME")
    return (Path(home).expanduser() if home else Path.home() / ".agent") / "audit"


@app.command("show")
def show_command(
    session: Annotated[str, typer.Option(help="Of this session; a beginning of its id is enough.")] = "",
    call: Annotated[str, typer.Option(help="Of this tool call.")] = "",
    decision: Annotated[DecisionWord | None, typer.Option(help="Decisions of this kind.")] = None,
    rule: Annotated[str, typer.Option(help="Decisions in which this rule spoke; * and ? match.")] = "",
    program: Annotated[str, typer.Option(help="Decisions about this program.")] = "",
    path: Annotated[str, typer.Option(help="About this file or folder; * and ? match.")] = "",
    since: Annotated[str, typer.Option(help="Not before: ISO 8601, or an age such as 30m, 2h, 3d.")] = "",
    until: Annotated[str, typer.Option(help="Before: as --since.")] = "",
    last: Annotated[int | None, typer.Option(min=1, help="Only the last N that fit.", metavar="N")] = None,
    folder: Folder = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show records, oldest first. Every condition has to hold.

    JSON is JSON Lines: the records exactly as they were sealed.
    """
    from compliance import query
    from compliance.plain import describe
    from compliance.segments import snapshot
    from execpolicy.decision import Decision

    wanted = query.Filter(
        session=session,
        call=call,
        decision=Decision[decision.name] if decision else None,
        rule=rule,
        program=program,
        path=path,
        since=_moment(since, "--since"),
        until=_moment(until, "--until"),
    )
    log = snapshot(folder or default_folder())
    found = query.entries(log, wanted)
    if last is not None:
        found = query.last(found, last)
    shown = bad = 0
    for entry in found:
        if isinstance(entry, query.Unreadable):
            bad += 1
            where = f"{entry.segment}:{entry.number}"
            typer.echo(f"error: {where} is not as it was sealed; run `agent audit verify`", err=True)
        elif format is Format.JSON:
            shown += 1
            typer.echo(entry.line)
        else:
            shown += 1
            typer.echo("\n".join(describe(entry.record.seq, entry.record.time, entry.event)))
    if not shown and not bad:
        empty = "nothing is recorded yet" if not log.bytes else "no record fits"
        typer.echo(f"{empty} in {log.folder}", err=True)
    raise typer.Exit(1 if bad else 0)


def _moment(text: str, option: str) -> str:
    from datetime import UTC, datetime

    from compliance.query import moment

    try:
        return moment(text, datetime.now(UTC)) if text else ""
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is no time: write 2026-01-31, 2026-01-31T12:00, or an age such as 30m, 2h, 3d",
            param_hint=option,
        ) from None


@app.command("verify")
def verify_command(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of logs.", show_default=False)] = None,
    folder: Folder = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Check that no record was edited, dropped, inserted, reordered or cut off.

    Exit status: 0 intact, 1 broken or not readable, 2 wrong usage.
    """
    from compliance.errors import ComplianceError
    from compliance.segments import snapshot

    broken = False
    for one in (*(folders or ()), *([folder] if folder or not folders else ())):
        try:
            log = snapshot(one or default_folder())
            result = _verified(log)
        except ComplianceError as error:
            broken = True
            typer.echo(f"error: {error}\nhelp: {error.help}", err=True)
            continue
        broken = broken or not result.intact
        if format is Format.JSON:
            typer.echo(_as_json(log, result))
        else:
            typer.echo("\n".join(_as_text(log, result)))
    raise typer.Exit(1 if broken else 0)


def _verified(log: Snapshot) -> Verification:
    import sys

    from compliance.segments import verify

    if log.bytes < 32 * 1024 * 1024 or not sys.stderr.isatty():
        return verify(log)
    with typer.progressbar(length=log.bytes, label="checking", file=sys.stderr) as bar:
        return verify(log, lambda done: bar.update(done - bar.pos))


def _as_text(log: Snapshot, result: Verification) -> list[str]:
    from compliance.plain import visible
    from compliance.segments import modes_open_to_others

    records, segments = _count(result.records, "sound record"), _count(len(log.parts), "segment")
    out = [f"{log.folder}: {records}, {segments}, {log.bytes} bytes"]
    if log.head is None:
        out.append("head: missing or unreadable")
    elif result.behind:
        out.append(
            f"head: record {log.head.seq}, {result.behind} behind; the writer ended before it was moved"
        )
    else:
        out.append(f"head: record {log.head.seq}")
    out += [f"gap: {visible(gap)}" for gap in result.gaps]
    out += [f"note: `{name}` can be read or written by others" for name in modes_open_to_others(log)]
    for flaw in result.flaws:
        seq = f"record {flaw.seq}" if flaw.seq else "a line"
        out.append(f"broken: {seq} {flaw.kind.value} at {flaw.segment}:{flaw.line}: {visible(flaw.message)}")
    if result.intact:
        empty = not result.records
        out.append(
            "intact: nothing is recorded yet" if empty else f"intact: 1 to {result.end.seq} are one chain"
        )
    return out


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _as_json(log: Snapshot, result: Verification) -> str:
    import json

    answer: dict[str, Any] = {
        "folder": str(log.folder),
        "intact": result.intact,
        "records": result.records,
        "segments": len(log.parts),
        "bytes": log.bytes,
        "last": {"seq": result.end.seq, "digest": result.end.digest},
        "head": {"seq": log.head.seq, "digest": log.head.digest} if log.head else None,
        "behind": result.behind,
        "gaps": list(result.gaps),
        "flaws": [
            {
                "kind": flaw.kind.value,
                "seq": flaw.seq or None,
                "segment": flaw.segment,
                "line": flaw.line,
                "message": flaw.message,
            }
            for flaw in result.flaws
        ],
    }
    return json.dumps(answer)
