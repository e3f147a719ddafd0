"""A function that comes back to itself is an unknown; one that calls others or a program of its name is not."""

from __future__ import annotations

import pytest

from execpolicy.shell.analyse import analyse


@pytest.mark.parametrize(
    "script",
    [
        ":(){ :|:& };:",
        "bash -c ':(){ :|:& };:'",
        "f() { g; }; g() { f; }; f",
        "f() { x=$(g); }; g() { (f); }; f",
        "f() { eval f; }; f",
        "walk() { for d in a b; do walk $d; done; }; walk",
    ],
)
def test_a_function_that_may_not_end_is_told(script: str) -> None:
    assert any("calls itself" in unknown.why for unknown in analyse(script).unknowns)


@pytest.mark.parametrize(
    "script",
    [
        "f() { g; }; g() { echo x; }; f",
        "cd() { builtin cd x; }; cd",
        "ls() { command ls; }; ls",
        "f() { echo f; }; f; f",
    ],
)
def test_one_that_ends_is_not(script: str) -> None:
    assert not any("calls itself" in unknown.why for unknown in analyse(script).unknowns)
