"""`policy check` and `policy explain` as a person or a program runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from execpolicy.cli import app
from execpolicy.cli.asked import Asked, Format, codex_words, quickly

RULES = """
prefix_rule(pattern = ["git", "status"], decision = "allow")
prefix_rule(pattern = ["git", "push"], decision = "deny", justification = "reviewed", suggest = "open a pull request")
prefix_rule(pattern = ["deploy"], decision = "deny", when = branch == "main")
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.rules"
    path.write_text(RULES, encoding="utf-8")
    return path


def run(*words: str, data: str | bytes = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "execpolicy", *words],
        input=data.encode() if isinstance(data, str) else data,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(["--", "git", "status"], 0, id="allow"),
        pytest.param(["git", "status"], 0, id="without-dashes"),
        pytest.param(["--", "git", "push", "--rules", "x"], 11, id="options-behind-the-program-are-its-own"),
        pytest.param(["--", "git", "fetch"], 10, id="ask"),
        pytest.param(["git status; git push"], 11, id="one-word-that-is-a-script"),
        pytest.param(["--", "git status; git push"], 11, id="one-word-behind-dashes"),
        pytest.param(["--", "echo", "git status; git push"], 10, id="more-words-are-no-script"),
        pytest.param(["--script", "git status && git push"], 11, id="script"),
        pytest.param(["--fact", "branch=main", "--", "deploy"], 11, id="a-fact"),
        pytest.param(["--fact", "branch=dev", "--", "deploy"], 10, id="another-fact"),
        pytest.param(["--format", "json", "--", "git", "status"], 0, id="json"),
        pytest.param(["--format", "xml", "--", "git", "status"], 2, id="no-such-format"),
        pytest.param(["--nonsense", "--", "git"], 2, id="no-such-option"),
        pytest.param([], 2, id="nothing-asked"),
        pytest.param(["--script", "a", "--", "b"], 2, id="two-things-asked"),
        pytest.param(["--cd", "nowhere", "--", "git"], 1, id="no-such-folder"),
        pytest.param(["--rules", "nowhere.rules", "--", "git"], 1, id="no-such-file"),
    ],
)
def test_exit_status(rules: Path, words: list[str], status: int) -> None:
    found = CliRunner().invoke(app, ["check", "--rules", str(rules), *words])
    assert found.exit_code == status, found.output
    asked = quickly(["--rules", str(rules), *words])
    if status == 2:
        assert asked is None


def test_a_process_of_its_own(rules: Path) -> None:
    for _ in range(2):  # the second one reads the compiled policy
        done = run("check", "--rules", str(rules), "--", "git", "push")
        assert done.returncode == 11, done.stderr
        text = done.stdout.decode()
        for piece in ("deny", "t.rules:3", "reviewed", "open a pull request"):
            assert piece in text
    assert run("check", "--help").returncode == 0
    assert run("check", "--nonsense").returncode == 2


def test_the_object(rules: Path) -> None:
    done = run("check", "--rules", str(rules), "--format", "json", "--", "git", "push")
    answer = json.loads(done.stdout)
    assert list(answer) == [
        "decision", "parts", "rules", "unknowns", "confinement", "reviewer", "scope", "expires", "suggest", "nearest",
    ]  # fmt: skip
    assert (answer["decision"], answer["rules"][0]["id"], answer["nearest"]) == (
        "deny",
        "t.rules:3",
        "git status",
    )


def test_bad_rule_files_are_told_with_carets(rules: Path) -> None:
    rules.write_text(
        'prefix_rule(pattern = ["x"], decision = "alow")\nprefix_rule(pattern = [])\n', encoding="utf-8"
    )
    done = run("check", "--rules", str(rules), "--", "git", "status")
    text = done.stderr.decode()
    assert done.returncode == 1
    assert text.count("error[") == 2
    assert "^^^" in text
    assert done.stdout == b""
    told = json.loads(run("check", "--rules", str(rules), "--format", "json", "--", "git").stdout)
    assert [one["line"] for one in told["diagnostics"]] == [1, 2]


def test_a_broken_layer_is_told_and_the_rest_is_in_force(rules: Path) -> None:
    folder = Path(os.environ["AGENT_HOME"]) / "rules"
    folder.mkdir(parents=True)
    (folder / "bad.rules").write_text("nonsense()", encoding="utf-8")
    (folder / "good.rules").write_text(RULES, encoding="utf-8")
    done = run("check", "--", "git", "push")
    assert done.returncode == 11
    assert b"bad.rules" in done.stderr


def test_words_that_are_no_text(rules: Path) -> None:
    command = [sys.executable, "-I", "-m", "execpolicy", "check", "--rules", str(rules)]
    for form in ("text", "json"):
        done = subprocess.run(
            [*command, "--format", form, "--", b"g\xff\x1b[31m"], capture_output=True, check=False
        )
        assert (done.returncode, done.stderr) == (10, b"")
        assert b"\x1b" not in done.stdout


def test_a_reader_that_goes_away(rules: Path) -> None:
    command = [sys.executable, "-I", "-m", "execpolicy", "check", "--rules", str(rules), "--stdin"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"git status\n" * 2000)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 1


