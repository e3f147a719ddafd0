"""A proof that one record is in a signed log: made from the log, checked with nothing but a key.

The form is C2SP's `tlog-proof`; its extra data is the record itself.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from itertools import islice

from compliance.chain import Record, read_line
from compliance.checkpoint import Signed, leaves
from compliance.merkle import inclusion_ranges, leaf_hash, root_of_inclusion, roots
from compliance.note import SealError, Verifier, read_checkpoint
from compliance.segments import Snapshot

FIRST_LINE = "c2sp.org/tlog-proof@v1"


def prove(log: Snapshot, signed: Sequence[Signed], seq: int) -> str:
    """The proof of record `seq` under the first checkpoint that covers it. SealError when there is none."""
    found = _find(log, seq)
    if found is None:
        raise SealError(f"there is no sound record {seq} in `{log.folder}`", "see `agent audit verify`")
    index, line = found
    under = next((one for one in signed if one.checkpoint.size > index), None)
    if under is None:
        raise SealError(f"no checkpoint covers record {seq} yet", "make one with `agent audit checkpoint`")
    size = under.checkpoint.size
    hashes = (leaf_hash(text) for _, _, text in islice(leaves(log), size))
    try:
        steps = roots(inclusion_ranges(index, size), hashes)
    except ValueError:
        raise SealError("the log is shorter than what was signed", "see `agent audit verify`") from None
    if root_of_inclusion(index, size, leaf_hash(line), steps) != under.checkpoint.root:
        raise SealError("the log is not what was signed", "see `agent audit verify`")
    head = [FIRST_LINE, f"extra {base64.b64encode(line).decode()}", f"index {index}"]
    return "\n".join([*head, *(base64.b64encode(step).decode() for step in steps), "", under.note])


def _find(log: Snapshot, seq: int) -> tuple[int, bytes] | None:
    needle = b'"seq":%d,' % seq
    for index, (_, _, line) in enumerate(leaves(log)):
        if needle in line:
            record = read_line(line + b"\n")
            if record is not None and record.seq == seq:
                return index, line
    return None


def check_proof(text: str, trusted: Verifier) -> tuple[Record, bytes]:
    """The record that `text` proves to be in a log that `trusted` signed, and its line. SealError: no proof."""
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    try:
        if first != FIRST_LINE or len(lines) < 2:
            raise ValueError
        line = base64.b64decode(_after("extra ", lines[0]), validate=True)
        word = _after("index ", lines[1])
        if not word.isdecimal() or not word.isascii() or str(int(word)) != word:
            raise ValueError
        steps = [base64.b64decode(step, validate=True) for step in lines[2:]]
    except ValueError:
        raise SealError("this is no proof of a record", "make one with `agent audit prove`") from None
    checkpoint = read_checkpoint(note)
    if checkpoint is None or checkpoint.origin != trusted.name or not trusted.signed(note):
        raise SealError(
            f"the checkpoint in the proof is not signed by {trusted.name}", "is it the right key?"
        )
    root = root_of_inclusion(int(word), checkpoint.size, leaf_hash(line), steps)
    record = read_line(line + b"\n")
    if root != checkpoint.root or record is None:
        raise SealError("the record is not in the signed log", "the proof was changed, or is of another log")
    return record, line


def _after(word: str, line: str) -> str:
    if not line.startswith(word):
        raise ValueError
    return line[len(word) :]
