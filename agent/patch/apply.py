"""A planned patch onto the disk: all of it or nothing.

New contents are written and flushed beside their targets first. Then names are switched one by one, the old
files kept under other names until the last switch is done; a failure switches them back.
"""

from __future__ import annotations

import contextlib
import os
import secrets

from agent.errors import PatchError
from agent.patch.plan import Change, PatchPlan, State, read_state
from execpolicy.values import slotted


def apply(plan: PatchPlan) -> None:
    """Carry out `plan`. Raises PatchError, with every file as it was, when a file has changed since the plan
    was made or cannot be written."""
    _check_unchanged(plan)
    work = _Work()
    try:
        for change in plan.changes:
            work.prepare(change)
        _check_unchanged(plan)
        for staged in work.staged:
            work.switch(staged)
    except PatchError:
        work.undo()
        raise
    except OSError as error:
        work.undo()
        name = error.filename if isinstance(error.filename, str) else ""
        raise PatchError(
            f"cannot write `{name}`: {error.strerror or error}"
            if name
            else f"cannot write: {error.strerror or error}",
            help="nothing was changed",
        ) from error
    except BaseException:
        work.undo()
        raise
    work.finish()


def _check_unchanged(plan: PatchPlan) -> None:
    for change in plan.changes:
        if read_state(change.path) != change.before or os.path.realpath(os.path.dirname(change.path)) != (
            os.path.dirname(change.path)
        ):
            raise PatchError(
                f"`{change.path}` has changed since the patch was checked: nothing was changed",
                help="read the file again and make the patch anew",
            )


@slotted
class _Staged:
    """One file on its way. Names are relative to the open folder, which nobody can swap for a link."""

    change: Change
    folder: int
    name: str
    new: str | None = None  # the new content, under another name
    old: str | None = None  # the old file, under another name
    placed: bool = False  # the new content has its name


class _Work:
    def __init__(self) -> None:
        self.staged: list[_Staged] = []
        self._made: list[str] = []

    def prepare(self, change: Change) -> None:
        parent, name = os.path.split(change.path)
        self._make_folders(parent)
        staged = _Staged(change, _open_folder(parent), name)
        self.staged.append(staged)
        if change.after is not None:
            staged.new = _beside()
            _write(staged, change.after)

    def switch(self, staged: _Staged) -> None:
        """INVARIANT: at every moment the old file is under its own name or under `old`."""
        folder = staged.folder
        if staged.change.before is not None:
            staged.old = _beside()
            if staged.new is None:
                os.rename(staged.name, staged.old, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                _keep(staged)
        if staged.new is not None and staged.change.before is None:
            _place_new(staged)
        elif staged.new is not None:
            os.rename(staged.new, staged.name, src_dir_fd=folder, dst_dir_fd=folder)
            staged.placed, staged.new = True, None

    def undo(self) -> None:
        for staged in reversed(self.staged):
            folder = staged.folder
            with contextlib.suppress(OSError):
                if staged.old is not None:
                    os.rename(staged.old, staged.name, src_dir_fd=folder, dst_dir_fd=folder)
                elif staged.placed and staged.change.before is None:
                    os.unlink(staged.name, dir_fd=folder)
            for left in (staged.new, staged.old):  # a rename between two links of one file leaves both
                if left is not None:
                    with contextlib.suppress(OSError):
                        os.unlink(left, dir_fd=folder)
            os.close(folder)
        for made in reversed(self._made):
            with contextlib.suppress(OSError):
                os.rmdir(made)

    def finish(self) -> None:
        for staged in self.staged:
            with contextlib.suppress(OSError):
                if staged.old is not None:
                    os.unlink(staged.old, dir_fd=staged.folder)
            with contextlib.suppress(OSError):
                os.fsync(staged.folder)
            os.close(staged.folder)

    def _make_folders(self, path: str) -> None:
        missing: list[str] = []
        while not os.path.lexists(path):
            missing.append(path)
            path = os.path.dirname(path)
        for folder in reversed(missing):
            os.mkdir(folder)
            self._made.append(folder)


def _keep(staged: _Staged) -> None:
    assert staged.old is not None
    folder = staged.folder
    try:
        os.link(staged.name, staged.old, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError:  # a file system without hard links
        os.rename(staged.name, staged.old, src_dir_fd=folder, dst_dir_fd=folder)


def _place_new(staged: _Staged) -> None:
    """A link, not a rename: a file that somebody has just made here is not lost."""
    assert staged.new is not None
    folder = staged.folder
    try:
        os.link(staged.new, staged.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        staged.placed = True
        os.unlink(staged.new, dir_fd=folder)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.rename(staged.new, staged.name, src_dir_fd=folder, dst_dir_fd=folder)
        staged.placed = True
    staged.new = None


def _open_folder(path: str) -> int:
    """Open a folder name by name, following no link on the way."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open("/", flags)
    for part in path.split("/"):
        if not part:
            continue
        try:
            below = os.open(part, flags, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def _write(staged: _Staged, state: State) -> None:
    assert staged.new is not None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(staged.new, flags, 0o666, dir_fd=staged.folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(state.content)
        if state.mode is not None:
            _same_owner(staged, descriptor)
            os.fchmod(descriptor, state.mode & 0o777)
        file.flush()
        os.fsync(descriptor)


def _same_owner(staged: _Staged, descriptor: int) -> None:
    with contextlib.suppress(OSError):  # only root may give files away; the folder decides otherwise
        info = os.stat(staged.change.path, follow_symlinks=False)
        if (info.st_uid, info.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, info.st_uid, info.st_gid)


def _beside() -> str:
    return f".patch-{secrets.token_hex(8)}"
