"""The rulesets of Landlock byte by byte, what is granted beside what is refused, and who is chosen when."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from pathlib import Path

import pytest

from agent.errors import SandboxUnavailable
from agent.sandbox import landlock, select
from agent.sandbox.landlock import Level, accesses, attributes, fallback, grants, levels
from agent.sandbox.mounts import Kind, Mount, Survey
from execpolicy.decision import SandboxMode


@pytest.mark.parametrize(
    ("abi", "network", "want"),
    [
        # as <linux/landlock.h> numbers them: execute, write, read, list, two removes, seven makes; refer; truncate
        (1, False, (0x1FFF,)),
        (2, False, (0x3FFF,)),
        (3, False, (0x7FFF,)),
        (4, False, (0x7FFF, 3)),
        (4, True, (0x7FFF, 0)),
        (5, False, (0xFFFF, 3)),
        (6, False, (0xFFFF, 3, 3)),
        (7, True, (0xFFFF, 0, 3)),
    ],
)
def test_a_ruleset_handles_all_that_its_version_knows(abi: int, network: bool, want: tuple[int, ...]) -> None:
    assert attributes(abi, network=network) == struct.pack(f"={len(want)}Q", *want)


def test_what_a_level_grants() -> None:
    assert accesses(Level.NOTHING, 7) == (0, 0)
    assert accesses(Level.READ, 7) == (0b1101, 0b101)
    folder, file = accesses(Level.WRITE, 7)
    assert folder == 0x7FFF & ~(1 << 6 | 1 << 11), "no device nodes, no device controls"
    assert file == 1 | 2 | 4 | 1 << 14
    assert file & folder == file


def shape(base: Path, *mounts: tuple[str, Kind]) -> dict[str, Level]:
    """What is granted below `base`, by name; of the whole tree nothing else is asked for."""
    seen = Survey(tuple(Mount(f"{base}/{name}".rstrip("/"), kind) for name, kind in mounts), (), None)
    found = {path: level for path, level in levels(seen).items() if path not in ("/dev",)}
    return {
        path.removeprefix(f"{base}/"): level
        for path, level in grants(found)
        if path.startswith(f"{base}/") or path == str(base)
    }


def test_nothing_is_granted_above_what_is_refused(tmp_path: Path) -> None:
    for name in ("ws/.git", "ws/src", "ws/a/b", "ws/a/c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ws/file").touch()
    (tmp_path / "ws/link").symlink_to("/")
    got = shape(tmp_path, ("ws", Kind.WRITABLE), ("ws/.git", Kind.READ_ONLY), ("ws/a/b", Kind.HIDDEN_FOLDER))
    assert {name: level for name, level in got.items() if name.startswith("ws")} == {
        "ws/.git": Level.READ,
        "ws/a/c": Level.WRITE,
        "ws/file": Level.WRITE,
        "ws/src": Level.WRITE,
    }, "neither the workspace nor the folder that holds a hidden one, and no link"


def test_a_folder_without_exceptions_is_granted_whole(tmp_path: Path) -> None:
    (tmp_path / "ws/src").mkdir(parents=True)
    assert shape(tmp_path, ("ws", Kind.WRITABLE)) == {"ws": Level.WRITE}


def test_what_is_writable_inside_what_is_not(tmp_path: Path) -> None:
    (tmp_path / "ro/rw").mkdir(parents=True)
    got = shape(tmp_path, ("", Kind.WRITABLE), ("ro", Kind.READ_ONLY), ("ro/rw", Kind.WRITABLE))
    assert got["ro"] is Level.READ
    assert got["ro/rw"] is Level.WRITE
    assert str(tmp_path) not in {path for path, level in got.items() if level is Level.WRITE}


def test_too_many_grants_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(landlock, "_MOST_ENTRIES", 10)
    with pytest.raises(SandboxUnavailable, match="too many entries"):
        grants({"/": Level.READ, str(tmp_path): Level.READ, f"{tmp_path}/1": Level.NOTHING})


needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Landlock is of Linux")


@needs_linux
def test_only_its_name_chooses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 7)
    none = lambda _: None  # noqa: E731
    with pytest.raises(SandboxUnavailable) as caught:
        select.select(SandboxMode.READ_ONLY, platform="linux", which=none)
    assert 'sandbox_fallback="landlock"' in caught.value.help
    found = select.select(SandboxMode.READ_ONLY, platform="linux", which=none, fallback="landlock")
    assert found.name == "landlock"
    assert any(".git" in line for line in select.weaknesses(found))
    assert select.weaknesses(select.select(SandboxMode.FULL_ACCESS)) == ()


@needs_linux
@pytest.mark.parametrize("version", [0, 2])
def test_without_a_kernel_for_it_nothing_is_weaker(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(landlock, "version", lambda: version)
    for name in ("", "landlock"):
        with pytest.raises(SandboxUnavailable) as caught:
            select.select(SandboxMode.READ_ONLY, platform="linux", which=lambda _: None, fallback=name)
        assert "sandbox_fallback" not in caught.value.help
    assert "Landlock" in str(caught.value)


@needs_linux
def test_an_older_kernel_has_more_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = fallback("/home/me", os.uname().machine, (), ())
    monkeypatch.setattr(landlock, "version", lambda: 7)
    new = weak.weaker
    monkeypatch.setattr(landlock, "version", lambda: 4)
    assert set(weak.weaker) - set(new) == {"a command can send signals to other programs of the user"}


@pytest.mark.parametrize("where", ["temporary", "added"])
def test_an_interpreter_that_commands_can_write_is_not_trusted(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever picks the weaker sandbox gets none whose program the last command may have replaced."""
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path if where == "temporary" else tmp_path / "other"))
    added = (str(tmp_path),) if where == "added" else ()
    with pytest.raises(SandboxUnavailable, match="where commands may write"):
        select.select(
            SandboxMode.WORKSPACE_WRITE,
            platform="linux",
            which=lambda _: None,
            untrusted=("/somewhere/else", *added),
            fallback="landlock",
        )


def test_an_interpreter_in_the_workspace_is_not_trusted() -> None:
    with pytest.raises(SandboxUnavailable, match="could replace it"):
        fallback("/home/me", "x86_64", (), (os.path.dirname(os.path.realpath(sys.executable)),))
