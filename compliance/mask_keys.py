"""The keys of the digests in markers: made on first use, one a quarter, kept beside the log.

A token in a record (`[masked:github#3f9c...]`) is equal for equal secrets under one key, and without the key
tells nothing, however short the secret is. An old key is kept, so that what it made can still be compared.
"""

from __future__ import annotations

import datetime
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from compliance.errors import AuditError
from compliance.redact import MaskKey

NAME: Final = "mask.keys"
MOST_KEPT: Final = 400  # keys of a century, or of a nervous hand
_HELP: Final = "move it away: a new key is made, and what is masked from then on has other digests"


def current_key(folder: Path, today: datetime.date) -> MaskKey:
    """The key of this quarter; made when there is none. AuditError when it can neither be read nor made."""
    quarter = _quarter(today)
    keys = read_keys(folder)
    if keys and keys[-1].id.startswith(f"{quarter}-"):
        return keys[-1]
    return rotate(folder, today)


def rotate(folder: Path, today: datetime.date) -> MaskKey:
    """A new key, in force from now on."""
    secret = os.urandom(32)
    made = MaskKey(f"{_quarter(today)}-{os.urandom(4).hex()}", secret)
    path = folder / NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(handle, "ab") as file:
            _private(handle, path)
            file.write(f"{made.id} {secret.hex()}\n".encode())  # one write: several processes may add at once
            file.flush()
            os.fsync(handle)
    except OSError as error:
        raise AuditError(
            f"cannot keep the key of masks in `{path}`: {error.strerror}", "run as its owner"
        ) from error
    return made


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
    return list(_keys(data, path))


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
