"""What the file system looks like from inside: surveyed once before a run, from the spec and the disk.

INVARIANT: a path that a confined command can rename or replace never decides what a later run may write.
So symbolic links below something writable are refused where a guard stands, and every folder between a
writable root and a mount becomes a mount of its own, which the kernel does not let anyone rename.
"""

from __future__ import annotations

import enum
import os
import stat

from agent.errors import SandboxUnavailable
from agent.sandbox.base import GUARD_FILES
from agent.sandbox.repositories import linked, repositories
from agent.sandbox.spec import SandboxSpec
from execpolicy.decision import SandboxMode
from execpolicy.values import frozen

GUARDED = (".git", ".agent")
_LONGEST = 3500  # bytes of a path that leaves room for names in it; the kernel takes 4095
_OF_KERNEL = ("/proc", "/sys")  # the sandbox has its own, or none to write
_SYSTEM_TEMP = ("/tmp", "/var/tmp")


class Kind(enum.Enum):
    """What one mount does. In the order in which they win at the same path, weakest first."""

    WRITABLE = "writable"
    READ_ONLY = "read-only"
    EMPTY = "empty"  # does not exist: an empty folder, or a file of `GUARD_FILES`, stands there; nobody can write it
    HIDDEN_FILE = "hidden-file"
    HIDDEN_FOLDER = "hidden-folder"


_STRENGTH = {kind: place for place, kind in enumerate(Kind)}


@frozen
class Mount:
    path: str
    kind: Kind


@frozen
class Survey:
    """Mounts in the order in which they are made: a deeper one lies over the one it is in."""

    mounts: tuple[Mount, ...]
    guards: tuple[str, ...]  # those of kind EMPTY
    temp: str | None  # where temporary files go; None: only memory

    @property
    def filled(self) -> tuple[str, ...]:
        """Folders whose disk a command can fill."""
        return tuple(mount.path for mount in self.mounts if mount.kind is Kind.WRITABLE)


def survey(spec: SandboxSpec, *, temp: str | None, home: str, secrets: tuple[str, ...] = ()) -> Survey:
    """Look at the disk and settle every mount. `temp` is TMPDIR of the command, `home` the user's.

    Of `secrets` is hidden what exists and is not named as readable.
    """
    # These may be links that a command could replace, whether they are writable for this one or not.
    temps = tuple(real for real in map(os.path.realpath, _SYSTEM_TEMP) if os.path.isdir(real))
    if temp and (not os.path.isabs(temp) or not os.path.isdir(temp) or _within(temp, _OF_KERNEL)):
        temp = None
    if temp and (spec.exclude_slash_tmp if os.path.realpath(temp) in temps else spec.exclude_tmpdir):
        temp = None
    workspace = _resolve(spec.workspace, temps)
    if not os.path.isdir(workspace):
        raise SandboxUnavailable(
            f"the workspace `{spec.workspace}` is not a folder", help="choose another one with --cd"
        )
    if workspace == "/dev" or _within(workspace, _OF_KERNEL):
        raise SandboxUnavailable(
            f"the workspace `{workspace}` belongs to the kernel: a sandbox has its own, or none",
            help="choose a project folder with --cd",
        )
    if not os.access(workspace, os.R_OK | os.X_OK):
        raise SandboxUnavailable(
            f"the workspace `{spec.workspace}` cannot be read",
            help="`chmod u+rx` it, or choose another one with --cd",
        )
    if len(os.fsencode(workspace)) > _LONGEST:
        raise SandboxUnavailable(
            f"the path of the workspace is longer than {_LONGEST} bytes: `{workspace[:40]}...`",
            help="move it to a shorter path, or choose another one with --cd",
        )
    roots = _roots(spec, workspace, temps, temp, home)
    found: dict[str, Kind] = {}
    for root in roots:
        _add(found, root, Kind.WRITABLE)
    for path in _protected(spec, workspace, roots):
        _protect(found, path, roots)
    if roots and os.path.realpath(home) not in roots:
        _protect(
            found, os.path.realpath(home), roots
        )  # matters where the home folder lies in a temporary one
    for path in spec.hidden:
        _hide(found, path, roots)
    for path in secrets:
        if os.path.lexists(path) and not _within(path, spec.readable):
            _hide(found, path, roots)
    for path in spec.readable:
        real = os.path.realpath(path)
        if os.path.exists(real) and _kind(found, real) is Kind.HIDDEN_FOLDER:
            _add(found, real, Kind.READ_ONLY)
    pins = {folder for path in found for folder in _between(path, roots)}
    for folder in pins - found.keys():
        if _kind(found, folder) is Kind.WRITABLE:
            found[folder] = Kind.WRITABLE
    mounts = tuple(Mount(path, found[path]) for path in sorted(found, key=_depth))
    guards = tuple(mount.path for mount in mounts if mount.kind is Kind.EMPTY)
    own = os.path.realpath(temp) if temp else None
    usable = [folder for folder in temps if folder in roots]
    return Survey(mounts, guards, own if own and _within(own, roots) else next(iter(usable), None))


