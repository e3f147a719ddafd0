"""Any text is read, judged and answered: with hypothesis always, under atheris as a program.

`python tests/fuzz/test_shell.py -max_total_time=300 FOLDER` fuzzes the reader with coverage, when `atheris` is
installed, and keeps what it finds in FOLDER. A crash becomes a row of `CRASHES`.
"""

from __future__ import annotations

import runpy
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execpolicy.decision import Decision, Layer
from execpolicy.engine.check import check
from execpolicy.engine.context import CheckContext
from execpolicy.engine.policy import Policy
from execpolicy.lang.lower import parse_rules
from execpolicy.shell.analyse import analyse

CONTEXT = CheckContext(
    cwd="/ws", workspace="/ws", home="/home/u", writable=("/tmp",), protected=("/ws/.git",)
)
RULES = """
defaults(unmatched = "allow")
prefix_rule(pattern = ["touch"], decision = "deny")
command_rule(program = "rm", flags = all_of("-r", "-f"), decision = "deny")
path_rule(paths = ["**/.env"], access = ["read", "write"], decision = "deny")
"""
POLICY = Policy.build([(Layer.USER, parse_rules(RULES, "t.rules", Layer.USER).file)])
SECONDS = 2.0
CRASHES: tuple[str, ...] = ()
PIECES = (
    "touch M", "x=touch", '"$x"', "$x", "${x:-a}", "$(", ")", "`", "'", '"', "\\", "\n", ";", "&&", "||", "|", "&",
    "{", "}", "(", "((", "[[", "]]", "if ", "then ", "fi", "for i in a;", "do ", "done", "case a in ", "esac", ";;",
    "<<E\n", "\nE\n", "<<<", ">", "<(", "env ", "bash -c ", "eval ", "xargs ", "find . -exec ", "\\;", "trap ",
    "read x ",
    "unset -f env ", "env() ", "declare -a ", "a=(", "a[", "]", "$((", "))", "$'\\x41'", "~", "*", "{a,b}", "sed e ",
    "awk ", "git -c ", " ", "=", "-", "\0", "\r", "\u00e9", "#", "!", "coproc ", "function f ", "local ", "time ",
)  # fmt: skip


def answer(text: str) -> None:
    """What holds for every text: an answer, in time, that says what was not read."""
    start = time.process_time()
    facts = analyse(text)
    verdict = check(text, POLICY, CONTEXT)
    assert time.process_time() - start < SECONDS, text
    assert facts.readable or facts.unknowns
    assert verdict.decision is not Decision.ALLOW or (facts.readable and not facts.unknowns)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_pieces_of_scripts_are_answered(text: str) -> None:
    answer(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(data: bytes) -> None:
    answer(data.decode("utf-8", "surrogateescape"))


@pytest.mark.parametrize("text", CRASHES)
def test_what_fuzzing_found_stays_fixed(text: str) -> None:
    answer(text)


def fuzz() -> None:
    import atheris

    # The modules under test are read again, so that only they are watched: watching everything takes minutes.
    for name in [name for name in sys.modules if name.partition(".")[0] == "execpolicy"]:
        del sys.modules[name]
    with atheris.instrument_imports(include=["execpolicy"]):
        watched = runpy.run_path(__file__, run_name="watched")
    atheris.Setup(sys.argv, lambda data: watched["answer"](data.decode("utf-8", "surrogateescape")))
    atheris.Fuzz()


if __name__ == "__main__":
    fuzz()
