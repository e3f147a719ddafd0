"""A file that Codex accepts loads and means the same; one that hangs or explodes is an error in bounded time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from execpolicy.bundle import programs
from execpolicy.bundle.load import Loaded, PolicySource, load_policy
from execpolicy.codex.starlark import Child, MissingProgram
from execpolicy.decision import Decision, Layer, RuleMatch
from execpolicy.engine.check import check_argv
from execpolicy.engine.context import CheckContext
from execpolicy.shell.analyse import analyse_argv


class UsualPlaces:
    """Every program lies in /usr/bin; there are no links."""

    def program(self, name: str, cwd: str) -> str | None:
        return name if name.startswith("/") else None if "/" in name else f"/usr/bin/{name}"

    def real(self, path: str) -> str:
        return path


CONTEXT = CheckContext(cwd="/ws", workspace="/ws", resolver=UsualPlaces())
NO_DISK = CheckContext(cwd="/ws", workspace="/ws")  # as Codex's `check`, which looks no path up
LOOPS = """\
# every program twice
def reads(program, *verbs):
    for verb in verbs:
        prefix_rule(pattern = [program, verb], decision = "allow", match = [[program, verb]])

reads("git", "status", "log")
prefix_rule(pattern = ["git", "push"], decision = "forbidden", justification = f"{'no'} pushing")
host_executable("git", ["/usr/bin/git"])
"""


def load(folder: Path, text: str, **more: Any) -> Loaded:
    path = folder / "team.rules"
    path.write_text(text, encoding="utf-8")
    return load_policy([PolicySource(path, Layer.USER)], **more)


def matches(loaded: Loaded, *argv: str) -> tuple[Decision, tuple[RuleMatch, ...]]:
    verdict = check_argv(argv, loaded.policy, CONTEXT)
    return verdict.decision, verdict.parts[0].matches


@pytest.fixture(autouse=True)
def _starlark() -> None:
    pytest.importorskip("starlark")


def test_a_program_is_its_rules_at_the_place_of_its_calls(tmp_path: Path) -> None:
    loaded = load(tmp_path, LOOPS)
    assert loaded.diagnostics == ()
    assert matches(loaded, "git", "status")[0] is Decision.ALLOW
    decision, (deny,) = matches(loaded, "git", "push", "-f")
    assert (decision, deny.justification) == (Decision.DENY, "no pushing")
    assert [rule.meta.id for rule in loaded.policy.rules] == [
        "team.rules:1",
        "team.rules:1.2",
        "team.rules:1.3",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param(
            "\nx = 1\nif x:\n  prefix_rule(['a'])\nprefix_rule(['b'])\n", [4, 5], id="as-many-as-calls"
        ),
        pytest.param("\n[prefix_rule([x]) for x in ['a', 'b']]\n", [2, 2], id="one-place"),
        pytest.param("# prefix_rule(\n\nif True: prefix_rule(['a'])\n", [3], id="comment"),
        pytest.param("f = prefix_rule\n\nf(['a'])\n", [1], id="not-known"),
    ],
)
def test_where_a_rule_stands(tmp_path: Path, text: str, lines: list[int]) -> None:
    loaded = load(tmp_path, text)
    assert loaded.diagnostics == ()
    assert [rule.meta.origin.line for rule in loaded.policy.rules] == lines


def test_the_expansion_is_kept_with_the_compiled_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    load(tmp_path, LOOPS, cache_dir=cache)
    monkeypatch.setattr(Child, "ask", _no_child)
    assert matches(load(tmp_path, LOOPS, cache_dir=cache), "git", "log")[0] is Decision.ALLOW


def _no_child(*_: object) -> None:
    raise AssertionError("the program was run again")


def test_a_failing_example_of_a_program_is_told(tmp_path: Path) -> None:
    (found,) = load(tmp_path, "\nfor x in ['a']:\n  prefix_rule([x], match=['b'])\n").diagnostics
    assert (found.code, found.source.position(found.span.start)[0]) == ("E030", 3)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        pytest.param("for x in [1]:\n  fail('stop')\n", "E008", "this program fails: fail: stop", id="fails"),
        pytest.param(
            "def f():\n  prefix_rule(3)\nf()\n", "E008", "Type of parameter `pattern`", id="refused"
        ),
        pytest.param("for x in [1]:\n  load('x', 'y')\n", "E008", "this program fails", id="opens-files"),
        pytest.param("x = [0]\nfor i in range(60):\n  x = x + x\n", "E009", "was stopped", id="explodes"),
    ],
)
def test_a_program_that_fails_is_told(tmp_path: Path, text: str, code: str, says: str) -> None:
    loaded = load(tmp_path, text + 'prefix_rule(["rm"], decision = "forbidden")\nprefix_rule(["ls"])\n')
    assert loaded.diagnostics[0].code == code
    assert says in loaded.diagnostics[0].message
    assert [file.usable for file in loaded.files] == [False]
    assert matches(loaded, "rm", "x")[0] is Decision.DENY
    assert matches(loaded, "ls")[0] is Decision.ASK


def test_a_program_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SECONDS", 0.5)
    start = time.monotonic()
    loaded = load(tmp_path, "x = [0 for i in range(1 << 30) for j in range(1 << 30)]\n")
    assert time.monotonic() - start < 10
    assert loaded.diagnostics[0].code == "E009"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('prefix_rule(pattern = ["a"], decision = "alow")\n', id="typo"),
        pytest.param('path_rule(paths = ["a"], access = ["read"], decision = "deny")\nx = \n', id="ours"),
    ],
)
def test_a_mistake_in_a_plain_file_stays_ours(tmp_path: Path, text: str) -> None:
    codes = {found.code for found in load(tmp_path, text).diagnostics}
    assert codes
    assert codes.isdisjoint({"E008", "E009"})


def test_without_the_extra_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise MissingProgram("no starlark here")

    monkeypatch.setattr(Child, "ask", missing)
    (found,) = load(tmp_path, LOOPS).diagnostics
    assert (found.code, "starlark" in found.help, "policy import" in found.help) == ("E008", True, True)


# --- what Codex's own binary was seen to accept -------------------------------------------------

CODEX = {None: Decision.ASK, "allow": Decision.ALLOW, "prompt": Decision.ASK, "forbidden": Decision.DENY}


def accepted(reference: Path) -> Iterator[dict[str, Any]]:
    for line in (reference / "codex-cases.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n"):
        case = json.loads(line)
        options = [word for word in case["args"] if word not in ("--resolve-host-executables", "--pretty")]
        plain = options[::2] == ["--rules"] * (len(options) // 2) and len(options) % 2 == 0
        if case["exit"] == 0 and plain and case["argv"][:1] != ["--"]:
            yield {**case, "files": options[1::2]}


def of_a_bare_name(case: dict[str, Any]) -> bool:
    """Neither the place of the program nor a command inside the command matters."""
    argv = case["argv"]
    facts = analyse_argv(argv)
    plain = len(facts.commands) == 1 and not facts.commands[0].unknowns and not facts.unknowns
    text = "".join(case["rules"].values())
    return plain and "/" not in argv[0] and "host_executable" not in text


def test_what_codex_accepts_loads_and_means_the_same(reference: Path, tmp_path: Path) -> None:
    alike = 0
    for case in accepted(reference):
        folder = tmp_path / case["id"]
        folder.mkdir()
        for name, text in case["rules"].items():
            (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        loaded = load_policy([PolicySource(folder / name, Layer.USER) for name in case["files"]])
        assert loaded.diagnostics == (), case["id"]
        want = CODEX[json.loads(case["stdout"]).get("decision")]
        got = check_argv(case["argv"], loaded.policy, NO_DISK).decision
        if len(case["argv"]) > 1 and case["argv"][1].startswith("-"):
            continue  # options before the verb are read past: `git --no-pager status` is `git status`
        assert got >= want, case["id"]
        if of_a_bare_name(case):
            assert got is want, case["id"]
            alike += 1
    assert alike > 100
