"""Raw proofs of a log: its checkpoints and key, that it only grew, and that single records are in it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from compliance.checkpoint import Signed, leaves
from compliance.merkle import Hash, consistency_ranges, inclusion_ranges, leaf_hash, node_hash
from compliance.proof import FIRST_LINE
from compliance.soundness import Soundness

MOST_PROOFS: Final = 500
LONGEST: Final = 256 * 1024  # of a record that is put into a proof

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Wanted:
    seq: int
    under: Signed


def log_proofs(sound: Soundness, first: int, seqs: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Name and text of each proof. `first`: first record of the period; `seqs`: records to prove.

    Only what verifies is proved: of a broken log there is no more than what the check found.
    """
    yield "verify.json", _json(_verdict(sound))
    if not sound.log.sealed:
        return
    if sound.checkpoints:
        lines = [json.dumps({"note": one.note}) for one in sound.checkpoints]
        yield "checkpoints.jsonl", "".join(f"{line}\n" for line in lines).encode()
    if sound.key is not None:
        yield "device.vkey", f"{sound.key}\n".encode()
    if sound.flaws or not sound.checkpoints:
        return
    last = sound.checkpoints[-1].checkpoint
    before = [one for one in sound.checkpoints if one.checkpoint.size < max(first, 1)]
    old = list(dict.fromkeys([sound.checkpoints[0], *before[-1:]]))
    grown = [(one, consistency_ranges(one.checkpoint.size, last.size)) for one in old]
    wanted = [
        _Wanted(seq, under)
        for seq in sorted(set(seqs))[:MOST_PROOFS]
        if (under := _under(sound.checkpoints, seq)) is not None
    ]
    paths = [inclusion_ranges(one.seq - 1, one.under.checkpoint.size) for one in wanted]
    trees, texts = _one_pass(sound, [*(ranges for _, ranges in grown), *paths], {one.seq for one in wanted})
    growth = [
        {
            "old_size": one.checkpoint.size,
            "old_root": _b64(one.checkpoint.root),
            "new_size": last.size,
            "new_root": _b64(last.root),
            "proof": [_b64(trees[step]) for step in ranges],
        }
        for one, ranges in grown
    ]
    yield "consistency.json", _json(growth)
    for one, path in zip(wanted, paths, strict=True):
        line = texts.get(one.seq)
        if line is not None:
            head = [FIRST_LINE, f"extra {_b64(line)}", f"index {one.seq - 1}"]
            steps = [_b64(trees[step]) for step in path]
            yield f"records/{one.seq}.tlog-proof", "\n".join([*head, *steps, "", one.under.note]).encode()


def _verdict(sound: Soundness) -> dict[str, object]:
    return {
        "log": sound.log.name,
        "intact": sound.intact,
        "found": sound.text,
        "records": sound.records,
        "last": {"seq": sound.end.seq, "digest": sound.end.digest},
        "checkpoints": len(sound.checkpoints),
        "signatures_checked": sound.checked,
        "records_after_last_checkpoint": sound.unsigned,
        "flaws": [
            {
                "kind": flaw.kind.value,
                "seq": flaw.seq,
                "segment": flaw.segment,
                "line": flaw.line,
                "message": flaw.message,
            }
            for flaw in sound.flaws
        ],
        "gaps": list(sound.gaps),
    }


def _under(signed: Sequence[Signed], seq: int) -> Signed | None:
    return next((one for one in signed if one.checkpoint.size >= seq), None)


def _one_pass(
    sound: Soundness, ranges: Iterable[tuple[Range, ...]], seqs: set[int]
) -> tuple[dict[Range, Hash], dict[int, bytes]]:
    """The roots of all subtrees, and the wanted lines. Record N is leaf N - 1: the chain was checked."""
    texts: dict[int, bytes] = {}

    def hashes() -> Iterator[Hash]:
        for index, (_, _, line) in enumerate(leaves(sound.log.shot)):
            if index + 1 in seqs and len(line) <= LONGEST:
                texts[index + 1] = line
            yield leaf_hash(line)

    return subtree_roots({one for several in ranges for one in several}, hashes()), texts


def subtree_roots(ranges: set[Range], hashes: Iterable[Hash]) -> dict[Range, Hash]:
    """The roots of subtrees of an RFC 6962 tree, which may overlap, in one pass over its leaves."""
    perfect = {piece for one in ranges for piece in _pieces(*one)}
    found: dict[Range, Hash] = {}
    stack: list[tuple[int, int, Hash]] = []
    for number, leaf in enumerate(hashes):
        start, size, top = number, 1, leaf
        while True:
            if (start, start + size) in perfect:
                found[start, start + size] = top
            if not stack or stack[-1][1] != size:
                break
            start, _, left = stack.pop()
            top, size = node_hash(left, top), size * 2
        stack.append((start, size, top))
    return {one: _root(one, found) for one in ranges}


def _pieces(start: int, end: int) -> list[Range]:
    """The perfect trees that a subtree is made of."""
    size = end - start
    if size & (size - 1) == 0:
        return [(start, end)]
    middle = start + (1 << (size.bit_length() - 1))
    return [(start, middle), *_pieces(middle, end)]


def _root(one: Range, found: dict[Range, Hash]) -> Hash:
    first, *rest = _pieces(*one)
    if not rest:
        return found[first]
    return node_hash(found[first], _root((first[1], one[1]), found))


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode() + b"\n"
