"""`policy facts` and `policy schema`: what is printed is as the published schemas say."""

from __future__ import annotations

import json
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
    assert run("facts", "--stdin", data=script)[1] == out


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


def test_no_text() -> None:
    status, _, err = run("facts", "--stdin", data=b"\xff")
    assert status == 1
    assert err == "error: `standard input` is not UTF-8 text (byte 1)\n"


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
