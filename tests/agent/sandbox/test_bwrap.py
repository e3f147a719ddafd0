"""The arguments of bubblewrap as golden texts, and what is said when it does not work."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from agent.errors import SandboxUnavailable
from agent.sandbox.base import Launch
from agent.sandbox.bwrap import Bubblewrap, _diagnose, arguments, find
from agent.sandbox.mounts import Kind, Mount, Survey
from agent.sandbox.select import select
from agent.sandbox.spec import Network, SandboxSpec
from execpolicy.decision import SandboxMode

NAMESPACES = "--unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try"
FIXED = "--die-with-parent --new-session --cap-drop ALL --ro-bind / / --dev /dev --proc /proc" + "".join(
    f" --ro-bind-try {path} {path}"
    for path in (
        "/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/acpi", "/proc/fs", "/proc/mtrr",
        "/proc/pressure", "/proc/scsi",
    )
)  # fmt: skip
LAUNCH = Launch(argv=("bash", "-c", "true"), cwd="/", env={"TMPDIR": "/tmp"})


def golden(seen: Survey, *, network: Network = Network.NONE, launch: Launch = LAUNCH) -> str:
    spec = SandboxSpec(mode=SandboxMode.WORKSPACE_WRITE, workspace="/w", network=network)
    argv, place = arguments("bwrap", seen, launch, spec)
    assert argv[place - 1 : place + 1] == ["--seccomp", ""]
    argv[place] = "FD"
    return " ".join(argv)


def test_read_only() -> None:
    want = f"bwrap {NAMESPACES} --unshare-net {FIXED} --setenv TMPDIR /dev/shm --seccomp FD --chdir / -- bash -c true"
    assert golden(Survey((), (), None)) == want


def test_every_kind_of_mount() -> None:
    seen = Survey(
        mounts=(
            Mount("/tmp", Kind.WRITABLE),
            Mount("/w", Kind.WRITABLE),
            Mount("/w/.agent", Kind.EMPTY),
            Mount("/w/.env", Kind.HIDDEN_FILE),
            Mount("/w/.git", Kind.READ_ONLY),
            Mount("/w/keys", Kind.HIDDEN_FOLDER),
            Mount("/w/store", Kind.HIDDEN_FOLDER),
            Mount("/w/store/open", Kind.WRITABLE),
        ),
        guards=("/w/.agent",),
        temp="/tmp",
    )
    assert golden(seen, network=Network.FULL) == (
        f"bwrap {NAMESPACES} {FIXED} --bind /tmp /tmp --bind /w /w --perms 0555 --tmpfs /w/.agent"
        " --ro-bind /dev/null /w/.env --ro-bind /w/.git /w/.git --perms 0000 --tmpfs /w/keys"
        " --perms 0111 --tmpfs /w/store --bind /w/store/open /w/store/open"
        " --remount-ro /w/.agent --remount-ro /w/keys --remount-ro /w/store"
        " --setenv TMPDIR /tmp --seccomp FD --chdir / -- bash -c true"
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("bwrap: setting up uid map: Permission denied", "AppArmor"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "AppArmor"),
        ("bwrap: No permissions to create new namespace, likely because", "user namespaces are forbidden"),
        ("bwrap: Creating new namespace failed: Operation not permitted", "user namespaces are forbidden"),
        ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", "systempaths=unconfined"),
        ("bwrap: Unknown option --perms", "too old"),
        ("something else", "docs/reference/sandbox.md"),
        ("", "exit status 1"),
    ],
)
def test_what_is_said_when_it_does_not_work(said: str, words: str) -> None:
    trouble = _diagnose(1, said)
    assert trouble is not None
    assert words in " ".join(trouble)
    assert "full-access" in trouble[1]


def test_a_missing_bubblewrap_stops(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable) as caught:
        select(SandboxMode.READ_ONLY, platform="linux", which=lambda _: None)
    assert "not installed" in str(caught.value)
    assert "apt install bubblewrap" in caught.value.help
    assert "full-access" in caught.value.help


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1", "uid map"),
        ("exit 3", "exit status 3"),
        ("exit 0", None),
    ],
)
def test_a_bubblewrap_that_fails_stops(tmp_path: Path, script: str, words: str | None) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(0o755)
    if words is None:
        assert select(SandboxMode.READ_ONLY, platform="linux", which=lambda _: str(fake)).why_not() is None
        return
    with pytest.raises(SandboxUnavailable, match=words):
        select(SandboxMode.READ_ONLY, platform="linux", which=lambda _: str(fake))


def test_an_unknown_machine_or_system_stops() -> None:
    reason = Bubblewrap("/usr/bin/bwrap", "riscv64", "/root").why_not()
    assert reason is not None
    assert "riscv64" in reason
    with pytest.raises(SandboxUnavailable, match="win32"):
        select(SandboxMode.WORKSPACE_WRITE, platform="win32")
    with pytest.raises(SandboxUnavailable, match="sandbox-exec"):
        select(SandboxMode.WORKSPACE_WRITE, platform="darwin", which=lambda _: None)


def test_full_access_is_the_only_mode_without_a_sandbox() -> None:
    found = select(SandboxMode.FULL_ACCESS, platform="win32")
    assert found.name == "none"
    spec = SandboxSpec(mode=SandboxMode.FULL_ACCESS, workspace="/")
    assert found.wrap(LAUNCH, spec) is LAUNCH


def test_a_bubblewrap_of_the_workspace_is_not_taken(tmp_path: Path) -> None:
    bad, good = tmp_path / "ws/bin", tmp_path / "usr/bin"
    for folder in (bad, good):
        folder.mkdir(parents=True)
        (folder / "bwrap").touch(stat.S_IRWXU)
    path = os.pathsep.join(["", ".", str(bad), str(good)])
    assert find("bwrap", path, [str(tmp_path / "ws")]) == str(good / "bwrap")
    (tmp_path / "ln").symlink_to(bad)
    assert find("bwrap", str(tmp_path / "ln"), [str(tmp_path / "ws")]) is None
