"""Asks a witness to cosign what a log signed, and for what it knows of the log."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from compliance.checkpoint import Signed, leaves, replace_file
from compliance.cosign import Witness, read_witness
from compliance.errors import ComplianceError
from compliance.merkle import consistency_ranges, leaf_hash, roots
from compliance.note import SealError, read_checkpoint, read_regular
from compliance.segments import Snapshot, snapshot
from compliance.witness.memory import Answer
from compliance.witness.request import write_request

COSIGNED_NAME: Final = "cosigned.note"  # in the folder of the log: the last that the witness cosigned
SECONDS: Final = 10.0
PATIENT: Final = 3600.0  # for whoever asks by hand: the proof of a long log is read from its beginning
_MOST_ANSWER: Final = 64 * 1024


def cosign(folder: Path, signed: Signed, url: str, key: str, seconds: float) -> str:
    """Have `signed` cosigned within `seconds` and keep the note beside the log: why it was not, or nothing."""
    if not url.startswith(("https://", "http://")):
        return f"`{url}` is no http or https address"
    try:
        note = send(snapshot(folder), signed, url, read_witness(key), seconds)
        replace_file(folder / COSIGNED_NAME, note.encode())
    except (ComplianceError, OSError) as error:
        return str(error)
    return ""


def send(log: Snapshot, signed: Signed, url: str, witness: Witness, seconds: float = SECONDS) -> str:
    """Have the last checkpoint of `log` cosigned: the note with the cosignature. SealError when it is refused."""
    deadline = time.monotonic() + seconds
    answer = _post(url, write_request(0, (), signed.note), deadline)
    size = answer.body.strip()
    if answer.status == 409 and size.isascii() and size.isdecimal():
        old = int(size)
        if old > signed.checkpoint.size:
            raise SealError(
                f"the witness knows {old} records of this log, and it has {signed.checkpoint.size}",
                "the log was cut or replaced: see `agent audit verify --witness`",
            )
        proof = _growth(log, old, signed.checkpoint.size, deadline)
        answer = _post(url, write_request(old, proof, signed.note), deadline)
    if answer.status != 200:
        raise SealError(
            f"the witness does not cosign ({answer.status}): {_line(answer.body)}",
            "it cosigns only logs that it trusts, and only what adds to what it knows",
        )
    note = signed.note + answer.body
    if witness.cosigned(note) is None:
        raise SealError(f"the answer is not signed by {witness.name}", "is it the right key?")
    return note


def _growth(log: Snapshot, old: int, new: int, deadline: float) -> Sequence[bytes]:
    try:
        return roots(consistency_ranges(old, new), _hashes(log, new, deadline))
    except ValueError:
        raise SealError("the log is shorter than what was signed", "see `agent audit verify`") from None


def _hashes(log: Snapshot, most: int, deadline: float) -> Iterator[bytes]:
    for number, (_, _, text) in enumerate(islice(leaves(log), most)):
        if not number % 4096 and time.monotonic() > deadline:
            raise SealError(
                f"the proof that {most} records only grew takes too long here",
                "`agent audit witness send` takes its time",
            )
        yield leaf_hash(text)


def latest(url: str, origin: str, witness: Witness) -> Signed | None:
    """The latest checkpoint that the witness cosigned for a log; None when it knows none.

    SealError when it cannot be reached, or says what it did not sign.
    """
    query = urllib.parse.urlencode({"origin": origin})
    request = urllib.request.Request(f"{url.rstrip('/')}/checkpoint?{query}")
    answer = _ask(request, time.monotonic() + SECONDS)
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise SealError(f"the witness answered {answer.status}: {_line(answer.body)}", "ask whoever runs it")
    return cosigned(answer.body, witness)


def cosigned(note: str, witness: Witness) -> Signed:
    """The checkpoint of a note that `witness` cosigned. SealError when it did not."""
    checkpoint = read_checkpoint(note)
    if checkpoint is None or witness.cosigned(note) is None:
        raise SealError(f"this is no checkpoint that {witness.name} cosigned", "is it the right key?")
    return Signed(checkpoint, note)


def kept(folder: Path, witness: Witness) -> Signed | None:
    """The checkpoint beside the log that `witness` cosigned; None where none lies there that bears its name.

    SealError for what bears its name and is not its word.
    """
    try:
        note = read_regular(folder / COSIGNED_NAME).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SealError(f"`{folder / COSIGNED_NAME}` cannot be read: {error}", "move it away") from error
    if read_checkpoint(note) is not None and f"\n— {witness.name} " not in note:
        return None  # another witness cosigned it
    try:
        return cosigned(note, witness)
    except SealError as error:
        raise SealError(
            f"`{folder / COSIGNED_NAME}` is not what {witness.name} cosigned", error.help
        ) from None


def _post(url: str, body: str, deadline: float) -> Answer:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    where = f"{url.rstrip('/')}/add-checkpoint"
    return _ask(urllib.request.Request(where, body.encode(), headers, method="POST"), deadline)


def _ask(request: urllib.request.Request, deadline: float) -> Answer:
    deadline = min(deadline, time.monotonic() + SECONDS)
    try:
        with urllib.request.urlopen(request, timeout=_left(deadline)) as answer:
            return Answer(answer.status, _body(answer, deadline))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, _body(error, deadline))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise SealError(
            f"the witness at `{request.host}` does not answer: {getattr(error, 'reason', error)}",
            "is it running?",
        ) from error


def _body(answer: http.client.HTTPResponse | urllib.error.HTTPError, deadline: float) -> str:
    """However slowly it comes."""
    data = b""
    while len(data) < _MOST_ANSWER and (piece := answer.read1(4096)):
        data += piece
        _left(deadline)
    return data.decode("utf-8", "replace")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("it takes too long")
    return left


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
