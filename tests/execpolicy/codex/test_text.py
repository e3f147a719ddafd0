"""Shell words and debug strings."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.codex.text import debug, join_words, normal_path, split_words


@given(st.lists(st.text(alphabet="ab '\"\\$^`!#~é\n=", max_size=8), max_size=4))
def test_joined_words_are_the_words_again(words: list[str]) -> None:
    joined = join_words(tuple(words))
    assert joined is not None
    assert split_words(joined) == words
    assert shlex.split(joined) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc\nd", ["a", "b", "c", "d"]),
        ("a'b c'\"d\"", ["ab cd"]),
        ('"a\\$b\\qc"', ["a$b\\qc"]),
        ("a # b\nc", ["a", "c"]),
        ("a#b", ["a#b"]),
        ("a\\\nb", ["ab"]),
        ("''", [""]),
        ("# all", []),
        ("a\u00a0b", ["a\u00a0b"]),
        ("'a", None),
        ('"a', None),
        ("a\\", None),
    ],
)
def test_words_of_an_example(text: str, words: list[str] | None) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("word", "quoted"),
    [("a", "a"), ("", "''"),
     ("a b", "'a b'"), ("c'd", "\"c'd\""), ("^a", "'^a'"), ("a^", "a'^'"), ("é", "'é'"), ("a\\b", '"a\\\\b"')],
)  # fmt: skip
def test_quoting(word: str, quoted: str) -> None:
    assert join_words((word,)) == quoted


def test_a_word_with_nul_cannot_be_shown() -> None:
    assert join_words(("a", "b\0")) is None


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('a"\\', '"a\\"\\\\"'),
        ("\n\t\r\0", '"\\n\\t\\r\\0"'),
        ("\u00a0é'", '"\\u{a0}é\'"'),
        ("e\u0301", '"e\\u{301}"'),
    ],
)
def test_debug_strings(text: str, want: str) -> None:
    assert debug(text) == want


@pytest.mark.parametrize(
    ("path", "want"), [("/a/../b//c/.", "/b/c"), ("/..", "/"), ("/", "/"), ("/a/", "/a")]
)
def test_paths(path: str, want: str) -> None:
    assert normal_path(path) == want
