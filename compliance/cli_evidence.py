"""`agent audit evidence`: what the record shows for a framework, control by control, signed; and the check of it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliance.cli_options import (
    Logs,
    RuleFiles,
    Since,
    Until,
    default_folder,
    moment_of,
    read_key,
    rule_sources,
)

if TYPE_CHECKING:
    from compliance.evidence.pack import Pack
    from compliance.note import Signer
    from compliance.reading import Log

app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=True)


class FrameworkName(Enum):
    SOC2 = "soc2"
    ISO27001 = "iso27001"
    ISO42001 = "iso42001"
    NIST = "nist-800-53"
    PCI = "pci"
    EU_AI_ACT = "eu-ai-act"


@app.callback()
def evidence_command(
    context: typer.Context,
    framework: Annotated[
        FrameworkName | None, typer.Option(help="Whose controls.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder to write to, new or empty.", show_default=False),
    ] = None,
    since: Since = "",
    until: Until = "",
    logs: Logs = None,
    rules: RuleFiles = None,
    generated: Annotated[
        str, typer.Option("--generated-at", help="Time to put on the pack.", show_default="SOURCE_DATE_EPOCH")
    ] = "",
    key: Annotated[
        Path | None,
        typer.Option("--sign-key", help="Key to sign with.", show_default="device.key of the log"),
    ] = None,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Do not sign; nobody can check it then.")
    ] = False,
) -> None:
    """Write what the record shows for the controls of a framework, and what is missing.

    The folder gets a page for people (HTML, Markdown), OSCAL assessment results, all tables as CSV, the raw proofs,
    and one signed statement over all of these. The same records and period give the same bytes.

    Exit status 1 when the log is not as it was sealed: the pack then says so, and is not signed as complete.
    """
    if context.invoked_subcommand is not None:
        return
    if framework is None or output is None:
        raise typer.BadParameter("is missing", param_hint="--framework" if framework is None else "-o")
    from compliance.evidence.assemble import gather, pack_files
    from compliance.evidence.oscal import check_oscal
    from compliance.reading import Wanted, find_logs

    found = find_logs(logs or [default_folder()])
    signer = None if unsigned else _signer(key, found, default_folder())
    _usable(output)
    pack = gather(
        framework.value,
        found,
        Wanted(since=moment_of(since, "--from"), until=moment_of(until, "--to")),
        rule_sources(rules or [], ""),
        _generated(generated),
    )
    files = pack_files(pack, signer)
    checked = check_oscal(files["assessment-results.json"])
    _write(output, files)
    _tell(pack, output, signed=signer is not None, checked=checked)
    raise typer.Exit(0 if pack.complete else 1)


def _tell(pack: Pack, output: Path, *, signed: bool, checked: bool) -> None:
    from collections import Counter

    from compliance.evidence.pack import Status
    from compliance.plain import visible

    counts = Counter(finding.status for finding in pack.findings)
    told = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    typer.echo(f"{output / 'evidence.html'}")
    typer.echo(f"{pack.facts.records} records, {len(pack.findings)} controls: {told}")
    gaps = len(pack.annexes.gaps.tables[0].rows)
    typer.echo(f"{gaps} gaps, {pack.unexplained} of them without a recorded explanation")
    for text in pack.incomplete:
        typer.echo(f"warning: not complete: {visible(text)}", err=True)
    if not signed:
        typer.echo("warning: not signed: nobody can check that it was not changed", err=True)
    if not checked:
        typer.echo("note: OSCAL was not validated: install policy-agent[oscal]", err=True)


def _signer(key: Path | None, logs: tuple[Log, ...], own: Path) -> Signer:
    """A key is made on first use for the log of this machine only: what was collected elsewhere is not touched."""
    from compliance.checkpoint import KEY_NAME
    from compliance.note import SealError, device_key

    if key is not None:
        if not key.is_file():
            raise typer.BadParameter(f"no key in `{key}`", param_hint="--sign-key")
        return device_key(key)
    folders = [log.shot.folder for log in logs if log.sealed]
    for folder in folders:
        if (folder / KEY_NAME).is_file() or folder == own:
            return device_key(folder / KEY_NAME)
    raise SealError(
        "there is no key to sign with beside the log", "name one with --sign-key, or say --unsigned"
    )


def _generated(text: str) -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text or not epoch:
        return moment_of(text, "--generated-at")
    try:
        return datetime.fromtimestamp(int(epoch), UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"`{epoch}` is no number of seconds", param_hint="SOURCE_DATE_EPOCH"
        ) from None


def _usable(output: Path) -> None:
    """Before long work: what lies in the folder already would be no part of the pack."""
    try:
        if output.exists() and any(output.iterdir()):
            raise typer.BadParameter(f"`{output}` is not empty: name a new folder", param_hint="-o")
    except OSError as error:
        raise typer.BadParameter(f"cannot write to `{output}`: {error.strerror}", param_hint="-o") from None


def _write(output: Path, files: dict[str, bytes]) -> None:
    try:
        for name, data in files.items():
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    except OSError as error:
        raise typer.BadParameter(f"cannot write to `{output}`: {error.strerror}", param_hint="-o") from None


@app.command("verify")
def verify_command(
    pack: Annotated[Path, typer.Argument(help="Folder of the pack.", metavar="PACK")],
    key: Annotated[
        str,
        typer.Option(
            help="Key to trust: a file such as device.vkey, or its text.", show_default="the pack's own"
        ),
    ] = "",
) -> None:
    """Check a pack without the log: its signature, each file, each proof.

    Names each file that was changed, is missing or does not belong. Exit status: 0 sound, 1 not, 2 wrong usage.
    """
    from compliance.evidence.statement import check_pack
    from compliance.plain import visible

    found = check_pack(pack, read_key(key) if key else None)
    for text in found.wrong:
        typer.echo(f"wrong: {visible(text)}")
    if found.own_key:
        typer.echo("note: the key came with the pack: compare it, or name yours with --key", err=True)
    for text in found.why:
        typer.echo(f"note: the pack says that it is not complete: {visible(text)}")
    state = "not as it was signed" if found.wrong else "sound"
    complete = "" if found.complete else ", not complete"
    typer.echo(
        f"{state}: {found.files} files, {found.proofs} proofs, signed by {visible(found.signer)}{complete}"
    )
    raise typer.Exit(1 if found.wrong else 0)