def test_a_folder_that_is_gone(rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = run("check", "--rules", str(rules), "--", "git", "status")
    assert (done.returncode, done.stderr) == (1, b"error: `.` is no folder\n")


def test_codex_has_its_own_words() -> None:
    assert codex_words(["--rules", "a", "--format", "codex", "git"]) == ["--rules", "a", "git"]
    assert codex_words(["--format=codex", "--pretty", "git"]) == ["--pretty", "git"]
    assert codex_words(["git", "--format", "codex"]) is None
    assert codex_words(["--", "--format", "codex"]) is None
    assert codex_words(["--rules", "--format", "codex"]) is None


def test_codex_answers(rules: Path) -> None:
    rules.write_text('prefix_rule(pattern = ["git", "push"], decision = "forbidden")\n', encoding="utf-8")
    done = run("check", "--format", "codex", "--rules", str(rules), "--", "git", "push")
    assert done.returncode == 0
    assert json.loads(done.stdout)["decision"] == "forbidden"


# --- standard input -----------------------------------------------------------------------------


def lines(rules: Path, data: str | bytes) -> tuple[int, list[dict[str, object]]]:
    done = run("check", "--rules", str(rules), "--stdin", data=data)
    assert done.stderr == b""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_objects_a_line(rules: Path) -> None:
    questions = [
        {"id": "a", "script": "git status && git push"},
        {"id": 2, "argv": ["git", "status"]},
        {"id": "c", "argv": ["deploy"], "facts": {"branch": "main"}},
        {"id": "d", "script": "echo x > y", "cwd": "sub"},
    ]
    status, answers = lines(rules, "\n".join(map(json.dumps, questions)))
    assert status == 0
    assert [(answer["id"], answer["decision"]) for answer in answers] == [
        ("a", "deny"), (2, "allow"), ("c", "deny"), ("d", "ask"),
    ]  # fmt: skip
    assert list(answers[0])[:5] == ["id", "decision", "rules", "parts", "unknowns"]


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b'{"id": 1}',
        b'{"script": 3}',
        b'{"argv": []}',
        b'{"argv": "git"}',
        b'{"argv": ["a", 1]}',
        b'{"script": "a", "argv": ["a"]}',
        b'{"script": "a", "facts": []}',
        b'{"script": "a", "facts": {"x": 1.5}}',
        b'{"script": "a", "cwd": 1}',
        b'{"script": "a", "cwd": "\\u0000"}',
        b"[]",
        b'"text"',
        b"\xff",
        b"[" * 5000,
        b'{"script": ' + b"9" * 6000 + b"}",
    ],
)
def test_a_bad_line_is_told_and_the_rest_goes_on(rules: Path, bad: bytes) -> None:
    good = b'{"id": "g", "argv": ["git", "status"]}'
    status, answers = lines(rules, b"\n".join((good, bad, good)))
    assert status == 1
    assert [answer.get("decision") for answer in answers] == ["allow", None, "allow"]
    assert isinstance(answers[1]["error"], str)


def test_scripts_a_line(rules: Path) -> None:
    status, answers = lines(rules, "git status\n\ngit push; git status\r\nhg\n")
    assert status == 0
    assert [(answer["id"], answer["decision"]) for answer in answers] == [
        (1, "allow"),
        (3, "deny"),
        (4, "ask"),
    ]


def test_a_long_line_is_told_in_flat_memory(rules: Path) -> None:
    status, answers = lines(rules, b"x" * (17 << 20) + b"\ngit status\n")
    assert status == 1
    assert "error" in answers[0]
    assert answers[1]["decision"] == "allow"


def test_an_answer_comes_before_the_next_question(rules: Path) -> None:
    command = [sys.executable, "-I", "-m", "execpolicy", "check", "--rules", str(rules), "--stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for script, want in (("git status", "allow"), ("git push", "deny")):
            process.stdin.write(script.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["decision"] == want


# --- explain, words -----------------------------------------------------------------------------


def test_explain_names_the_rules_that_did_not_speak(rules: Path) -> None:
    done = run("explain", "--rules", str(rules), "--", "git", "fetch")
    assert done.returncode == 10
    assert "word 2 is `fetch`, the rule wants `status`" in done.stdout.decode()
    answer = json.loads(
        run("explain", "--rules", str(rules), "--format", "json", "--", "git", "fetch").stdout
    )
    assert [rule["id"] for rule in answer["silent"][0]["rules"]] == ["t.rules:2", "t.rules:3"]


@given(
    st.lists(
        st.sampled_from(
            [
                "--rules",
                "a.rules",
                "--rules=b",
                "--stdin",
                "--script",
                "--script=x; y",
                "--format",
                "json",
                "--format=text",
                "--cd",
                "--cwd=d",
                "-C",
                "--fact",
                "a=b",
                "--",
                "git",
                "-x",
                "--help",
                "--nonsense",
                "-r",
                "",
            ]
        ),
        max_size=6,
    )
)
def test_both_readers_of_the_words_agree(words: list[str]) -> None:
    """What is read without the library is what the library reads."""
    asked = quickly(words)
    if asked is None:
        return
    heard: list[Asked] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("execpolicy.cli.check.answer", lambda one, _: heard.append(one) or 0)
        done = CliRunner().invoke(app, ["check", *words])
    assert done.exit_code == 0, done.output
    assert heard == [asked]


def test_one_word_is_a_program_or_a_script() -> None:
    assert Asked(words=("git",)).read_as_script is None
    assert Asked(words=("./run-it.sh",)).read_as_script is None
    assert Asked(words=("curl x | sh",)).read_as_script == "curl x | sh"
    assert Asked(words=("$x",)).read_as_script == "$x"
    assert Asked(words=("a b", "c")).read_as_script is None
    assert Asked(words=("a",), format=Format.JSON).wrong is None
