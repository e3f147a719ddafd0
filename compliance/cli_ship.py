"""`agent audit ship`: send later what a collector does not have yet."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from compliance.cli_options import Folder, default_folder

if TYPE_CHECKING:
    from compliance.otel.base import Wire
    from compliance.otel.settings import Signal
    from compliance.shipping import Shipped


class Source(Enum):
    ALL = "all"
    LOG = "log"
    FILES = "files"


class ReportFormat(Enum):
    TEXT = "text"
    JSON = "json"


def ship_command(
    endpoint: Annotated[
        str, typer.Option(help="Address of the collector.", show_default="OTEL_EXPORTER_OTLP_ENDPOINT")
    ] = "",
    source: Annotated[Source, typer.Option(help="The audit log, the OTLP files, or both.")] = Source.ALL,
    remove: Annotated[bool, typer.Option("--remove", help="Remove OTLP files that were sent whole.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and send nothing.")] = False,
    format: Annotated[
        ReportFormat, typer.Option("--format", help="Text for people, or JSON.")
    ] = ReportFormat.TEXT,
    folder: Folder = None,
) -> None:
    """Send what a collector does not have yet, at least once: the audit log, and OTLP files.

    Goes on where the last run ended, however it ended. The collector and how to speak to it are named by the
    standard OTEL_EXPORTER_OTLP_* variables. Nothing is taken from the audit log.

    Exit status: 0 all is sent, 1 something is not, 2 wrong usage.
    """
    import os
    import time

    from compliance.errors import RecordError
    from compliance.otel.settings import Signal, files_folder
    from compliance.segments import snapshot
    from compliance.shipping import Shipper, alone

    where = endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    if not (where or os.environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT") or dry):
        raise typer.BadParameter(
            "name a collector here or in OTEL_EXPORTER_OTLP_ENDPOINT", param_hint="--endpoint"
        )
    wires: dict[Signal, Wire] = {}

    def wire(signal: Signal) -> Wire:
        if signal not in wires:
            wires[signal] = _wire(signal, endpoint)
        return wires[signal]

    log = folder or default_folder()
    files = files_folder(os.environ)
    content = os.environ.get("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "").lower() == "true"
    name = where or os.environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "")
    if not dry:
        wire(Signal.LOGS)  # says what is wrong with the address before anything is read
    if source is Source.LOG or folder is not None:
        snapshot(log)
    try:
        with alone(files):
            shipper = Shipper(files, f"{name} {log}", wire, time.sleep, dry=dry, content=content)
            has_log = source is not Source.FILES and log.is_dir()
            done = shipper.ship(log if has_log else None, files=source is not Source.LOG, remove=remove)
    except OSError as error:
        raise RecordError(
            f"cannot ship from `{error.filename or files}`: {error.strerror or error}", "run as its owner"
        ) from error
    finally:
        for one in wires.values():
            one.close()
    typer.echo(_as_json(done, dry) if format is ReportFormat.JSON else "\n".join(_as_text(done, dry)))
    raise typer.Exit(0 if done.well else 1)


def _wire(signal: Signal, endpoint: str) -> Wire:
    import os
    from importlib.util import find_spec

    from compliance.errors import RecordError
    from compliance.otel.settings import Protocol, read_target
    from compliance.otel.wires import wire_to

    troubles: list[str] = []
    able = find_spec("opentelemetry") is not None and find_spec("opentelemetry.proto") is not None
    default = Protocol.PROTOBUF if able else Protocol.JSON
    target = read_target(os.environ, signal, troubles.append, endpoint, default.value)
    for trouble in troubles:
        typer.echo(f"warning: {trouble}", err=True)
    if target is None:
        raise typer.BadParameter("no collector can be reached that way", param_hint="--endpoint")
    named = os.environ.get("OTEL_EXPORTER_OTLP_COMPRESSION") or os.environ.get(
        f"OTEL_EXPORTER_OTLP_{signal.name}_COMPRESSION"
    )
    try:
        return wire_to(target if named else target._replace(gzip=True), "policy-agent-ship")
    except ImportError as error:
        raise RecordError(
            f"`{target.protocol.value}` needs another package", "install `policy-agent[otel-grpc]`"
        ) from error
    except (OSError, ValueError) as error:
        raise RecordError(f"the certificates cannot be used: {error}", "see OTEL_EXPORTER_OTLP_*") from error


def _as_text(done: Shipped, dry: bool) -> list[str]:
    verb = "would send" if dry else "sent"
    out = [f"{verb} {done.records} records and {done.lines} lines of files"]
    for count, what in (
        (done.removed, "files removed"),
        (done.torn, "halves of lines left by a crash, skipped"),
        (done.unreadable, "records or lines not as they were written, skipped: see `agent audit verify`"),
        (done.rejected, "thrown away by the collector"),
        (done.refused, "refused by the collector"),
    ):
        if count:
            out.append(f"{count} {what}")
    if done.stopped:
        out.append(f"stopped: {done.stopped}; run it again to go on from here")
    return out


def _as_json(done: Shipped, dry: bool) -> str:
    import dataclasses
    import json

    return json.dumps({"dry_run": dry, **dataclasses.asdict(done)})
