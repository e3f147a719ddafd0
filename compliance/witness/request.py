"""The words between a log and a witness: the body of `add-checkpoint` (C2SP tlog-witness). Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compliance.merkle import Hash
from compliance.note import Checkpoint, read_checkpoint

MOST_STEPS: Final = 63
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Request:
    """A new checkpoint, and the proof that it only adds to the one over `old` records."""

    old: int
    proof: tuple[Hash, ...]
    checkpoint: Checkpoint
    note: str


def write_request(old: int, proof: Sequence[Hash], note: str) -> str:
    return "\n".join([f"old {old}", *(base64.b64encode(step).decode() for step in proof), "", note])


def read_request(body: str) -> Request | None:
    """None when `body` is no such request."""
    head, blank, note = body.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    checkpoint = read_checkpoint(note)
    if not blank or old is None or checkpoint is None or len(lines) > MOST_STEPS:
        return None
    try:
        proof = tuple(base64.b64decode(line, validate=True) for line in lines)
    except ValueError:
        return None
    if any(len(step) != 32 for step in proof):
        return None
    return Request(int(old[1]), proof, checkpoint, note)
