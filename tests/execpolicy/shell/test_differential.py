"""The reader against bash itself: what it accepts, bash accepts, and both see the same commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from execpolicy.shell import tree
from execpolicy.shell.reader import read
from execpolicy.shell.tree import (
    AssignNode,
    Block,
    Case,
    Command,
    Coprocess,
    For,
    Function,
    If,
    RedirectNode,
    Script,
    Simple,
    While,
)

COUNT = 700
# The parser of bash 5.2 as a library. It may crash, so it lives in a process of its own.
ORACLE = Path(__file__).parent / "bash_oracle.py"
_OPAQUE = re.compile(r"\$\(|`|[<>]\(|\$'|\$\"|\$\{")

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the parser of bash is built for Linux"),
    pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed"),
]


@pytest.fixture(scope="module")
def oracle() -> Callable[[Sequence[str]], dict[int, dict[str, object]]]:
    pytest.importorskip("libbash")

    def ask(scripts: Sequence[str]) -> dict[int, dict[str, object]]:
        answers: dict[int, dict[str, object]] = {}
        todo = list(enumerate(scripts))
        while todo:
            lines = "".join(json.dumps({"i": index, "s": script}) + "\n" for index, script in todo)
            done = subprocess.run(
                [sys.executable, str(ORACLE)],
                input=lines,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60,
                check=False,
            )
            for line in done.stdout.splitlines():
                answer = json.loads(line)
                answers[answer["i"]] = answer
            # Where it crashed, leave that one out and go on.
            todo = [pair for pair in todo if pair[0] not in answers][1:]
        return answers

    return ask


def accepted_by_bash(script: str) -> bool:
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-n", "-c", script], capture_output=True, timeout=10, check=False
    )
    return done.returncode == 0


def key(word: str) -> str:
    """A word up to the first expansion, which bash prints in its own way."""
    found = _OPAQUE.search(word)
    mark = "\0" if found is not None and found[0] in ("$'", '$"') else ""
    cut = word if found is None else word[: found.start()] + mark
    return re.sub(r"=\(.*", "=(", cut, flags=re.DOTALL).replace("\\\n", "")


def outline(script: Script) -> list[list[str]]:
    """Words, loops, patterns, redirections and here-documents, in the order of the text."""
    found: list[list[str]] = []

    def block(body: Block) -> None:
        for item in body.items:
            for command in item.pipeline.commands:
                visit(command)

    def redirects(nodes: Iterable[RedirectNode]) -> None:
        for node in nodes:
            if node.document is not None:
                found.append(["@document", node.document.raw.rstrip("\n")])
            elif node.target is not None and not (
                node.operator in ("<&", ">&") and re.fullmatch(r"[0-9]*-?", node.target.raw)
            ):
                found.append(["@redirect", key(node.target.raw)])

    def visit(command: Command) -> None:
        match command:
            case Simple():
                words = [key(assigned(node)) for node in command.assigns]
                found.append(words + [key(word.raw) for word in command.words])
                redirects(command.redirects)
                return
            case Function() | Coprocess():
                visit(command.body)
                return
            case If():
                for condition, body in command.branches:
                    block(condition)
                    block(body)
                if command.otherwise is not None:
                    block(command.otherwise)
            case While():
                block(command.condition)
                block(command.body)
            case For():
                words = ['"$@"'] if command.words is None else [key(word.raw) for word in command.words]
                found.append(["@for", command.name, *words])
                block(command.body)
            case Case():
                found.append(["@case", key(command.subject.raw)])
                for patterns, body in command.clauses:
                    found.append(["@pattern", *(key(word.raw) for word in patterns)])
                    block(body)
            case tree.Test():
                pass
            case _:
                body = getattr(command, "body", None)
                if body is not None:
                    block(body)
        redirects(command.frame.redirects)

    for line in script.lines:
        block(line)
    return [row for row in found if row]


def assigned(node: AssignNode) -> str:
    subscript = "" if node.subscript is None else f"[{node.subscript}]"
    value = "(" if node.value is None else node.value.raw
    return f"{node.name}{subscript}{'+=' if node.append else '='}{value}"


def same(ours: list[list[str]], theirs: list[list[str]]) -> bool:
    return len(ours) == len(theirs) and all(
        len(mine) == len(other) and all(same_word(one, two) for one, two in zip(mine, other, strict=True))
        for mine, other in zip(ours, theirs, strict=True)
    )


def same_word(ours: str, theirs: str) -> bool:
    # bash has read `$'...'` already when it prints the word.
    return theirs.startswith(ours[:-1]) if ours.endswith("\0") else ours == theirs


@pytest.mark.parametrize("kind", ["mutated", "tokens", "script"])
def test_reads_as_bash_reads(
    kind: str,
    make_scripts: Callable,  # type: ignore[type-arg]
    oracle: Callable[[Sequence[str]], dict[int, dict[str, object]]],
) -> None:
    maker = make_scripts(9)
    # The oracle reads a file that ends in a newline, which a last backslash would take out.
    scripts = [text for text in (getattr(maker, kind)() for _ in range(COUNT)) if not text.endswith("\\")]
    answers = oracle(scripts)
    wrong = []
    read_alike = 0
    for index, script in enumerate(scripts):
        answer = answers.get(index)
        ours = read(script)
        if answer is None or ours.failure is not None:
            continue
        if not answer["ok"]:
            if not accepted_by_bash(script):
                wrong.append((script, "bash does not accept it"))
            continue
        rows = answer["rows"]
        assert isinstance(rows, list)
        theirs = [row if row[0] == "@document" else [key(word) for word in row] for row in rows if row]
        if same(outline(ours), theirs):
            read_alike += 1
        else:
            wrong.append((script, f"{outline(ours)} is not {theirs}"))
    assert not wrong[:3]
    assert read_alike > COUNT // 20


def test_accepts_what_bash_accepts(make_scripts: Callable) -> None:  # type: ignore[type-arg]
    """Valid scripts are read: at most a few in a hundred are given up."""
    maker = make_scripts(9)
    scripts = [maker.script() for _ in range(COUNT // 2)]
    valid = [script for script in scripts if accepted_by_bash(script)]
    unread = [script for script in valid if read(script).failure is not None]
    assert len(unread) <= len(valid) * 0.03, unread[:5]
