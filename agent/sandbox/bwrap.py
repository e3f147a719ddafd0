"""The Linux sandbox: the arguments of bubblewrap, and whether it works here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import cache

from agent.sandbox import seccomp
from agent.sandbox.base import GUARD_FILES, Launch
from agent.sandbox.limits import limited
from agent.sandbox.mounts import Kind, Survey, survey
from agent.sandbox.proxied import proxy_variables
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen, replace

_PROBE_SECONDS = 20.0
_MEMORY_TEMP = "/dev/shm"
_KERNEL_CONTROLS = tuple(
    f"/proc/{name}"
    for name in ["sys", "sysrq-trigger", "irq", "bus", "acpi", "fs", "mtrr", "pressure", "scsi"]
)
_NAMESPACES = (
    "--unshare-user",
    "--unshare-pid",
    "--unshare-ipc",
    "--unshare-uts",
    "--unshare-cgroup-try",
)

_INSTALL = (
    "install it: `apt install bubblewrap` (Debian, Ubuntu), `dnf install bubblewrap` (Fedora, RHEL),"
    " `pacman -S bubblewrap` (Arch), `apk add bubblewrap` (Alpine), `zypper install bubblewrap` (SUSE)"
)
_CHOICE = "or choose `--sandbox full-access` to run commands without a sandbox"
# What bubblewrap says, in the order in which to look: the first hit names the remedy.
_REMEDIES = (
    (
        "setting up uid map: Permission denied",
        "AppArmor keeps bubblewrap from using user namespaces (Ubuntu 24.04 does): install an AppArmor profile"
        " for bwrap that has `userns,`, or set `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "loopback: Failed RTM_NEWADDR",
        "AppArmor keeps bubblewrap from its network namespace (Ubuntu 24.04 does): install an AppArmor profile"
        " for bwrap that has `userns,`, or set `sysctl kernel.apparmor_restrict_unprivileged_userns=0`",
    ),
    (
        "No permissions to create",
        "user namespaces are forbidden: set `sysctl user.max_user_namespaces=10000`, and on Debian"
        " `sysctl kernel.unprivileged_userns_clone=1`; in a container allow them (`--security-opt"
        " seccomp=unconfined` for Docker)",
    ),
    (
        "Creating new namespace failed",
        "user namespaces are forbidden: set `sysctl user.max_user_namespaces=10000`; in a container allow them"
        " (`--security-opt seccomp=unconfined` for Docker)",
    ),
    (
        "mount proc",
        "the container hides parts of /proc: start it with `--security-opt systempaths=unconfined` (Docker)",
    ),
    ("Unknown option", "bubblewrap is too old: version 0.5 or later is needed"),
    ("setuid", "bubblewrap is installed set-uid here: remove the bit where user namespaces are allowed"),
)


def arguments(program: str, seen: Survey, launch: Launch, spec: SandboxSpec) -> tuple[list[str], int]:
    """The command line, and the place in it where the number of the filter's descriptor goes."""
    argv = [program, *_NAMESPACES]
    if not spec.network:
        argv.append("--unshare-net")
    argv += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    argv += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    # bubblewrap covers these only where access(2) says that they are writable: not so for root.
    for path in _KERNEL_CONTROLS:
        argv += ["--ro-bind-try", path, path]
    paths = [mount.path for mount in seen.mounts]
    closing: list[str] = []
    for mount in seen.mounts:
        match mount.kind:
            case Kind.WRITABLE:
                argv += ["--bind", mount.path, mount.path]
            case Kind.READ_ONLY:
                argv += ["--ro-bind", mount.path, mount.path]
            case Kind.HIDDEN_FILE:
                # Bound without device access: opening it fails, whatever the mode says.
                argv += ["--ro-bind", "/dev/null", mount.path]
            case Kind.EMPTY if os.path.basename(mount.path) in GUARD_FILES:
                argv += ["--ro-bind", mount.path, mount.path]
            case Kind.EMPTY:
                argv += ["--perms", "0555", "--tmpfs", mount.path]
                closing += ["--remount-ro", mount.path]
            case Kind.HIDDEN_FOLDER:
                inside = any(path.startswith(mount.path + "/") for path in paths)
                argv += ["--perms", "0111" if inside else "0000", "--tmpfs", mount.path]
                closing += ["--remount-ro", mount.path]
    argv += closing
    if seen.temp is None:
        argv += ["--setenv", "TMPDIR", _MEMORY_TEMP]
    elif launch.env.get("TMPDIR"):
        argv += ["--setenv", "TMPDIR", launch.env["TMPDIR"] if _same(launch, seen.temp) else seen.temp]
    if spec.network.proxied:
        argv += ["--info-fd", "", "--block-fd", ""]
    argv += ["--seccomp", "", "--chdir", os.path.realpath(launch.cwd), "--"]
    return [*argv, *launch.argv], len(argv) - 4


