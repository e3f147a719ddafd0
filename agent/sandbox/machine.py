"""Which layers of confinement this machine has, and how to get the others."""

from __future__ import annotations

import enum
import os
import platform
import sys

from agent.errors import SandboxUnavailable
from agent.sandbox import landlock, seccomp
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen

_LEAST_BUBBLEWRAP = (0, 5)
_SWITCHES = (
    ("/proc/sys/user/max_user_namespaces", "0", "`sysctl user.max_user_namespaces=10000`"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "`sysctl kernel.unprivileged_userns_clone=1`"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile for bwrap with `userns,`, or `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
)


class State(enum.Enum):
    WORKS = "works"
    MISSING = "missing"
    UNUSED = "unused"  # there, but nothing of ours needs it


@frozen
class Layer:
    name: str
    state: State
    about: str
    help: str = ""


def layers() -> tuple[Layer, ...]:
    """Every layer, the sandbox as a whole first. Costs a trial run of the sandbox."""
    found = [_sandbox()]
    if sys.platform == "linux":
        found += [_bubblewrap(), _filter(), *_namespaces(), _network(), _landlock(), _groups(), _children()]
    return tuple(found)


def _sandbox() -> Layer:
    try:
        sandbox = select(SandboxMode.WORKSPACE_WRITE)
    except SandboxUnavailable as error:
        return Layer("sandbox", State.MISSING, str(error), error.help)
    return Layer("sandbox", State.WORKS, f"{sandbox.name} confines commands on this machine")


def _filter() -> Layer:
    machine = platform.machine()
    if seccomp.program(machine) is None:
        return Layer("system call filter", State.MISSING, f"none is written for `{machine}`")
    return Layer("system call filter", State.WORKS, f"{machine}")


def _namespaces() -> list[Layer]:
    found = []
    for path, bad, help in _SWITCHES:
        try:
            with open(path, encoding="ascii") as file:
                value = file.read().strip()
        except OSError:
            continue
        name = os.path.basename(path)
        # Root may make namespaces whatever the switch for others says.
        forbids = value == bad and (os.geteuid() != 0 or name == "max_user_namespaces")
        state = State.MISSING if forbids else State.WORKS
        found.append(Layer("user namespaces", state, f"{name} is {value}", help if forbids else ""))
    return found


def _bubblewrap() -> Layer:
    import shutil
    import stat
    import subprocess

    path = shutil.which("bwrap")
    if path is None:
        return Layer(
            "bubblewrap",
            State.MISSING,
            "not installed",
            "install `bubblewrap` with the system's package manager",
        )
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
        version = done.stdout.split()[-1] if done.stdout.split() else "unknown"
        set_uid = bool(os.stat(path).st_mode & stat.S_ISUID)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Layer("bubblewrap", State.MISSING, f"{path} does not run: {error}", "install it again")
    numbers = tuple(int(word) for word in version.split(".") if word.isdigit())
    if numbers and numbers < _LEAST_BUBBLEWRAP:
        return Layer(
            "bubblewrap", State.MISSING, f"{path} is version {version}", "version 0.5 or later is needed"
        )
    if set_uid:
        return Layer(
            "bubblewrap",
            State.WORKS,
            f"{version} at {path}, set-uid",
            f"`chmod u-s {path}` where user namespaces are allowed",
        )
    return Layer("bubblewrap", State.WORKS, f"{version} at {path}")


def _network() -> Layer:
    """Whether a command can get a loopback interface of its own, which the proxy listens on."""
    if os.path.exists("/proc/self/ns/net"):
        return Layer("network namespaces", State.WORKS, "single hosts can be opened by the proxy")
    return Layer("network namespaces", State.MISSING, "not in this kernel: single hosts cannot be opened")


def _landlock() -> Layer:
    found = landlock.version()
    if found == 0:
        return Layer(
            "landlock",
            State.UNUSED,
            "not in this kernel",
            "add `landlock` to the kernel's `lsm=` for the fallback",
        )
    word = "can stand in" if found >= landlock.LEAST_VERSION else "is too old to stand in"
    return Layer(
        "landlock",
        State.UNUSED,
        f"version {found}; it {word} where namespaces are forbidden (sandbox_fallback)",
    )


def _groups() -> Layer:
    """Limits do not need control groups; where the kernel holds a tree by one, it does so at once."""
    for place in ("/sys/fs/cgroup/cgroup.controllers", "/sys/fs/cgroup/unified/cgroup.controllers"):
        try:
            with open(place, encoding="ascii") as file:
                controllers = file.read().split()
        except OSError:
            continue
        folder = os.path.dirname(place) + _own_group()
        word = "delegated to you" if os.access(folder, os.W_OK) else "not delegated to you"
        return Layer(
            "control groups",
            State.UNUSED,
            f"version 2 ({' '.join(controllers) or 'no controllers'}), {word}; limits are held by looking",
        )
    return Layer("control groups", State.UNUSED, "none of version 2; limits are held by looking")


def _own_group() -> str:
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    return next((line[3:].rstrip("/") for line in lines if line.startswith("0::")), "")


def _children() -> Layer:
    path = "/proc/thread-self/children"
    if os.path.exists(path):
        return Layer(
            "limits of a whole command", State.WORKS, "processes, memory and disk are looked at while it runs"
        )
    return Layer(
        "limits of a whole command",
        State.UNUSED,
        "this kernel does not list children: only each process is limited",
        "a kernel with CONFIG_PROC_CHILDREN",
    )
