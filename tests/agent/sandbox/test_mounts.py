"""What the survey makes of a spec and a disk, without starting anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.errors import SandboxUnavailable
from agent.sandbox.mounts import Kind, survey
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import SandboxMode


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace and a home, both below a temporary folder as every test folder is."""
    (tmp_path / "ws").mkdir()
    (tmp_path / "home").mkdir()
    return tmp_path


def kinds(
    base: Path, mode: SandboxMode = SandboxMode.WORKSPACE_WRITE, **more: tuple[str, ...]
) -> dict[str, Kind]:
    spec = SandboxSpec(mode=mode, workspace=str(base / "ws"), **more)  # type: ignore[arg-type]
    secrets = (f"{base}/home/.ssh", f"{base}/home/.netrc")
    seen = survey(spec, temp=None, home=str(base / "home"), secrets=secrets)
    inside = f"{base}/"
    return {m.path.removeprefix(inside): m.kind for m in seen.mounts if m.path.startswith(inside)}


def test_a_plain_workspace(home: Path) -> None:
    assert kinds(home) == {
        ".git": Kind.EMPTY,  # above the workspace, in what is writable as a temporary folder
        "home": Kind.READ_ONLY,
        "ws": Kind.WRITABLE,
        "ws/.agent": Kind.EMPTY,
        "ws/.git": Kind.EMPTY,
    }


def test_read_only_mounts_nothing_writable(home: Path) -> None:
    (home / "home/.ssh").mkdir()
    assert kinds(home, SandboxMode.READ_ONLY) == {"home/.ssh": Kind.HIDDEN_FOLDER}


def test_what_exists_is_read_only_and_what_is_between_cannot_be_renamed(home: Path) -> None:
    (home / "ws/.git").mkdir()
    (home / "ws/a/b").mkdir(parents=True)
    (home / "ws/a/b/rules").touch()
    got = kinds(home, protected=(f"{home}/ws/a/b/rules", f"{home}/ws/x/y/z", "/etc/agent"))
    assert got == {
        ".git": Kind.EMPTY,
        "home": Kind.READ_ONLY,
        "ws": Kind.WRITABLE,
        "ws/.agent": Kind.EMPTY,
        "ws/.git": Kind.READ_ONLY,
        "ws/a": Kind.WRITABLE,
        "ws/a/b": Kind.WRITABLE,
        "ws/a/b/rules": Kind.READ_ONLY,
        "ws/x": Kind.EMPTY,  # the first folder that is missing on the way
    }


def test_hidden_and_readable(home: Path) -> None:
    (home / "home/.ssh").mkdir()
    (home / "home/.ssh/known_hosts").touch()
    (home / "home/.netrc").touch()
    (home / "ws/.env").touch()
    got = kinds(
        home, hidden=(f"{home}/ws/.env",), readable=(f"{home}/home/.netrc", f"{home}/home/.ssh/known_hosts")
    )
    del got[".git"], got["ws/.git"], got["ws/.agent"]
    assert got == {
        "home": Kind.READ_ONLY,
        "home/.ssh": Kind.HIDDEN_FOLDER,
        "home/.ssh/known_hosts": Kind.READ_ONLY,
        "ws": Kind.WRITABLE,
        "ws/.env": Kind.HIDDEN_FILE,
    }


def test_a_writable_folder_inside_a_protected_one(home: Path) -> None:
    (home / "ws/state/work").mkdir(parents=True)
    got = kinds(home, protected=(f"{home}/ws/state",), writable=(f"{home}/ws/state/work",))
    assert got["ws/state"] is Kind.READ_ONLY
    assert "ws/state/work" not in got, "protection wins over a path that lies in the workspace anyway"


def test_nested_repositories(home: Path) -> None:
    (home / "ws/a/.git").mkdir(parents=True)
    (home / "ws/a/.git/config").touch()
    (home / "ws/b").mkdir()
    (home / "ws/b/.git").write_text("gitdir: ../real\n")
    (home / "ws/real").mkdir()
    (home / "ws/real/commondir").write_text("../shared\n")
    (home / "ws/shared").mkdir()
    (home / "ws/link").symlink_to(home / "ws/a")
    got = kinds(home)
    assert {
        path: kind for path, kind in got.items() if kind is not Kind.WRITABLE and path.count("/") > 0
    } == {
        "ws/.agent": Kind.EMPTY,
        "ws/.git": Kind.EMPTY,
        "ws/a/.git/commondir": Kind.EMPTY,
        "ws/a/.git/config": Kind.READ_ONLY,
        "ws/a/.git/hooks": Kind.EMPTY,
        "ws/a/.git/info": Kind.EMPTY,
        "ws/b/.git": Kind.READ_ONLY,
        "ws/real": Kind.READ_ONLY,
        "ws/shared": Kind.READ_ONLY,
    }


def test_a_fifo_as_git_file_does_not_hang(home: Path) -> None:
    os.mkfifo(home / "ws/.git")
    assert kinds(home)["ws/.git"] is Kind.READ_ONLY


@pytest.mark.parametrize("name", [".git", ".agent"])
def test_a_link_where_a_guard_stands(home: Path, name: str) -> None:
    (home / f"ws/{name}").symlink_to("/etc")
    with pytest.raises(SandboxUnavailable, match="symbolic link") as caught:
        kinds(home)
    assert "gitdir: /etc" in caught.value.help


def test_deeper_mounts_come_later(home: Path) -> None:
    (home / "ws/a/b/c").mkdir(parents=True)
    (home / "ws/a/b/c/rules").touch()
    spec = SandboxSpec(
        mode=SandboxMode.WORKSPACE_WRITE, workspace=str(home / "ws"), protected=(f"{home}/ws/a/b/c/rules",)
    )
    depths = [mount.path.count("/") for mount in survey(spec, temp=None, home="/root").mounts]
    assert depths == sorted(depths)
