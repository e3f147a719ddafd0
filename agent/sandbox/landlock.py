"""The weaker sandbox of Linux, by explicit word only: Landlock and a filter, where namespaces are forbidden.

Landlock knows grants, no refusals. So what lies beside a refused path is granted entry by entry, and the
folder that holds it can get no new entries.
"""

from __future__ import annotations

import ctypes
import enum
import os
import struct
import sys
from functools import cache
from types import CodeType

from agent.errors import SandboxUnavailable
from agent.sandbox import seccomp
from agent.sandbox.base import Launch
from agent.sandbox.limits import limited
from agent.sandbox.mounts import Kind, Survey, survey
from agent.sandbox.spec import SandboxSpec
from execpolicy.values import frozen, replace

_CREATE_RULESET = 444  # the same number on every machine
LEAST_VERSION = 3  # before it, a file can be cut to nothing in spite of every rule
_MOST_ENTRIES = 20_000  # grants of one command

_FILE = {"execute": 0, "write": 1, "read": 2, "truncate": 14, "ioctl": 15}
_FOLDER = {
    "list": 3, "remove-folder": 4, "remove-file": 5, "make-device": 6, "make-folder": 7, "make-file": 8,
    "make-socket": 9, "make-fifo": 10, "make-block": 11, "make-link": 12, "refer": 13,
}  # fmt: skip
_SINCE = {"refer": 2, "truncate": 3, "ioctl": 5}
_BIND, _CONNECT = 1, 2
_SCOPES = 3  # abstract sockets, signals
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts", "shm")

# Reads the code and the plan from the descriptor that its first argument names.
_BOOT = (
    "import marshal,os,sys;d=marshal.load(open(int(sys.argv[1]),'rb'));g={};exec(d[0],g);"
    "os._exit(g['main'](d[1],sys.argv[2:]))"
)
Plan = dict[str, bytes | list[tuple[str, int, int]]]

WEAKER = (
    "a command sees every process of the machine and cannot have one of the network's own: it has no network,"
    " loopback included, unless all of it",
    "nothing new can be made or replaced at the top of the workspace, where `.git` and `.agent` stand; below"
    " it, it can",
    "modes, owners, times and extended attributes of the user's own files can be changed anywhere",
    "the names in hidden folders can be listed, and /dev/shm is shared with the machine",
    "rules about hosts are not filtered by: a command that needs one gets no network",
)


class Level(enum.IntEnum):
    """What a path gives. In order: more is more."""

    NOTHING = 0
    READ = 1
    WRITE = 2


