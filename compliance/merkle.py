"""RFC 6962 Merkle trees over a stream: roots and proofs in memory that grows with the logarithm. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from execpolicy.values import frozen

Hash = bytes
Range = tuple[int, int]  # of leaves, half open

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> Hash:
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A growing tree, of which only the hashes of its full subtrees are kept, largest first."""

    def __init__(self, size: int = 0, peaks: Sequence[Hash] = ()) -> None:
        """The tree that had `size` leaves and these peaks. ValueError when there cannot be such a tree."""
        if size < 0 or len(peaks) != size.bit_count():
            raise ValueError("a tree of this size has another number of peaks")
        self.size = size
        self._peaks = list(peaks)

    @property
    def peaks(self) -> tuple[Hash, ...]:
        return tuple(self._peaks)

    def add(self, leaf: Hash) -> None:
        size = self.size
        while size & 1:
            leaf = node_hash(self._peaks.pop(), leaf)
            size >>= 1
        self._peaks.append(leaf)
        self.size += 1

    def root(self) -> Hash:
        if not self._peaks:
            return EMPTY
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found


def inclusion_ranges(index: int, size: int) -> tuple[Range, ...]:
    """The subtrees whose roots prove that leaf `index` is in a tree of `size`, in the order of the proof."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    return tuple(_path(index, 0, size))


def _path(index: int, start: int, end: int) -> list[Range]:
    if end - start == 1:
        return []
    middle = start + _split(end - start)
    if index < middle:
        return [*_path(index, start, middle), (middle, end)]
    return [*_path(index, middle, end), (start, middle)]


def consistency_ranges(old: int, new: int) -> tuple[Range, ...]:
    """The subtrees whose roots prove that the first `old` leaves of a tree of `new` are a tree of `old`."""
    if not 0 <= old <= new:
        raise ValueError("a tree does not shrink")
    return tuple(_growth(old, 0, new, whole=True)) if 0 < old < new else ()


def _growth(old: int, start: int, end: int, *, whole: bool) -> list[Range]:
    """`old` counts from `start`; `whole` says that the old tree is known to the verifier."""
    if old == end - start:
        return [] if whole else [(start, end)]
    middle = start + _split(end - start)
    if old <= middle - start:
        return [*_growth(old, start, middle, whole=whole), (middle, end)]
    return [*_growth(old - (middle - start), middle, end, whole=False), (start, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def roots(ranges: Sequence[Range], leaves: Iterable[Hash]) -> tuple[Hash, ...]:
    """The roots of `ranges`, which may not overlap, over one pass through `leaves`."""
    order = sorted(range(len(ranges)), key=lambda at: ranges[at])
    found: dict[int, Hash] = {}
    waiting = iter(order)
    at = next(waiting, None)
    tree = Tree()
    for number, leaf in enumerate(leaves):
        if at is None:
            break
        start, end = ranges[at]
        if number >= start:
            tree.add(leaf)
        if number + 1 == end:
            found[at] = tree.root()
            at, tree = next(waiting, None), Tree()
    if at is not None:
        raise ValueError("there are fewer leaves than the tree has")
    return tuple(found[at] for at in range(len(ranges)))


def root_of_inclusion(index: int, size: int, leaf: Hash, proof: Sequence[Hash]) -> Hash | None:
    """The root that `proof` leads to (RFC 9162, 2.1.3.2); None when the proof has another length."""
    if not 0 <= index < size:
        return None
    last, found = size - 1, leaf
    for step in proof:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = node_hash(step, found)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = node_hash(found, step)
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


@frozen
class Growth:
    """A tree before and after."""

    old_size: int
    old_root: Hash
    new_size: int
    new_root: Hash


def is_consistent(growth: Growth, proof: Sequence[Hash]) -> bool:
    """Whether `proof` shows that nothing of the old tree was changed (RFC 9162, 2.1.4.2)."""
    old, new = growth.old_size, growth.new_size
    if not 0 <= old <= new:
        return False
    if old == 0:
        return not proof
    if old == new:
        return not proof and growth.old_root == growth.new_root
    steps = list(proof)
    if old & (old - 1) == 0:
        steps.insert(0, growth.old_root)
    if not steps:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_root = new_root = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_root, new_root = node_hash(step, old_root), node_hash(step, new_root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_root = node_hash(new_root, step)
        at, last = at >> 1, last >> 1
    return last == 0 and old_root == growth.old_root and new_root == growth.new_root
