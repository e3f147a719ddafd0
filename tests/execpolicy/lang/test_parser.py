"""Text to syntax: every statement, every comment, every error, whatever the text is."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execpolicy.decision import Layer
from execpolicy.diagnostics import render, to_json
from execpolicy.lang.format import format_text, meaning
from execpolicy.lang.lower import parse_rules
from execpolicy.lang.parser import parse, parse_statement
from execpolicy.lang.quick import quick_statement
from execpolicy.lang.scanner import Scanner
from execpolicy.lang.strings import BadEscape, decode, encode
from execpolicy.source import SourceText

PIECES = [
    "prefix_rule(", "command_rule(", "network_rule(", "defaults(", "exception(", "pattern=", "decision=", "when=",
    "id=", "match=", '"allow"', '"deny"', '"git"', "'x'", "[", "]", "(", ")", "{", "}", ",", ":", "=", "==", "!=", "+", "and ",
    "or ", "not ", "in ", "A", "branch", "interactive", "glob(", "regex(", "any_of(", "rest", "end", "1", "\n", " ",
    "#c\n", ";", '"""', "\\", "\r\n", "\t", "r'\\d'", "f'x'", "for ", "env[", ".", "time.between(", "True", "\0", "é", "\ufeff",
    'prefix_rule(["a"])\n', 'prefix_rule(pattern = ["a", ["b", "c"]], decision = "deny", justification = "x")\n',
]  # fmt: skip
soup = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


@settings(max_examples=300, deadline=None)
@given(st.one_of(soup, st.text(max_size=200)))
def test_no_text_is_too_odd(text: str) -> None:
    parsed = parse_rules(text, "x.rules", Layer.USER)
    for item in parsed.diagnostics:
        assert render(item)
        assert to_json(item)["line"]
    formatted = format_text(text, "x.rules")
    assert (formatted.text is None) == bool(formatted.diagnostics)


@settings(max_examples=300, deadline=None)
@given(soup)
def test_the_quick_ways_read_as_the_parser_does(text: str) -> None:
    assert parse_rules(text, "x.rules", Layer.USER) == parse_rules(text, "x.rules", Layer.USER, fast=False)


@settings(max_examples=300, deadline=None)
@given(soup)
def test_a_quick_statement_is_the_statement(text: str) -> None:
    source = SourceText("x", text)
    for chunk in Scanner(source).chunks():
        quick = None if chunk.errors else quick_statement(chunk.tokens)
        if quick is not None:
            assert parse_statement(chunk, source) == (quick, [])


@settings(max_examples=200, deadline=None)
@given(soup)
def test_formatting_keeps_meaning_and_is_done_once(text: str) -> None:
    once = format_text(text, "x.rules").text
    if once is not None:
        assert meaning(parse(once, "x")[0]) == meaning(parse(text, "x")[0])
        assert format_text(once, "x.rules").text == once


@given(st.text())
def test_a_written_string_means_its_value(value: str) -> None:
    literal = encode(value)
    assert "\n" not in literal
    if not any("\ud800" <= char <= "\udfff" for char in value):
        assert decode(literal) == value


@pytest.mark.parametrize("literal", ['"\\x1"', '"\\u12"', '"\\ud800"', '"\\U00110000"'])
def test_escapes_of_no_character(literal: str) -> None:
    with pytest.raises(BadEscape):
        decode(literal)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\0" * 1_000_000, id="nul"),
        pytest.param("(" * 1_000_000, id="open"),
        pytest.param(")" * 1_000_000, id="close"),
        pytest.param('"' * 1_000_000, id="quotes"),
        pytest.param('\\"""\n' * 200_000, id="never-closed-again-and-again"),
        pytest.param("'\n" * 300_000, id="unfinished-strings"),
        pytest.param("prefix_rule([" + '"a",' * 200_000 + "])", id="long-list"),
        pytest.param('x = "' + "\\\\" * 500_000 + '"', id="escapes"),
        pytest.param('x = ["a"]\n' + "x = x + x\n" * 60, id="doubling"),
        pytest.param('x = ["a"]\n' + "x = [x, x]\n" * 60 + "prefix_rule([x])", id="nesting-by-name"),
        pytest.param("\n" * 1_000_000, id="empty-lines"),
        pytest.param("x = " + "not " * 200_000, id="not-not"),
        pytest.param("a" + ".a" * 90_000, id="dots"),
        pytest.param("$\n" * 300_000, id="errors"),
        pytest.param("prefix_rule([a])\n" * 20_000, id="undefined"),
        pytest.param('prefix_rule(["a", regex("' + "(a|" * 40 + "b" + ")" * 40 + '")])', id="regex"),
    ],
)
def test_large_and_odd_files_are_answered_soon(text: str) -> None:
    start = time.monotonic()
    parsed = parse_rules(text, "x.rules", Layer.USER)
    assert len(parsed.diagnostics) <= 1001
    assert time.monotonic() - start < 20


def test_an_error_in_a_long_line_shows_a_piece_of_it() -> None:
    (item,) = parse_rules("x = [" + '"a", ' * 1000 + "$]", "x.rules", Layer.USER).diagnostics
    lines = render(item).split("\n")
    assert max(map(len, lines)) < 140
    assert lines[3][lines[4].index("^")] == "$"