@cache
def version() -> int:
    """The version of Landlock in this kernel; 0: none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0), 1)))


def bits(abi: int, *names: str) -> int:
    """The access word for rights by `names`, as far as `abi` knows them."""
    known = _FILE | _FOLDER
    return sum(1 << known[name] for name in names if _SINCE.get(name, 1) <= abi)


def attributes(abi: int, *, network: bool) -> bytes:
    """The ruleset: everything that `abi` can handle is handled, so that what no rule grants is refused."""
    words = [bits(abi, *_FILE, *_FOLDER)]
    if abi >= 4:
        words.append(0 if network else _BIND | _CONNECT)
    if abi >= 6:
        words.append(_SCOPES)
    return struct.pack(f"={len(words)}Q", *words)


def accesses(level: Level, abi: int) -> tuple[int, int]:
    """What `level` grants beneath a folder, and on a single file."""
    match level:
        case Level.NOTHING:
            return 0, 0
        case Level.READ:
            return bits(abi, "execute", "read", "list"), bits(abi, "execute", "read")
        case Level.WRITE:
            nodes = ("make-device", "make-block", "ioctl")
            return (
                bits(abi, *(name for name in (*_FILE, *_FOLDER) if name not in nodes)),
                bits(abi, "execute", "read", "write", "truncate"),
            )


def levels(seen: Survey) -> dict[str, Level]:
    """What each surveyed path gives, the root first."""
    found = {"/": Level.READ, "/dev": Level.NOTHING}
    for mount in seen.mounts:
        match mount.kind:
            case Kind.WRITABLE:
                found[mount.path] = Level.WRITE
            case Kind.READ_ONLY | Kind.EMPTY:
                found[mount.path] = Level.READ
            case Kind.HIDDEN_FILE | Kind.HIDDEN_FOLDER:
                found[mount.path] = Level.NOTHING
    return found


def grants(found: dict[str, Level]) -> list[tuple[str, Level]]:
    """Paths to grant, so that each gets what `found` says and what is stricter in it gets no more.

    Raises SandboxUnavailable where the folders beside refused paths hold too many entries.
    """
    out: list[tuple[str, Level]] = []

    def below(path: str) -> list[str]:
        return [other for other in found if other != path and other.startswith(path.rstrip("/") + "/")]

    def grant(path: str, level: Level) -> None:
        level = found.get(path, level)
        inside = below(path)
        least = min((found[other] for other in inside), default=level)
        if least >= level:
            if level is not Level.NOTHING:
                out.append((path, level))
            for other in inside:
                if found[other] > level:
                    grant(other, level)
            return
        # Something inside is stricter: what is granted here would reach it, so each entry gets its own.
        if least is Level.READ:
            out.append((path, Level.READ))
        try:
            entries = sorted(entry.path for entry in os.scandir(path) if not entry.is_symlink())
        except OSError:
            entries = []
        for entry in entries:
            grant(entry, level)
            if len(out) > _MOST_ENTRIES:
                raise SandboxUnavailable(
                    f"`{path}` holds too many entries to be granted one by one",
                    help="name fewer hidden or protected paths, or make namespaces possible: `agent doctor`",
                )

    grant("/", Level.READ)
    return out


def plan(seen: Survey, spec: SandboxSpec, code: bytes, abi: int) -> Plan:
    """What the launcher is told."""
    rows = [(path, *accesses(level, abi)) for path, level in grants(levels(seen))]
    listed = bits(abi, "list")
    rows.append(("/", listed, 0))  # names only: `ls` would fail in every folder above a hidden one
    for name in _DEVICES:
        folder, file = accesses(Level.WRITE, abi)
        rows.append((f"/dev/{name}", folder | bits(abi, "ioctl"), file | bits(abi, "ioctl")))
    if seen.temp is None:
        rows.append(("/dev/shm", *accesses(Level.WRITE, abi)))
    return {"attr": attributes(abi, network=bool(spec.network)), "grants": rows, "filter": code}


@frozen
class Landlock:
    """`python` is a real interpreter outside of what commands can write."""

    python: str
    machine: str
    home: str
    secrets: tuple[str, ...] = ()
    name: str = "landlock"

    def why_not(self) -> str | None:
        trouble = self.trouble()
        return None if trouble is None else f"{trouble[0]}; {trouble[1]}"

    def trouble(self) -> tuple[str, str] | None:
        """What is missing, and the remedy."""
        choice = "choose `--sandbox full-access` to run commands without a sandbox"
        if seccomp.program(self.machine) is None:
            return f"there is no system call filter for `{self.machine}` machines", choice
        if version() < LEAST_VERSION:
            have = f"version {version()}" if version() else "none"
            return (
                f"this kernel has no Landlock of version {LEAST_VERSION} or later ({have})",
                f"use Linux 6.2 or later with `landlock` among `lsm=`; or {choice}",
            )
        return None

    @property
    def weaker(self) -> tuple[str, ...]:
        """What a command can do here that it could not under bubblewrap, or cannot and could. For every start."""
        more = () if version() >= 6 else ("a command can send signals to other programs of the user",)
        return (*WEAKER, *more)

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        code = seccomp.program(self.machine, alone=True, internet=bool(spec.network))
        if code is None or version() < LEAST_VERSION:
            raise ValueError("why_not() names a reason: this back end cannot wrap")
        seen = survey(spec, temp=launch.env.get("TMPDIR"), home=self.home, secrets=self.secrets)
        env = dict(launch.env)
        if seen.temp is None:
            env["TMPDIR"] = "/dev/shm"
        elif env.get("TMPDIR"):
            env["TMPDIR"] = seen.temp
        argv = limited(launch.argv, spec.limits)
        head = (self.python, "-I", "-S", "-c", _BOOT, "")
        return replace(
            launch,
            argv=(*head, *argv),
            env=env,
            handed=(
                *((at + len(head) + len(argv) - len(launch.argv), data) for at, data in launch.handed),
                (len(head) - 1, _handed(plan(seen, spec, code, version()))),
            ),
            guards=(*launch.guards, *seen.guards),
            limits=spec.limits,
            folders=seen.filled,
        )


def fallback(home: str, machine: str, secrets: tuple[str, ...], untrusted: tuple[str, ...]) -> Landlock:
    """The back end with this program's own interpreter. Raises SandboxUnavailable where it cannot be trusted."""
    python = os.path.realpath(sys.executable)
    if any(python.startswith(os.path.realpath(folder).rstrip("/") + "/") for folder in untrusted):
        raise SandboxUnavailable(
            f"the interpreter `{python}` lies where commands may write: one could replace it",
            help="install the agent with an interpreter outside of the workspace and of temporary folders",
        )
    return Landlock(python, machine, home, secrets)


@cache
def _code() -> CodeType:
    """The launcher, read once: what a command makes of the file later counts no more."""
    path = os.path.join(os.path.dirname(__file__), "launcher.py")
    with open(path, encoding="utf-8") as file:
        return compile(file.read(), "<launcher>", "exec", dont_inherit=True)


def _handed(told: Plan) -> bytes:
    import marshal

    return marshal.dumps((_code(), told))
