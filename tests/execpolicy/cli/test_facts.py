"""`policy facts` and `policy schema`: what is printed is as the published schemas say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, validate
from typer.testing import CliRunner

from execpolicy.cli import app
from execpolicy.cli.facts import FOLDER, SCHEMAS, schema_of

SCRIPTS = [
    "",
    "# nothing",
    "git status",
    "sudo git push origin main && rm -rf $x > out 2>&1",
    "for f in *.py; do python3 $f; done",
    "if",
    "A=1 B=(x) cmd <<E\n$(x)\nE",
    "a | xargs -0 bash -c 'b'",
]


def run(*words: str, data: str | bytes = "") -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words), input=data)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_one(name: str) -> None:
    status, out, _ = run("schema", name)
    assert status == 0
    Draft202012Validator.check_schema(json.loads(out))


def test_every_schema_is_named() -> None:
    assert {path.name.partition(".")[0] for path in FOLDER.iterdir()} | {"facts"} == set(SCHEMAS)
    status, out, _ = run("schema")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(SCHEMAS)
    assert run("schema", "none")[0] == 2


@pytest.mark.parametrize("script", SCRIPTS)
def test_facts(script: str) -> None:
    status, out, _ = run("facts", "--script", script)
    assert status == 0
    validate(json.loads(out), schema_of("facts"))


def lines(*questions: object, raw: bytes = b"") -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "execpolicy", "facts", "--stdin", "--cd", "/srv"],
        input="\n".join(map(json.dumps, questions)).encode() + b"\n" + raw,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == b""
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    for answer in answers:
        validate(answer, schema_of("facts"))
    return done.returncode, answers


def test_a_script_a_line() -> None:
    """A line is a JSON string or an object; the answer is the one that `--script` gives."""
    objects = [{"id": f"n{number}", "script": script} for number, script in enumerate(SCRIPTS)]
    status, answers = lines(*SCRIPTS, *objects)
    assert status == 0
    assert [answer.pop("id") for answer in answers] == [
        *range(1, len(SCRIPTS) + 1),
        *(one["id"] for one in objects),
    ]
    alone = [json.loads(run("facts", "--cd", "/srv", "--script", script)[1]) for script in SCRIPTS]
    assert answers == [*alone, *alone]


@pytest.mark.parametrize(
    "bad",
    [b"git status", b"7", b"null", b'{"id": 1}', b'{"script": 1}', b'{"script": "x", "cwd": 1}', b"[" * 5000, b"\xff"],
)  # fmt: skip
def test_a_bad_line_is_told_and_the_rest_goes_on(bad: bytes) -> None:
    status, answers = lines("a", raw=bad + b'\n\n"b"\n')
    assert status == 1
    assert ["error" in answer for answer in answers] == [False, True, False]


def test_facts_of_words() -> None:
    found = json.loads(run("facts", "--", "git", "push", "a b")[1])
    assert [command["argv"] for command in found["commands"]] == [["git", "push", "a b"]]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param([], 2, id="nothing"),
        pytest.param(["--script", "x", "--stdin"], 2, id="both"),
        pytest.param(["--script", "x", "--format", "text"], 2, id="no-such-format"),
    ],
)
def test_usage(words: list[str], status: int) -> None:
    assert run("facts", *words)[0] == status


RULES = """
defaults(unmatched = "ask", unknown = "ask")
prefix_rule(pattern = ["git", "status"], decision = "allow", sandbox = "read-only", expires = "2099-01-01")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "reviewed", suggest = "open a pull request")
path_rule(paths = ["/etc/**"], access = ["write"], decision = "deny")
"""


@pytest.mark.parametrize("script", [script for script in SCRIPTS if script] + ["git status", "x > /etc/y"])
def test_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    rules = tmp_path / "t.rules"
    rules.write_text(RULES, "utf-8")
    for command in ("check", "explain"):
        _, out, _ = run(command, "--rules", str(rules), "--format", "json", "--script", script)
        validate(json.loads(out), schema_of("verdict"))


def test_an_error_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    rules = tmp_path / "t.rules"
    rules.write_text("prefix_rule(", "utf-8")
    status, out, _ = run("check", "--rules", str(rules), "--format", "json", "--", "x")
    assert status == 1
    validate(json.loads(out), schema_of("verdict"))
