"""One child process for all tests of the dialect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from execpolicy.codex.expand import PROGRAM
from execpolicy.codex.starlark import Child


@pytest.fixture(scope="session")
def child() -> Iterator[Child]:
    pytest.importorskip("starlark")
    with Child(PROGRAM) as one:
        yield one