def _roots(
    spec: SandboxSpec, workspace: str, temps: tuple[str, ...], temp: str | None, home: str
) -> tuple[str, ...]:
    """Every folder or file that is writable; none lies there by a link that a command could have made."""
    match spec.mode:
        case SandboxMode.READ_ONLY:
            return ()
        case SandboxMode.WORKSPACE_WRITE | SandboxMode.FULL_ACCESS:
            pass
    if _holds(workspace, home) and workspace not in map(os.path.realpath, spec.writable):
        raise SandboxUnavailable(
            f"the workspace `{workspace}` holds the whole home folder: everything in it would be writable",
            help="choose a project folder with --cd, or name this one by --add-dir if all of it may be written",
        )
    roots: dict[str, None] = {workspace: None}
    if not spec.exclude_slash_tmp:
        roots.update(dict.fromkeys(temps))
    named = [os.path.normpath(path) for path in (*spec.writable, temp) if path and os.path.isabs(path)]
    for path in sorted(named, key=_depth):
        # Inside what is writable anyway, the path may have been replaced by a link since it was named.
        if _within(path, (os.path.normpath(spec.workspace), *roots)) or (
            not spec.exclude_slash_tmp and _within(path, _SYSTEM_TEMP)
        ):
            continue
        real = _resolve(path, (*roots, *temps))
        unfit = real == "/" or _within(real, _OF_KERNEL) or (path == temp and _holds(real, home))
        if not unfit and (os.path.isdir(real) or os.path.isfile(real)):
            roots[real] = None
    return tuple(roots)


def _protected(spec: SandboxSpec, workspace: str, roots: tuple[str, ...]) -> list[str]:
    """Everything read-only inside what is writable, whether it exists or not."""
    paths = [f"{workspace}/{name}" for name in GUARDED]
    for root in roots:
        if root == workspace or not os.path.isdir(root):
            continue
        # A repository made above the workspace would be the one that git finds from inside it.
        above = [folder for folder in _ancestors(workspace) if _within(folder, (root,))]
        paths += [f"{folder}/.git" for folder in above]
        if os.path.lexists(f"{root}/.git"):
            paths.append(f"{root}/.git")
    paths += spec.protected
    if workspace in roots:
        paths += repositories(workspace)
        added = {os.path.realpath(path) for path in spec.writable} & set(roots) - {workspace}
        # A look of their own: a large one takes nothing from the look at the workspace.
        paths += repositories(*sorted(added))
    for path in tuple(paths):
        if path.endswith("/.git"):
            paths += linked(path)
    return paths


def _protect(found: dict[str, Kind], path: str, roots: tuple[str, ...]) -> None:
    real = _resolve(path, roots)
    if real in roots or not _within(real, roots):
        if real in roots:
            _add(found, real, Kind.READ_ONLY)
        return
    if os.path.lexists(real):
        _add(found, real, Kind.EMPTY if _is_guard(real) else Kind.READ_ONLY)
        return
    missing = real
    while not os.path.lexists(os.path.dirname(missing)):
        missing = os.path.dirname(missing)
    if os.access(os.path.dirname(missing), os.W_OK):
        _add(found, missing, Kind.EMPTY)


def _is_guard(path: str) -> bool:
    """A folder that another run made to keep this place, or that a killed one has left."""
    info = os.lstat(path)
    if os.path.basename(path) in GUARD_FILES:
        return stat.S_ISREG(info.st_mode) and not info.st_mode & 0o222
    if not stat.S_ISDIR(info.st_mode) or info.st_mode & 0o222:
        return False
    with os.scandir(path) as entries:
        return next(entries, None) is None


def _hide(found: dict[str, Kind], path: str, roots: tuple[str, ...]) -> None:
    real = os.path.realpath(path)
    if os.path.isdir(real):
        _add(found, real, Kind.HIDDEN_FOLDER)
    elif os.path.lexists(real):
        _add(found, real, Kind.HIDDEN_FILE)
    elif _within(real, roots):
        _protect(found, real, roots)


def _resolve(path: str, roots: tuple[str, ...]) -> str:
    """The real path, without following a link that a confined command could have made or could replace."""
    done = "/"
    for part in filter(None, os.path.abspath(path).split("/")):
        here = os.path.join(done, part)
        if os.path.islink(here):
            if _within(done, roots):
                raise SandboxUnavailable(
                    f"`{here}` is a symbolic link inside a writable folder: what it guards could be replaced",
                    help=f"replace the link by what it points to (for a repository: a `.git` file with"
                    f" `gitdir: {os.path.realpath(here)}`)",
                )
            here = os.path.realpath(here)
        done = here
    return done


def _kind(found: dict[str, Kind], path: str) -> Kind | None:
    """What the deepest mount that `path` lies in does."""
    around = [folder for folder in found if _within(path, (folder,))]
    return found[max(around, key=_depth)] if around else None


def _add(found: dict[str, Kind], path: str, kind: Kind) -> None:
    if path not in found or _STRENGTH[kind] > _STRENGTH[found[path]]:
        found[path] = kind


def _between(path: str, roots: tuple[str, ...]) -> list[str]:
    """Folders strictly between the outermost writable root and `path`."""
    return [f for f in _ancestors(path) if f not in roots and _within(f, roots) and os.path.isdir(f)]


def _ancestors(path: str) -> list[str]:
    """Every folder above an absolute path, the nearest first."""
    ends = [at for at, char in enumerate(path) if char == "/" and at]
    return [*(path[:end] for end in reversed(ends)), *(["/"] if path != "/" else [])]


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _holds(folder: str, home: str) -> bool:
    return _within(os.path.realpath(home), (folder,))


def _depth(path: str) -> tuple[int, str]:
    return (0 if path == "/" else path.count("/"), path)
