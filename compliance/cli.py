"""`agent audit`: show what was recorded, and check that nobody changed it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from os.path import isfile  # False also for a text that no path can be
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compliance.cli_evidence import app as evidence_app
from compliance.cli_options import Folder, Since, Until, default_folder, moment_of
from compliance.cli_reports import report_command
from compliance.cli_ship import ship_command
from compliance.cli_witness import app as witness_app

if TYPE_CHECKING:
    from compliance.chain import Verification
    from compliance.note import Verifier
    from compliance.segments import Snapshot

FOLLOW_SECONDS = 0.25
MOST_CHECKPOINTS = 2  # that are told one by one
MOST_PROOF = 16 * 1024 * 1024  # bytes; a record has 4 MiB at most
# As they are met: looking, proving, answering an auditor, feeding other systems, keys.
ORDER = (
    "show",
    "verify",
    "report",
    "checkpoint",
    "prove",
    "check-proof",
    "witness",
    "evidence",
    "export",
    "ship",
    "rotate-key",
)


class InOrder(typer.core.TyperGroup):
    """The commands in the order in which they are met, not in that of the files they stand in."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=InOrder,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
    help="Show and check the record of what was decided and done.",
)


app.add_typer(witness_app, name="witness")
app.add_typer(evidence_app, name="evidence")
app.command("report", short_help="Answer one question over the record.")(report_command)
app.command("ship", short_help="Send a collector what it does not have yet.")(ship_command)


class Format(Enum):
    TEXT = "text"
    JSON = "json"


class ExportFormat(Enum):
    JSONL = "jsonl"
    CSV = "csv"
    OCSF = "ocsf"
    ECS = "ecs"
    CEF = "cef"
    OTLP = "otlp"


class DecisionWord(Enum):
    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


KeyOption = Annotated[
    str,
    typer.Option("--key", help="Key to trust: a file such as device.vkey, or its text.", show_default=False),
]
FormatOption = Annotated[Format, typer.Option("--format", help="Text for people, or JSON.")]


