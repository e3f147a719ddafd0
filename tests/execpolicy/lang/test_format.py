"""Canonical text: golden forms, comments, refusals."""

from __future__ import annotations

import pytest

from execpolicy.lang.format import format_text


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("prefix_rule(['a',],decision='allow')", 'prefix_rule(["a"], decision = "allow")\n', id="one-line"),
        pytest.param("A=1;B=2 # c", "A = 1\nB = 2  # c\n", id="semicolon"),
        pytest.param("# a\n\n\n\n# b\nA=[]\n", "# a\n\n# b\nA = []\n", id="empty-lines"),
        pytest.param("A = r'\\d'\n", "A = r'\\d'\n", id="raw-string-stays"),
        pytest.param("A = 'it\\'s'\r\n", 'A = "it\'s"\n', id="quotes-and-line-ends"),
        pytest.param(
            "x=['a' , # one\n # two\n 'b' + # three\n 'c'\n # four\n ] # five",
            'x = [\n    "a",  # one\n    # two\n    # three\n    "b" + "c",\n    # four\n]  # five\n',
            id="comments-inside",
        ),
        pytest.param(
            'f( # s\n a=["a"], when = ( # p\n not x), # q\n)',
            'f(\n    # s\n    a = ["a"],\n    # p\n    when = (not x),  # q\n)\n',
            id="comments-in-a-call",
        ),
        pytest.param("f()", "f()\n", id="empty-call"),
        pytest.param("f(# c\n)", "f(\n    # c\n)\n", id="comment-in-an-empty-call"),
        pytest.param(
            f'prefix_rule(["{"a" * 60}", "{"b" * 60}"], decision = "deny")',
            f'prefix_rule(\n    [\n        "{"a" * 60}",\n        "{"b" * 60}",\n    ],\n    decision = "deny",\n)\n',
            id="too-long",
        ),
    ],
)  # fmt: skip
def test_canonical_form(text: str, want: str) -> None:
    assert format_text(text, "x.rules").text == want
    assert format_text(want, "x.rules").text == want


def test_a_broken_file_is_left_alone() -> None:
    formatted = format_text('prefix_rule(["a")', "x.rules")
    assert formatted.text is None
    assert [item.code for item in formatted.diagnostics] == ["E004"]
