"""AGENTS.md: which files hold, in which order, within which bounds."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("../secret", "leads out of the project"),
        ("../home/auth.md", "leads out of the project"),
        ("../../../../../../../../../../proc/self/environ", "leads out of the project"),
        (".git/config", "something else than a text"),
        (".git/notes.md", "something else than a text"),
        (".env", "something else than a text"),
        ("a/CLAUDE.md", ""),
    ],
)
@pytest.mark.parametrize("name", ["AGENTS.md", "AGENTS.override.md"])
def test_a_link_leads_to_another_text_of_the_project_only(
    tree: Path, target: str, says: str, name: str
) -> None:
    (tree / "repo/.git").mkdir()
    for file in ("secret", "home/auth.md", "repo/.git/config", "repo/.git/notes.md", "repo/.env"):
        write(tree / file, "token")
    write(tree / "repo/a/CLAUDE.md", "the rules")
    (tree / "repo" / name).symlink_to(target)
    found = find(tree / "home", tree / "repo", tree / "repo/a")
    assert found.text == ("" if says else "the rules")
    assert all(says in warning for warning in found.warnings)
    assert len(found.warnings) == bool(says)


def test_links_of_the_user_are_the_users(tree: Path) -> None:
    write(tree / "dotfiles", "mine")
    (tree / "home/AGENTS.md").symlink_to(tree / "dotfiles")
    (tree / "way").symlink_to(tree / "repo")
    write(tree / "repo/AGENTS.md", "root")
    assert find(tree / "home", tree / "way", tree / "way/a").text == "mine\n\n--- project-doc ---\n\nroot"


def test_what_is_no_file_or_too_large_is_not_waited_for(tree: Path) -> None:
    os.mkfifo(tree / "repo/AGENTS.md")
    (tree / "repo/a/AGENTS.md").symlink_to("/dev/zero")
    (tree / "repo/a/b/AGENTS.md").symlink_to("AGENTS.md")
    assert find(tree / "home", tree / "repo", tree / "repo/a/b").text == ""
    with (tree / "home/AGENTS.md").open("wb") as sparse:
        sparse.truncate(1 << 30)
    found = find(tree / "home", tree / "repo", tree / "repo/a/b")
    assert len(found.text) <= 32_768
    assert "was cut" in found.warnings[0]


def test_bytes_that_are_no_text_do_not_pass_the_bound(tree: Path) -> None:
    (tree / "repo/AGENTS.md").write_bytes(b"\xff" * 90)
    found = find(tree / "home", tree / "repo", tree / "repo", max_bytes=100)
    assert len(found.text.encode()) <= 100
    assert len(found.warnings) == 1
