"""What is odd about a machine or a workspace is told at the start, with what to do, and confines no less."""

# ruff: noqa: E501 - a case is one row

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import World

AGENT = [sys.executable, "-I", "-m", "agent"]


def agent(
    world: World, *words: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "AGENT_HOME": str(world.base / "state"), "HOME": str(world.home), **more}
    env.pop("OPENAI_API_KEY", None)
    done = subprocess.run(
        [*AGENT, *words], cwd=cwd or world.ws, env=env, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr
    return done


INSIDE = ["sandbox", "bash", "-c", 'echo x > made && cat made; echo x > "$HOME/outside"']


def works(done: subprocess.CompletedProcess[bytes], folder: Path, home: Path) -> None:
    """It wrote its workspace and nothing else."""
    assert done.stdout == b"x\n", done.stderr
    assert done.returncode != 0
    assert (folder / "made").exists()
    assert not (home / "outside").exists()


@pytest.mark.parametrize(
    "name",
    [
        b"new\nline",
        b"not-\xff\xfe-utf8",
        b"tab\there",
        b"$(touch x)",
        b"' ; x",
        b"-rf",
        "\u202eright".encode(),
    ],
)
def test_odd_names_of_workspaces(world: World, name: bytes) -> None:
    try:
        folder = Path(os.fsdecode(os.fsencode(world.base) + b"/" + name))
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    works(agent(world, *INSIDE, cwd=folder), folder, world.home)
    told = agent(world, "exec", "--skip-git-repo-check", "hello", cwd=folder)
    assert told.returncode == 0, told.stderr


def test_a_symbolic_link_as_workspace(world: World) -> None:
    (world.base / "link").symlink_to(world.ws)
    works(agent(world, "sandbox", "--cd", str(world.base / "link"), *INSIDE[1:]), world.ws, world.home)


def test_a_link_into_the_home_folder_is_no_way_around(world: World) -> None:
    (world.base / "link").symlink_to(world.home)
    done = agent(world, "sandbox", "--cd", str(world.base / "link"), "true")
    assert (done.returncode, b"home folder" in done.stderr) == (1, True)


def test_a_deep_workspace(world: World) -> None:
    folder = world.base
    for _ in range(12):
        folder /= "d" * 200
    folder.mkdir(parents=True)
    works(agent(world, *INSIDE, cwd=folder), folder, world.home)


def test_a_workspace_deeper_than_can_be_bound(world: World) -> None:
    folder = world.base
    for _ in range(18):
        folder /= "d" * 200
    folder.mkdir(parents=True)
    done = agent(world, "sandbox", "--cd", str(folder), "true")
    assert done.returncode != 0
    assert b"path of the workspace is longer" in done.stderr
    assert b"help: " in done.stderr


def test_a_deleted_workspace(world: World) -> None:
    code = 'mkdir gone && cd gone && rmdir ../gone && exec "$@"'
    env = {**os.environ, "AGENT_HOME": str(world.base / "state"), "HOME": str(world.home)}
    done = subprocess.run(
        ["bash", "-c", code, "bash", *AGENT, "sandbox", "true"], cwd=world.ws, env=env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "error: " in done.stderr
    assert "help: " in done.stderr


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("/", b"home folder"),
        ("{home}", b"home folder"),
        ("{base}", b"home folder"),
        ("{ws}/file", b"folder"),
        ("{ws}/none", b"none"),
    ],
)
def test_unfit_workspaces_are_told_before_the_model_is_asked(world: World, folder: str, said: bytes) -> None:
    place = folder.format(home=world.home, base=world.base, ws=world.ws)
    ran = agent(world, "sandbox", "--cd", place, "true")
    assert ran.returncode != 0
    assert said in ran.stderr
    told = agent(world, "exec", "--skip-git-repo-check", "--cd", place, "hello")
    assert said in told.stderr
    if b"home folder" in told.stderr:
        assert b"every command is refused" in told.stderr
        assert b"--cd" in told.stderr


def test_a_shared_folder_as_workspace_is_told(world: World) -> None:
    told = agent(world, "exec", "--skip-git-repo-check", "--cd", "/tmp", "hello")
    assert b"is shared with everything on this machine" in told.stderr


@pytest.mark.parametrize(
    "temp", ["/no/such/folder", "relative", "", "/", "{home}", "{base}", "/etc/passwd", "/proc", "new\nline"]
)
def test_hostile_temporary_folders(world: World, temp: str) -> None:
    done = agent(world, *INSIDE, TMPDIR=temp.format(home=world.home, base=world.base))
    works(done, world.ws, world.home)
    done = agent(
        world,
        "sandbox",
        "bash",
        "-c",
        'f=$(mktemp) && echo x > "$f" && cat "$f"',
        TMPDIR=temp.format(home=world.home, base=world.base),
    )
    assert (done.returncode, done.stdout) == (0, b"x\n"), done.stderr


