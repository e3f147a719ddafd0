"""`agent audit witness`: be a witness of logs, or have one cosign a log."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import isfile  # False also for a text that no path can be
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compliance.cli_options import Folder, default_folder

if TYPE_CHECKING:
    from compliance.chain import Flaw
    from compliance.cosign import Witness
    from compliance.note import Verifier
    from compliance.segments import Snapshot

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100, "max_content_width": 100},
    help="Be a witness of logs, or have one cosign a log.",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A witness, and where to hear of what it knows: an address, or the file of a note that it cosigned."""

    where: str
    key: Witness


@app.command("serve")
def serve_command(
    database: Annotated[Path, typer.Option("--db", help="What the witness knows; made on first use.")],
    trust: Annotated[
        list[str] | None, typer.Option(help="A log to take: its device.vkey, or the text of it.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the witness, such as a host name.")] = "witness",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at; 0: any.", min=0, max=65535)] = 8470,
) -> None:
    """Remember size and root of each trusted log, and cosign only what adds to them.

    The key of the witness lies beside its database and is made on first use. Its public half is printed: give it
    to whoever verifies logs.
    """
    import re
    import time

    from compliance.cosign import Cosigner
    from compliance.note import device_key
    from compliance.witness.memory import Memory
    from compliance.witness.serve import server

    if not re.fullmatch(r"[^\s+]{1,200}", name):
        raise typer.BadParameter("a name has no spaces and no `+`", param_hint="--name")
    logs = [_log_key(text) for text in trust or ()]
    cosigner = Cosigner(name, device_key(database.with_name(f"{database.name}.key")))
    memory = Memory(database, cosigner, lambda: int(time.time()))
    memory.trust(logs)
    try:
        serving = server(memory, host, port)
    except OSError as error:
        raise typer.BadParameter(f"cannot listen there: {error.strerror}", param_hint="--port") from None
    typer.echo(str(cosigner.witness))
    typer.echo(f"listening at http://{host}:{serving.server_address[1]}", err=True)
    try:
        serving.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        serving.server_close()


@app.command("send")
def send_command(
    url: Annotated[str, typer.Argument(help="Address of the witness.", metavar="URL")],
    key: Annotated[str, typer.Option("--key", help="Key of the witness: a file, or its text.")],
    folder: Folder = None,
) -> None:
    """Sign what the log holds now, have the witness cosign it, and print the cosigned checkpoint.

    It is refused when the log does not only add to what the witness knows of it.
    """
    from compliance.checkpoint import advance, replace_file, signed_checkpoints
    from compliance.segments import snapshot
    from compliance.witness.client import COSIGNED_NAME, PATIENT, send

    _address(url)
    witness = read_key(key)
    where = folder or default_folder()
    signed = advance(where) or next(reversed(signed_checkpoints(where)), None)
    if signed is None:
        typer.echo(f"nothing is recorded yet in {where}", err=True)
        raise typer.Exit(1)
    note = send(snapshot(where), signed, url, witness, PATIENT)
    replace_file(where / COSIGNED_NAME, note.encode())
    typer.echo(note, nl=False)


def ask(log: Snapshot, asked: Asked, trusted: Verifier | None) -> tuple[tuple[Flaw, ...], str]:
    """What in `log` is not as the witness knows it, and a line on what it knows."""
    from datetime import UTC, datetime

    from compliance.chain import Flaw, FlawKind
    from compliance.checkpoint import compare, own_verifier
    from compliance.note import SealError
    from compliance.segments import NOTES_NAME
    from compliance.witness.client import COSIGNED_NAME, cosigned, kept, latest

    by = trusted or own_verifier(log.folder)
    if by is None:
        raise SealError("the log has no key, so no witness knows it", "name the key it had with --key")
    once = kept(log.folder, asked.key)
    if not asked.where.startswith(("http://", "https://")) and isfile(asked.where):
        known = cosigned(Path(asked.where).read_text(encoding="utf-8", errors="replace"), asked.key)
    else:
        _address(asked.where)
        found = latest(asked.where, by.name, asked.key)
        if found is None:
            message = f"{asked.key.name} knows no checkpoint of {by.name}"
            flaw = Flaw(kind=FlawKind.CHECKPOINT, seq=0, segment=NOTES_NAME, line=0, message=message)
            return (flaw,), f"{asked.key.name} knows none"
        known = found
    time = datetime.fromtimestamp(asked.key.cosigned(known.note) or 0, UTC)
    flaws = tuple(_told_by(flaw, asked.key.name) for flaw in compare(log, [known], by))
    if once is not None and once.checkpoint.size > known.checkpoint.size:
        sizes = f"{once.checkpoint.size} records once, and tells of {known.checkpoint.size}"
        message = f"{asked.key.name} cosigned {sizes}: it was rolled back, or an old answer is given for it"
        forgot = Flaw(
            kind=FlawKind.CHECKPOINT, seq=once.checkpoint.size, segment=COSIGNED_NAME, line=1, message=message
        )
        flaws = (*flaws, forgot)
    return flaws, f"{asked.key.name} cosigned {known.checkpoint.size} records at {time:%Y-%m-%d %H:%M:%S}Z"


def _told_by(flaw: Flaw, name: str) -> Flaw:
    from execpolicy.values import replace

    return replace(flaw, line=0, segment=name, message=f"{flaw.message}, says the witness")


def read_key(text: str) -> Witness:
    from compliance.cosign import read_witness
    from compliance.note import SealError

    try:
        return read_witness(Path(text).read_text(encoding="utf-8") if isfile(text) else text)
    except (SealError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint="the key of the witness") from None


def _log_key(text: str) -> Verifier:
    from compliance.note import SealError, read_verifier

    try:
        return read_verifier(Path(text).read_text(encoding="utf-8") if isfile(text) else text)
    except (SealError, OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error), param_hint="--trust") from None


def _address(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"`{url}` is no http or https address", param_hint="address of the witness")
