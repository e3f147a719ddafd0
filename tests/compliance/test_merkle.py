"""Roots are those of RFC 6962, and only true proofs prove."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compliance.merkle import (
    EMPTY,
    Growth,
    Hash,
    Tree,
    consistency_ranges,
    inclusion_ranges,
    is_consistent,
    leaf_hash,
    root_of_inclusion,
    roots,
)

# The leaves and roots that the authors of RFC 6962 publish for tests.
VECTORS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def simple_root(leaves: list[bytes]) -> Hash:
    """The definition of the RFC, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\1" + simple_root(leaves[:split]) + simple_root(leaves[split:])).digest()


def tree_of(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf_hash(leaf))
    return tree


def numbered(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_published(size: int) -> None:
    assert tree_of(VECTORS[:size]).root().hex() == ROOTS[size - 1]


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_roots_are_those_of_the_definition(leaves: list[bytes]) -> None:
    tree = tree_of(leaves)
    assert tree.root() == simple_root(leaves)
    assert Tree(tree.size, tree.peaks).root() == tree.root()


def test_an_empty_tree() -> None:
    assert Tree().root() == EMPTY
    with pytest.raises(ValueError, match="peaks"):
        Tree(3, (EMPTY,))


@given(st.data())
def test_inclusion_is_proved_for_what_is_in_and_for_nothing_else(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 130))
    index = data.draw(st.integers(0, size - 1))
    leaves = [leaf_hash(leaf) for leaf in numbered(size)]
    root = simple_root(numbered(size))
    proof = roots(inclusion_ranges(index, size), leaves)
    assert root_of_inclusion(index, size, leaves[index], proof) == root
    assert root_of_inclusion(index, size, leaf_hash(b"other"), proof) != root
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index)) if size > 1 else size
    assert root_of_inclusion(other, size, leaves[index], proof) != root
    assert root_of_inclusion(index, size, leaves[index], [*proof, root]) != root
    if proof:
        assert root_of_inclusion(index, size, leaves[index], proof[:-1]) != root


@given(st.data())
def test_growth_is_proved_when_nothing_was_changed_and_only_then(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, 130))
    old = data.draw(st.integers(0, new))
    leaves = [leaf_hash(leaf) for leaf in numbered(new)]
    growth = Growth(old, simple_root(numbered(old)), new, simple_root(numbered(new)))
    proof = roots(consistency_ranges(old, new), leaves)
    assert is_consistent(growth, proof)
    changed = numbered(new)
    changed[data.draw(st.integers(0, max(old - 1, 0)))] = b"changed"
    forged = Growth(old, growth.old_root, new, simple_root(changed))
    forged_proof = roots(consistency_ranges(old, new), [leaf_hash(leaf) for leaf in changed])
    if old:
        assert not is_consistent(forged, forged_proof)
        assert not is_consistent(growth, [*proof, EMPTY])
    if proof:
        assert not is_consistent(growth, proof[:-1])
    assert not is_consistent(Growth(new, growth.new_root, old, growth.old_root), proof) or old == new


def test_too_few_leaves_prove_nothing() -> None:
    with pytest.raises(ValueError, match="fewer"):
        roots(inclusion_ranges(1, 5), [EMPTY] * 3)
    with pytest.raises(ValueError, match="not in"):
        inclusion_ranges(5, 5)
    with pytest.raises(ValueError, match="shrink"):
        consistency_ranges(6, 5)
