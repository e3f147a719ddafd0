"""Which layers of confinement this machine has, and how to get the others."""

from __future__ import annotations

import ctypes
import enum
import os
import platform
import sys
from dataclasses import dataclass

from agent.errors import SandboxUnavailable
from agent.sandbox import seccomp
from agent.sandbox.select import select
from execpolicy.decision import SandboxMode

_LANDLOCK_CREATE_RULESET = 444  # the same number on every machine
_LANDLOCK_VERSION = 1
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


@dataclass(frozen=True, slots=True)
class Layer:
    name: str
    state: State
    about: str
    help: str = ""


def layers() -> tuple[Layer, ...]:
    """Every layer, the sandbox as a whole first. Costs a trial run of the sandbox."""
    found = [_sandbox()]
    if sys.platform == "linux":
        found += [_filter(), *_namespaces(), _landlock()]
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


def _landlock() -> Layer:
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return Layer("landlock", State.UNUSED, "not in this kernel; nothing here needs it")
    return Layer("landlock", State.UNUSED, f"version {version}; bubblewrap and the filter do its part")
