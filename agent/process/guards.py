"""Empty folders, and a few files, that stand while a command runs, so that it cannot make them.

INVARIANT: a guard is removed only by the last run that relies on it, also among several processes:
removing the folder would lift the mount that lies on it in every other sandbox.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence

from agent.sandbox.base import GUARD_FILES

_ATTEMPTS = 100
_MOMENT = 0.005
GUARD_MODE = 0o555  # by this a later survey knows it from a folder of the user


@contextlib.contextmanager
def standing(paths: Sequence[str]) -> Iterator[None]:
    """Make each folder where it is missing; afterwards remove those that are empty and nobody holds."""
    held: list[tuple[str, int]] = []
    try:
        for path in paths:
            held.append((path, _hold(path)))  # noqa: PERF401 - what is held so far must be released
        yield
    finally:
        for path, descriptor in reversed(held):
            _release(path, descriptor)


def _hold(path: str) -> int:
    for _ in range(_ATTEMPTS):
        text = GUARD_FILES.get(os.path.basename(path))
        with contextlib.suppress(FileExistsError):
            if text is None:
                os.mkdir(path, GUARD_MODE)
            else:
                _make_file(path, text)
        kind = os.O_DIRECTORY if text is None else os.O_NONBLOCK
        try:
            descriptor = os.open(path, os.O_RDONLY | kind | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another run has just removed it
        if _shared(descriptor) and _same(path, descriptor):
            return descriptor
        os.close(descriptor)
    raise OSError(f"`{path}` cannot be kept free: another program holds it")


def _make_file(path: str, text: bytes) -> None:
    """Whole from the first moment: git reads it whenever somebody asks for anything."""
    early = f"{path}.{os.getpid()}-{time.monotonic_ns()}"
    try:
        _write(early, text)
        try:
            os.link(early, path)
        except FileExistsError:
            raise
        except OSError:  # no hard links here: a moment in which it is empty
            _write(path, text)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(early)


def _write(path: str, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    try:
        os.write(descriptor, text)
    finally:
        os.close(descriptor)


def _shared(descriptor: int) -> bool:
    """Hold the folder together with other runs. One that removes it right now is done in a moment."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(_MOMENT)
        return False
    return True


def _same(path: str, descriptor: int) -> bool:
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def _release(path: str, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # One with write bits is not ours: somebody has made it meanwhile, for himself.
        if not os.fstat(descriptor).st_mode & 0o222 and _same(path, descriptor):
            text = GUARD_FILES.get(os.path.basename(path))
            if text is None:
                os.rmdir(path)
            elif os.pread(descriptor, len(text) + 1, 0) == text:
                os.unlink(path)
    except OSError:
        pass  # held by another run, or no longer empty: somebody's own folder now
    finally:
        os.close(descriptor)
