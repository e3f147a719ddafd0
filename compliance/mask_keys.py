"""The keys of the digests in markers: made on first use, one a quarter, kept beside the log.

A token in a record (`[masked:github#3f9c...]`) is equal for equal secrets under one key, and without the key
tells nothing, however short the secret is. An old key is kept, so that what it made can still be compared.
"""

from __future__ import annotations

import datetime
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from compliance.errors import AuditError
from compliance.redact import MaskKey

NAME: Final = "mask.keys"
MOST_KEPT: Final = 400  # keys of a century, or of a nervous hand
LOCK_SECONDS: Final = 5.0
_HELP: Final = "move it away: a new key is made, and what is masked from then on has other digests"


def current_key(folder: Path, today: datetime.date) -> MaskKey:
    """The key of this quarter; made when there is none. AuditError when it can neither be read nor made."""
    known = _of_quarter(read_keys(folder), today)
    return known or _make(folder, today, unless_there=True)


def rotate(folder: Path, today: datetime.date) -> MaskKey:
    """A new key, in force from now on."""
    return _make(folder, today, unless_there=False)


def _make(folder: Path, today: datetime.date, *, unless_there: bool) -> MaskKey:
    """Add a key. With `unless_there` only the first of several processes does, and the others get that one."""
    path = folder / NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(path, flags, 0o600), "rb+") as file:
            _private(file.fileno(), path)
            _lock(file.fileno(), path)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]  # a crash may have left half a line
            known = _of_quarter(list(_keys(whole, path)), today)
            if known is not None and unless_there:
                return known
            made = MaskKey(f"{_quarter(today)}-{os.urandom(4).hex()}", os.urandom(32))
            kept = b"".join(whole.splitlines(keepends=True)[-MOST_KEPT + 1 :])
            fresh = kept + f"{made.id} {made.secret.hex()}\n".encode()
            if not fresh.startswith(data):
                file.truncate(0)
                file.seek(0)
                file.write(fresh)
            else:
                file.write(fresh[len(data) :])
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise AuditError(
            f"cannot keep the key of masks in `{path}`: {error.strerror}", "run as its owner"
        ) from error
    return made


def _lock(handle: int, path: Path) -> None:
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                help = "find who holds it (`fuser`) and end that process"
                raise AuditError(f"`{path}` is held by another process", help) from None
            time.sleep(0.01)


def read_keys(folder: Path) -> list[MaskKey]:
    """All keys, the newest last. AuditError for a file that others may read, or that holds no keys."""
    path = folder / NAME
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuditError(f"cannot read `{path}`: {error.strerror}", "run as its owner") from error
    try:
        _private(handle, path)
        data = os.read(handle, MOST_KEPT * 128)
    finally:
        os.close(handle)
    return list(_keys(data[: data.rfind(b"\n") + 1], path))  # behind it another process is writing


def _of_quarter(keys: list[MaskKey], today: datetime.date) -> MaskKey | None:
    return keys[-1] if keys and keys[-1].id.startswith(f"{_quarter(today)}-") else None


def _keys(data: bytes, path: Path) -> Iterator[MaskKey]:
    for line in data.splitlines():
        name, _, digits = line.decode("ascii", "replace").partition(" ")
        try:
            secret = bytes.fromhex(digits)
        except ValueError:
            secret = b""
        if not name or len(secret) != 32:
            raise AuditError(f"`{path}` does not hold keys", _HELP)
        yield MaskKey(name, secret)


def _private(handle: int, path: Path) -> None:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        raise AuditError(f"`{path}` is no ordinary file", _HELP)
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise AuditError(f"`{path}` is open to others", f"chmod 600 {path}, or move it away")


def _quarter(today: datetime.date) -> str:
    return f"{today.year}q{(today.month + 2) // 3}"
