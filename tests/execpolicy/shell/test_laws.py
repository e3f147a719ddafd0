"""What holds for any text: no exception, bounded effort, and no command lost by rewriting it."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execpolicy.facts import ScriptFacts, WordKind
from execpolicy.shell.analyse import analyse
from execpolicy.shell.report import facts_to_json, schema

ALPHABET = "ab$`\"'\\(){}[]<>&|;#!*?~=+-:,@/%^ \t\n\r0é\udcff\x00"
TOKENS = st.sampled_from(
    ["if ", "then ", "fi ", "for x in ", "do ", "done ", "case ", "esac ", "in ", "$(", "${", "$((", "<<E\n", "E\n",
     "[[ ", " ]]", "((", "))", "f() ", "{ ", "} ", "a=", "a=(", "eval ", "bash -c ", "sudo ", "\\\n", "$'"]
)  # fmt: skip
TEXTS = st.lists(st.one_of(TOKENS, st.text(ALPHABET, max_size=4)), max_size=30).map("".join)


@settings(max_examples=400, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_any_text_is_answered(script: str) -> None:
    facts = analyse(script)
    assert facts.readable or facts.unknowns
    for command in facts.commands:
        assert 0 <= command.span.start <= command.span.end <= len(script)
        for word in command.argv:
            assert (word.text is not None) is (word.kind is WordKind.LITERAL)
            assert word.text is None or word.prefix == word.text
    json.dumps(facts_to_json(facts))


NAMES = st.text("abcxyz", min_size=1, max_size=4).filter(lambda name: name not in ("case", "a", "ab"))
PLAIN_WORDS = st.text("abc./-_ $*'\"\\", min_size=1, max_size=6)


def quoted(word: str, style: int) -> str:
    if style == 0:
        return "'" + word.replace("'", "'\\''") + "'"
    if style == 1:
        return '"' + "".join("\\" + char if char in '\\"$`' else char for char in word) + '"'
    if style == 2:
        return "".join("\\" + char for char in word)
    return "$'" + "".join(f"\\x{ord(char):02x}" for char in word) + "'"


def literal(facts: ScriptFacts) -> list[list[str | None]]:
    return [[word.text for word in command.argv] for command in facts.commands if command.argv]


@settings(max_examples=200, deadline=None)
@given(st.lists(PLAIN_WORDS, min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_quoting_does_not_change_a_word(words: list[str], styles: list[int]) -> None:
    script = " ".join(quoted(word, style) for word, style in zip(words, styles, strict=False))
    assert literal(analyse("zz " + script)) == [["zz", *words]]


WRAPPINGS = (
    "{0}", "( {0} )", "{{ {0}; }}", "x | {0}", "{0} | x", "x && {0}", "! {0}", "if x; then {0}; fi", "x $({0})",
    "x `{0}`", 'x "$({0})"', "x <({0})", "x <<E\n$({0})\nE", "while {0}; do break; done", "f() {{ {0}; }}",
    "v=$({0})", "x ${{v:-$({0})}}", "case a in b) {0};; esac", "{0} >f 2>&1", "x &\n{0}", "env {0}", "nice {0}",
    "bash -c '{0}'", "eval '{0}'", "trap '{0}' EXIT", "bash <<'E'\n{0}\nE", "echo {0} | sh", "sudo {0}", "time {0}",
    "coproc {0}", "[[ $({0}) ]]", "A=1 {0}", "x; {0} #c", "for i in $({0}); do x; done", "{0} & x", "exec {0}",
    "(( $({0}) ))", "a=($({0}))", "select i in a; do {0}; done", "command {0}", "xargs {0}", "timeout 5 {0}",
)  # fmt: skip


# `nice ! needle` runs a program called `!`.
PASS_ON = ("env {0}", "nice {0}", "sudo {0}", "exec {0}", "command {0}", "xargs {0}", "timeout 5 {0}")
NOT_RUN = (
    ("x `{0}`", "x `{0}`"),  # backquotes do not nest
    ("trap '{0}' EXIT", "echo {0} | sh"),  # echo takes the quotes off
    ("bash <<'E'\n{0}\nE", "echo {0} | sh"),
)


@pytest.mark.parametrize("outer", WRAPPINGS)
@pytest.mark.parametrize("inner", WRAPPINGS)
def test_no_wrapping_hides_a_command(outer: str, inner: str) -> None:
    """Twice wrapped, the command is found, or the facts say that something was not read."""
    if (inner, outer) in (*NOT_RUN, ("! {0}", "A=1 {0}")) or (
        inner in ("! {0}", "A=1 {0}") and outer in PASS_ON
    ):
        pytest.skip("there it is an argument")
    if "'" in outer and "'" in inner:
        inner = inner.replace("'", '"')
    if outer.count("\nE") and inner.count("\nE"):
        inner = inner.replace("E", "F")
    facts = analyse(outer.format(inner.format("needle -x y")))
    found = any(words[:3] == ["needle", "-x", "y"] for words in literal(facts))
    told = facts.unknowns or not facts.readable or any(command.unknowns for command in facts.commands)
    assert found or told


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(WRAPPINGS), st.integers(0, 60))
def test_a_continuation_changes_nothing(wrapping: str, at: int) -> None:
    script = wrapping.format("needle -x y")
    if "'" in script or "<<" in script or "#" in script:
        return
    at = min(at, len(script))
    assert literal(analyse(script[:at] + "\\\n" + script[at:])) == literal(analyse(script))


HOSTILE = {
    "substitutions": "$(" * 300_000,
    "fifty-substitutions": "$(" * 50,
    "arithmetic": "$((" * 300_000,
    "arithmetic-commands": "((" * 400_000,
    "nested-arithmetic-fallback": "$((" * 30 + "a" + ");)" * 30,
    "subshells": "(" * 900_000,
    "groups": "{ " * 400_000,
    "ifs": "if " * 300_000,
    "fors": "for i in a; do " * 60_000,
    "cases": "case a in a) " * 70_000,
    "functions": "f() " * 200_000,
    "many-functions": "".join(f"f{number}(){{ a;}};" for number in range(60_000)),
    "tests": "[[ ( " * 180_000,
    "backquotes": "`" * 900_001,
    "escaped-backquotes": "`" + "\\`" * 400_000,
    "quotes": '"' * 900_001,
    "defaults": "${a:-" * 180_000,
    "quoted-substitutions": '"$(' * 300_000,
    "words": "a " * 500_000,
    "commands": "a;" * 500_000,
    "lines": "a\n" * 500_000,
    "newlines": "\n" * 1_000_000,
    "pipes": "a|" * 500_000,
    "ands": "a && " * 200_000 + "a",
    "ors": "x=1 || " * 120_000 + "a",
    "folders": "cd a && " * 120_000 + "b",
    "assignments": "".join(f"v{number}=1;" for number in range(90_000)),
    "chained-assignments": "".join(f"v{number}=1 && " for number in range(70_000)) + "a",
    "continuations": "\\\n" * 500_000,
    "continued-comments": "#\\\n" * 330_000,
    "backslashes": "\\" * 1_000_000,
    "dollars": "$a" * 500_000,
    "globs": "*" * 1_000_000,
    "braces": "{" * 1_000_000,
    "brace-lists": "{a,b}" * 200_000,
    "nested-braces": "{a," * 300_000,
    "array": "a=(" + "x " * 490_000 + ")",
    "here-documents": "cat <<E\n" * 120_000,
    "big-here-document": "cat <<E\n" + "$(a)\n" * 180_000 + "E\n",
    "evals": "eval '" * 150_000,
    "quoted-evals": "eval eval eval " * 60_000 + "a",
    "sudos": "sudo " * 200_000,
    "shells": "bash -c 'a; b';" * 60_000,
    "fed-shells": "echo a|sh;" * 100_000,
    "redirections": "<a " * 330_000,
    "tildes": "~a:" * 330_000,
    "ansi": "$'\\x61'" * 140_000,
    "doubling-values": "x=aaaaaaaaaa\n" + "x=$x$x\n" * 100_000 + "p $x",
    "split-values": "x='" + "a " * 100_000 + "'\n" + "p $x\n" * 40_000,
    "split-values-of-few-words": "x='" + "a " * 15 + "'\n" + "p $x\n" * 100_000,
    "long-values": "x=" + "a" * 1000 + "\np " + "$x" * 400_000,
    "removed-functions": "".join(f"f{i}() {{ p; }}; unset -f f{i}\n" for i in range(25_000)),
    "traps": "trap 'x=1' DEBUG; x=ls; $x\n" * 30_000,
}  # fmt: skip


@pytest.mark.parametrize("script", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_megabyte_is_answered_in_time(script: str) -> None:
    start = time.process_time()
    facts = analyse(script)
    assert time.process_time() - start < 2
    assert facts.readable or facts.unknowns


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_megabyte_is_answered_in_little_memory() -> None:
    program = (
        "import sys; from execpolicy.shell.analyse import analyse; analyse(sys.stdin.read());"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0])"
    )
    for name in ("words", "commands", "assignments", "big-here-document", "shells", "chained-assignments"):
        done = subprocess.run(
            [sys.executable, "-c", program], input=HOSTILE[name], capture_output=True, text=True, check=True
        )
        assert int(done.stdout) < 200_000, name


def test_deep_calls_leave_room() -> None:
    """Called with little of Python's stack left, the answer is a doubt and not an exception."""

    def dive(depth: int) -> ScriptFacts:
        return analyse("p $(" * 30 + "q" + ")" * 30) if depth == 0 else dive(depth - 1)

    limit = sys.getrecursionlimit()
    facts = dive(limit - 200)
    assert not facts.readable
    assert facts.unknowns[0].why == "nested too deeply"


def test_reports_fit_the_schema() -> None:
    facts = facts_to_json(analyse("A=1 sudo p $x *.c > f <<E; cd a && q\nE"))
    properties = schema()["properties"]
    assert isinstance(properties, dict)
    assert set(facts) == {"commands", "writes", "unknowns", "readable"}
    assert set(properties) == set(facts) | {"id", "error"}  # what a line of many adds
    found = facts["commands"]
    assert isinstance(found, list)
    allowed = properties["commands"]["items"]["properties"]
    assert all(set(command) == set(allowed) for command in found)
    assert [command["argv"] for command in found] == [
        ["sudo", "p", None, None],
        ["p", None, None],
        ["cd", "a"],
        ["q"],
    ]
    assert [command["via"] for command in found] == [[], ["sudo"], [], []]
    writes = facts["writes"]
    assert isinstance(writes, list)
    assert [(write["path"], write["access"]) for write in writes] == [("f", "write")]
