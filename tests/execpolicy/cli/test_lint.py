"""`policy lint` as a person or a program runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import validate
from typer.testing import CliRunner

from execpolicy.cli import app
from execpolicy.cli.facts import schema_of

CLEAN = 'prefix_rule(pattern = ["git", "status"], match = ["git status"], not_match = ["git stash"])\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGENT_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("text", "words", "status"),
    [
        pytest.param(CLEAN, [], 0, id="clean"),
        pytest.param('prefix_rule(["x", "y"])\n', [], 0, id="notes-only"),
        pytest.param('prefix_rule(["bash"])\n', [], 1, id="warning"),
        pytest.param('prefix_rule(["bash"])\n', ["--ignore", "L005"], 0, id="left-out"),
        pytest.param('prefix_rule(["bash"])\n', ["--ignore", "over-broad,L007"], 0, id="left-out-by-name"),
        pytest.param(CLEAN, ["--ignore", "L999"], 2, id="no-such-check"),
        pytest.param(CLEAN, ["--format", "xml"], 2, id="no-such-format"),
        pytest.param(CLEAN, ["--today", "tomorrow"], 2, id="no-date"),
        pytest.param("prefix_rule(\n", [], 1, id="broken"),
        pytest.param('prefix_rule(["a"], expires = "2030-01-01")\n', ["--today", "2031-01-01"], 1, id="another-day"),
        pytest.param('prefix_rule(["a"], when = user in group("x"))\n', ["--group", "y"], 1, id="groups"),
    ],
)  # fmt: skip
def test_status(folder: Path, text: str, words: list[str], status: int) -> None:
    (folder / "t.rules").write_text(text, "utf-8")
    assert run("lint", "--rules", "t.rules", *words)[0] == status
    assert (folder / "t.rules").read_text("utf-8") == text


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\0" * 10, b"[" * 5000, b"prefix_rule(" * 500])
def test_bad_input(folder: Path, data: bytes) -> None:
    (folder / "t.rules").write_bytes(data)
    status, out, err = run("lint", "--rules", "t.rules")
    assert status == 1
    assert "error" in out + err
    assert "Traceback" not in out + err


def test_a_missing_file_is_told(folder: Path) -> None:
    assert run("lint", "--rules", "none.rules") == (
        1,
        "",
        "error: cannot read `none.rules`: no such file or directory\n",
    )


@pytest.mark.parametrize(
    "text",
    [CLEAN, 'prefix_rule(["bash"])\nprefix_rule(["bash"])\n', "prefix_rule(\n"],
    ids=["clean", "found", "broken"],
)
def test_json_is_as_its_schema_says(folder: Path, text: str) -> None:
    (folder / "t.rules").write_text(text, "utf-8")
    _, out, _ = run("lint", "--rules", "t.rules", "--format", "json", "--fix")
    validate(json.loads(out), schema_of("lint"))


def test_fix_takes_out_what_is_needless_and_nothing_else(folder: Path) -> None:
    text = (
        "# first\n"
        'prefix_rule(["a"], justification = "x")\n'
        'prefix_rule(["a", "b"])\n'
        "\n"
        'prefix_rule(["a", "b", "c"])\n'
        "\n"
        'prefix_rule(["z"], expires = "2020-01-01")\n'
        "# last\n"
    )
    (folder / "t.rules").write_text(text, "utf-8")
    _, out, _ = run("lint", "--rules", "t.rules", "--fix")
    assert (folder / "t.rules").read_text(
        "utf-8"
    ) == '# first\nprefix_rule(["a"], justification = "x")\n\n# last\n'
    assert "3 corrected" in out
    assert run("lint", "--rules", "t.rules", "--fix")[1].count("corrected") == 0


def test_explain(folder: Path) -> None:
    status, out, _ = run("lint", "--explain", "L008")
    assert status == 0
    assert out.startswith("L008 evadable:")
    assert run("lint", "--explain", "shadowed")[0] == 0
    status, _, err = run("lint", "--explain", "L099")
    assert status == 2
    assert "L012 stray-exception" in err


def test_layers_in_force(folder: Path) -> None:
    rules = folder / "home" / "rules"
    rules.mkdir(parents=True)
    (rules / "mine.rules").write_text('prefix_rule(["bash"])\n', "utf-8")
    status, out, _ = run("lint")
    assert status == 1
    assert "L005" in out
