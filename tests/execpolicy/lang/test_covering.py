"""Which characters stand inside a match: compared with a search over every start and end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.lang.covering import covering
from execpolicy.lang.rules import Exact, Regex

PATTERNS = (
    "tok_[a-c]{3}",
    "[ab]{0,2}to[k_]",
    "(ab|c)k{1,3}",
    "a+b",
    "^ab",
    "ab$",
    "(ab|ba)+c",
    "c.*a",
    "a{2,3}",
    "(?i)tOK",
    "(a+)+b",
    "[^a]b",
)


def covered(spans: object, length: int) -> list[bool]:
    flags = [False] * length
    for start, end in spans:  # type: ignore[attr-defined]
        assert 0 <= start < end <= length
        flags[start:end] = [True] * (end - start)
    return flags


def every_match(pattern: str, text: str) -> list[tuple[int, int]]:
    body = re.compile(pattern.removeprefix("^").removesuffix("$"))
    return [
        (start, end)
        for start in range(len(text))
        if not (pattern.startswith("^") and start)
        for end in range(start + 1, len(text) + 1)
        if not (pattern.endswith("$") and end < len(text)) and body.fullmatch(text, start, end)
    ]


@given(st.sampled_from(PATTERNS), st.text("abctokTOK_\n", max_size=14), st.booleans())
def test_the_covered_characters_are_those_of_all_matches(pattern: str, text: str, planted: bool) -> None:
    text = f"{text[:5]}tok_abc{text[5:]}" if planted else text
    found = covering(Regex(pattern)).spans(text)
    assert covered(found, len(text)) == covered(every_match(pattern, text), len(text))


@pytest.mark.parametrize(
    ("pattern", "needle"),
    [("ghp_[a-z]{3}", "ghp_"), ("a+b", "a"), ("(ab|cd)xyz", "xyz"), ("(?i)key", ""), ("(abc){2}", "abcabc")],
)
def test_what_has_to_stand_in_a_match(pattern: str, needle: str) -> None:
    assert covering(Regex(pattern)).needle == needle


def test_a_text_is_found_wherever_it_stands() -> None:
    assert list(covering(Exact("ab")).spans("abxababy")) == [(0, 2), (3, 5), (5, 7)]


@pytest.mark.parametrize("pattern", ["(a+)+b|tok", "tok[a-z]+x", "(a|aa)+$|tok", "tok.*tok"])
def test_a_long_text_takes_two_passes(pattern: str) -> None:
    """A search that goes back would not end on these."""
    text = "tok" + "a" * 100_000
    assert all(start < end for start, end in covering(Regex(pattern)).spans(text))


def test_what_would_take_too_much_memory_is_covered_as_a_whole() -> None:
    text = "".join("ab"[(at * at + at // 7) % 2] for at in range(60_000))
    assert list(covering(Regex("(a|b)*a(a|b){14}c|b")).spans(text))
