"""Text of others cannot steer the terminal or hide in it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.protocol.plain import command_text, labelled, message_text, one_line, output_text, visible


@pytest.mark.parametrize(
    ("text", "want"),
    [
        pytest.param("a\tb\nc", "a\tb\nc", id="line-ends-and-tabs-stay"),
        pytest.param("rm -rf x\x1b[2K\x1b[1Gls", "rm -rf x␛[2K␛[1Gls", id="erased-line"),
        pytest.param("evil\rgood", "evil␍good", id="overwritten-line"),
        pytest.param("a\r\nb", "a\nb", id="line-end-of-another-system"),
        pytest.param("a\x08\x08b", "a␈␈b", id="backspace"),
        pytest.param("\x1b]0;title\x07", "␛]0;title␇", id="title"),
        pytest.param("\x9b2J", "⟨U+009B⟩2J", id="one-character-introducer"),
        pytest.param("a\u202egnp.exe", "a⟨U+202E⟩gnp.exe", id="right-to-left"),
        pytest.param("ab\u200bc\ufeff", "ab⟨U+200B⟩c⟨U+FEFF⟩", id="no-width"),
        pytest.param("a\u2028b", "a⟨U+2028⟩b", id="line-separator"),
        pytest.param("a\U000e0041b", "a⟨U+E0041⟩b", id="tag"),
        pytest.param("\x7f\x00", "␡␀", id="delete-and-null"),
        pytest.param("\ud800", "⟨U+D800⟩", id="half-a-character"),
        pytest.param("naïve 日本 é 😀", "naïve 日本 é 😀", id="letters-stay"),
    ],
)
def test_visible(text: str, want: str) -> None:
    assert visible(text) == want


@given(st.text(alphabet=st.characters(codec=None), max_size=200))
def test_nothing_that_steers_is_left_and_nothing_else_is_lost(text: str) -> None:
    shown = visible(text)
    assert all(char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in shown)
    harmless = [char for char in text if char.isalnum() and not unicodedata.category(char).startswith("C")]
    for char in harmless:
        assert char in shown or f"U+{ord(char):04X}" in shown


def test_a_gap_cannot_push_the_rest_of_a_command_out_of_sight() -> None:
    assert command_text("ls" + " " * 300 + "; rm x") == "ls ⟨300 blanks⟩ ; rm x"
    assert command_text("ls" + "\n" * 80 + "rm x") == "ls\n⟨79 empty lines⟩\nrm x"
    assert command_text("for x in a\n\n  b") == "for x in a\n\n  b"


def test_colours_of_an_output_are_dropped_and_nothing_else() -> None:
    assert output_text("\x1b[31;1mred\x1b[0m \x1b[2J") == "red ␛[2J"


def test_one_line() -> None:
    assert one_line("a\nb\tc") == "a⏎ b c"
    assert one_line("x" * 300, 10) == "x" * 9 + "…"


@pytest.mark.parametrize(
    ("message", "want"),
    [
        ("one", "error: one"),
        ("one\ntwo\x1b", "error: one\nerror: two␛"),
        ("error[E1]: x\n --> a:1:1\n\n1 file", "error[E1]: x\n --> a:1:1\n\nerror: 1 file"),
    ],
)
def test_labelled(message: str, want: str) -> None:
    assert labelled("error", message) == want


def test_emoji_of_the_model_are_no_noise() -> None:
    assert (
        message_text("\u26a0\ufe0f ok \U0001f468\u200d\U0001f4bb\u202e")
        == "\u26a0 ok \U0001f468\U0001f4bb⟨U+202E⟩"
    )
