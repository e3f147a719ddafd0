"""Compiled policies on disk: a folder and files that only their owner can write, or none at all."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterable
from typing import Final

import execpolicy
from execpolicy.decision import Layer
from execpolicy.digest import sha256
from execpolicy.engine.policy import Policy

KEPT: Final = 16  # compiled policies
ENDING: Final = ".policy"
WATCHED: Final = ("", "lang", "engine", "bundle", "codex")


def key_of(files: Iterable[tuple[str, Layer, str]]) -> str:
    """Names one compiled policy: this engine, and each file's path, layer and digest, in order."""
    parts = [
        f"\n{int(layer)} {content} {path}".encode("utf-8", "surrogatepass") for path, layer, content in files
    ]
    return sha256(b"".join((_engine(), *parts))).hex()


def _engine() -> bytes:
    """This engine as installed: whatever is replaced in it makes old policies stale."""
    root = os.path.dirname(os.path.abspath(execpolicy.__file__))
    parts = [sys.version]
    for folder in WATCHED:
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.endswith((".py", ".lark", ".toml")):
                    status = entry.stat()
                    parts.append(f"{folder}/{entry.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(parts).encode()


def read(folder: str | os.PathLike[str], key: str) -> Policy | None:
    """The compiled policy of that key; None when there is none that may be trusted."""
    if not _private(folder):
        return None
    try:
        handle = os.open(
            os.path.join(folder, key + ENDING), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        )
    except OSError:
        return None
    with open(handle, "rb") as stream:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            return None
        try:
            data = stream.read()
        except OSError:
            return None
    from execpolicy.engine.compiled import load

    return load(data, key)


def write(folder: str | os.PathLike[str], key: str, policy: Policy) -> None:
    """Keep `policy` for the next start. Not being able to is no failure."""
    from execpolicy.engine.compiled import dump

    temporary = os.path.join(folder, f".{os.getpid()}-{os.urandom(4).hex()}")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if not _private(folder):
            return
        handle = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with open(handle, "wb") as stream:
            stream.write(dump(policy, key))
        os.replace(temporary, os.path.join(folder, key + ENDING))
        _forget_old(folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _private(folder: str | os.PathLike[str]) -> bool:
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _forget_old(folder: str | os.PathLike[str]) -> None:
    with os.scandir(folder) as entries:
        found = sorted(
            (entry.stat().st_mtime_ns, entry.path) for entry in entries if entry.name.endswith(ENDING)
        )
    for _, path in found[:-KEPT]:
        os.unlink(path)