@app.command("show", short_help="Show records, oldest first.")
def show_command(
    session: Annotated[str, typer.Option(help="Of this session; a beginning of its id is enough.")] = "",
    call: Annotated[str, typer.Option(help="Of this tool call.")] = "",
    decision: Annotated[DecisionWord | None, typer.Option(help="Decisions of this kind.")] = None,
    rule: Annotated[str, typer.Option(help="Decisions in which this rule spoke; * and ? match.")] = "",
    program: Annotated[str, typer.Option(help="Decisions about this program.")] = "",
    path: Annotated[str, typer.Option(help="About this file or folder; * and ? match.")] = "",
    host: Annotated[str, typer.Option(help="About this host of the network; * and ? match.")] = "",
    kind: Annotated[str, typer.Option(help="Of this kind: decided, approved, ran, gap, ...")] = "",
    user: Annotated[str, typer.Option(help="Of sessions that this user started.")] = "",
    machine: Annotated[str, typer.Option(help="Of sessions on this machine; * and ? match.")] = "",
    since: Since = "",
    until: Until = "",
    last: Annotated[int | None, typer.Option(min=1, help="Only the last N that fit.", metavar="N")] = None,
    on: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on.")
    ] = False,
    folder: Folder = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show records, oldest first. Every condition has to hold.

    JSON is JSON Lines: the records exactly as they were sealed.
    """
    import time
    from itertools import chain

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
        host=host,
        kind=_kind(kind),
        user=user,
        machine=machine,
        since=moment_of(since, "--from"),
        until=moment_of(until, "--to"),
    )
    log = snapshot(folder or default_folder())
    place = query.Place()
    found = query.entries(log, wanted, place)
    if last is not None:
        found = query.last(found, last)
    if on:
        found = chain(found, query.follow(log.folder, wanted, lambda: time.sleep(FOLLOW_SECONDS), place))
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
            lines = describe(entry.record.seq, entry.record.time, entry.event)
            typer.echo("\n".join(lines).encode("utf-8", "replace"))
    if not shown and not bad:
        empty = "nothing is recorded yet" if not log.bytes else "no record fits"
        typer.echo(f"{empty} in {log.folder}", err=True)
    raise typer.Exit(1 if bad else 0)


@app.command("export", short_help="Print records in the words of other systems.")
def export_command(
    format: Annotated[ExportFormat, typer.Option("--format", help="Words of which system.")],
    session: Annotated[str, typer.Option(help="Of this session; a beginning of its id is enough.")] = "",
    call: Annotated[str, typer.Option(help="Of this tool call.")] = "",
    decision: Annotated[DecisionWord | None, typer.Option(help="Decisions of this kind.")] = None,
    rule: Annotated[str, typer.Option(help="Decisions in which this rule spoke; * and ? match.")] = "",
    program: Annotated[str, typer.Option(help="Decisions about this program.")] = "",
    path: Annotated[str, typer.Option(help="About this file or folder; * and ? match.")] = "",
    user: Annotated[str, typer.Option(help="Of sessions of this user.")] = "",
    machine: Annotated[str, typer.Option(help="Of sessions on this machine.")] = "",
    since: Since = "",
    until: Until = "",
    on: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is recorded from now on.")
    ] = False,
    folder: Folder = None,
) -> None:
    """Print records for other systems: JSON Lines, CSV, OCSF 1.8, Elastic Common Schema, CEF, OTLP.

    Every condition has to hold.
    """
    import time
    from itertools import chain

    from compliance import query
    from compliance.export import Format as Target
    from compliance.export import Whose, export
    from compliance.segments import snapshot
    from execpolicy.decision import Decision

    wanted = query.Filter(
        session=session,
        call=call,
        decision=Decision[decision.name] if decision else None,
        rule=rule,
        program=program,
        path=path,
        since=moment_of(since, "--from"),
        until=moment_of(until, "--to"),
    )
    bad = False
    log, place = snapshot(folder or default_folder()), query.Place()
    everything = query.entries(log, query.Filter(), place)
    if on:
        more = query.follow(log.folder, query.Filter(), lambda: time.sleep(FOLLOW_SECONDS), place)
        everything = chain(everything, more)
    for line in export(everything, Target(format.value), wanted, Whose(user, machine)):
        if isinstance(line, query.Unreadable):
            bad = True
            typer.echo(f"error: {line.segment}:{line.number} is not as it was sealed", err=True)
        else:
            typer.echo(line.encode("utf-8", "replace"))
    raise typer.Exit(1 if bad else 0)


def _kind(word: str) -> str:
    """The kind that is meant, so that a slip of the pen is no empty answer."""
    from compliance.codec import KINDS

    if word and word not in KINDS:
        raise typer.BadParameter(f"`{word}` is no kind: {', '.join(KINDS)}", param_hint="--kind")
    return word


@app.command("verify", short_help="Check that nobody changed the log.")
def verify_command(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of logs.", show_default=False)] = None,
    folder: Folder = None,
    key: KeyOption = "",
    witness: Annotated[
        str, typer.Option(help="Compare with what a witness knows: its address, or a note it cosigned.")
    ] = "",
    witness_key: Annotated[str, typer.Option(help="Key of the witness: a file, or its text.")] = "",
    format: FormatOption = Format.TEXT,
) -> None:
    """Check that no record was edited, dropped, inserted, reordered or cut off.

    A witness shows also that the log was not replaced as a whole by an older or another one.

    Exit status: 0 intact, 1 broken or not readable, 2 wrong usage.
    """
    from compliance.cli_witness import Asked, ask, read_key
    from compliance.errors import ComplianceError
    from compliance.segments import snapshot
    from execpolicy.values import replace

    trusted = _trusted(key) if key else None
    if bool(witness) != bool(witness_key):
        raise typer.BadParameter("--witness and --witness-key belong together", param_hint="--witness")
    asked = Asked(witness, read_key(witness_key)) if witness else None
    broken = False
    for one in (*(folders or ()), *([folder] if folder or not folders else ())):
        try:
            log = snapshot(one or default_folder())
            result, checked = _checked(log, trusted)
            if asked is not None:
                flaws, seen = ask(log, asked, trusted)
                result, checked = replace(result, flaws=(*result.flaws, *flaws)), f"{checked}; {seen}"
        except ComplianceError as error:
            broken = True
            typer.echo(f"error: {error}\nhelp: {error.help}", err=True)
            continue
        broken = broken or not result.intact
        if format is Format.JSON:
            typer.echo(_as_json(log, result, checked))
        else:
            typer.echo("\n".join(_as_text(log, result, checked)))
    raise typer.Exit(1 if broken else 0)


def _checked(log: Snapshot, trusted: Verifier | None) -> tuple[Verification, str]:
    """The records, the checkpoints over them, and a line on these."""
    from importlib.util import find_spec

    from compliance.chain import Flaw, FlawKind
    from compliance.checkpoint import Roots, keeping
    from compliance.segments import NOTES_NAME, verify
    from execpolicy.values import replace

    kept = keeping(log.folder)
    roots = Roots(kept.sizes)
    with _progress(log.bytes) as progress:
        result = verify(log, progress, roots.feed if kept.signed else None)
    by = trusted or kept.key
    able = find_spec("cryptography") is not None
    result = replace(result, flaws=(*result.flaws, *kept.judged(roots, by if able else None)))
    if trusted is not None and not kept.signed:
        message = f"no checkpoint is signed by {trusted.name}"
        missing = Flaw(kind=FlawKind.CHECKPOINT, seq=0, segment=NOTES_NAME, line=0, message=message)
        result = replace(result, flaws=(*result.flaws, missing))
    if not kept.signed:
        none = "none" if trusted is None and kept.key is None else "none, and there is a key"
        return result, none if able else f"{none}; install policy-agent[seal] to have sessions sign the log"
    last = f"{len(kept.signed)}, the last over {kept.signed[-1].checkpoint.size} records"
    if by is None:
        how = "signatures not checked: there is no key to check them with"
    else:
        how = f"signed by {by.name}" if able else "signatures not checked: install policy-agent[seal]"
    return result, f"{last}, {how}"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], object]]:
    """A bar on a terminal, for what takes a while."""
    import sys

    if total < 32 * 1024 * 1024 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("checking"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("checking", total=total)
        yield lambda done: bar.update(task, completed=done)


def _trusted(text: str) -> Verifier:
    from compliance.note import SealError, read_verifier

    try:
        return read_verifier(Path(text).read_text(encoding="utf-8") if isfile(text) else text)
    except (SealError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint="--key") from None


def _as_text(log: Snapshot, result: Verification, checked: str) -> list[str]:
    from compliance.chain import FlawKind
    from compliance.plain import visible
    from compliance.segments import NOTES_NAME, modes_open_to_others

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
    out.append(f"checkpoints: {visible(checked)}")
    out += [f"gap: {visible(gap)}" for gap in result.gaps]
    out += [f"note: `{name}` can be read or written by others" for name in modes_open_to_others(log)]
    unlike = 0  # an edit shows in each checkpoint after it, too
    for flaw in result.flaws:
        if flaw.kind is FlawKind.CHECKPOINT and flaw.segment == NOTES_NAME:
            unlike += 1
            if unlike > MOST_CHECKPOINTS:
                continue
        seq = f"record {flaw.seq}" if flaw.seq else "a line"
        out.append(f"broken: {seq} {flaw.kind.value} at {flaw.segment}:{flaw.line}: {visible(flaw.message)}")
    if unlike > MOST_CHECKPOINTS:
        out.append(f"broken: {unlike - MOST_CHECKPOINTS} more checkpoints (--format json lists them)")
    if result.intact:
        empty = not result.records
        out.append(
            "intact: nothing is recorded yet" if empty else f"intact: 1 to {result.end.seq} are one chain"
        )
    return out


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _as_json(log: Snapshot, result: Verification, checked: str) -> str:
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
        "checkpoints": checked,
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


@app.command("checkpoint", short_help="Sign what the log holds now.")
def checkpoint_command(folder: Folder = None) -> None:
    """Sign what the log holds now, and print the signed checkpoint.

    Keep it elsewhere: it shows later that nothing before it was changed.
    """
    from compliance.checkpoint import advance, signed_checkpoints

    where = folder or default_folder()
    made = advance(where)
    signed = made or next(reversed(signed_checkpoints(where)), None)
    if signed is None:
        typer.echo(f"nothing is recorded yet in {where}", err=True)
        raise typer.Exit(1)
    typer.echo(signed.note, nl=False)


@app.command("rotate-key", short_help="Make a new key for the digests of what is masked.")
def rotate_key_command(folder: Folder = None) -> None:
    """Make a new key for the digests of what is masked, and print its id.

    Digests that equal secrets have in the record are equal under one key only. Each quarter has a key of its own.
    """
    import datetime

    from compliance.mask_keys import rotate

    typer.echo(rotate(folder or default_folder(), datetime.date.today()).id)


@app.command("prove", short_help="Print a proof that a record is in the signed log.")
def prove_command(
    seq: Annotated[int, typer.Argument(min=1, help="Number of the record.", metavar="SEQ")],
    folder: Folder = None,
) -> None:
    """Print a proof that a record is in the signed log: the record, its place, and a checkpoint.

    It is a C2SP tlog-proof and can be checked without the log: `agent audit check-proof`.
    """
    from compliance.checkpoint import signed_checkpoints
    from compliance.proof import prove
    from compliance.segments import snapshot

    where = folder or default_folder()
    typer.echo(prove(snapshot(where), signed_checkpoints(where), seq), nl=False)


@app.command("check-proof")
def check_proof_command(
    file: Annotated[Path, typer.Argument(help="The proof; - reads standard input.", metavar="FILE")],
    key: KeyOption,
) -> None:
    """Print the record that a proof proves. Exit status: 0 proved, 1 not, 2 wrong usage."""
    import sys

    from compliance.note import SealError
    from compliance.proof import check_proof

    trusted = _trusted(key)
    try:
        with sys.stdin.buffer if str(file) == "-" else file.open("rb") as source:
            data = source.read(MOST_PROOF)
    except OSError as error:
        raise typer.BadParameter(f"cannot read `{file}`: {error.strerror}", param_hint="FILE") from None
    try:
        _, line = check_proof(data.decode(), trusted)
    except UnicodeDecodeError:
        raise SealError("this is no proof of a record", "make one with `agent audit prove`") from None
    typer.echo(line)
