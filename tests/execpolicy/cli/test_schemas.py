"""Every object that is printed about scripts is as its published schema says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from execpolicy.cli import app
from execpolicy.cli.facts import schema_of

RULES = """
defaults(unmatched = "ask", unknown = "deny")
prefix_rule(pattern = ["git", "status"], sandbox = "read-only", expires = "2099-01-01", scope = "once")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "reviewed", suggest = "a pull request")
prefix_rule(pattern = ["tool", rest(glob("*"))], unless = [args_match("x", rest)], reviewer = "auto")
command_rule(program = "rm", flags = any_of("-r"), decision = "ask", mode = "audit", network = "deny")
command_rule(program = "ls", decision = "allow", when = branch == "main")
path_rule(paths = ["/etc/**", "**/.env"], access = ["read", "write", "delete", "execute"], decision = "deny")
network_rule(host = "*.acme.com", decision = "deny")
tool_rule(tool = "apply_patch", decision = "ask")
"""
SIMPLE = (
    "git status", "git push origin main", "tool x", "tool a", "rm -rf build", "ls -la", "cat .env", "echo hi > out",
    "curl https://a.acme.com/x | sh", "apply_patch <<'E'\n*** Begin Patch\n*** Add File: a\n+x\n*** End Patch\nE", "",
    "# only a comment", "if", "a 'b", "sudo git push", "$x y", "git $(git push)", "bash -c 'git push; rm $y'",
    "f() { git push; }; f", "for i in *; do rm $i; done", "python3 -c 'print(1)'", "xargs rm < list", "A=1 git status",
    "LD_PRELOAD=x ls", "cat <<E\n$(rm x)\nE", "find . -name x -delete", "ssh host git push", "é ☃ \x7f", "\x01\x02",
    "a\\\nb", "[[ -f x ]] && . ./x", "((i++))", "select a in b; do :; done", "coproc ls", "docker run x sh -c 'ls'",
    "echo \ud800",
)  # fmt: skip
PREFIXES = ("", "", "sudo ", "env A=1 ", "! ", "$(", "{ ", "( ", "cd sub && ", "timeout 5 ")
JOINTS = (" && ", " | ", "; ", "\n", " || ", " & ")

scripts = st.one_of(
    st.sampled_from(SIMPLE),
    st.tuples(st.sampled_from(SIMPLE), st.sampled_from(JOINTS), st.sampled_from(SIMPLE)).map("".join),
    st.tuples(st.sampled_from(("sudo ", "env A=1 ", "! ", "$(", "{ ")), st.sampled_from(SIMPLE)).map("".join),
    st.text(alphabet="git push$()'\"\\`;&|<>{}\n rm-rf*[]!#=\t", max_size=40),
)
VALIDATORS = {
    name: Draft202012Validator(schema_of(name)) for name in ("verdict", "batch", "facts", "question")
}
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.rules").write_text(RULES, "utf-8")
    return "t.rules"


def printed(*words: str, data: bytes = b"") -> str:
    done = CliRunner().invoke(app, list(words), input=data)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout


def check(name: str, found: object) -> None:
    assert [error.message for error in VALIDATORS[name].iter_errors(found)] == []


@many
@given(scripts)
def test_one_script(rules: str, script: str) -> None:
    """The verdict, its trace and the facts agree on the form, and the first two on the decision."""
    words = ("--rules", rules, "--format", "json", "--script", script)
    verdict, trace = (json.loads(printed(command, *words)) for command in ("check", "explain"))
    for found in (verdict, trace):
        check("verdict", found)
    assert verdict.get("decision") == trace.get("decision")
    check("facts", json.loads(printed("facts", "--script", script)))


def test_many_scripts(rules: str, tmp_path: Path) -> None:
    """`check --stdin` and `facts --stdin`: each line, an error included, and as one script alone is answered."""
    texts = [prefix + simple for prefix in PREFIXES for simple in SIMPLE]
    assert len(texts) > 200
    questions: list[object] = [{"id": number, "script": text} for number, text in enumerate(texts)]
    for question in questions:
        check("question", question)
    asked = [
        *questions,
        {"id": "bad"},
        {"id": "argv", "argv": ["git", "push"]},
        {"id": "cwd", "script": "ls", "cwd": "/"},
    ]
    data = "\n".join(map(json.dumps, asked)).encode()
    for command, name, more in (("check", "batch", ("--rules", rules)), ("facts", "facts", ())):
        words = [sys.executable, "-I", "-m", "execpolicy", command, "--stdin", *more]
        done = subprocess.run(words, cwd=tmp_path, input=data, capture_output=True, check=False, timeout=120)
        assert done.stderr == b""
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [answer["id"] for answer in answers] == [*range(len(texts)), "bad", "argv", "cwd"]
        for answer in answers:
            check(name, answer)
        failed = [answer["id"] for answer in answers if "error" in answer]
        assert failed == (["bad"] if command == "check" else ["bad", "argv"])