def test_a_missing_temporary_folder_is_told(world: World) -> None:
    told = agent(world, "exec", "hello", TMPDIR="/no/such/folder")
    assert b"which is not a folder" in told.stderr


def test_the_state_folder_inside_the_workspace(world: World) -> None:
    state = world.ws / "state"
    assert agent(world, "exec", "hello", AGENT_HOME=str(state)).returncode == 0
    for code in (
        "echo x > state/config.toml",
        "ls state/audit",
        "mv state s",
        "rm -rf state",
        "ln state/sessions.db s",
    ):
        assert agent(world, "sandbox", "bash", "-c", code, AGENT_HOME=str(state)).returncode != 0, code
    assert agent(world, "sandbox", "bash", "-c", "echo x > made", AGENT_HOME=str(state)).returncode == 0


@pytest.mark.parametrize("place", ["/proc/agent", "/dev/null/agent", "{ws}/file"])
def test_a_state_folder_that_cannot_be_made(world: World, place: str) -> None:
    done = agent(world, "exec", "hello", AGENT_HOME=place.format(ws=world.ws))
    assert done.returncode != 0
    assert b"error: " in done.stderr
    assert b"AGENT_HOME" in done.stderr


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder on a file system of its own."""
    if not os.access("/dev/shm", os.W_OK) or not os.path.ismount("/dev/shm"):
        pytest.skip("no memory file system")
    place = Path(tempfile.mkdtemp(dir="/dev/shm", prefix="agent-ws-"))
    yield place
    shutil.rmtree(place, ignore_errors=True)


def test_a_workspace_in_memory(world: World, elsewhere: Path) -> None:
    works(agent(world, *INSIDE, cwd=elsewhere), elsewhere, world.home)
    done = agent(world, "sandbox", "bash", "-c", "mkdir -p .git/hooks || mv .git g", cwd=elsewhere)
    assert done.returncode != 0


def test_a_workspace_that_is_a_mount(world: World) -> None:
    place = world.base / "mounted"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "none", str(place)], capture_output=True, check=False
    ).returncode:
        pytest.skip("mounting takes more rights")
    try:
        works(agent(world, *INSIDE, cwd=place), place, world.home)
        (place / "inner").mkdir()
        works(agent(world, *INSIDE, cwd=place / "inner"), place / "inner", world.home)
        assert (
            agent(world, "sandbox", "--cd", str(place / "inner"), "bash", "-c", "echo x > ../up").returncode
            != 0
        )
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("key", "code", "status"),
    [
        ("exclude_slash_tmp=false", 'echo x > "/tmp/agent-start-$$" && rm "/tmp/agent-start-$$"', 0),
        ("exclude_slash_tmp=true", 'echo x > "/tmp/agent-start-$$"', 1),
        ("exclude_slash_tmp=true", 'echo x > "/var/tmp/agent-start-$$"', 1),
        ("exclude_slash_tmp=true", 'f=$(mktemp) && echo x > "$f"', 0),
        ("exclude_tmpdir_env_var=false", 'echo x > "$T/new"', 0),
        ("exclude_tmpdir_env_var=true", 'echo x > "$T/new"', 1),
        ("exclude_tmpdir_env_var=true", 'f=$(mktemp) && echo x > "$f"', 0),
    ],
)
def test_temporary_folders_can_be_left_out(world: World, key: str, code: str, status: int) -> None:
    own = world.base / "own"
    own.mkdir()
    state = world.base / "state"
    state.mkdir()
    name, _, value = key.partition("=")
    (state / "config.toml").write_text(f"[sandbox_workspace_write]\n{name} = {value}\n")
    done = agent(world, "sandbox", "bash", "-c", code, T=str(own), TMPDIR=str(own))
    assert done.returncode == status, done.stderr


@pytest.mark.parametrize("named", ["/tmp", "/var/tmp"])
def test_tmpdir_does_not_bring_back_what_was_left_out(world: World, named: str) -> None:
    state = world.base / "state"
    state.mkdir()
    (state / "config.toml").write_text("[sandbox_workspace_write]\nexclude_slash_tmp = true\n")
    code = f'f=$(mktemp) && echo x > "$f" && ! echo x > "{named}/agent-start-$$"'
    done = agent(world, "sandbox", "bash", "-c", code, TMPDIR=named)
    assert done.returncode == 0, done.stderr
