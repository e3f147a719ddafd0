"""`agent audit evidence`: write what the record shows for a framework, control by control."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliance.cli_options import Folder, default_folder

if TYPE_CHECKING:
    from compliance.evidence.facts import Seal
    from compliance.segments import Snapshot


class FrameworkName(Enum):
    SOC2 = "soc2"
    ISO27001 = "iso27001"
    ISO42001 = "iso42001"
    NIST = "nist-800-53"
    PCI = "pci"
    EU_AI_ACT = "eu-ai-act"


def evidence_command(
    framework: Annotated[FrameworkName, typer.Option(help="Whose controls.", show_default=False)],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.", show_default=False)],
    since: Annotated[str, typer.Option("--from", help="First moment: ISO 8601, or an age such as 90d.")] = "",
    until: Annotated[str, typer.Option("--to", help="End of the period: as --from.")] = "",
    folder: Folder = None,
) -> None:
    """Write what the record shows for the controls of a framework, and what is missing.

    Two files, FRAMEWORK.html and FRAMEWORK.md. Exit status 1 when the log is not as it was sealed.
    """
    from compliance import query
    from compliance.evidence.controls import named_controls
    from compliance.evidence.facts import Facts
    from compliance.evidence.pack import make_pack
    from compliance.evidence.page import html, markdown
    from compliance.segments import snapshot

    log = snapshot(folder or default_folder())
    seal = _seal(log)
    wanted = query.Filter(since=_moment(since, "--from"), until=_moment(until, "--to"))
    facts = Facts()
    for entry in query.entries(log, wanted):
        if isinstance(entry, query.Entry):  # the others are in the seal
            facts.feed(entry.record, entry.event)
    controls, unread = named_controls(facts.files.values())
    period = f"{wanted.since or 'the beginning'} to {wanted.until or datetime.now(UTC).isoformat()}"
    pack = make_pack(framework.value, period, facts, seal, controls, unread)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for kind, text in (("html", html(pack)), ("md", markdown(pack))):
            path = output / f"{framework.value}.{kind}"
            path.write_text(text, encoding="utf-8", errors="replace")
            typer.echo(path)
    except OSError as error:
        raise typer.BadParameter(f"cannot write there: {error.strerror}", param_hint="-o") from None
    raise typer.Exit(0 if seal.intact else 1)


def _seal(log: Snapshot) -> Seal:
    from importlib.util import find_spec

    from compliance.checkpoint import compare, own_verifier, signed_checkpoints
    from compliance.evidence.facts import Seal
    from compliance.segments import verify

    result = verify(log)
    signed, own = signed_checkpoints(log.folder), own_verifier(log.folder)
    able = own is not None and find_spec("cryptography") is not None
    flaws = (*result.flaws, *(compare(log, signed, own if able else None)))
    if flaws:
        return Seal(False, f"broken: {flaws[0].message} ({len(flaws)} flaws)", 0)
    return Seal(True, f"intact, {result.records} records are one chain", len(signed) if able else 0)


def _moment(text: str, option: str) -> str:
    from compliance.moments import moment

    try:
        return moment(text, datetime.now(UTC)) if text else ""
    except ValueError:
        raise typer.BadParameter(
            f"`{text}` is no time: write 2026-01-31, or an age such as 90d", param_hint=option
        ) from None
