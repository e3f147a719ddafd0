"""AGENTS.md: which files hold, in which order, within which bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.core.instructions import find


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    (tmp_path / "repo/a/b").mkdir(parents=True)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.write_text(text)


def test_none(tree: Path) -> None:
    found = find(tree / "home", tree / "repo", tree / "repo/a")
    assert (found.text, found.files, found.warnings) == ("", (), ())


def test_home_first_then_from_the_root_down(tree: Path) -> None:
    write(tree / "home/AGENTS.md", "home\n")
    write(tree / "repo/AGENTS.md", "root\n")
    write(tree / "repo/a/b/AGENTS.md", "deep\n")
    write(tree / "AGENTS.md", "above the root\n")
    assert find(tree / "home", tree / "repo", tree / "repo/a/b").text == (
        "home\n\n--- project-doc ---\n\nroot\n\ndeep"
    )
    assert find(tree / "home", tree / "repo", tree / "repo/a").text == "home\n\n--- project-doc ---\n\nroot"


def test_an_override_stands_for_the_file_of_its_folder(tree: Path) -> None:
    write(tree / "repo/AGENTS.md", "root")
    write(tree / "repo/a/AGENTS.md", "plain")
    write(tree / "repo/a/AGENTS.override.md", "mine")
    assert find(tree / "home", tree / "repo", tree / "repo/a").text == "root\n\nmine"


def test_the_texts_are_bounded_together_and_it_is_said(tree: Path) -> None:
    write(tree / "repo/AGENTS.md", "a" * 60)
    write(tree / "repo/a/AGENTS.md", "b" * 60)
    write(tree / "repo/a/b/AGENTS.md", "c" * 60)
    found = find(tree / "home", tree / "repo", tree / "repo/a/b", max_bytes=100)
    assert found.text == "a" * 60 + "\n\n" + "b" * 40
    assert len(found.warnings) == 2


def test_a_cut_leaves_no_half_character(tree: Path) -> None:
    write(tree / "repo/AGENTS.md", "ä" * 60)
    assert find(tree / "home", tree / "repo", tree / "repo", max_bytes=11).text == "ä" * 5


def test_bytes_that_are_no_text_and_folders_of_that_name_do_no_harm(tree: Path) -> None:
    (tree / "repo/AGENTS.md").write_bytes(b"a\xff\x00b")
    (tree / "repo/a/AGENTS.md").mkdir()
    assert find(tree / "home", tree / "repo", tree / "repo/a").text == "a\ufffd\0b"


def test_a_folder_outside_the_root_has_its_own_file_only(tree: Path) -> None:
    write(tree / "repo/AGENTS.md", "root")
    write(tree / "AGENTS.md", "here")
    assert find(tree / "home", tree / "repo", tree).text == "here"
