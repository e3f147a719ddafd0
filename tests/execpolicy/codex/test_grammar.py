"""What Codex expected where the syntax of a program is broken."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.codex.check import check
from execpolicy.codex.grammar import MAX_DEPTH, mistake, value_mistake

END = "f-string expression end '}'"
EXPECTED = [
    ("lambda", "unexpected new line, expected identifier"),
    ("x = lambda x x", "unexpected identifier 'x', expected symbol ':'"),
    ("if x:\n", "unexpected end of file, expected new indentation block"),
    ("def f():\n\n# nothing\n", "unexpected end of file, expected new indentation block"),
    ("if x:\ny", "unexpected identifier 'y', expected new indentation block"),
    ("1, 2", "unexpected new line, expected assignment operator"),
    ("x: int", "unexpected new line, expected assignment operator"),
    ("x = 1 not 2", "unexpected integer literal '2', expected 'in' after 'not'"),
    ("x = 0x1f 0x10", "unexpected integer literal '16', expected new line"),
    ("load(x)", "unexpected identifier 'x', expected string literal"),
    ("load('a' 'b')", "unexpected string literal \"b\", expected symbol ','"),
    ("load('a', 1)", "unexpected integer literal '1', expected string literal or identifier"),
    ("def (x): pass", "unexpected symbol '(', expected identifier"),
    ("def f(1): pass", "unexpected integer literal '1', expected identifier"),
    ("for x y: pass", "unexpected identifier 'y', expected keyword 'in'"),
    ("f(x.y=1)", "unexpected symbol '=', expected symbol ')'"),
    ("x[1, 2, 3]", "unexpected symbol ',', expected symbol ']'"),
    (
        "a < b == c",
        "unexpected symbol '==', expected end of expression (comparisons are not associative in Starlark)",
    ),
    ("x = [i for i in y else]", "unexpected keyword 'else', expected symbol ']'"),
    ("if x: pass else: pass", "unexpected keyword 'else', expected new line"),
]
READ = [
    "f(x not in y, not z, *a, k=1, **b)",
    "x = a if b else c if d else e",
    "def f(a, b: int = 1, *, c, **d) -> int:\n  return a, b\n\nf(1)",
    "x[1:2:3]; x[:]; x[::2]; x[1:]; x[a, b]",
    "x = {k: v for k, v in y if k if v for z in v}",
    "for i, j in [(1, 2)]:\n  if i: pass\n  elif j: continue\n  else:\n    break\n",
    "x = (1,)\ny = ()\nz = [1,]\nw = {1: 2,}\nv = (\n  1, # one\n  2,\n)",
    "load('a', 'b', c = 'd',)",
    "x = -+~1 if not a else b.c(d)[e]",
    "x = f'{a}' + fr\"{b!r}\" + b'c' + rb'd'",
    "\n\n# only\n   # comments\n",
    "if a:\n  b\n # odd comment\n  c\n",
]
WHOLE = [
    ("x = f'abc", "Parse error: unfinished string literal"),
    ("x = f'a\\'", "Parse error: unfinished string literal"),
    ("x = f'{'", "Parse error: unfinished string literal"),
    ("x = f'a}b'", "Parse error: invalid input `}`"),
    ("x = f'{1!z}'", "invalid f-string conversion specifier, expected 's' or 'r'"),
    ("x = f'{1!r:3}'", f"Parse error: unexpected symbol ':', expected {END}"),
    ("x = f'{1, 2}'", f"Parse error: unexpected symbol ',', expected {END}"),
    ("x = 1,", "unparenthesized tuple with trailing comma"),
    ("a, *b = [1, 2]", "unparenthesized tuple with trailing comma"),
    ("for k, v, in []: pass", "unparenthesized tuple with trailing comma"),
    ("fail(repr(prefix_rule))", "fail: prefix_rule"),
    (
        "prefix_rule(pattern=prefix_rule)",
        "Type of parameter `pattern` doesn't match, expected `list`, actual `function (repr: prefix_rule)`",
    ),
    ("network_rule('[]','http','deny')", "invalid rule: network_rule host cannot be empty"),
    (
        "network_rule(' [::1]x','http','deny')",
        "invalid rule: network_rule host contains an unsupported suffix:  [::1]x",
    ),
]


@pytest.mark.parametrize(("text", "expected"), EXPECTED)
def test_says_what_was_expected(text: str, expected: str) -> None:
    assert mistake(text) == f"Parse error: {expected}"


@pytest.mark.parametrize("text", READ)
def test_reads_what_codex_reads(text: str) -> None:
    assert mistake(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", f"unexpected {END}, expected expression"),
        ("a b", f"unexpected identifier 'b', expected {END}"),
        ("a +", f"unexpected {END}, expected expression"),
        ("(a", f"unexpected {END}, expected symbol ')'"),
    ],
)
def test_says_what_was_expected_between_braces(value: str, expected: str) -> None:
    assert value_mistake(value) == f"Parse error: {expected}"


@pytest.mark.parametrize(("text", "expected"), WHOLE)
def test_refuses_as_codex_does(text: str, expected: str, tmp_path: Path) -> None:
    pytest.importorskip("starlark")
    path = tmp_path / "a.rules"
    path.write_text(text, encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    assert check(["--rules", str(path), "git"], out, err) == 1
    assert f"error: {expected}\n" in err.getvalue()


@given(st.text(alphabet="fx1'\"{}[]()=,:!\\ \n+.#not iin ", max_size=60))
def test_ends_on_any_text(text: str) -> None:
    mistake(text)
    value_mistake(text)


def test_leaves_what_is_too_deep_to_others() -> None:
    assert mistake("x = " + "(" * (MAX_DEPTH * 50)) is None
