"""Patterns of one word: what matches, what may match, what must match."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execpolicy.lang.regular import BadPattern, compile_path, compile_word
from execpolicy.lang.rules import AllOf, AnyOf, Exact, Glob, NoneOf, Regex, WordPattern

LETTERS = "abc1/"
atoms = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "\\d", "\\w", "[a-c1]"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda one: f"(?:{one})*"),
        inner.map(lambda one: f"(?:{one})?"),
        inner.map(lambda one: f"(?:{one}){{1,2}}"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, inner).map("".join),
        inner.map(lambda one: f"^{one}"),
        inner.map(lambda one: f"{one}$"),
    ),
    max_leaves=8,
)
words = st.text(alphabet=LETTERS, max_size=6)
patterns: st.SearchStrategy[WordPattern] = st.recursive(
    st.one_of(
        words.map(Exact),
        expressions.map(Regex),
        st.lists(st.sampled_from(["a", "b", "*", "?", "[ab]", "/", "**"]), max_size=5).map("".join).map(Glob),
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda some: st.sampled_from([AnyOf(tuple(some)), AllOf(tuple(some)), NoneOf(tuple(some))])
    ),
    max_leaves=4,
)


@settings(max_examples=300)
@given(expressions, words)
def test_a_regular_expression_is_searched_as_python_searches(expression: str, word: str) -> None:
    assert compile_word(Regex(expression)).matches(word) == (re.search(expression, word) is not None)


@settings(max_examples=300)
@given(patterns, words, words)
def test_what_is_said_of_a_prefix_holds_for_every_word(pattern: WordPattern, prefix: str, rest: str) -> None:
    matcher = compile_word(pattern)
    if matcher.matches(prefix + rest):
        assert matcher.may_match_prefix(prefix)
    if matcher.matches_all_with_prefix(prefix):
        assert matcher.matches(prefix + rest)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", "a/b.py", ".py"], ["a.pyc", ""]),
        ("a?c", ["abc", "a/c"], ["ac", "abbc"]),
        ("[!a-c]x", ["dx", "/x"], ["ax"]),
        ("\\*", ["*"], ["a"]),
        ("", [""], ["a"]),
    ],
)
def test_globs_of_words(pattern: str, yes: list[str], no: list[str]) -> None:
    matcher = compile_word(Glob(pattern))
    assert all(map(matcher.matches, yes))
    assert not any(map(matcher.matches, no))


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py"], ["a/b.py"]),
        ("**/.env*", [".env", "a/.env.local", "/a/b/.env"], ["a.env", ".env/x"]),
        ("/a/**", ["/a/b", "/a/b/c"], ["/a", "/ab"]),
        ("a?c", ["abc"], ["a/c"]),
        ("a[!b]c", ["axc"], ["a/c", "abc"]),
    ],
)
def test_globs_of_paths(pattern: str, yes: list[str], no: list[str]) -> None:
    matcher = compile_path(Glob(pattern))
    assert all(map(matcher.matches, yes))
    assert not any(map(matcher.matches, no))


@pytest.mark.parametrize(
    "expression",
    [
        "(?=a)",
        "(?!a)",
        "(?<=a)",
        "(a)\\1",
        "(?P<n>a)(?P=n)",
        "\\b",
        "(a",
        "a)",
        "[a",
        "*",
        "a**",
        "a{1001}",
        "a{3,2}",
        "\\",
        "(?x)a",
        "[b-a]",
        "\\xzz",
        "\\q",
        "^*",
        "(" * 100 + ")" * 100,
        "((a{100}){100}){100}",
        "x" * 30000,
    ],
)
def test_what_is_not_regular_is_refused(expression: str) -> None:
    with pytest.raises(BadPattern):
        compile_word(Regex(expression))


@pytest.mark.parametrize(
    ("expression", "yes", "no"),
    [
        ("(?i)^git$", ["GIT", "git"], ["gitx"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{,2}$", ["a{,2}"], ["aa"]),
        ("^[\\d.-]+$", ["1.2-3"], ["a"]),
        ("^[^\\w]$", ["-"], ["a"]),
        ("^\\u00e9\\x41$", ["éA"], ["eA"]),
        ("a$", ["ba"], ["a\n"]),
        ("^$", [""], ["a"]),
    ],
)
def test_forms_of_expressions(expression: str, yes: list[str], no: list[str]) -> None:
    matcher = compile_word(Regex(expression))
    assert all(map(matcher.matches, yes))
    assert not any(map(matcher.matches, no))


def test_no_word_takes_more_than_one_pass() -> None:
    start = time.monotonic()
    assert not compile_word(Regex("(a*)*(a|aa)*b$")).matches("a" * 300_000)
    assert time.monotonic() - start < 5
