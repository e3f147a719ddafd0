"""Canonical text: golden forms, comments, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execpolicy.decision import Layer
from execpolicy.lang.format import format_text, meaning
from execpolicy.lang.lower import parse_rules
from execpolicy.lang.parser import parse

gaps = st.sampled_from(["", " ", "\n", "  \n\n\n", " # c\n", "\n# own line\n  # and another\n", "\t", "\r\n"])
atoms = st.sampled_from(['"a"', "'b'", "r'\\d'", '"""x\ny"""', "A", "True", "7", '"é\\n"', f'"{"w" * 70}"'])


def joined(parts: list[str], opening: str, closing: str) -> st.SearchStrategy[str]:
    count = 2 * len(parts) + 1
    return st.lists(gaps, min_size=count, max_size=count).map(
        lambda some: (
            opening
            + ",".join(f"{some[2 * index]}{part}{some[2 * index + 1]}" for index, part in enumerate(parts))
            + (f",{some[-1]}" if parts and some[-1] else some[-1])
            + closing
        )
    )


values: st.SearchStrategy[str] = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).flatmap(lambda some: joined(some, "[", "]")),
        st.lists(st.tuples(atoms, inner), max_size=2).flatmap(
            lambda some: joined([f"{key}: {value}" for key, value in some], "{", "}")
        ),
        st.lists(inner, max_size=2).flatmap(lambda some: joined(some, "glob(", ")")),
        st.tuples(inner, gaps, inner).map(lambda three: f"({three[0]}{three[1]} + {three[2]})"),
        st.tuples(inner, inner).map(lambda two: f"(not {two[0]} and {two[1]} or A not in {two[1]})"),
    ),
    max_leaves=6,
)
declarations = st.lists(st.tuples(st.sampled_from(["k = ", "pattern=", ""]), values), max_size=4).flatmap(
    lambda some: joined([f"{key}{value}" for key, value in some], "prefix_rule(", ")")
)
files = st.lists(
    st.tuples(
        st.sampled_from(["", "# above\n", "\n\n\n"]),
        st.one_of(declarations, values.map(lambda value: f"A = {value}")),
        st.sampled_from(["\n", " # behind\n", ";", "\n\n# own\n"]),
    ).map("".join),
    max_size=4,
).map("".join)


@settings(max_examples=300, deadline=None)
@given(files)
def test_whatever_reads_is_formatted_once_and_means_the_same(text: str) -> None:
    before, broken = parse(text, "x.rules")
    assert broken == ()
    once = format_text(text, "x.rules").text
    assert once is not None
    after, broken = parse(once, "x.rules")
    assert broken == ()
    assert meaning(after) == meaning(before)
    assert sorted(one.text for one in after.comments) == sorted(one.text for one in before.comments)
    assert format_text(once, "x.rules").text == once


@settings(max_examples=300, deadline=None)
@given(files)
def test_the_quick_ways_give_the_rules_of_the_parser(text: str) -> None:
    assert parse_rules(text, "x", Layer.USER) == parse_rules(text, "x", Layer.USER, fast=False)


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
