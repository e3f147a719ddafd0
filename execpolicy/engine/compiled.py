"""A policy as bytes and back, without the parser; rules are read when they are first looked at.

magic, SHA-256 of all that follows, length of the head, head (JSON), then what the head points into:
where each rule starts, the rules, where each group of programs starts, the groups
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, overload

from execpolicy.decision import Layer
from execpolicy.digest import sha256
from execpolicy.engine import codec
from execpolicy.engine.identity import Hosts
from execpolicy.engine.index import Bucket, Index, PathIndex
from execpolicy.engine.policy import Policy
from execpolicy.lang.rules import Rule

MAGIC: Final = b"EXECPOLICY\0\1\n"
DIGEST: Final = 32
GROUP: Final = 32  # programs that are read together


def dump(policy: Policy, key: str) -> bytes:
    """The compiled form; `load` wants the same `key`."""
    rules, rule_starts = _blobs(json.dumps(codec.pack_rule(rule)).encode() for rule in policy.rules)
    index = policy.index
    groups: list[dict[str, Any]] = [{} for _ in range(len(index.programs) // GROUP + 1)]
    for name, bucket in index.programs.items():
        groups[_group(name, len(groups))][name] = [bucket.prefixes, dict(bucket.commands), list(bucket.loose)]
    buckets, bucket_starts = _blobs(json.dumps(group).encode() for group in groups)
    head = {
        "key": key,
        "order": sys.byteorder,
        "sizes": [len(rule_starts), len(rules), len(bucket_starts), len(buckets)],
        "layers": policy.layers.hex(),
        "decisions": index.decisions.hex(),
        "anywhere": list(index.anywhere),
        "caseless": {name: list(numbers) for name, numbers in index.caseless.items()},
        "paths": [
            list(index.paths.every),
            {name: list(numbers) for name, numbers in index.paths.keyed.items()},
            list(index.paths.loose),
        ],
        "hosts": {name: list(numbers) for name, numbers in index.hosts.items()},
        "tools": list(index.tools),
        "executables": {
            name: [[int(layer), sorted(paths)] for layer, paths in entries]
            for name, entries in policy.hosts.by_name.items()
        },
        "defaults": [[int(layer), codec.pack_defaults(defaults)] for layer, defaults in policy.defaults],
        "exceptions": {
            name: [[int(layer), codec.pack_exception(exception)] for layer, exception in entries]
            for name, entries in policy.exceptions.items()
        },
        "masks": [codec.pack_mask(mask) for mask in policy.masks],
    }
    text = json.dumps(head).encode()
    body = b"".join((len(text).to_bytes(8, "big"), text, rule_starts, rules, bucket_starts, buckets))
    return MAGIC + sha256(body) + body


def _blobs(pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    starts, out, at = array("Q", [0]), [], 0
    for piece in pieces:
        out.append(piece)
        at += len(piece)
        starts.append(at)
    return b"".join(out), starts.tobytes()


def _group(name: str, count: int) -> int:
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % count


def load(data: bytes, key: str) -> Policy | None:
    """The policy in `data`; None for anything that `dump` did not write whole, here, for this `key`."""
    start = len(MAGIC) + DIGEST
    if not data.startswith(MAGIC) or len(data) < start + 8:
        return None
    view = memoryview(data)[start:]
    if sha256(view) != data[len(MAGIC) : start]:
        return None
    try:
        return _load(data, start, key)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None


def _load(data: bytes, start: int, key: str) -> Policy | None:
    length = int.from_bytes(data[start : start + 8], "big")
    at = start + 8
    head = json.loads(data[at : at + length])
    if head["key"] != key or head["order"] != sys.byteorder:
        return None
    at += length
    ends = []
    for size in head["sizes"]:
        at += size
        ends.append(at)
    if at != len(data):
        return None
    first = ends[0] - head["sizes"][0]
    rules = _Rules(data, _starts(data[first : ends[0]]), ends[0])
    index = Index(
        programs=_Programs(data, _starts(data[ends[1] : ends[2]]), ends[2]),
        anywhere=head["anywhere"],
        caseless=head["caseless"],
        paths=PathIndex(*head["paths"]),
        hosts=head["hosts"],
        tools=head["tools"],
        decisions=bytes.fromhex(head["decisions"]),
    )
    return Policy(
        rules=rules,
        layers=bytes.fromhex(head["layers"]),
        index=index,
        hosts=Hosts(
            {
                name: tuple((Layer(layer), frozenset(paths)) for layer, paths in entries)
                for name, entries in head["executables"].items()
            }
        ),
        defaults=tuple((Layer(layer), codec.read_defaults(plain)) for layer, plain in head["defaults"]),
        exceptions={
            name: tuple((Layer(layer), codec.read_exception(plain)) for layer, plain in entries)
            for name, entries in head["exceptions"].items()
        },
        masks=tuple(map(codec.read_mask, head["masks"])),
    )


def _starts(data: bytes) -> array[int]:
    starts = array("Q")
    starts.frombytes(data)
    return starts


class _Rules(Sequence[Rule]):
    """Rules by number, each read once."""

    __slots__ = ("_at", "_data", "_read", "_starts")

    def __init__(self, data: bytes, starts: array[int], at: int) -> None:
        self._data = data
        self._starts = starts
        self._at = at
        self._read: dict[int, Rule] = {}

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, number: int) -> Rule: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Rule]: ...
    def __getitem__(self, number: int | slice) -> Rule | Sequence[Rule]:
        if isinstance(number, slice):
            return tuple(self[one] for one in range(*number.indices(len(self))))
        found = self._read.get(number)
        if found is None:
            if not 0 <= number < len(self):
                raise IndexError(number)
            at, starts = self._at, self._starts
            plain = json.loads(self._data[at + starts[number] : at + starts[number + 1]])
            found = self._read[number] = codec.rule(plain)
        return found


class _Programs(Mapping[str, Bucket]):
    """Buckets by program, read in groups."""

    __slots__ = ("_at", "_data", "_groups", "_starts")

    def __init__(self, data: bytes, starts: array[int], at: int) -> None:
        self._data = data
        self._starts = starts
        self._at = at
        self._groups: dict[int, dict[str, Bucket]] = {}

    def _in_group(self, number: int) -> dict[str, Bucket]:
        found = self._groups.get(number)
        if found is None:
            at, starts = self._at, self._starts
            plain = json.loads(self._data[at + starts[number] : at + starts[number + 1]])
            found = self._groups[number] = {name: Bucket(*bucket) for name, bucket in plain.items()}
        return found

    def __getitem__(self, name: str) -> Bucket:
        return self._in_group(_group(name, len(self._starts) - 1))[name]

    def __iter__(self) -> Iterator[str]:
        for number in range(len(self._starts) - 1):
            yield from self._in_group(number)

    def __len__(self) -> int:
        return sum(1 for _ in self)
