"""`policy fmt`: in place, in checks, through a pipe; a broken file is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from execpolicy.cli import app

UGLY = "# c\nprefix_rule( pattern=['git',\"status\"] )\n"
NEAT = '# c\nprefix_rule(pattern = ["git", "status"])\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "t.rules"
    path.write_text(UGLY, "utf-8")
    return path


def run(*words: str, data: str | bytes = "") -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["fmt", *words], input=data)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def test_in_place_and_once(file: Path) -> None:
    file.chmod(0o640)
    assert run("t.rules") == (0, "", "1 file changed\n")
    assert file.read_text("utf-8") == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert run("t.rules") == (0, "", "")
    assert [path.name for path in file.parent.iterdir()] == ["t.rules"]


def test_a_long_list_of_words_shares_its_lines(file: Path) -> None:
    words = [f"word-{number}" for number in range(30)]
    file.write_text(f"WORDS = {words}\n", "utf-8")
    assert run("t.rules")[0] == 0
    lines = file.read_text("utf-8").splitlines()
    assert lines[1].startswith('    "word-0", "word-1",')
    assert lines[-1] == "]"
    assert len(lines) < 8
    assert max(map(len, lines)) <= 100
    assert run("--check", "t.rules") == (0, "", "")


def test_check_changes_nothing_and_shows_the_difference(file: Path) -> None:
    status, out, _ = run("--check", "t.rules")
    assert status == 1
    assert "-prefix_rule( pattern=['git',\"status\"] )" in out
    assert '+prefix_rule(pattern = ["git", "status"])' in out
    assert file.read_text("utf-8") == UGLY


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.with_name("link.rules")
    link.symlink_to("t.rules")
    assert run("link.rules")[0] == 0
    assert link.is_symlink()
    assert file.read_text("utf-8") == NEAT


def test_stdin(file: Path) -> None:
    assert run("--stdin", data=UGLY) == (0, NEAT, "")
    assert run("--stdin", "--check", data=NEAT)[0] == 0
    assert run("--stdin", "--check", data=UGLY)[0] == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"prefix_rule(\n", "never closed", id="broken"),
        pytest.param(b"\xff\n", "not UTF-8", id="no-text"),
    ],
)
def test_a_broken_file_is_left_alone_and_the_others_are_not(file: Path, data: bytes, words: str) -> None:
    other = file.with_name("other.rules")
    other.write_bytes(data)
    status, _, err = run("other.rules", "t.rules")
    assert status == 1
    assert words in err
    assert "Traceback" not in err
    assert other.read_bytes() == data
    assert file.read_text("utf-8") == NEAT


def test_usage(file: Path) -> None:
    assert run()[0] == 2
    assert run("--stdin", "t.rules")[0] == 2
    assert run("none.rules") == (1, "", "error: cannot read `none.rules`: no such file or directory\n")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a folder that cannot be written")
def test_a_folder_that_cannot_be_written(file: Path) -> None:
    file.parent.chmod(0o500)
    try:
        status, _, err = run("t.rules")
    finally:
        file.parent.chmod(0o700)
    assert status == 1
    assert "cannot write" in err
    assert file.read_text("utf-8") == UGLY
