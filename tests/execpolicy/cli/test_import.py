"""`policy import`: a program becomes plain rules, in bounds."""

# ruff: noqa: E501
from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from execpolicy.cli import app
from execpolicy.codex.starlark import MissingProgram
from execpolicy.decision import Layer
from execpolicy.lang.lower import parse_rules

PROGRAM = """
def reads(program, subs):
    for sub in subs:
        prefix_rule(pattern = [program, sub], decision = "allow")

reads("git", ["status", "diff"])
[prefix_rule(pattern = ["rm", "-" + flag], decision = "forbidden", justification = "no %s" % flag) for flag in ["rf", "fr"]]
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "p.rules"
    path.write_text(PROGRAM, "utf-8")
    return path


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["import", *words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_rules_come_out(file: Path) -> None:
    status, out, _ = run("p.rules")
    assert status == 0
    parsed = parse_rules(out, "x", Layer.USER)
    assert parsed.diagnostics == ()
    assert [rule.meta.decision.word for rule in parsed.file.rules] == ["allow", "allow", "deny", "deny"]
    assert run("p.rules", "-o", "out.rules") == (0, "", "")
    assert file.with_name("out.rules").read_text("utf-8") == out


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def f():\n    prefix_rule(pattern = [])\nf()\n", id="a-wrong-rule"),
        pytest.param("x = (\n", id="no-program"),
        pytest.param("def f(:\n", id="no-syntax"),
        pytest.param("fail('stop')\n", id="fails"),
        pytest.param("load('x', 'y')\n", id="files"),
    ],
)
def test_an_error_is_told(file: Path, text: str) -> None:
    file.write_text(text, "utf-8")
    status, out, err = run("p.rules", "-o", "out.rules")
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert not file.with_name("out.rules").exists()


def test_without_the_extra_the_message_says_which(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise MissingProgram("programs need the `starlark` extra: `pip install policy-agent[starlark]`")

    monkeypatch.setattr("execpolicy.codex.starlark.Child.ask", missing)
    status, _, err = run("p.rules")
    assert status == 1
    assert "`starlark` extra" in err


def test_files(file: Path) -> None:
    assert run("none.rules")[0] == 1
    status, _, err = run("p.rules", "-o", "no/such/folder")
    assert status == 1
    assert err.startswith("error: cannot write")
    assert run()[0] == 2
