"""Workspaces in odd places: below a temp folder, linked work trees, guards several runs share."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.errors import SandboxUnavailable
from agent.process.environ import child_environment
from agent.process.spawn import run

if TYPE_CHECKING:
    from conftest import World

CONFIG = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def git(folder: Path, *words: str) -> None:
    env = {**child_environment(os.environ), **CONFIG}
    subprocess.run(["git", *words], cwd=folder, check=True, env=env, capture_output=True)


@pytest.fixture
def temp(world: World) -> Iterator[Path]:
    """A folder in /tmp, which is writable for every command."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="agent-geometry-") as name:
        yield Path(name)


def test_linked_work_tree_keeps_its_repository(world: World, temp: Path) -> None:
    main = temp / "main"
    main.mkdir()
    git(main, "init", "-q", ".")
    git(main, "commit", "-qm", "one", "--allow-empty")
    git(main, "worktree", "add", "-q", str(temp / "tree"))
    world.ws = temp / "tree"
    for code in (
        f"echo x > {main}/.git/hooks/pre-commit",
        f"echo x >> {main}/.git/config",
        f"echo x > {main}/.git/worktrees/tree/config.worktree",
        "echo 'gitdir: /elsewhere' > .git",
        "rm -f .git",
        f"mv {main} {main}2",
    ):
        assert world.bare(f"test -w {main}/.git/config") == 0
        assert world.confined(code).exit_code != 0, code
    assert world.confined("git status && git log").exit_code == 0
    assert world.confined("echo x > new").exit_code == 0


@pytest.mark.parametrize(
    "code",
    [
        "git init -q .",
        "git init -q ..",
        "mkdir ../.git",
        "mkdir /tmp/.git",
        'mv "$W" "$W.away"',
        'mv "$(dirname "$W")" "$(dirname "$W").away"',
        'mv ../../a ../../b && mkdir -p ../../a && ln -s / "$W"',
        'cd / && rm -rf "$W"; test ! -e "$W"',
    ],
)
def test_workspace_below_a_temp_folder(world: World, temp: Path, code: str) -> None:
    world.ws = temp / "a" / "ws"
    world.ws.mkdir(parents=True)
    assert world.confined(code).exit_code != 0
    assert not (temp / "a/.git").exists(), "a guard is removed after the run"
    assert not (world.ws / ".git").exists()
    assert world.bare(code) == 0 or "git" in code
    subprocess.run(["rm", "-rf", "/tmp/.git"], check=False) if code == "mkdir /tmp/.git" else None


@pytest.mark.parametrize(
    "code",
    [
        "echo x > policy/deep/rules",
        "mv policy p2 && mkdir -p policy/deep && echo x > policy/deep/rules",
        "mv policy/deep policy/d2",
        "rm -rf policy; test ! -e policy",
        "mkdir -p missing/deep && echo x > missing/deep/rules",
        "echo x > absent",
        'ln -s "$O" absent',
    ],
)
def test_protected_paths(world: World, twin: World, code: str) -> None:
    for each in (world, twin):
        (each.ws / "policy/deep").mkdir(parents=True)
        (each.ws / "policy/deep/rules").write_text("deny\n")
        each.protected = tuple(
            f"{each.ws}/{name}" for name in ("policy/deep/rules", "missing/deep", "absent")
        )
    assert world.confined(code).exit_code != 0
    assert (world.ws / "policy/deep/rules").read_text() == "deny\n"
    assert sorted(p.name for p in world.ws.iterdir()) == [".env", ".git", "file", "policy"]
    assert world.confined("echo x > policy/other && cat policy/deep/rules").exit_code == 0
    assert twin.bare(code) == 0


def test_a_guard_outlives_the_first_of_two_runs(world: World) -> None:
    """Removing the guard while another sandbox relies on it would lift that sandbox's mount."""

    async def both() -> tuple[int | None, int | None]:
        first = asyncio.create_task(run(world.launch("sleep 0.3"), timeout=10))
        await asyncio.sleep(0.1)
        code = "sleep 0.8; mkdir -p .agent/evil"
        second = asyncio.create_task(run(world.launch(code), timeout=10))
        await first
        assert (world.ws / ".agent").exists()
        return (await first).exit_code, (await second).exit_code

    first, second = asyncio.run(both())
    assert first == 0
    assert second not in (0, None)
    assert not (world.ws / ".agent").exists()


def test_a_guard_left_by_a_killed_run_is_taken_over(world: World) -> None:
    (world.ws / ".agent").mkdir(mode=0o555)
    assert world.confined("mkdir .agent/evil").exit_code != 0
    assert not (world.ws / ".agent").exists()


def test_an_empty_folder_of_the_user_stays(world: World) -> None:
    (world.ws / ".agent").mkdir()
    assert world.confined("mkdir .agent/evil").exit_code != 0
    assert (world.ws / ".agent").is_dir()


def test_links_that_could_be_replaced_are_refused(world: World) -> None:
    (world.ws / ".agent").symlink_to(world.outside)
    with pytest.raises(SandboxUnavailable, match="symbolic link"):
        world.launch("true")


def test_a_writable_path_turned_into_a_link_widens_nothing(world: World) -> None:
    world.writable = (f"{world.ws}/build", str(world.ws))
    (world.ws / "build").symlink_to(world.outside)
    assert world.confined("echo x > build/new").exit_code != 0
    assert not (world.outside / "new").exists()


def test_tmpdir_turned_into_a_link_widens_nothing(world: World, temp: Path) -> None:
    (temp / "t").symlink_to(world.outside)
    world.extra = {**world.extra, "TMPDIR": f"{temp}/t"}
    assert world.confined('echo x > "$O/new"').exit_code != 0


