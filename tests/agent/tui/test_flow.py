"""Streamed text is broken between words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tui.flow import Flow, rows


def flowed(width: int, *pieces: str) -> str:
    flow = Flow(width, len)
    return "".join(flow.feed(piece) for piece in pieces) + flow.end()


@pytest.mark.parametrize(
    ("pieces", "want"),
    [
        (("one two three",), "one two\nthree"),
        (("one t", "wo th", "ree"), "one two\nthree"),
        (("one\ntwo three four",), "one\ntwo three\nfour"),
        (("  def f():\n    x",), "  def f():\n    x"),
        (("a " + "x" * 25 + " b",), "a " + "x" * 25 + " b"),
        (("one two \n\nthree",), "one two\n\nthree"),
        (("",), ""),
    ],
)
def test_lines(pieces: tuple[str, ...], want: str) -> None:
    assert flowed(10, *pieces) == want


@given(st.lists(st.text(alphabet="ab \n", max_size=12), max_size=12), st.integers(3, 30))
def test_no_word_is_lost_or_cut_and_pieces_make_no_difference(pieces: list[str], width: int) -> None:
    text = "".join(pieces)
    shown = flowed(width, *pieces)
    assert shown.split() == text.split()
    assert shown == flowed(width, text)
    for line in shown.split("\n"):
        assert (
            len(line.rstrip()) <= width or any(len(word) > width for word in line.split()) or line[0] == " "
        )


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("one two three", ["one two ", "three"]),
        ("one two thr four", ["one two ", "thr four"]),
        ("0123456789 x", ["0123456789", " x"]),
        ("x" * 12, ["x" * 10, "xx"]),
        ("", [""]),
        ("日" * 6, ["日" * 5, "日"]),
    ],
)
def test_rows(text: str, want: list[str]) -> None:
    from rich.cells import cell_len

    assert rows(text, 10, cell_len) == want


@given(st.text(alphabet="ab  日́", max_size=60), st.integers(2, 12))
def test_rows_lose_nothing_and_fit(text: str, width: int) -> None:
    from rich.cells import cell_len

    found = rows(text, width, cell_len)
    assert "".join(found) == text
    assert all(cell_len(row) <= width for row in found)
