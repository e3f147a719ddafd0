"""What this machine says: programs, facts, rule files in force."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from execpolicy.bundle.machine import MachineResolver, context_for, layer_sources
from execpolicy.decision import Layer


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_programs_are_found_as_a_shell_finds_them(tmp_path: Path) -> None:
    first, second = program(tmp_path / "one/git"), program(tmp_path / "two/git")
    hg = program(tmp_path / "two/hg")
    (tmp_path / "one/hg").write_text("not a program", encoding="utf-8")
    resolver = MachineResolver(f"{tmp_path}/one:{tmp_path}/two")
    assert resolver.program("git", "/") == str(first)
    assert resolver.program("hg", "/") == str(hg)
    assert resolver.program("nothing", "/") is None
    assert resolver.program("./git", str(tmp_path / "two")) == str(second)
    assert resolver.program("a\0b", "/") is None
    assert resolver.real("\0") is not None


def test_an_empty_entry_of_the_search_path_is_the_working_folder(tmp_path: Path) -> None:
    found = program(tmp_path / "git")
    assert MachineResolver("/nowhere:").program("git", str(tmp_path)) == str(found)


def test_facts_of_a_repository(tmp_path: Path) -> None:
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/release/7\n", encoding="utf-8")
    (git / "config").write_text('[remote "origin"]\n\turl = git@github.com:acme/x.git\n', encoding="utf-8")
    context = context_for(tmp_path, environ={"HOME": "/h"}, now=datetime(2026, 6, 1, 9, 30))
    assert context.facts["branch"] == "release/7"
    assert context.facts["repo"] == ("git@github.com:acme/x.git", "github.com/acme/x", "acme/x")
    assert (context.today, context.minute, context.facts["weekday"]) == ("2026-06-01", 570, "monday")
    assert (context.home, context.env) == ("/h", {"HOME": "/h"})
    assert str(git.resolve()) in context.protected


def test_a_detached_head_is_no_branch(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("0123456789abcdef\n", encoding="utf-8")
    assert "branch" not in context_for(tmp_path, environ={}).facts


def test_a_linked_worktree(tmp_path: Path) -> None:
    main = tmp_path / "main/.git"
    tree = main / "worktrees/w"
    tree.mkdir(parents=True)
    (tree / "HEAD").write_text("ref: refs/heads/topic\n", encoding="utf-8")
    (tree / "commondir").write_text("../..\n", encoding="utf-8")
    (main / "config").write_text('[remote "origin"]\nurl = https://example.org/a/b\n', encoding="utf-8")
    (tmp_path / "w").mkdir()
    (tmp_path / "w/.git").write_text(f"gitdir: {tree}\n", encoding="utf-8")
    facts = context_for(tmp_path / "w", environ={}).facts
    assert (facts["branch"], facts["repo"]) == (
        "topic",
        ("https://example.org/a/b", "example.org/a/b", "a/b"),
    )


def test_layers_in_force(tmp_path: Path) -> None:
    managed, home, workspace = tmp_path / "etc", tmp_path / "home", tmp_path / "ws"
    for folder in (managed, home / "rules", workspace / ".agent/rules"):
        folder.mkdir(parents=True)
        (folder / "b.rules").touch()
        (folder / "a.rules").touch()
        (folder / "README.md").touch()
        (folder / "sub.rules").mkdir()
    (home / "rules/linked.rules").symlink_to(managed / "a.rules")
    (home / "rules/broken.rules").symlink_to(tmp_path / "nowhere")
    extra = tmp_path / "x.rules"

    def names(*, trusted: bool) -> list[tuple[Layer, str]]:
        sources = layer_sources(home, workspace, [extra], trusted=trusted, managed=managed)
        return [(source.layer, Path(source.path).name) for source in sources]

    user = [(Layer.USER, f"{name}.rules") for name in ("a", "b", "broken", "linked")]
    top = [(Layer.MANAGED, "a.rules"), (Layer.MANAGED, "b.rules")]
    project = [(Layer.PROJECT, "a.rules"), (Layer.PROJECT, "b.rules")]
    assert names(trusted=False) == [*top, *user, (Layer.SESSION, "x.rules")]
    assert names(trusted=True) == [*top, *user, *project, (Layer.SESSION, "x.rules")]