def test_home_in_a_temp_folder(world: World, temp: Path) -> None:
    """`/tmp` stays writable, the home folder in it does not."""
    world.home = temp / "home"
    world.ws = world.home / "project"
    world.ws.mkdir(parents=True)
    assert world.confined(f'echo x > made && echo x > {temp}/beside && f=$(mktemp) && rm "$f"').exit_code == 0
    for code in ('echo x > "$HOME/.bashrc"', 'mv "$HOME" "$HOME.away"', 'mkdir "$HOME/.ssh"', "git init -q"):
        assert world.confined(code).exit_code != 0, code


def test_tmpdir_of_its_own(world: World) -> None:
    own = world.base / "own temp"
    own.mkdir()
    world.extra = {**world.extra, "TMPDIR": str(own)}
    assert world.confined('f=$(mktemp) && test "$(dirname "$f")" = "$TMPDIR"').exit_code == 0
    world.extra = {**world.extra, "TMPDIR": str(world.base)}  # holds the home folder: not taken as writable
    assert world.confined('mktemp && echo x > "$HOME/.bashrc"').exit_code != 0


@pytest.mark.parametrize(
    "code",
    [
        "echo x > lib/deep/.git/hooks/pre-commit",
        "git -C lib/deep config core.fsmonitor x",
        "mv lib/deep/.git lib/deep/g && mkdir lib/deep/.git && echo x > lib/deep/.git/config",
        "mv lib/deep lib/d && mkdir -p lib/deep/.git && echo x > lib/deep/.git/config",
        "mkdir -p lib/deep/.git/info && echo x > lib/deep/.git/info/attributes",
        "echo /elsewhere > lib/deep/.git/commondir",
        "rm -f lib/deep/.git/commondir && mkdir lib/deep/.git/commondir",
        "echo 'gitdir: /elsewhere' > module/.git",
        "rm -f module/.git && mkdir module/.git",
    ],
)
def test_nested_repositories(world: World, twin: World, code: str) -> None:
    for each in (world, twin):
        (each.ws / "lib/deep").mkdir(parents=True)
        git(each.ws / "lib/deep", "init", "-q", ".")
        (each.ws / "module").mkdir()
        (each.ws / "module/.git").write_text("gitdir: ../.git/modules/module\n")
    assert world.confined(code).exit_code != 0
    assert world.confined("cd lib/deep && echo x > f && git add f && git status --short").output == "A  f\n"
    assert not os.path.lexists(world.ws / "lib/deep/.git/commondir")
    assert twin.bare(code) == 0


@pytest.mark.parametrize(
    "code",
    [
        'echo x > "$O/lib/deep/.git/hooks/pre-commit"',
        'echo /elsewhere > "$O/lib/deep/.git/commondir"',
        'git -C "$O/lib/deep" config core.fsmonitor x',
        'mv "$O/lib" "$O/l" && mkdir -p "$O/lib/deep/.git"',
    ],
)
def test_nested_repositories_of_added_folders(world: World, twin: World, code: str) -> None:
    for each in (world, twin):
        (each.outside / "lib/deep").mkdir(parents=True)
        git(each.outside / "lib/deep", "init", "-q", ".")
    world.writable = (str(world.outside),)
    assert world.confined(code).exit_code != 0
    assert world.confined('cd "$O/lib/deep" && echo x > f && git add f').exit_code == 0
    assert twin.bare(code) == 0


def test_a_large_workspace_costs_a_bounded_look(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        (world.ws / f"d{number}").mkdir()
        for inner in range(60):
            (world.ws / f"d{number}/f{inner}").touch()
    looked_at: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (looked_at.append(str(folder)), scandir(folder))[1])
    world.launch("true")
    below = [folder for folder in looked_at if folder.startswith(f"{world.ws}/")]
    assert 0 < len(below) <= 2000 // 60 + 1


def test_secrets_may_be_named_as_readable(world: World) -> None:
    assert world.confined('cat "$HOME/.ssh/id"').exit_code != 0
    world.readable = (f"{world.home}/.ssh",)
    assert world.confined('cat "$HOME/.ssh/id"').exit_code == 0
    assert world.confined('cat "$HOME/.netrc"').exit_code != 0
    world.readable = (f"{world.home}/.ssh/id",)
    (world.home / ".ssh/other").write_text("key\n")
    assert world.confined('cat "$HOME/.ssh/id"').exit_code == 0
    assert (
        world.confined('cat "$HOME/.ssh/other" || ls "$HOME/.ssh" || echo x > "$HOME/.ssh/id"').exit_code != 0
    )


@pytest.mark.parametrize("name", ["with space", "new\nline", "quote\"'", "-dash", "ünï", "--bind"])
def test_odd_names(world: World, name: str) -> None:
    world.ws = world.ws.rename(world.base / name)
    seen = world.confined('touch made && mkdir "$O/x"')
    assert seen.exit_code != 0
    assert (world.ws / "made").exists()
    assert not (world.outside / "x").exists()


def test_workspace_through_a_link(world: World) -> None:
    (world.base / "link").symlink_to(world.ws)
    real, world.ws = world.ws, world.base / "link"
    assert world.confined("echo x > made && mkdir .git/evil").exit_code != 0
    assert (real / "made").exists()


def test_unfit_workspaces(world: World) -> None:
    for folder, words in (
        (world.base / "none", "not a folder"),
        (Path("/"), "home folder"),
        (world.home, "home folder"),
        (world.base, "home folder"),
        (Path("/proc"), "kernel"),
        (Path("/sys/kernel"), "kernel"),
        (Path("/dev"), "kernel"),
    ):
        world.ws = folder
        with pytest.raises(SandboxUnavailable, match=words):
            world.launch("true")
