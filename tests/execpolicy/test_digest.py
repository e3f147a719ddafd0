"""The digest is SHA-256 whichever code makes it."""

from __future__ import annotations

import hashlib

import pytest

from execpolicy.digest import LITTLE, sha256


@pytest.mark.parametrize("size", [0, 1, 1000, LITTLE, LITTLE + 1])
@pytest.mark.parametrize("kind", [bytes, memoryview])
def test_it_is_the_same(size: int, kind: type) -> None:
    data = b"x" * size
    assert sha256(kind(data)) == hashlib.sha256(data).digest()
