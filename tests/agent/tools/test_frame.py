"""Output as the model sees it: whole if it fits, else head and tail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tools.frame import frame, shorten


def test_the_frame() -> None:
    assert frame("call_1", 0.05, "Process exited with code 0", "hi\n", 3) == (
        "Chunk ID: 74196f\nWall time: 0.0500 seconds\nProcess exited with code 0\n"
        "Original token count: 1\nOutput:\nhi\n"
    )


@pytest.mark.parametrize(
    ("text", "tokens", "want"),
    [
        pytest.param("", 10, "", id="empty"),
        pytest.param("short", 10, "short", id="fits"),
        pytest.param("x" * 40, 10, "x" * 40, id="fits-exactly"),
        pytest.param(
            "a" * 20 + "b" * 20,
            5,
            "Warning: truncated output (original token count: 10)\nTotal output lines: 1\n\n"
            + "a" * 10
            + "…5 tokens truncated…"
            + "b" * 10,
            id="head-and-tail",
        ),
        pytest.param(
            "ä" * 10,
            1,
            "Warning: truncated output (original token count: 5)\nTotal output lines: 1\n\nä…4 tokens truncated…ä",
            id="no-half-characters",
        ),
    ],
)
def test_shorten(text: str, tokens: int, want: str) -> None:
    assert shorten(text, tokens) == want


def test_what_the_capture_left_out_is_counted() -> None:
    assert shorten("abc\n", 10, omitted_bytes=400).startswith(
        "Warning: truncated output (original token count: 101)\nTotal output lines: 1 or more\n\nabc"
    )


@given(st.text(), st.integers(1, 50))
def test_the_answer_is_bounded_whatever_the_output(text: str, tokens: int) -> None:
    assert len(shorten(text, tokens).encode()) <= tokens * 4 + 200
