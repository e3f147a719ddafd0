"""Programs become plain rules, or an error in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from execpolicy.codex.expand import PROGRAM, FileError, expand
from execpolicy.codex.importer import import_program
from execpolicy.codex.starlark import Child, ChildError, MissingProgram
from execpolicy.decision import Layer
from execpolicy.lang.lower import parse_rules


def test_a_program_as_plain_rules(child: Child) -> None:
    text = (
        'def f(x, d="allow"):\n  for s in ["a", "b"]:\n'
        "    prefix_rule([x, s, [x + 'é', 'q\"\\t']], d, [[x, s, x + 'é']])\n"
        'f("git")\nhost_executable("git", ["/usr/bin/git"])\nnetwork_rule("h", "http", "deny")\n'
    )
    plain = import_program(text, "p.rules", child)
    assert plain == (
        'prefix_rule(\n    pattern = ["git", "a", ["gité", "q\\"\\t"]],\n    decision = "allow",\n'
        '    match = [["git", "a", "gité"]],\n)\n'
        'prefix_rule(\n    pattern = ["git", "b", ["gité", "q\\"\\t"]],\n    decision = "allow",\n'
        '    match = [["git", "b", "gité"]],\n)\n'
        'host_executable(name = "git", paths = ["/usr/bin/git"])\n'
        'network_rule(host = "h", protocol = "http", decision = "deny")\n'
    )
    parsed = parse_rules(plain, "p.rules", Layer.USER)
    assert parsed.diagnostics == ()
    assert len(parsed.file.rules) == 3


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x = 'a' * (1 << 30) * 9\n", id="memory-at-once"),
        pytest.param("x = [0]\nfor i in range(60):\n  x = x + x\n", id="memory-by-doubling"),
        pytest.param("x = " + "[" * 100_000 + "]" * 100_000, id="deep-list"),
        pytest.param("x = " + "-" * 100_000 + "1", id="deep-sign"),
    ],
)
def test_what_explodes_is_stopped(text: str) -> None:
    pytest.importorskip("starlark")
    with Child(PROGRAM) as own:
        with pytest.raises(FileError) as caught:
            expand(text, "x.rules", own)
        assert "was stopped" in caught.value.message
        assert expand('x = 1\nprefix_rule(["a"])', "x.rules", own).rules[0].first == "a"


def test_what_does_not_end_is_ended() -> None:
    pytest.importorskip("starlark")
    loop = "def f():\n  for i in range(1 << 30):\n    for j in range(1 << 30):\n      pass\nf()\n"
    start = time.monotonic()
    with Child(PROGRAM, seconds=1) as own, pytest.raises(FileError) as caught:
        expand(loop, "x.rules", own)
    assert "did not end within 1 seconds" in caught.value.message
    assert time.monotonic() - start < 10


def test_a_program_without_the_extra_is_told_so(tmp_path: Path) -> None:
    program = tmp_path / "child.py"
    program.write_text("import starlark_that_is_not_there\n", encoding="utf-8")
    with Child(program) as own, pytest.raises(ChildError, match="`starlark` extra"):
        own.ask({"text": "", "path": ""})


class NoChild(Child):
    """A machine without the library."""

    def ask(self, request: dict[str, str]) -> dict[str, object]:
        raise MissingProgram("programs need the `starlark` extra")


def test_plain_rules_are_written_as_they_are() -> None:
    text = 'prefix_rule(pattern=["a", ["b", "c"]], justification="w")\n'
    assert import_program(text, "x.rules", NoChild(PROGRAM)) == (
        'prefix_rule(pattern = ["a", ["b", "c"]], decision = "allow", justification = "w")\n'
    )


def test_a_plain_file_needs_no_library() -> None:
    recorder = expand(
        'A = ["x"]\nprefix_rule(A + ["b\\n"], match=[A + ["b\\n"]])\n', "x.rules", NoChild(PROGRAM)
    )
    assert [(rule.first, rule.rest) for rule in recorder.rules] == [("x", (("b\n",),))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(): pass", "programs need the `starlark` extra"),
        ("prefix_rule([1])", "programs need the `starlark` extra"),
        ('prefix_rule(["a"], "deny")', "invalid decision: deny"),
    ],
)
def test_the_library_is_asked_for_where_it_is_needed(text: str, message: str) -> None:
    with pytest.raises(FileError) as caught:
        expand(text, "x.rules", NoChild(PROGRAM))
    assert caught.value.message == message


def test_a_value_that_holds_itself(child: Child) -> None:
    with pytest.raises(FileError) as caught:
        expand("x = []\nx.append(x)\nprefix_rule(x)", "x.rules", child)
    assert caught.value.message == "invalid pattern element: pattern alternative must be a string (got list)"