def _same(launch: Launch, temp: str) -> bool:
    named = launch.env["TMPDIR"]
    real = os.path.realpath(named)
    return os.path.isabs(named) and os.path.isdir(real) and (real == temp or real.startswith(temp + "/"))


@frozen
class Bubblewrap:
    """`program` is the path of bwrap, or None where there is none."""

    program: str | None
    machine: str
    home: str
    secrets: tuple[str, ...] = ()  # hidden unless a spec names them as readable
    name: str = "bubblewrap"

    def why_not(self) -> str | None:
        trouble = self.trouble()
        return None if trouble is None else f"{trouble[0]}; {trouble[1]}"

    def trouble(self) -> tuple[str, str] | None:
        """What is missing and the remedy. bubblewrap is tried once a process."""
        if self.program is None:
            return "bubblewrap (`bwrap`) is not installed", f"{_INSTALL}; {_CHOICE}"
        if seccomp.program(self.machine) is None:
            return f"there is no system call filter for `{self.machine}` machines", _CHOICE
        return _probe(self)

    def wrap(self, launch: Launch, spec: SandboxSpec) -> Launch:
        code = seccomp.program(self.machine)
        if self.program is None or code is None:
            raise ValueError("why_not() names a reason: this back end cannot wrap")
        seen = survey(spec, temp=launch.env.get("TMPDIR"), home=self.home, secrets=self.secrets)
        inner = replace(launch, argv=limited(launch.argv, spec.limits))
        argv, place = arguments(self.program, seen, inner, spec)
        proxied = spec.network.proxied
        return replace(
            launch,
            env={**launch.env, **proxy_variables(spec.loopback)} if proxied else launch.env,
            doorway=(place - 4, place - 2) if proxied else None,
            argv=tuple(argv),
            cwd="/",
            handed=(
                *((at + len(argv) - len(launch.argv), data) for at, data in launch.handed),
                (place, code),
            ),
            guards=(*launch.guards, *seen.guards),
            limits=spec.limits,
            folders=seen.filled,
        )


@cache
def _probe(sandbox: Bubblewrap) -> tuple[str, str] | None:
    assert sandbox.program is not None
    code = seccomp.program(sandbox.machine)
    assert code is not None
    argv, place = arguments(
        sandbox.program,
        Survey((), (), None),
        Launch(argv=("/proc/self/exe", "--version"), cwd="/"),
        SandboxSpec(mode=SandboxMode.READ_ONLY, workspace="/"),
    )
    return _diagnose(*_try(argv, place, code))


def _try(argv: list[str], place: int, code: bytes) -> tuple[int, str]:
    descriptor = os.memfd_create("filter", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, code)
        os.lseek(descriptor, 0, os.SEEK_SET)
        argv[place] = str(descriptor)
        done = subprocess.run(
            argv,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
            env={"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return 1, "it did not end in time"
    except OSError as error:
        return 1, str(error)
    finally:
        os.close(descriptor)
    return done.returncode, done.stderr.decode(errors="replace")


def _diagnose(status: int, said: str) -> tuple[str, str] | None:
    if status == 0:
        return None
    last = next(iter(said.strip().splitlines()[-1:]), f"exit status {status}")
    remedy = next((remedy for text, remedy in _REMEDIES if text in said), "see `docs/reference/sandbox.md`")
    return f"bubblewrap cannot build a sandbox here: {last}", f"{remedy}; {_CHOICE}"


def find(program: str, path: str, untrusted: Sequence[str]) -> str | None:
    """`program` on the search path `path`, never one below a folder of `untrusted`."""
    for folder in path.split(os.pathsep):
        candidate = os.path.realpath(os.path.join(folder, program))
        if not os.path.isabs(folder) or not os.access(candidate, os.X_OK) or not os.path.isfile(candidate):
            continue
        if not any(candidate.startswith(os.path.realpath(bad).rstrip("/") + "/") for bad in untrusted):
            return candidate
    return None
