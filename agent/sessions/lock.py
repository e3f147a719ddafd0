"""One writer a thread: a lock that the system frees when its process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import SessionError


@contextmanager
def thread_lock(folder: Path, thread_id: str) -> Iterator[None]:
    """Hold the thread for as long as the block runs; `SessionError` when another process has it."""
    from filelock import FileLock, Timeout

    path = folder / f"{thread_id}.lock"
    holder = folder / f"{thread_id}.pid"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0, mode=0o600)
        lock.acquire()
    except Timeout:
        raise SessionError(
            f"session `{thread_id}` is open in another process{_holder(holder)}",
            "end that one first, or begin a new session",
        ) from None
    except OSError as error:
        raise SessionError(
            f"cannot lock session `{thread_id}`: {error.strerror}", "set AGENT_HOME to a folder you can write"
        ) from None
    try:
        holder.write_text(f"{os.getpid()}\n")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        number = path.read_text().strip()
    except OSError:
        return ""
    return f" (process {number})" if number.isdigit() else ""
